"""A TFLite encoder over either engine: each text runs in the shortest signature that holds it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Bundle
from edgekit.decoder import Float32, LoadOptions, Tokens
from edgekit.errors import BundleError, UsageError
from edgekit_runtimes._tflite_decoder import Engine

NAME = re.compile(r"encode_(\d+)")
HIDDEN = -1e9
"""Added to the scores of padding."""


class TfliteEncoder:
    """The encoder that the session drives."""

    def __init__(self, bundle: Bundle, options: LoadOptions, engine: Engine) -> None:
        self._engine = engine
        head = bundle.manifest.encoder_spec.head
        self._whole_texts = head is not None and head.pool is not None
        matches = filter(None, map(NAME.fullmatch, engine.inputs))
        self._lengths = sorted(int(match[1]) for match in matches)
        if not self._lengths:
            raise BundleError(f"{bundle.path}: the TFLite model has no signature of an encoder", "export it again")
        if options.context > self._lengths[-1]:
            raise UsageError(
                f"a context of {options.context} was asked for, the TFLite model holds {self._lengths[-1]}",
                f"load it with a context of at most {self._lengths[-1]}, or export it again with a larger one",
            )

    def encode(self, ids: Tokens, mask: Tokens) -> Float32:
        """Run the texts one after another."""
        counts = mask.sum(axis=1).tolist()
        rows = [self._run(own[:count]) for own, count in zip(ids, counts, strict=True)]
        if self._whole_texts:
            return np.concatenate(rows)
        out = np.zeros((*ids.shape, rows[0].shape[-1]), np.float32)
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            out[place, :count] = row[:count]
        return out

    def close(self) -> None:
        """Free the engine's memory."""
        self._engine.close()

    def _run(self, tokens: Tokens) -> Float32:
        count = len(tokens)
        length = next(length for length in self._lengths if length >= count)
        ids, mask = np.zeros((1, length), np.int32), np.full((1, 1, 1, length), HIDDEN, np.float32)
        share = np.zeros((1, length), np.float32)
        ids[0, :count], mask[..., :count], share[0, :count] = tokens, 0, 1 / count
        feeds: dict[str, npt.NDArray[Any]] = {"tokens": ids, "mask": mask, "share": share}
        result = self._engine.run(f"encode_{length}", feeds)
        assert result is not None
        return result
