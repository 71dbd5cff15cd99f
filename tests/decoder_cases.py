"""The recorded decoder cases: those shared between projects and our own, found by existing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit_exporters.weights import Float32

Ids = npt.NDArray[np.int64]

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("EDGEKIT_SHARED") or HERE.parent.parent / "shared")


@dataclass(frozen=True)
class Case:
    """One recorded case: a checkpoint folder with `golden.npz` in it."""

    path: Path

    def __str__(self) -> str:
        return self.path.name

    def sequences(self) -> Iterator[tuple[Ids, Float32]]:
        """Yield ids [n] and the recorded logits [n, vocab]."""
        golden, k = self._golden(), 0
        while f"ids_{k}" in golden:
            yield golden[f"ids_{k}"], golden[f"logits_{k}"]
            k += 1

    def greedy(self) -> tuple[Ids, Ids]:
        """Return a prompt and the 24 greedy tokens behind it."""
        golden = self._golden()
        return golden["ids_1"], golden["greedy"]

    def _golden(self) -> dict[str, npt.NDArray[Any]]:
        with np.load(self.path / "golden.npz") as golden:
            return {name: golden[name] for name in golden.files}


def decoder_cases() -> list[Case]:
    """Return all cases; tests that run over them also ask for the fixture `shared`, which fails where it is absent."""
    folders = (SHARED / "golden" / "decoders", HERE / "data" / "decoders")
    return [Case(path.parent) for folder in folders for path in sorted(folder.glob("*/golden.npz"))]
