from __future__ import annotations

import fnmatch
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from edgekit.errors import CheckpointError, EdgekitError, MissingExtraError
from edgekit_exporters.checkpoints import open_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def calls(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Stand in for the hub: what it was asked for, answered with a snapshot of the tiny checkpoint."""
    snapshot = tmp_path / "models--org--tiny" / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    asked: list[tuple[str, dict[str, Any]]] = []

    def download(repository: str, **options: Any) -> str:
        asked.append((repository, options))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    return asked


def test_a_repository_is_fetched_and_opened(calls: list[tuple[str, dict[str, Any]]]) -> None:
    with open_checkpoint("org/tiny-1.5B") as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
        assert checkpoint.name == "tiny-1.5B"
        assert (checkpoint.source.id, checkpoint.source.revision) == ("org/tiny-1.5B", COMMIT)
    repository, options = calls[0]
    assert repository == "org/tiny-1.5B"
    assert options["revision"] is None
    assert "*.safetensors" in options["allow_patterns"]
    assert not any(pattern.endswith((".bin", ".pt", "*")) for pattern in options["allow_patterns"])


def test_no_weights_are_fetched_where_the_config_is_enough(
    calls: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    snapshot = tmp_path / "models--org--tiny" / "snapshots" / COMMIT
    for path in snapshot.glob("*.safetensors"):
        path.unlink()
    with open_checkpoint("org/tiny", config_only=True) as checkpoint:
        assert checkpoint.config["model_type"]
    patterns = calls[0][1]["allow_patterns"]
    assert "config.json" in patterns
    names = ("model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin", "tokenizer.json")
    assert not any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)
    with pytest.raises(CheckpointError, match=r"no \*\.safetensors file"):
        open_checkpoint("org/tiny")


def test_a_revision_stands_behind_an_at(calls: list[tuple[str, dict[str, Any]]]) -> None:
    open_checkpoint("org/tiny@refs/pr/1").close()
    assert calls[0][1]["revision"] == "refs/pr/1"


def test_telemetry_is_off(calls: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    open_checkpoint("org/tiny").close()
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert len(calls) == 1


def test_a_folder_of_that_name_comes_first(
    calls: list[tuple[str, dict[str, Any]]], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "org" / "tiny")
    monkeypatch.chdir(tmp_path)
    with open_checkpoint("org/tiny") as checkpoint:
        assert checkpoint.source.id == "tiny"
    assert calls == []


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("GatedRepoError", "accept the model's terms"),
        ("RepositoryNotFoundError", "check the spelling"),
        ("RevisionNotFoundError", "check the revision"),
        ("ConnectionError", "check the network"),
    ],
)
def test_failures_say_what_to_do(monkeypatch: pytest.MonkeyPatch, kind: str, hint: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise type(kind, (Exception,), {})("first line\n\nsecond line")

    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(EdgekitError, match=f"cannot fetch org/tiny: {kind}: first line\n") as caught:
        open_checkpoint("org/tiny")
    assert hint in caught.value.hint


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError) as caught:
        open_checkpoint("org/tiny")
    assert caught.value.hint == 'pip install "edgekit-sdk[export]"'


def test_a_repository_that_is_no_checkpoint_is_refused(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    empty: Callable[..., str] = lambda *_, **__: str(tmp_path)  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "snapshot_download", empty)
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        open_checkpoint("org/tiny")
