"""Records the decoder cases in tests/data/decoders: tiny random models and what transformers computes with them.

Not run by the tests. To record again, in an environment of its own:

    pip install torch==2.13.0 transformers==5.23.0
    python tests/data/record/decoders.py [CASE ...]

Every case is written as a checkpoint, read again by transformers from that very folder (so that the rewritten keys of
older configs are what is recorded) and computed in float32 with eager attention. A seed whose greedy tokens are not
clear (top-1 less than 0.01 above top-2 anywhere) or repeat themselves (fewer than 6 different ones) is passed over.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

OUTPUT = Path(__file__).resolve().parent.parent / "decoders"
LENGTHS = (1, 17, 48)
NEW_TOKENS = 24
MARGIN = 0.01
DISTINCT = 6

SIZES: dict[str, Any] = {
    "vocab_size": 150,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GEMMA3_TEXT: dict[str, Any] = {
    **SIZES,
    "num_hidden_layers": 4,
    "intermediate_size": 32,
    "head_dim": 16,
    "query_pre_attn_scalar": 20,
    "sliding_window": 16,
    "sliding_window_pattern": 3,
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
}
VISION = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}

CASES: dict[str, dict[str, Any]] = {
    "olmo2": {
        "note": "norms behind each half and over the whole of q and k, grouped-query attention, untied",
        "config": {"model_type": "olmo2", **SIZES, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
    },
    "granite": {
        "note": "embedding, attention, residual and logits multipliers, tied",
        "config": {
            "model_type": "granite",
            **SIZES,
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.2,
            "residual_multiplier": 0.4,
            "logits_scaling": 0.7,
            "tie_word_embeddings": True,
        },
        "hub_keys": True,
    },
    "granite_bias": {
        "note": "biases in attention and MLP, untied, multipliers beside them",
        "config": {
            "model_type": "granite",
            **SIZES,
            "num_hidden_layers": 2,
            "attention_bias": True,
            "mlp_bias": True,
            "attention_multiplier": 0.3,
            "embedding_multiplier": 2.0,
            "residual_multiplier": 0.5,
        },
    },
    "stablelm": {
        "note": "layer norms with biases, a quarter of each head rotated (4 of 16), q/k/v biases",
        "config": {
            "model_type": "stablelm",
            **SIZES,
            "hidden_size": 48,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "num_hidden_layers": 2,
            "use_qkv_bias": True,
            "partial_rotary_factor": 0.25,
        },
        "hub_keys": True,
    },
    "stablelm_parallel": {
        "note": "both halves side by side, a layer norm on each q and k head with weights of its own, head of 8: 2 rotated",
        "config": {
            "model_type": "stablelm",
            **SIZES,
            "use_parallel_residual": True,
            "qk_layernorm": True,
            "partial_rotary_factor": 0.25,
        },
    },
    "cohere": {
        "note": "both halves side by side, layer norm without bias, interleaved rope, logit scale, tied",
        "config": {"model_type": "cohere", **SIZES, "logit_scale": 0.8},
        "hub_keys": True,
    },
    "cohere_qk_norm": {
        "note": "layer norm on each q and k head with weights of its own, biases, untied, 5 heads of 10",
        "config": {
            "model_type": "cohere",
            **SIZES,
            "hidden_size": 50,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "num_hidden_layers": 2,
            "use_qk_norm": True,
            "attention_bias": True,
            "logit_scale": 0.6,
            "tie_word_embeddings": False,
        },
    },
    "qwen2_window": {
        "note": "use_sliding_window: a window of 16 from layer 1 on",
        "config": {
            "model_type": "qwen2",
            **SIZES,
            "use_sliding_window": True,
            "sliding_window": 16,
            "max_window_layers": 1,
        },
        "hub_keys": True,
    },
    "qwen3_yarn": {
        "note": "YaRN scaling by 4 from 32 positions, q/k norms, head_dim 16 of hidden 32 / 4",
        "config": {"model_type": "qwen3", **SIZES, "head_dim": 16, "rope_parameters": YARN},
        "hub_keys": True,
    },
    "smollm3_window": {
        "note": "use_sliding_window: the layers without rope have a window of 16",
        "config": {
            "model_type": "smollm3",
            **SIZES,
            "num_hidden_layers": 4,
            "no_rope_layer_interval": 2,
            "use_sliding_window": True,
            "sliding_window": 16,
            "attention_bias": True,
        },
    },
    "gemma3_hub_keys": {
        "note": "older keys: rope_local_base_freq, sliding_window_pattern 3, rope_scaling of the full layers only",
        "config": {"model_type": "gemma3_text", **GEMMA3_TEXT},
        "hub_keys": True,
    },
    "gemma3_multimodal": {
        "note": "Gemma3ForConditionalGeneration: text_config, an image encoder that a text model leaves out",
        "config": {
            "model_type": "gemma3",
            "text_config": {"model_type": "gemma3_text", **GEMMA3_TEXT},
            "vision_config": {"model_type": "siglip_vision_model", **VISION, "image_size": 16, "patch_size": 8},
            "mm_tokens_per_image": 4,
        },
    },
    "gpt2_prefixed": {
        "note": "names below `transformer.`, scores scaled by layer, an MLP that is not four times as wide",
        "config": {
            "model_type": "gpt2",
            "vocab_size": 150,
            "n_embd": 36,
            "n_head": 3,
            "n_layer": 3,
            "n_positions": 100,
            "n_inner": 50,
            "scale_attn_by_inverse_layer_idx": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    },
}


def main() -> None:
    """Record the cases named on the command line, or all."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        for seed in range(1000, 1100):
            if record(name, seed):
                break


