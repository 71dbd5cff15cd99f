"""What an export writes; what it refuses is in tests/test_bad_checkpoints.py and tests/test_bad_outputs.py."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import CONTEXT, TEMPLATE, write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.errors import CheckpointError, UsageError
from edgekit.progress import Silent
from edgekit.registry import runtime, runtime_names
from edgekit_exporters import calibration
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.checkpoints.files import FileRows
from edgekit_exporters.export import export
from edgekit_exporters.format import find_format
from edgekit_exporters.weights import Float32


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "TOKENS", 16)
    return write_tiny_checkpoint(tmp_path / "tiny")


def write_json(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def test_the_manifest_says_what_was_made_of_what(checkpoint: Path) -> None:
    manifest = Bundle.open(export(checkpoint, output=checkpoint.parent / "x.edge")).manifest
    assert (manifest.name, manifest.task, manifest.architecture) == ("tiny", "generate", "llama")
    assert manifest.source.id == "tiny"
    assert manifest.spec.context == CONTEXT
    assert manifest.eos_ids == (2,)
    assert (manifest.bos_token, manifest.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert manifest.quantization["mode"] == "int8"
    assert manifest.quantization["onnx.linear"].startswith("int8")
    assert manifest.quantization["onnx.vector"] == "float32"
    assert manifest.formats["onnx"].context_max == CONTEXT
    assert set(manifest.formats["onnx"].files) <= set(manifest.files)


def test_texts_are_written_byte_for_byte(checkpoint: Path) -> None:
    bundle = export(checkpoint, output=checkpoint.parent / "x.edge")
    assert (bundle / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()
    assert (bundle / "chat_template.jinja").read_bytes() == TEMPLATE.encode()


def test_without_texts_there_are_none(tmp_path: Path, checkpoint: Path) -> None:
    bundle = Bundle.open(export(write_tiny_checkpoint(tmp_path / "ids", text=False), output=tmp_path / "ids.edge"))
    assert bundle.tokenizer_path() is None
    assert bundle.chat_template() is None


def test_several_formats_hold_the_same_weights(checkpoint: Path) -> None:
    formats = sorted({runtime(name).format for name in runtime_names()})
    bundle = export(checkpoint, to=",".join(formats), quantize="none", output=checkpoint.parent / "x.edge")
    assert sorted(Bundle.open(bundle).manifest.formats) == formats
    with open_checkpoint(checkpoint) as source:
        truth = source.tensors["model.layers.1.mlp.down_proj.weight"].all()
    for name in formats:
        np.testing.assert_array_equal(find_format(name).read_weights(bundle)["layers.1.mlp.down.weight"].all(), truth)


def rows_read(checkpoint: Path, to: str, quantize: str) -> Counter[tuple[str, int]]:
    """Export, and return how often each row of each tensor was read from the checkpoint's files."""
    counted: Counter[tuple[str, int]] = Counter()
    lock, read = threading.Lock(), FileRows.read

    def counting(self: FileRows, start: int, stop: int) -> Float32:
        with lock:
            counted.update((self.name, row) for row in range(start, stop))
        return read(self, start, stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileRows, "read", counting)
        export(checkpoint, to=to, quantize=quantize, force=True, output=checkpoint.parent / "x.edge")
    return counted


def test_several_formats_are_written_from_one_reading(checkpoint: Path) -> None:
    with open_checkpoint(checkpoint) as source:
        rows = {(name, row) for name, tensor in source.tensors.items() for row in range(tensor.shape[0])}
    together = rows_read(checkpoint, "onnx,openvino,tflite", "none")
    assert together == dict.fromkeys(rows, 1)


@pytest.mark.parametrize("quantize", ["int8", pytest.param("int4", marks=pytest.mark.slow)])
def test_more_formats_cost_no_more_readings(quantize: str, checkpoint: Path) -> None:
    """A quantized model is read before as well: for its calibration, and to balance it."""
    alone = rows_read(checkpoint, "onnx", quantize)
    assert rows_read(checkpoint, "onnx,openvino,tflite", quantize) == alone
    # The rows of the calibration's own tokens come on top.
    assert max(count for (name, _), count in alone.items() if "embed" not in name) <= 3


