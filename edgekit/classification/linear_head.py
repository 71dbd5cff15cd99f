"""The head of a fitted classifier: logits of a text's vector. It lies in the bundle as plain numbers.

The file is float32, little endian: a row for each label, its weights and behind them its bias. The shape follows from
the manifest, so there is nothing in the file to be parsed, and nothing to be unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgekit.errors import BundleError

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

Float32 = npt.NDArray[np.float32]

HEAD = "classifier.f32"
STORED = np.dtype("<f4")


@dataclass(frozen=True)
class LinearHead:
    """What makes logits of vectors."""

    weight: Float32
    """[labels, width]"""
    bias: Float32
    """[labels]"""

    def logits(self, vectors: Float32) -> Float32:
        """Return float32 [n, labels] for vectors [n, width]."""
        out: Float32 = vectors @ self.weight.T + self.bias
        return out

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(np.column_stack([self.weight, self.bias]).astype(STORED).tobytes())


def read_head(bundle: Bundle) -> LinearHead | None:
    """Return a bundle's fitted head, None where it has none.

    Raises:
        BundleError: the file is missing, cannot be read, or holds what is no number.
    """
    entry, spec = bundle.manifest.classifier, bundle.manifest.spec
    if entry is None or entry.file is None:
        return None
    path = bundle.file(entry.file)  # the manifest has checked that its size is that of this shape
    try:
        rows = np.fromfile(path, STORED).astype(np.float32).reshape(-1, spec.hidden_size + 1)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}", "copy the bundle again, or fit it again") from error
    if not np.isfinite(rows).all():
        raise BundleError(f"{path}: holds values that are no finite numbers", "copy the bundle again, or fit it again")
    return LinearHead(np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy())
