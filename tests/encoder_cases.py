"""The recorded encoder cases: those shared between projects and our own, found by existing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from decoder_cases import HERE, SHARED, Ids

from edgekit_exporters.weights import Float32


@dataclass(frozen=True)
class EncoderCase:
    """One recorded case: a checkpoint folder with `golden.npz` in it."""

    path: Path

    def __str__(self) -> str:
        return self.path.name

    def batch(self) -> tuple[Ids, Ids, Float32]:
        """Return ids and mask [batch, n] and the recorded result: hidden states or logits."""
        with np.load(self.path / "golden.npz") as golden:
            return golden["ids"], golden["mask"], golden["hidden" if "hidden" in golden else "logits"]


def meaningful(result: Float32, mask: Ids) -> Float32:
    """Return a result without the rows of padding."""
    return result[mask > 0] if result.ndim == 3 else result


def encoder_cases() -> list[EncoderCase]:
    """Return all cases; tests that run over them also ask for the fixture `shared`, which fails where it is absent."""
    folders = (SHARED / "golden" / "encoders", HERE / "data" / "encoders")
    return [EncoderCase(path.parent) for folder in folders for path in sorted(folder.glob("*/golden.npz"))]
