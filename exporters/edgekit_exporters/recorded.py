"""What a checkpoint's own code computed of some texts, kept in a bundle whose graph another exporter made.

There the reference cannot compute the truth, so it travels along: `verify` compares each engine with it on any machine.
The file is of the form that saved caches have (`edgekit.kvfile`): it is hashed, and nothing in it is executed.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.errors import BundleError
from edgekit.kvfile import StateError, read_state, write_state
from edgekit_exporters.verify_encoder import Sample, padded
from edgekit_exporters.weights import Float32

FILE = "recorded.state"
_IDENTITY = "what the checkpoint computed"


def write_recorded(folder: Path, texts: Sequence[Sequence[int]], rows: Float32) -> None:
    """Write token ids and what belongs to them: rows as `Sample.expected` has them."""
    ids, mask = padded(texts)
    path = folder / FILE
    write_state(path, _IDENTITY, ids[mask > 0].tolist(), {"mask": mask.astype(np.uint8), "rows": rows})
    # A saved cache is its owner's alone; a bundle is for whoever may read its folder.
    path.chmod(stat.S_IMODE(folder.stat().st_mode) & 0o666)


def read_recorded(bundle: Bundle) -> Sample:
    """Return the texts of a bundle and what is expected of them.

    Raises:
        BundleError: there are none, or they are damaged or of another model.
    """
    path = bundle.file(FILE)
    hint = "do not use this bundle: export the model again"
    try:
        state = read_state(path, _IDENTITY)
    except StateError as error:
        raise BundleError(f"{path} does not hold what the checkpoint computed, or is damaged", hint) from error
    spec = bundle.manifest.encoder_spec
    mask, rows = state.arrays.get("mask"), state.arrays.get("rows")
    if mask is None or mask.ndim != 2 or not mask.size or rows is None or rows.dtype != np.float32:
        raise BundleError(f"{path} holds no texts and results", hint)
    kept = mask.astype(np.int64)
    count = int(kept.sum()) if spec.head is not None and spec.head.pool is None else len(kept)
    width = spec.hidden_size if spec.head is None else spec.head.labels
    fits = mask.max() <= 1 and len(state.tokens) == int(kept.sum()) and rows.shape == (count, width)
    if not fits or not np.isfinite(rows).all() or not all(0 <= token < spec.vocab_size for token in state.tokens):
        raise BundleError(f"{path}: its texts and results do not belong together", hint)
    ids = np.zeros_like(kept)
    ids[kept > 0] = state.tokens
    return Sample(ids, kept, np.array(rows))
