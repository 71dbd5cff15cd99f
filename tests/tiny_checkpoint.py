"""A tiny llama checkpoint with a byte-level tokenizer and a chat template, made in milliseconds: words of noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HIDDEN, LAYERS, HEADS, KV_HEADS, MLP, CONTEXT = 32, 2, 4, 2, 48, 512


def write_tiny_checkpoint(folder: Path, *, text: bool = True) -> Path:
    """Write it; without `text` it has no tokenizer and no template."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = byte_vocabulary()
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": HIDDEN,
        "intermediate_size": MLP, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "vocab_size": len(vocabulary), "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True,
        "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    _write(folder / "config.json", config)
    _write_safetensors(folder / "model.safetensors", _weights(len(vocabulary)))
    if text:
        _write(folder / "tokenizer.json", _tokenizer(vocabulary))
        tokens = {"bos_token": SPECIAL[1], "eos_token": SPECIAL[2]}
        _write(folder / "tokenizer_config.json", {**tokens, "chat_template": TEMPLATE})
    return folder


def byte_vocabulary() -> dict[str, int]:
    """Return the special tokens and the 256 byte characters of GPT-2's byte-level alphabet."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    return {token: index for index, token in enumerate((*SPECIAL, *characters))}


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, object]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": token, **flags} for index, token in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }


def _weights(vocab_size: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    head = HIDDEN // HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab_size, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{at}.self_attn.k_proj.weight": (KV_HEADS * head, HIDDEN),
            f"{at}.self_attn.v_proj.weight": (KV_HEADS * head, HIDDEN),
            f"{at}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{at}.mlp.gate_proj.weight": (MLP, HIDDEN),
            f"{at}.mlp.up_proj.weight": (MLP, HIDDEN),
            f"{at}.mlp.down_proj.weight": (HIDDEN, MLP),
            f"{at}.input_layernorm.weight": (HIDDEN,),
            f"{at}.post_attention_layernorm.weight": (HIDDEN,),
        }
    shapes["model.norm.weight"] = (HIDDEN,)
    return {
        name: (np.ones(shape) if len(shape) == 1 else random.normal(0, shape[1] ** -0.5, shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


def _write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header: dict[str, object] = {}
    offset = 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(values.tobytes() for values in tensors.values()))


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")
