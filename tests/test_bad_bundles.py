"""Bundles that are damaged or mean harm, through the commands that open them: refused in words that name the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from refusals import refusal, replace_file
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.cli import main
from edgekit_exporters.formats._onnx_graph import INDEX_KEY

MODEL, DATA = "onnx/model.onnx", "onnx/model.onnx.data"
COMMANDS = {
    "run": ("run", "BUNDLE", "hello"),
    "bench": ("bench", "BUNDLE"),
    "verify": ("verify", "BUNDLE"),
    "inspect": ("inspect", "BUNDLE"),
}
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    source = write_tiny_checkpoint(folder / "tiny")
    assert main(["export", str(source), "-o", str(folder / "tiny.edge"), "--quantize", "int4", "--json"]) == 0
    return folder / "tiny.edge"


@pytest.fixture
def bundle(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    shutil.copytree(exported, tmp_path / "tiny.edge")
    return tmp_path / "tiny.edge"


@pytest.fixture
def refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    def run(command: str = "run", code: int = 1) -> str:
        arguments = [bundle if part == "BUNDLE" else part for part in COMMANDS[command]]
        return refusal(capsys, *arguments, code=code)

    return run


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "edgekit.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def edit_model(bundle: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load_model(str(bundle / MODEL), load_external_data=False)
    change(model)
    replace_file(bundle, MODEL, model.SerializeToString())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_hash(bundle: Path, refused: Refused, command: str) -> None:
    raw = bytearray((bundle / DATA).read_bytes())
    raw[1000] ^= 1
    (bundle / DATA).write_bytes(raw)
    said = refused(command)
    assert "model.onnx.data" in said
    assert "SHA-256" in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [MODEL, DATA, "tokenizer.json"])
def test_a_missing_file(bundle: Path, refused: Refused, command: str, name: str) -> None:
    (bundle / name).unlink()
    assert f"{Path(name).name}: the file is missing" in refused(command)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["../secret", "onnx/../../secret", "/etc/passwd", "C:\\secret", "..\\secret"])
def test_a_name_that_leaves_the_folder(bundle: Path, refused: Refused, command: str, name: str) -> None:
    (bundle.parent / "secret").write_bytes(b"")
    edit(bundle, lambda data: data["files"].update({name: data["files"]["tokenizer.json"]}))
    assert "edgekit.json" in refused(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_newer_version(bundle: Path, refused: Refused, command: str) -> None:
    edit(bundle, lambda data: data.update(version=99))
    said = refused(command)
    assert "newer EdgeKit" in said
    assert "pip install" in said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"], ids=repr)
def test_a_damaged_manifest(bundle: Path, refused: Refused, content: bytes) -> None:
    (bundle / "edgekit.json").write_bytes(content)
    assert "edgekit.json" in refused()


@pytest.mark.parametrize("kept", [0, 10, 1000, -1])
def test_a_model_cut_short_that_the_manifest_fits(bundle: Path, refused: Refused, kept: int) -> None:
    replace_file(bundle, MODEL, (bundle / MODEL).read_bytes()[:kept])
    assert "onnxruntime cannot load" in refused()
    assert "model.onnx" in refused("verify")


def test_a_model_of_noise(bundle: Path, refused: Refused) -> None:
    replace_file(bundle, MODEL, bytes(range(256)) * 40)
    assert "onnxruntime cannot load" in refused()


def test_weights_cut_short_that_the_manifest_fits(bundle: Path, refused: Refused) -> None:
    replace_file(bundle, DATA, (bundle / DATA).read_bytes()[:5000])
    assert "onnxruntime cannot load" in refused()


def test_a_model_whose_weights_lie_outside_of_the_bundle(bundle: Path, refused: Refused) -> None:
    """What the model file names is the engine's to open: it must refuse it, or find nothing."""
    shutil.copy(bundle / DATA, bundle.parent / "outside.data")

    def lead_out(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "../../outside.data"

    edit_model(bundle, lead_out)
    assert "onnxruntime cannot load" in refused()


@pytest.mark.parametrize(
    "index",
    [
        "",
        "{",
        "[]",
        "null",
        '{"embed.weight": {}}',
        '{"embed.weight": null}',
        '{"embed.weight": {"shape": [259, 32], "bits": 8, "block": 32, "zero_point": false, "values": 0}}',
    ],
)
def test_a_damaged_index_of_the_weights(bundle: Path, refused: Refused, index: str) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        for entry in model.metadata_props:
            if entry.key == INDEX_KEY:
                entry.value = index

    edit_model(bundle, spoil)
    assert "the index of its weights is damaged" in refused("verify")


def test_a_model_without_an_index(bundle: Path, refused: Refused) -> None:
    edit_model(bundle, lambda model: model.ClearField("metadata_props"))
    assert "the index of its weights is damaged" in refused("verify")


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [259, 31]},
        {"shape": [10, 32]},
        {"shape": [259]},
        {"bits": 5},
        {"block": 0},
        {"values": -1},
        {"values": 1 << 40},
        {"scale_bits": 8},
    ],
    ids=str,
)
def test_an_index_that_lies(bundle: Path, refused: Refused, change: dict[str, Any]) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        for entry in model.metadata_props:
            if entry.key == INDEX_KEY:
                places = json.loads(entry.value)
                places["embed.weight"] |= change
                entry.value = json.dumps(places)

    edit_model(bundle, spoil)
    assert refused("verify")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"{}", b'{"model": {"type": "Nonsense"}}'], ids=repr)
def test_a_damaged_tokenizer(bundle: Path, refused: Refused, content: bytes) -> None:
    replace_file(bundle, "tokenizer.json", content)
    assert "tokenizer.json" in refused()


@pytest.mark.parametrize(
    "template",
    [
        "{% for %}",
        "{{ messages.nothing.at.all }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for a in range(99999999) %}{% for b in range(99999999) %}{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_that_is_broken_or_means_harm(bundle: Path, refused: Refused, template: str) -> None:
    replace_file(bundle, "chat_template.jinja", template.encode())
    assert "template" in refused()


def test_a_template_that_refuses_the_messages(bundle: Path, refused: Refused) -> None:
    replace_file(bundle, "chat_template.jinja", b"{{ raise_exception('only for friends') }}")
    assert "only for friends" in refused(code=2)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["formats"].clear(),
        lambda data: data["spec"].update(vocab_size=7),
        lambda data: data["spec"].update(vocab_size=1000),
        lambda data: data["spec"].update(hidden_size=64),
    ],
    ids=["no formats", "small vocabulary", "large vocabulary", "other size"],
)
def test_a_manifest_that_does_not_fit_the_model(
    bundle: Path, refused: Refused, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(bundle, change)
    assert refused("verify")


@pytest.mark.parametrize("path", ["nowhere", "tiny.edge/tokenizer.json", "tiny.edge/onnx"])
def test_what_is_no_bundle(bundle: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(bundle.parent / path) in refusal(capsys, "run", bundle.parent / path, "hello")
