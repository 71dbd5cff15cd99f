"""`edgekit export` of checkpoints that are damaged, lie or contradict themselves: refused in words, nothing left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf_conversion import convert
from refusals import refusal
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.cli import main

WEIGHTS = "model.safetensors"
Refused = Callable[..., str]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_tiny_checkpoint(tmp_path / "tiny")


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Export a source that must be refused, and look for what was left."""

    def export(source: object, *options: str, code: int = 1) -> str:
        (tmp_path / "out").mkdir(exist_ok=True)
        said = refusal(capsys, "export", source, "-o", tmp_path / "out" / "x.edge", *options, code=code)
        assert list((tmp_path / "out").iterdir()) == []
        return said

    return export


def header_of(checkpoint: Path) -> tuple[dict[str, Any], bytes]:
    raw = (checkpoint / WEIGHTS).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_header(checkpoint: Path, header: dict[str, Any], data: bytes) -> None:
    text = json.dumps(header).encode()
    (checkpoint / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + data)


def change_config(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1, -5000])
def test_safetensors_cut_short(checkpoint: Path, refused: Refused, kept: int) -> None:
    raw = (checkpoint / WEIGHTS).read_bytes()
    (checkpoint / WEIGHTS).write_bytes(raw[:kept])
    assert WEIGHTS in refused(checkpoint)


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": [1 << 40, 1 << 40]},
        {"shape": [-32, 32]},
        {"shape": [32, 33]},
        {"shape": "many"},
        {"data_offsets": [0, 1 << 50]},
        {"data_offsets": [4096, 0]},
        {"data_offsets": [-4, 4092]},
        {"dtype": "F13"},
        {"dtype": "F16"},
    ],
    ids=str,
)
def test_safetensors_that_lie(checkpoint: Path, refused: Refused, lie: dict[str, Any]) -> None:
    header, data = header_of(checkpoint)
    name = "model.layers.0.self_attn.q_proj.weight"
    header[name] |= lie
    write_header(checkpoint, header, data)
    assert name in refused(checkpoint)


@pytest.mark.parametrize("length", [1 << 63, 1 << 30, 3])
def test_a_header_that_lies_about_its_length(checkpoint: Path, refused: Refused, length: int) -> None:
    raw = (checkpoint / WEIGHTS).read_bytes()
    (checkpoint / WEIGHTS).write_bytes(length.to_bytes(8, "little") + raw[8:])
    assert WEIGHTS in refused(checkpoint)


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b"[]", b'{"a": 1}', b"[" * 100_000], ids=["bytes", "list", "number", "deep"]
)
def test_a_header_of_something_else(checkpoint: Path, refused: Refused, text: bytes) -> None:
    (checkpoint / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text)
    assert WEIGHTS in refused(checkpoint)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight"]
)
@pytest.mark.parametrize("quantize", ["none", "int4"])
def test_weights_that_are_not_finite(
    checkpoint: Path, refused: Refused, value: float, name: str, quantize: str
) -> None:
    header, data = header_of(checkpoint)
    start, stop = header[name]["data_offsets"]
    values = np.frombuffer(data[start:stop], np.float32).copy()
    values[-1] = value
    write_header(checkpoint, header, data[:start] + values.tobytes() + data[stop:])
    assert f"{name} holds {value}" in refused(checkpoint, "--quantize", quantize)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 64},
        {"intermediate_size": 47},
        {"vocab_size": 300},
        {"num_key_value_heads": 4},
        {"num_hidden_layers": 3},
        {"num_hidden_layers": 1},
        {"tie_word_embeddings": False},
        {"head_dim": 16},
        {"num_attention_heads": 5},
        {"num_attention_heads": 0},
        {"hidden_size": "32"},
        {"max_position_embeddings": -1},
        {"rms_norm_eps": float("nan")},
        {"eos_token_id": 100000},
        {"eos_token_id": ["x"]},
        {"model_type": "rwkv"},
        {"model_type": None},
        {"model_type": ["llama"]},
        {"sliding_window_of_tomorrow": 7},
        {"hidden_act": "swishglu"},
        {"rope_scaling": {"rope_type": "spiral", "factor": 2}},
    ],
    ids=str,
)
def test_a_config_that_contradicts_the_weights_or_cannot_be_meant(
    checkpoint: Path, refused: Refused, changes: dict[str, Any]
) -> None:
    change_config(checkpoint, **changes)
    assert refused(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000], ids=repr)
