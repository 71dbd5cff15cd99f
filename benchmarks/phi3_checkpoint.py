"""A checkpoint of Phi-3 Mini's exact shapes (3.8 B parameters, 7.6 GB) with random bfloat16 weights.

The config is that of microsoft/Phi-3-mini-4k-instruct; the files are laid out as sharded checkpoints on the hub are
(model.safetensors.index.json).
Weights are normally distributed as at initialization. Uniform or constant ones would give false figures: an engine
keeps equal packed weights once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors_file import Shape, size, write

from edgekit.progress import Progress

VOCAB, HIDDEN, LAYERS, HEADS, MLP = 32064, 3072, 32, 32, 8192
SHARD_BYTES = 2_000_000_000
BLOCK = 1 << 22
"""Values made at once."""

CONFIG = {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "embd_pdrop": 0.0,
    "eos_token_id": 32000,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": MLP,
    "max_position_embeddings": 4096,
    "model_type": "phi3",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": HEADS,
    "original_max_position_embeddings": 4096,
    "pad_token_id": 32000,
    "resid_pdrop": 0.0,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": VOCAB,
}


def make_checkpoint(folder: Path, tokenizer: Path, progress: Progress) -> Path:
    """Write the checkpoint into `folder`, unless it is there; the index comes last and says that it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(json.dumps(CONFIG, indent=2).encode())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return folder
    shards = list(_shards())
    total = sum(_bytes(shape) for shard in shards for shape in shard.values())
    progress.start("make a Phi-3-Mini-sized checkpoint", total)
    generator = np.random.Generator(np.random.SFC64(3))
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(folder / name, "BF16", shard, _blocks(shard, generator, progress))
        places |= dict.fromkeys(shard, name)
    index.write_bytes(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=1).encode())
    progress.finish()
    return folder


def tensors() -> Iterator[tuple[str, Shape]]:
    """Yield the name and shape of every tensor, as Phi3ForCausalLM has them."""
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        yield f"{prefix}.input_layernorm.weight", (HIDDEN,)
        yield f"{prefix}.self_attn.qkv_proj.weight", (3 * HIDDEN, HIDDEN)
        yield f"{prefix}.self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield f"{prefix}.post_attention_layernorm.weight", (HIDDEN,)
        yield f"{prefix}.mlp.gate_up_proj.weight", (2 * MLP, HIDDEN)
        yield f"{prefix}.mlp.down_proj.weight", (HIDDEN, MLP)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def _shards() -> Iterator[dict[str, Shape]]:
    shard: dict[str, Shape] = {}
    for name, shape in tensors():
        if sum(map(_bytes, shard.values())) + _bytes(shape) > SHARD_BYTES:
            yield shard
            shard = {}
        shard[name] = shape
    yield shard


def _bytes(shape: Shape) -> int:
    return size("BF16", shape)


def _blocks(
    shard: dict[str, Shape], generator: np.random.Generator, progress: Progress
) -> Iterator[npt.NDArray[np.uint16]]:
    for shape in shard.values():
        for values in _values(shape, generator):
            yield values
            progress.advance(values.nbytes)


def _values(shape: Shape, generator: np.random.Generator) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield a tensor's bfloat16 values in blocks: ones for a norm, normal with deviation 0.02 for the rest."""
    count = int(np.prod(shape))
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        if len(shape) == 1:
            floats = np.ones(size, np.float32)
        else:
            floats = generator.standard_normal(size, np.float32)
            floats *= np.float32(0.02)
        bits = floats.view(np.uint32)
        bits += 0x8000  # to the nearest
        bits >>= 16
        yield bits.astype("<u2")
