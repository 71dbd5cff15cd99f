"""What `verify` measures of encoders: vectors, or logits, beside those of the reference and of the checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Bundle
from edgekit.encoding import in_batches, pool
from edgekit.spec import EncoderSignature
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.calibration import sample_text
from edgekit_exporters.weights import Float32

TEXTS = 12
TOKENS = 64
"""Of each text at most: together enough for the figures, few enough for numpy."""

FLOAT_ERROR = 1e-3
FLOAT_COSINE = 0.9999
QUANTIZED_COSINE = 0.98

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncoderFidelity:
    """What an engine says of some texts against the reference computing with the same weights.

    Where a bundle brings along what its checkpoint itself computed, that is the reference.
    """

    rows: int
    """Vectors that were compared: one for each text, or for each token of a tagger."""
    cosine: float
    """The mean over the rows."""
    cosine_min: float
    max_error: float
    """Largest difference, over the largest value by magnitude."""
    same_label: float | None
    """Share of rows with the same best label; None where there are no labels."""
    passed: bool


@dataclass(frozen=True)
class EncoderLoss:
    """The same against the unquantized checkpoint."""

    rows: int
    cosine: float
    cosine_min: float
    same_label: float | None


@dataclass(frozen=True)
class Sample:
    """Texts of different lengths, padded at their ends: ids and mask [texts, n]."""

    ids: Ids
    mask: Ids
    expected: Float32 | None = None
    """The rows that the checkpoint itself computed, where a bundle brings them along."""

    def rows(self, encode: Callable[[Ids, Ids], Float32], spec: EncoderSignature) -> Float32:
        """Return what is compared: vectors of texts, logits of texts, or logits of tokens, in the order of the texts.

        `encode` computes batches of similar lengths, as they are used.
        """
        lengths = self.mask.sum(axis=1).tolist()
        parts: dict[int, Float32] = {}
        for places in in_batches(lengths):
            longest = max(lengths[place] for place in places)
            mask = self.mask[places, :longest]
            result = encode(self.ids[places, :longest], mask)
            if spec.head is None:
                result = pool(result, mask, spec.pooling)
            for place, row in zip(places, result, strict=True):
                tagged = spec.head is not None and spec.head.pool is None
                parts[place] = row[: lengths[place]] if tagged else row[None]
        return np.concatenate([parts[place] for place in range(len(lengths))])


def sample(bundle: Bundle) -> Sample:
    """Return sentences of a text of our own, or seeded random ids where there is no tokenizer."""
    spec = bundle.manifest.encoder_spec
    limits = [entry.context_max for entry in bundle.manifest.formats.values() if entry.context_max is not None]
    longest = min(TOKENS, spec.context, *limits)
    tokenizer = None if bundle.tokenizer_path() is None else Tokenizer.open(bundle)
    return Sample(*padded(sample_texts(tokenizer, spec.vocab_size, longest)))


def sample_texts(tokenizer: Tokenizer | None, vocab_size: int, longest: int) -> list[list[int]]:
    """Return the token ids of each text, at most `longest`."""
    if tokenizer is None:
        rng = np.random.default_rng(0)
        lengths = np.linspace(1, longest, TEXTS).astype(int)
        return [rng.integers(0, vocab_size, length).tolist() for length in lengths]
    sentences = re.split(r"(?<=[.!?])\s+", sample_text("verification").strip())[:TEXTS]
    return [own for own in tokenizer.encode_batch(sentences, longest) if own]


def padded(texts: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
    """Return ids and mask [texts, n]."""
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    mask = np.zeros_like(ids)
    for row, own in enumerate(texts):
        ids[row, : len(own)], mask[row, : len(own)] = own, 1
    return ids, mask


def fidelity(measured: Float32, reference: Float32, spec: EncoderSignature, *, exact: bool) -> EncoderFidelity:
    """Compare rows [n, width]; `exact` for float bundles, which must agree within rounding."""
    cosine = cosines(measured, reference)
    error = float(np.abs(measured - reference).max() / max(float(np.abs(reference).max()), 1e-30))
    if exact:
        passed = error <= FLOAT_ERROR and float(cosine.min()) >= FLOAT_COSINE
    else:
        passed = float(cosine.mean()) >= QUANTIZED_COSINE
    return EncoderFidelity(
        rows=len(measured),
        cosine=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        max_error=error,
        same_label=_same_label(measured, reference, spec),
        passed=bool(passed),
    )


def loss(measured: Float32, truth: Float32, spec: EncoderSignature) -> EncoderLoss:
    """Compare rows [n, width] with the checkpoint's."""
    cosine = cosines(measured, truth)
    label = _same_label(measured, truth, spec)
    return EncoderLoss(rows=len(truth), cosine=float(cosine.mean()), cosine_min=float(cosine.min()), same_label=label)


def cosines(a: Float32, b: Float32) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair of rows."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a64, axis=1) * np.linalg.norm(b64, axis=1)
    out: npt.NDArray[np.float64] = np.einsum("ij,ij->i", a64, b64) / np.maximum(norms, 1e-30)
    return out


def _same_label(a: Float32, b: Float32, spec: EncoderSignature) -> float | None:
    return None if spec.head is None else float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