def record(name: str, seed: int) -> bool:
    """Write one case; return whether its greedy tokens are clear."""
    case, folder = CASES[name], OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    write_checkpoint(case, folder, seed)
    kind = AutoModelForImageTextToText if case["config"]["model_type"] == "gemma3" else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    for k, length in enumerate(LENGTHS):
        arrays[f"ids_{k}"] = ids = rng.integers(3, 150, length)
        arrays[f"logits_{k}"] = logits(model, ids)
    arrays["greedy"], margin = greedy(model, arrays["ids_1"])
    arrays["greedy_margin"] = np.float32(margin)
    distinct = len(set(arrays["greedy"].tolist()))
    np.savez_compressed(folder / "golden.npz", **arrays)
    meta = {
        "case": name,
        "architecture": type(model).__name__,
        "note": case["note"],
        "seed": seed,
        "config_style": "transformers 4 (hub) keys" if case.get("hub_keys") else "transformers 5 keys",
        "lengths": LENGTHS,
        "logit_std": round(float(arrays["logits_2"].std()), 3),
        "min_greedy_margin": round(margin, 4),
        "distinct_greedy_tokens": distinct,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: seed {seed}, margin {margin:.4f}, {distinct} distinct, logit std {meta['logit_std']}, {size / 1000:.0f} kB")
    return margin >= MARGIN and distinct >= DISTINCT


def write_checkpoint(case: dict[str, Any], folder: Path, seed: int) -> None:
    """Write config.json and bfloat16 weights; norms and biases are random too, so that a wrong one shows."""
    values = dict(case["config"])
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    kind = AutoModelForImageTextToText if config.model_type == "gemma3" else AutoModelForCausalLM
    torch.manual_seed(seed)
    model = kind.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # A tied embedding of full size would predict its own token again and again.
            parameter.normal_(0.0, 0.12 if "embed" in name and config.tie_word_embeddings else 0.3)
            around_zero = config.model_type.startswith("gemma")
            if ("norm" in name or "ln_" in name) and name.endswith("weight") and not around_zero:
                parameter.add_(1.0)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    path = folder / "config.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    if case.get("hub_keys"):
        written = hub_keys(written)
    path.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def hub_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config with the keys that transformers 4 wrote."""
    config = {**config, "torch_dtype": config["dtype"], "transformers_version": "4.48.0"}
    rope = config.pop("rope_parameters")
    for key in ("dtype", "layer_types"):
        config.pop(key, None)
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = config.pop("_sliding_window_pattern")
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    factor = rope.pop("partial_rotary_factor", None)
    if factor is not None:
        config["partial_rotary_factor"] = factor
    config["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    return config


def logits(model: Any, ids: np.ndarray) -> np.ndarray:
    """Return float32 [n, vocab]."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor(np.asarray(ids)[None]), use_cache=False).logits[0]
    return out.float().numpy()


def greedy(model: Any, ids: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the next tokens, each from a fresh pass over the whole sequence, and the smallest lead of a top-1."""
    sequence, margin = list(ids), np.inf
    for _ in range(NEW_TOKENS):
        last = logits(model, np.array(sequence))[-1]
        first, second = np.sort(last)[::-1][:2]
        margin = min(margin, float(first - second))
        sequence.append(int(last.argmax()))
    return np.array(sequence[len(ids) :], np.int64), margin


if __name__ == "__main__":
    main()
