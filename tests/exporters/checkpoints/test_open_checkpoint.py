from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import CheckpointError, EdgekitError, UsageError
from edgekit_exporters.checkpoints import open_checkpoint


def test_a_folder_opens_as_text_and_as_path(folder: Path) -> None:
    for source in (str(folder), folder):
        with open_checkpoint(source) as checkpoint:
            assert list(checkpoint.tensors) == ["w"]


def test_a_gguf_file_opens(golden_gguf: Callable[..., Path]) -> None:
    with open_checkpoint(str(golden_gguf("llama_gqa"))) as checkpoint:
        assert checkpoint.config["model_type"] == "llama"


def test_the_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    with open_checkpoint("~/tiny") as checkpoint:
        assert checkpoint.name == "tiny"


@pytest.mark.parametrize(
    "source",
    ["./no", "/no/such/folder", "no.gguf", "org/model.gguf", "a/b/c", "no\\such", "~/no-such", "../no/no"],
)
def test_a_path_that_does_not_exist_is_said(source: str) -> None:
    with pytest.raises(CheckpointError, match="does not exist") as caught:
        open_checkpoint(source)
    assert source in caught.value.message
    assert "pypi:NAME" in caught.value.hint


def test_a_path_object_is_never_a_hub_id() -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        open_checkpoint(Path("org/model"))


@pytest.mark.parametrize("source", ["", "gpt2", "two words", "https:", "a\0b", "x" * 10_000])
def test_other_texts_are_refused(source: str) -> None:
    with pytest.raises(EdgekitError) as caught:
        open_checkpoint(source)
    assert len(caught.value.message) < 500


def test_files_of_other_kinds_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="one file of a checkpoint") as caught:
        open_checkpoint(folder / "model.safetensors")
    assert str(folder) in caught.value.hint
    with pytest.raises(UsageError, match=r"neither a folder nor a \.gguf file"):
        open_checkpoint(folder / "config.json")


def test_a_folder_needs_none_of_the_export_packages(folder: Path) -> None:
    code = (
        "import sys; from edgekit_exporters.checkpoints import open_checkpoint; open_checkpoint(sys.argv[1]).close();"
        "print(sorted({'gguf', 'tokenizers', 'huggingface_hub', 'torch', 'onnx'} & set(sys.modules)))"
    )
    paths = [str(path) for path in sys.path]
    code = f"import sys; sys.path[:] = {paths!r}; {code}"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
