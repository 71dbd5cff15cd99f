"""How an architecture is found and held to its word; what each of them reads is in test_architectures.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.architecture import Tensors, read_model, supported
from edgekit_exporters.checkpoint import Checkpoint, Source
from edgekit_exporters.weights import Array, Rows


def tensors(*names: str) -> dict[str, Rows]:
    return {name: Array(np.ones((2, 2), np.float32)) for name in names}


@pytest.mark.parametrize(
    "name", ["bert2", "", None, 7, "../llama", "llama.evil", "_private", "os", ["llama"], "__init__"]
)
def test_an_unknown_architecture_lists_those_there_are(name: Any) -> None:
    checkpoint = Checkpoint(name="x", source=Source(id="x"), config={"model_type": name}, tensors={})
    with pytest.raises(UnsupportedError, match="is not supported") as caught:
        read_model(checkpoint)
    assert "llama" in caught.value.hint
    assert "phi3" in caught.value.hint


def test_the_supported_ones_are_the_files_there_are() -> None:
    assert {"llama", "phi3", "gemma2", "qwen3"} <= set(supported())
    assert supported() == sorted(supported())


def test_a_tensor_that_is_not_there_is_named() -> None:
    read = Tensors(tensors("a"))
    assert read("a").shape == (2, 2)
    assert "a" in read
    assert "b" not in read
    with pytest.raises(CheckpointError, match="no tensor b"):
        read("b")


def test_tensors_that_nobody_asked_for_are_named() -> None:
    read = Tensors(tensors("a", "e", "d", "c", "b"))
    read("a")
    with pytest.raises(UnsupportedError, match="does not use: b, c, d and 1 more"):
        read.finish()
    read.ignore("b", "c")
    read.ignore_below("d", "e")
    read.finish()


def test_the_root_of_the_names_is_found() -> None:
    read = Tensors(tensors("model.embed"))
    assert read.prefix("embed", "", "model.") == "model."
    with pytest.raises(CheckpointError, match="no tensor layers"):
        read.prefix("layers", "", "model.")
