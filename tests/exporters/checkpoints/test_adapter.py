"""Adapters made here with numpy or recorded with PEFT, and merged by the reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoder_cases import SHARED

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.errors import CheckpointError, UnsupportedError, UsageError
from edgekit.session import open_session
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.checkpoints.adapter import merge_adapter
from edgekit_exporters.export import export
from edgekit_exporters.reference import Reference
from edgekit_exporters.verify import verify

Write = Callable[..., None]
RANK, ALPHA = 4, 10.0
IDS = np.arange(3, 40)

TARGETS = {
    "llama_gqa": ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj", "model.layers.1.mlp.down_proj"],
    "phi3": ["model.layers.0.self_attn.qkv_proj", "model.layers.1.mlp.gate_up_proj"],
    "gpt2": ["transformer.h.0.attn.c_attn", "transformer.h.1.mlp.c_fc"],
}
"""Some modules of each case, as PEFT names them; gpt2's weights are [in, out], and its names lack the first part."""


def case(name: str) -> Path:
    return SHARED / "golden" / "decoders" / name


def tensor_name(name: str, module: str) -> str:
    return f"{module.removeprefix('transformer.') if name == 'gpt2' else module}.weight"


def values(name: str) -> dict[str, Any]:
    with open_checkpoint(case(name)) as checkpoint:
        # gpt2's attn.bias is a mask, and no weight.
        return {name: rows.all() for name, rows in checkpoint.tensors.items() if not name.endswith(".attn.bias")}


def make(folder: Path, write: Write, name: str, **config: Any) -> dict[str, Any]:
    """Write an adapter and return B A of each module, [out, in]."""
    folder.mkdir()
    random, weights = np.random.default_rng(5), values(name)
    tensors, products = {}, {}
    for module in TARGETS[name]:
        rows, columns = weights[tensor_name(name, module)].shape
        out, into = (columns, rows) if name == "gpt2" else (rows, columns)
        a = random.standard_normal((RANK, into)).astype(np.float32) * 0.1
        b = random.standard_normal((out, RANK)).astype(np.float32) * 0.1
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
        products[module] = b @ a
    write(folder / "adapter_model.safetensors", tensors)
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", "fan_in_fan_out": name == "gpt2"}
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}), "utf-8")
    return products


def merged(folder: Path, write: Write, name: str, products: dict[str, Any], scale: float) -> Path:
    """Write the checkpoint with the products added, in float32."""
    shutil.copytree(case(name), folder)
    weights = values(name)
    for module, product in products.items():
        key = tensor_name(name, module)
        weights[key] = weights[key] + scale * (product.T if name == "gpt2" else product)
    (folder / "model.safetensors").unlink()
    write(folder / "model.safetensors", weights)
    return folder


def logits(source: Path, adapter: Path | None = None, ids: Any = IDS) -> Any:
    with open_checkpoint(source) as checkpoint:
        if adapter is not None:
            merge_adapter(checkpoint, adapter)
        model = read_model(checkpoint)
        return Reference(model.spec, model.weights).logits(ids)


@pytest.mark.parametrize("name", TARGETS)
def test_the_sum_is_the_merged_model(name: str, tmp_path: Path, write_safetensors: Write, shared: Path) -> None:
    products = make(tmp_path / "adapter", write_safetensors, name)
    expected = logits(merged(tmp_path / "merged", write_safetensors, name, products, ALPHA / RANK))
    found = logits(case(name), tmp_path / "adapter")
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert np.abs(found - logits(case(name))).max() > 0.01 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"use_rslora": True}, ALPHA / 2),
        ({"alpha_pattern": {"q_proj": 2.0}, "lora_alpha": 2.0}, 2.0 / RANK),
        ({"rank_pattern": {"q_proj|v_proj|down_proj": RANK}, "r": 99}, ALPHA / RANK),
        ({"rank_pattern": {r"model\.layers\.\d+\.(self_attn|mlp)\..+": RANK}, "r": 99}, ALPHA / RANK),
    ],
)
def test_scales(config: dict[str, Any], scale: float, tmp_path: Path, write_safetensors: Write, shared: Path) -> None:
    products = make(tmp_path / "adapter", write_safetensors, "llama_gqa", **config)
    expected = logits(merged(tmp_path / "merged", write_safetensors, "llama_gqa", products, scale))
    assert np.abs(logits(case("llama_gqa"), tmp_path / "adapter") - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_bundle_with_an_adapter(tmp_path: Path, write_safetensors: Write, shared: Path) -> None:
    products = make(tmp_path / "adapter", write_safetensors, "llama_gqa")
    source, adapter = case("llama_gqa"), tmp_path / "adapter"
    path = export(source, quantize="none", adapter=adapter, output=tmp_path / "x.edge")
    bundle = Bundle.open(path)
    assert bundle.manifest.source.adapter == "adapter"
    expected = logits(merged(tmp_path / "merged", write_safetensors, "llama_gqa", products, ALPHA / RANK))
    with open_session(bundle, "onnx", LoadOptions(context=64, threads=1)) as session:
        found = session.forward(IDS, last=len(IDS))
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    assert verify(path, source, adapter).passed
    with pytest.raises(UsageError, match="has the adapter adapter in it"):
        verify(path, source)


@pytest.mark.parametrize("name", TARGETS)
def test_merged_it_computes_what_peft_computed(name: str, shared: Path) -> None:
    """Adapters that PEFT itself wrote and ran, unmerged, over transformers: `tests/data/record/adapters.py`."""
    folder = Path(__file__).parents[2] / "data" / "adapters" / name
    with np.load(folder / "golden.npz") as golden:
        ids, recorded = golden["ids"], golden["logits"]
    found, plain = logits(case(name), folder, ids), logits(case(name), None, ids)
    assert np.abs(found - recorded).max() < 1e-4 * np.abs(recorded).max()
    assert np.abs(plain - recorded).max() > 0.05 * np.abs(recorded).max()


def change(folder: Path, **config: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **config}), "utf-8")