def test_the_same_export_is_the_same_bytes(checkpoint: Path) -> None:
    """Rounding is searched for by several threads in any order: nothing of that may show."""
    hashes = []
    for output in ("a.edge", "b.edge"):
        manifest = Bundle.open(export(checkpoint, quantize="int4", output=checkpoint.parent / output)).manifest
        hashes.append({name: entry.sha256 for name, entry in manifest.files.items()})
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(("context", "expected"), [(None, CONTEXT), (1, 1), (100, 100), (CONTEXT, CONTEXT)])
def test_the_context(checkpoint: Path, context: int | None, expected: int) -> None:
    bundle = Bundle.open(export(checkpoint, context=context, output=checkpoint.parent / "x.edge"))
    assert bundle.manifest.formats["onnx"].context_max == expected


@pytest.mark.parametrize("context", [0, -1, CONTEXT + 1])
def test_a_context_out_of_range(checkpoint: Path, context: int) -> None:
    with pytest.raises(UsageError, match=rf"--context {context} is not within 1\.\.{CONTEXT}"):
        export(checkpoint, context=context, output=checkpoint.parent / "x.edge")


def test_a_long_model_gets_a_cache_that_a_device_can_hold(checkpoint: Path) -> None:
    write_json(checkpoint / "config.json", max_position_embeddings=100_000)
    bundle = Bundle.open(export(checkpoint, output=checkpoint.parent / "x.edge"))
    assert (bundle.manifest.formats["onnx"].context_max, bundle.manifest.spec.context) == (4096, 100_000)


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        (2, {}, (2,)),
        ([2, 5], {}, (2, 5)),
        (2, {"eos_token_id": [7, 2]}, (7, 2)),
        (None, {"eos_token_id": 9}, (9,)),
        (None, {}, ()),
    ],
)
def test_every_end_of_sequence_is_found(
    checkpoint: Path, config: Any, generation: dict[str, Any], expected: tuple[int, ...]
) -> None:
    write_json(checkpoint / "config.json", eos_token_id=config)
    write_json(checkpoint / "generation_config.json", **generation)
    assert Bundle.open(export(checkpoint, output=checkpoint.parent / "x.edge")).manifest.eos_ids == expected


@pytest.mark.parametrize("token", [259, -1, True, "2", 1.0])
def test_an_end_of_sequence_outside_of_the_vocabulary(checkpoint: Path, token: Any) -> None:
    write_json(checkpoint / "generation_config.json", eos_token_id=[2, token])
    with pytest.raises(CheckpointError, match="is not within the vocabulary"):
        export(checkpoint, output=checkpoint.parent / "x.edge")


def test_the_publishers_sampling_is_kept(checkpoint: Path) -> None:
    write_json(checkpoint / "generation_config.json", do_sample=True, temperature=1, top_k=40, top_p=None, num_beams=4)
    manifest = Bundle.open(export(checkpoint, output=checkpoint.parent / "x.edge")).manifest
    assert manifest.generation == {"do_sample": True, "temperature": 1.0, "top_k": 40}


def test_tensors_at_more_bits_are_named(checkpoint: Path) -> None:
    manifest = Bundle.open(export(checkpoint, quantize="int4", output=checkpoint.parent / "x.edge")).manifest
    assert manifest.quantization["mode"] == "int4"
    assert manifest.quantization["onnx.embed"].startswith("int8")


def test_progress_counts_every_byte(checkpoint: Path) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.works: list[list[Any]] = []

        def start(self, title: str, total: int | None, unit: str = "B") -> None:
            self.works.append([title, total, 0])

        def advance(self, amount: int) -> None:
            self.works[-1][2] += amount

    told = Told()
    export(checkpoint, quantize="int4", output=checkpoint.parent / "x.edge", progress=told)
    assert [title for title, _, _ in told.works] == ["calibrate", "quantize and write", "Hashing files"]
    assert all(total == done > 0 for _, total, done in told.works)


def test_unknown_formats_and_none(checkpoint: Path) -> None:
    for to, message in (("floppy", "unknown format 'floppy'"), ((), "no format to write")):
        with pytest.raises(UsageError, match=message):
            export(checkpoint, to=to, output=checkpoint.parent / "x.edge")
    assert not (checkpoint.parent / "x.edge").exists()


def test_the_default_output_is_named_as_the_model(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint.parent)
    assert export(checkpoint) == Path("tiny.edge")
    assert export(checkpoint, name="My model") == Path("My model.edge")
    assert Bundle.open("My model.edge").manifest.name == "My model"
