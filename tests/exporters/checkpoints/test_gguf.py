from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoints.folder import open_folder
from edgekit_exporters.checkpoints.gguf import halves_order, model_name, open_gguf
from edgekit_exporters.checkpoints.gguf_tensors import GgufRows
from edgekit_exporters.weights import Take

Convert = Callable[..., Path]

LLAMAS = ["llama_gqa", "llama_bias", "llama_tied_llama3rope", "smollm_like"]
# Largest error of a block's weights, relative to its largest: half a step of 4 or of 8 bits, and the rounded scale.
ERROR = {"Q4_0": 1 / 8 + 0.01, "Q8_0": 1 / 254 + 0.001}


def original_config(shared: Path, case: str) -> dict[str, Any]:
    text = (shared / "golden" / "decoders" / case / "config.json").read_text(encoding="utf-8")
    config: dict[str, Any] = json.loads(text)
    return config


@pytest.mark.parametrize("case", LLAMAS)
@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16"])
def test_float_tensors_are_the_originals(shared: Path, golden_gguf: Convert, case: str, quantization: str) -> None:
    with (
        open_folder(shared / "golden" / "decoders" / case) as original,
        open_gguf(golden_gguf(case, quantization)) as checkpoint,
    ):
        assert set(checkpoint.tensors) == set(original.tensors)
        for name, rows in original.tensors.items():
            values = rows.all()
            if values.ndim == 2 and quantization != "F32":
                kind = gguf.GGMLQuantizationType[quantization]
                values = gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
            assert checkpoint.tensors[name].shape == rows.shape
            np.testing.assert_array_equal(checkpoint.tensors[name].all(), values)


@pytest.mark.parametrize("quantization", ["Q4_0", "Q8_0"])
def test_quantized_tensors_are_near_the_originals(shared: Path, golden_gguf: Convert, quantization: str) -> None:
    with (
        open_folder(shared / "golden" / "decoders" / "llama_gqa") as original,
        open_gguf(golden_gguf("llama_gqa", quantization)) as checkpoint,
    ):
        for name, rows in original.tensors.items():
            values, got = rows.all(), checkpoint.tensors[name].all()
            if values.ndim == 1:
                np.testing.assert_array_equal(got, values)
                continue
            blocks = values.reshape(-1, 32)
            errors = np.abs(got.reshape(-1, 32) - blocks).max(1)
            assert (errors <= ERROR[quantization] * np.abs(blocks).max(1)).all()


@pytest.mark.parametrize("case", LLAMAS)
def test_the_config_comes_back(shared: Path, golden_gguf: Convert, case: str) -> None:
    original = original_config(shared, case)
    with open_gguf(golden_gguf(case)) as checkpoint:
        config = checkpoint.config
    same = {
        "architectures", "model_type", "hidden_act", "max_position_embeddings", "hidden_size", "num_hidden_layers",
        "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps", "vocab_size",
        "tie_word_embeddings", "attention_bias", "mlp_bias",
    }  # fmt: skip
    assert {key: config[key] for key in same} == {key: original[key] for key in same}
    assert config["rope_theta"] == (original.get("rope_theta") or original["rope_parameters"]["rope_theta"])
    assert config["rope_scaling"] == original.get("rope_scaling")


def test_name_and_licence_come_from_the_metadata(golden_gguf: Convert) -> None:
    with open_gguf(golden_gguf("llama_gqa")) as checkpoint:
        assert checkpoint.name == "llama_gqa"
        assert (checkpoint.source.id, checkpoint.source.licence) == ("llama_gqa.gguf", "mit")
        assert checkpoint.tokenizer_json is None
        assert checkpoint.chat_template is None


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct"),
        ("Qwen2.5-0.5B-Instruct-Q4_K_M.gguf", "Qwen2.5-0.5B-Instruct"),
        ("qwen2.5-0.5b-instruct-q8_0.gguf", "qwen2.5-0.5b-instruct"),
        ("gemma-3-1b-it-UD-IQ2_XXS.gguf", "gemma-3-1b-it"),
        ("Llama-3.2-1B.i1-IQ4_NL.gguf", "Llama-3.2-1B"),
        ("model-BF16.gguf", "model"),
        ("Phi-3-mini-4k-instruct-fp16.gguf", "Phi-3-mini-4k-instruct"),
        ("Phi-3-mini-4k-instruct-q4.gguf", "Phi-3-mini-4k-instruct"),
        ("Qwen3-4B.gguf", "Qwen3-4B"),
        ("Q8_0.gguf", "Q8_0"),
    ],
)
def test_the_name_is_the_files_without_the_type_of_its_weights(file: str, name: str) -> None:
    assert model_name(Path(file)) == name