@pytest.mark.parametrize(
    ("config", "error", "complaint"),
    [
        ({"peft_type": "IA3"}, UnsupportedError, "an adapter of the type 'IA3'"),
        ({"use_dora": True}, UnsupportedError, "use_dora is True"),
        ({"bias": "all"}, UnsupportedError, "bias is 'all'"),
        ({"kasa_config": {"beta": 1}}, UnsupportedError, "kasa_config is {'beta': 1}"),
        ({"use_bdlora": {"nblocks": 2}}, UnsupportedError, "use_bdlora is"),
        ({"modules_to_save": ["lm_head"]}, UnsupportedError, "modules_to_save"),
        ({"r": 8}, CheckpointError, "its rank is 8"),
        ({"r": 0}, CheckpointError, "r is 0"),
        ({"lora_alpha": None}, CheckpointError, "lora_alpha None"),
        ({"lora_alpha": float("nan")}, CheckpointError, "lora_alpha nan"),
        ({"rank_pattern": {"q_proj": 0}, "use_rslora": True}, CheckpointError, "rank_pattern has 0 for 'q_proj'"),
        ({"rank_pattern": [1]}, CheckpointError, r"rank_pattern is \[1\], no object"),
        ({"alpha_pattern": {"q_proj": "x"}}, CheckpointError, "alpha_pattern has 'x'"),
        ({"alpha_pattern": {"(": 1}}, CheckpointError, r"alpha_pattern has '\('"),
        ({"rank_pattern": {r"(\w+\.?)*x": 4}}, CheckpointError, "which may take for ever"),
        ({"rank_pattern": {"(a|a)*b": 4}}, CheckpointError, "which may take for ever"),
        ({"init_lora_weights": "pissa_niter_4"}, UnsupportedError, "init_lora_weights is 'pissa_niter_4'"),
        ({"layer_replication": [[0, 2]]}, UnsupportedError, "layer_replication"),
        ({"alora_invocation_tokens": [1]}, UnsupportedError, "alora_invocation_tokens"),
    ],
)
def test_adapters_that_cannot_be_merged(
    config: dict[str, Any],
    error: type[Exception],
    complaint: str,
    tmp_path: Path,
    write_safetensors: Write,
    shared: Path,
) -> None:
    make(tmp_path / "adapter", write_safetensors, "llama_gqa")
    change(tmp_path / "adapter", **config)
    with pytest.raises(error, match=complaint):
        logits(case("llama_gqa"), tmp_path / "adapter")


def test_an_adapter_for_another_model(tmp_path: Path, write_safetensors: Write, shared: Path) -> None:
    make(tmp_path / "adapter", write_safetensors, "llama_gqa")
    with pytest.raises(CheckpointError, match="adds to a weight of 64 x 64"):
        logits(case("qwen3"), tmp_path / "adapter")
    with pytest.raises(CheckpointError, match=r"has no model\.layers\.0\.self_attn\.q_proj\.weight"):
        logits(case("phi3"), tmp_path / "adapter")


def test_folders_that_are_no_adapter(tmp_path: Path, write_safetensors: Write, shared: Path) -> None:
    folder = tmp_path / "adapter"
    with pytest.raises(CheckpointError, match="is no adapter"):
        logits(case("llama_gqa"), folder)
    make(folder, write_safetensors, "llama_gqa")
    a = np.zeros((RANK, 64), np.float32)
    write_safetensors(folder / "adapter_model.safetensors", {"base_model.model.x.lora_A.weight": a})
    with pytest.raises(CheckpointError, match="x has no lora_B"):
        logits(case("llama_gqa"), folder)
    write_safetensors(folder / "adapter_model.safetensors", {"base_model.model.x.scales": a})
    with pytest.raises(UnsupportedError, match="is no factor of LoRA"):
        logits(case("llama_gqa"), folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no adapter_model"):
        logits(case("llama_gqa"), folder)
