"""What is said of an export before it: from the config alone, the very weights and the very sizes of files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from decoder_cases import Case, decoder_cases
from encoder_cases import EncoderCase, encoder_cases
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.errors import CheckpointError, UnsupportedError, UsageError
from edgekit.planning.outline import in_layers, layer_count, multiplied, outline_of
from edgekit.spec import DecoderSpec
from edgekit_exporters.architecture import read_model
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.export import export
from edgekit_exporters.format import format_names
from edgekit_exporters.outline import outline

CASES: list[Case | EncoderCase] = [*decoder_cases(), *encoder_cases()]


def configs(folder: Path, target: Path) -> Path:
    """Copy a checkpoint without its weights and its tokenizer: what is fetched of a hub."""
    kept = shutil.ignore_patterns("*.safetensors", "*.npz", "tokenizer.json", "*.index.json")
    return Path(shutil.copytree(folder, target / folder.name, ignore=kept))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_config_alone_gives_the_same_model(case: Case | EncoderCase, shared: Path, tmp_path: Path) -> None:
    with open_checkpoint(case.path) as whole, open_checkpoint(configs(case.path, tmp_path), config_only=True) as bare:
        real, imagined = read_model(whole), read_model(bare)
    assert repr(imagined.spec) == repr(real.spec)
    assert [(name, rows.shape) for name, rows in imagined.weights.items()] == [
        (name, tuple(rows.shape)) for name, rows in real.weights.items()
    ]
    with pytest.raises(CheckpointError, match="not its weights"):
        next(iter(imagined.weights.values())).read(0, 1)


def written(case: Path, quantize: str, tmp_path: Path) -> None:
    """Hold an outline's sizes to those of the bundle that an export writes."""
    expected = outline(configs(case, tmp_path), quantize=quantize)
    assert list(expected.formats) == format_names()
    bundle = Bundle.open(export(case, to=format_names(), quantize=quantize, output=tmp_path / "out.edge"))
    sizes = {name: entry.size for name, entry in bundle.manifest.files.items()}
    for name, found in expected.formats.items():
        assert dict(found.files) == {file: sizes[file] for file in bundle.manifest.formats[name].files}
    of_bundle = outline_of(bundle)
    assert of_bundle.formats == expected.formats
    assert of_bundle.task == expected.task
    with open_checkpoint(case) as checkpoint:
        weights = read_model(checkpoint).weights
    matrices = (math.prod(rows.shape) for rows in weights.values() if len(rows.shape) == 2)
    assert of_bundle.parameters == expected.parameters == pytest.approx(sum(matrices), rel=0.08)


@pytest.mark.parametrize("quantize", ["int4", "int8", "none"])
def test_an_export_has_exactly_these_sizes(quantize: str, tmp_path: Path) -> None:
    written(write_tiny_checkpoint(tmp_path / "tiny"), quantize, tmp_path / "bare")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("quantize", ["int8", "none"])
def test_every_export_has_exactly_these_sizes(
    case: Case | EncoderCase, quantize: str, shared: Path, tmp_path: Path
) -> None:
    written(case.path, quantize, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_weights_that_a_token_is_multiplied_with(case: Case | EncoderCase, shared: Path) -> None:
    with open_checkpoint(case.path) as checkpoint:
        model = read_model(checkpoint)
        tables = {"embed.weight", "positions.weight", "relative_bias.weight"}
        matrices = {name: rows.shape for name, rows in model.weights.items() if len(rows.shape) == 2}
        count = sum(shape[0] * shape[1] for name, shape in matrices.items() if name not in tables)
        head = [shape[0] * shape[1] for name, shape in matrices.items() if name.startswith("classifier.")]
        tied = getattr(model.spec, "tied", False)
    expected = count - sum(head) + (model.spec.vocab_size * model.spec.hidden_size if tied else 0)
    assert multiplied(model.spec) == expected
    top = model.spec.vocab_size * model.spec.hidden_size if isinstance(model.spec, DecoderSpec) else 0
    assert in_layers(model.spec) == expected - top
    assert layer_count(model.spec) == len(model.spec.layers)


def bare(tmp_path: Path, **changes: Any) -> Path:
    """Write a config of a llama, with changes; None leaves a key out."""
    config: dict[str, Any] = {
        "model_type": "llama", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    config = {key: value for key, value in {**config, **changes}.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_an_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the architecture 'mystery' is not supported"):
        outline(bare(tmp_path, model_type="mystery"))


@pytest.mark.parametrize("key", ["hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads"])
def test_a_config_without_sizes(tmp_path: Path, key: str) -> None:
    with pytest.raises(CheckpointError, match=rf"config\.json: {key} is None, not a positive whole number"):
        outline(bare(tmp_path, **{key: None}))


def test_a_context_beyond_the_models(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--context 257 is not within 1\.\.256"):
        outline(bare(tmp_path), context=257)


def test_what_no_format_can_hold_is_an_error_and_what_one_cannot_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit_exporters.formats import onnx

    def refuse(*_: object) -> None:
        raise UnsupportedError("onnx holds no such thing", "try another")

    monkeypatch.setattr(onnx.OnnxFormat, "begin", refuse)
    found = outline(bare(tmp_path))
    assert list(found.formats) == ["openvino", "tflite"]
    assert found.left_out == {"onnx": "onnx holds no such thing; try another"}
    with pytest.raises(UnsupportedError, match="no such thing"):
        outline(bare(tmp_path), ["onnx"])


def test_nothing_stays_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "model").mkdir()
    outline(bare(tmp_path / "model"))
    assert list(temporary.iterdir()) == []