def test_blocks_are_given_as_they_lie_in_the_file(shared: Path, golden_gguf: Convert) -> None:
    with (
        open_gguf(golden_gguf("llama_gqa", "Q8_0")) as checkpoint,
        open_folder(shared / "golden" / "decoders" / "llama_gqa") as original,
    ):
        rows = checkpoint.tensors["model.layers.0.mlp.down_proj.weight"]
        assert isinstance(rows, GgufRows)
        assert (rows.quantization, rows.block_size, rows.block_bytes) == ("Q8_0", 32, 34)
        wanted = gguf.quants.quantize(
            original.tensors["model.layers.0.mlp.down_proj.weight"].all(), gguf.GGMLQuantizationType.Q8_0
        )
        np.testing.assert_array_equal(rows.read_raw(3, 9), wanted[3:9])
        permuted = checkpoint.tensors["model.layers.0.self_attn.q_proj.weight"]
        assert isinstance(permuted, Take)
        assert isinstance(permuted.source, GgufRows)


def test_spans_of_rows_are_those_of_the_whole(golden_gguf: Convert) -> None:
    with open_gguf(golden_gguf("llama_gqa", "Q4_0")) as checkpoint:
        for rows in checkpoint.tensors.values():
            whole = rows.all()
            np.testing.assert_array_equal(rows.read(1, 5), whole[1:5])
            assert rows.read(2, 2).shape == (0, *rows.shape[1:])


def test_the_order_of_halves_undoes_the_converter() -> None:
    """llama.cpp's docs: rows (0, 1, 2 | 3, 4, 5) of a head become (0, 3, 1, 4, 2, 5)."""
    stored = np.array([0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11])
    np.testing.assert_array_equal(stored[halves_order(12, 2)], np.arange(12))


@pytest.mark.parametrize(("scale", "at"), [(np.nan, 0), (np.inf, 5)])
def test_scales_that_are_not_finite_are_refused(golden_gguf: Convert, scale: float, at: int) -> None:
    path = golden_gguf("llama_gqa", "Q8_0")
    with open_gguf(path) as checkpoint:
        rows = checkpoint.tensors["model.layers.1.mlp.up_proj.weight"]
        assert isinstance(rows, GgufRows)
        row = rows.shape[1] // 32 * 34
        with path.open("r+b") as file:
            file.seek(rows.offset + at * row)
            file.write(np.array([scale], "<f2").tobytes())
        with pytest.raises(CheckpointError, match=rf"blk\.1\.ffn_up\.weight holds .* at \[{at}, 0\]"):
            rows.all()


def test_an_unknown_architecture_lists_those_there_are(golden_gguf: Convert) -> None:
    with pytest.raises(UnsupportedError, match=r"'minicpm' is not supported; these are: .*llama"):
        open_gguf(golden_gguf("llama_gqa", architecture="minicpm"))


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda w: w.add_expert_count(8), r"llama\.expert_count \(8\)"),
        (lambda w: w.add_sliding_window(4096), r"llama\.attention\.sliding_window \(4096\)"),
        (lambda w: w.add_uint32("llama.rope.mystery", 3), r"the rope key mystery \(3\)"),
        (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE), "the rope scaling 'longrope'"),
        (lambda w: w.add_rope_scaling_attn_factors(1.2), "scaling.attn_factor is not 1"),
        (lambda w: w.add_tensor("blk.0.ffn_gate_inp.weight", np.ones((2, 2), np.float32)), "ffn_gate_inp"),
        (lambda w: w.add_type("adapter"), "holds 'adapter', not a model"),
        (lambda w: w.add_uint16("split.count", 3), "one of 3 parts"),
        (lambda w: w.add_tensor("rope_freqs.weight", np.array([1, 3, 1, 2, 8, 4, 1, 8], np.float32)), "rope_freqs"),
    ],
)
def test_what_would_change_the_result_is_refused(golden_gguf: Convert, add: Any, message: str) -> None:
    with pytest.raises((UnsupportedError, CheckpointError), match=message):
        open_gguf(golden_gguf("llama_gqa", extra=add))


def test_absent_features_may_be_named(golden_gguf: Convert) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_expert_count(0)
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)

    with open_gguf(golden_gguf("llama_gqa", extra=add)) as checkpoint:
        assert checkpoint.config["rope_scaling"] is None


def test_half_of_the_longrope_factors_is_refused(golden_gguf: Convert) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_tensor("rope_factors_long.weight", np.ones(8, np.float32))

    with pytest.raises(CheckpointError, match="one of rope_factors_long and rope_factors_short is missing"):
        open_gguf(golden_gguf("llama_gqa", extra=add))


def test_linear_scaling_is_read(golden_gguf: Convert) -> None:
    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)

    with open_gguf(golden_gguf("llama_gqa", extra=add)) as checkpoint:
        assert checkpoint.config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}


def test_several_ends_of_a_turn_are_found(golden_gguf: Convert, shared: Path) -> None:
    size = original_config(shared, "llama_gqa")["vocab_size"]

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("none")
        writer.add_token_list(["a", "<s>", "</s>", "<|eot_id|>", "<|im_end|>", *map(str, range(size - 5))])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_chat_template("{{ messages }}<|eot_id|>")

    with open_gguf(golden_gguf("llama_gqa", extra=add)) as checkpoint:
        assert checkpoint.generation_config == {"bos_token_id": 1, "eos_token_id": [2, 3]}
        assert checkpoint.config["eos_token_id"] == 2
        assert checkpoint.chat_template == "{{ messages }}<|eot_id|>"