def test_a_config_that_is_none(checkpoint: Path, refused: Refused, content: bytes) -> None:
    (checkpoint / "config.json").write_bytes(content)
    assert "config.json" in refused(checkpoint)


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_missing_file(checkpoint: Path, refused: Refused, name: str) -> None:
    (checkpoint / name).unlink()
    assert refused(checkpoint)


def test_a_missing_shard(shared: Path, tmp_path: Path, refused: Refused) -> None:
    source = tmp_path / "sharded"
    shutil.copytree(shared / "golden" / "decoders" / "smollm_like", source)
    shard = max(source.glob("model-*.safetensors"))
    shard.unlink()
    assert shard.name in refused(source)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xff", b'{"model": {"type": "Nonsense"}}'], ids=repr)
def test_a_tokenizer_that_is_none(checkpoint: Path, refused: Refused, content: bytes) -> None:
    (checkpoint / "tokenizer.json").write_bytes(content)
    assert "tokenizer.json" in refused(checkpoint, "--quantize", "none")


def test_pickled_weights(checkpoint: Path, refused: Refused) -> None:
    (checkpoint / WEIGHTS).rename(checkpoint / "pytorch_model.bin")
    assert "pytorch_model.bin" in refused(checkpoint)


def test_weights_that_are_quantized_already(checkpoint: Path, refused: Refused) -> None:
    change_config(checkpoint, quantization_config={"quant_method": "gptq", "bits": 4})
    assert "gptq" in refused(checkpoint).lower()


def test_a_lone_sentencepiece_model(checkpoint: Path, refused: Refused) -> None:
    (checkpoint / "tokenizer.json").rename(checkpoint / "tokenizer.model")
    assert "tokenizer.model" in refused(checkpoint)


@pytest.fixture(scope="module")
def gguf_file(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return convert(shared / "golden" / "decoders" / "llama_gqa", path, "llama").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.00002, 0.001, 0.003, 0.3, 0.9999])
def test_a_gguf_cut_short(gguf_file: bytes, tmp_path: Path, refused: Refused, share: float) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf_file[: int(share * len(gguf_file))])
    assert "cut.gguf" in refused(path)


@pytest.mark.parametrize("behind", [b"", b"GGUF", b"GGUF\x03\x00\x00\x00"], ids=repr)
def test_a_gguf_of_noise(tmp_path: Path, refused: Refused, behind: bytes) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(behind + np.random.default_rng(1).bytes(10_000))
    assert "noise.gguf" in refused(path)


def test_a_gguf_whose_weights_are_not_finite(gguf_file: bytes, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "nan.gguf"
    path.write_bytes(gguf_file[:-4] + np.array([np.nan], np.float32).tobytes())
    assert "holds nan" in refused(path)


def test_a_name_that_leads_out_of_the_folder_stays_in_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GGUF file's metadata may name a model like this as well."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert main(["export", str(checkpoint), "--name", "../../evil: <name>", "--json"]) == 0
    assert list(tmp_path.rglob("*.edge")) == [here / "evil- -name.edge"]
    assert json.loads(capsys.readouterr().out)["name"] == "../../evil: <name>"


@pytest.mark.parametrize(
    "source", ["./nowhere", "nowhere.gguf", "a b c", "\0", "pypi:", "pypi:../x", "~no-such-user/x"]
)
def test_a_source_that_is_none(refused: Refused, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = 1 if source in ("./nowhere", "nowhere.gguf") else 2
    assert refused(source, code=code)
