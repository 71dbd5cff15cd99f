"""What an encoder is for: texts become vectors, labels, or labelled spans.

Texts are computed in batches of similar lengths, so that little is padding. Pooling and probabilities are numpy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.classification.classifier import Classifier
from edgekit.classification.linear_head import LinearHead
from edgekit.encoder_session import EncoderSession
from edgekit.errors import ContextError, UsageError
from edgekit.manifest import Manifest
from edgekit.spec import EncoderSignature, Pooling
from edgekit.tokenizer import Tokenizer, Words

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

BATCH_TOKENS = 1024
"""Tokens computed at once, padding among them: beyond, nothing gets faster and caches of the CPU overflow."""
FULL_TOKENS = 256
"""From here on a batch is as fast per token as a larger one: it ends rather than take a text that is much shorter."""
LEAST_SHARE = 0.9
"""The length, beside that of the longest text, that a full batch still takes: at most so much of it is padding."""
BATCH_TEXTS = 64

_SCHEME = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
_OUTSIDE = "O"


@dataclass(frozen=True)
class Classification:
    """A text's label, and the probability of every label.

    Where labels do not exclude each other, each probability stands for itself, and `label` is the likeliest.
    """

    label: str | None
    """The likeliest one; None where the classifier abstains, since that is not likely enough."""
    probability: float
    """Of the likeliest label, also where it is withheld."""
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Span:
    """A labelled stretch of a text: characters start..stop, so `text == whole[start:stop]`."""

    label: str
    start: int
    stop: int
    text: str
    probability: float
    """The mean of its words' probabilities."""


def embed(session: EncoderSession, tokenizer: Tokenizer, spec: EncoderSignature, texts: Sequence[str]) -> Float32:
    """Return float32 [n, width]; see `Model.embed`."""
    vectors = np.zeros((len(texts), spec.hidden_size), np.float32)
    for places, hidden, mask in _batches(session, tokenizer, texts):
        vectors[places] = pool(hidden, mask, spec.pooling)
    if spec.normalised:
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return vectors


def classify(
    session: EncoderSession, tokenizer: Tokenizer, manifest: Manifest, head: LinearHead | None, texts: Sequence[str]
) -> list[Classification]:
    """Return a classification of each text; see `Model.classify`."""
    entry, labels = manifest.classifier or Classifier(), manifest.labels
    found = logits(session, tokenizer, manifest.encoder_spec, head, texts) / np.float32(entry.temperature)
    own = manifest.encoder_spec.head
    rows = sigmoid(found) if own is not None and own.probabilities == "sigmoid" else softmax(found)
    out = []
    for row, index in zip(rows.tolist(), rows.argmax(axis=1).tolist(), strict=True):
        label = labels[index] if row[index] >= entry.threshold else None
        out.append(Classification(label, row[index], dict(zip(labels, row, strict=True))))
    return out


def logits(
    session: EncoderSession, tokenizer: Tokenizer, spec: EncoderSignature, head: LinearHead | None, texts: Sequence[str]
) -> Float32:
    """Return float32 [n, labels], before any calibration: of a fitted head, or of the checkpoint's own."""
    if head is not None:
        return head.logits(embed(session, tokenizer, spec, texts))
    assert spec.head is not None
    out = np.zeros((len(texts), spec.head.labels), np.float32)
    for places, batch, _ in _batches(session, tokenizer, texts):
        out[places] = batch
    return out


def tag(session: EncoderSession, tokenizer: Tokenizer, labels: Sequence[str], text: str) -> list[Span]:
    """Return the spans of a text; see `Model.tag`."""
    words = tokenizer.encode_words(text)
    if not words.ids:
        return []
    if len(words.ids) > session.context:
        raise ContextError(
            f"a text of {len(words.ids)} tokens does not fit the context of {session.context}",
            "cut it into sentences or paragraphs",
        )
    ids = np.asarray([words.ids], np.int64)
    probabilities = softmax(session.encode(ids, np.ones_like(ids))[0])
    return spans(text, words, probabilities, labels)


def pool(hidden: Float32, mask: Int64, kind: Pooling) -> Float32:
    """Return one vector [batch, width] for the hidden states [batch, n, width] of each text."""
    if kind == "first":
        return hidden[:, 0]
    if kind == "last":
        return hidden[np.arange(len(hidden)), mask.sum(axis=1) - 1]
    if kind == "max":
        out: Float32 = np.where(mask[:, :, None] > 0, hidden, np.float32(-np.inf)).max(axis=1)
        return out
    weights = mask.astype(np.float32)
    if kind == "weighted_mean":
        weights *= np.arange(1, mask.shape[1] + 1, dtype=np.float32)
    total: Float32 = (weights[:, None, :] @ hidden)[:, 0]
    count = weights.sum(axis=1, keepdims=True)
    return total / (np.sqrt(count) if kind == "mean_sqrt" else count)


def spans(text: str, words: Words, probabilities: Float32, labels: Sequence[str]) -> list[Span]:
    """Return the spans that token probabilities [n, labels] say.

    A word has the label of its first token, which is what models are trained for. Labels may have the prefixes of
    the schemes BIO, BIOES and BILOU: B, S and U begin a span; the others go on with one of the same kind.
    """
    found: list[Span] = []
    counts: list[int] = []
    previous = ""
    for start, stop, row in _words(words, probabilities):
        index = int(row.argmax())
        prefix, kind = _parted(labels[index])
        while start < stop and text[start].isspace():  # byte-level tokens begin with their space
            start += 1
        probability = float(row[index])
        if kind == _OUTSIDE or start == stop:
            previous = ""
            continue
        if kind == previous and prefix not in "BSU":
            last, count = found[-1], counts[-1]
            mean = (last.probability * count + probability) / (count + 1)
            found[-1], counts[-1] = Span(kind, last.start, stop, text[last.start : stop], mean), count + 1
        else:
            found.append(Span(kind, start, stop, text[start:stop], probability))
            counts.append(1)
        previous = kind
    return found


def _words(words: Words, probabilities: Float32) -> Iterator[tuple[int, int, Float32]]:
    """Yield the characters start..stop of each word, and the probabilities of its first token."""
    current: tuple[int, int, int, Float32] | None = None
    for number, (start, stop), row in zip(words.words, words.offsets, probabilities, strict=True):
        if number is None:
            continue
        if current is not None and current[0] == number:
            current = (number, current[1], max(current[2], stop), current[3])
            continue
        if current is not None:
            yield current[1:]
        current = (number, start, stop, row)
    if current is not None:
        yield current[1:]


def _parted(label: str) -> tuple[str, str]:
    """Return a label's prefix, I where it has none, and its kind."""
    match = _SCHEME.fullmatch(label)
    return (match[1], match[2]) if match else ("I", label)


def _batches(
    session: EncoderSession, tokenizer: Tokenizer, texts: Sequence[str]
) -> Iterator[tuple[list[int], Float32, Int64]]:
    """Yield the places of some texts, what the encoder says of them, and their mask."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence):
        raise UsageError(f"a list of texts is expected, not {type(texts).__name__}", 'for one text: ["the text"]')
    ids = tokenizer.encode_batch(texts, session.context)
    empty = next((place for place, own in enumerate(ids) if not own), None)
    if empty is not None:
        raise UsageError(f"text {empty + 1} has no tokens", "leave out empty texts")
    for places in in_batches([len(own) for own in ids]):
        longest = max(len(ids[place]) for place in places)
        tokens = np.zeros((len(places), longest), np.int64)
        mask = np.zeros_like(tokens)
        for row, place in enumerate(places):
            tokens[row, : len(ids[place])], mask[row, : len(ids[place])] = ids[place], 1
        yield places, session.encode(tokens, mask), mask


def in_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield places of similar lengths, the longest first: a batch that is too large fails at once."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        longest = lengths[batch[0]] if batch else 0
        overfull = len(batch) == BATCH_TEXTS or longest * (len(batch) + 1) > BATCH_TOKENS
        if batch and (overfull or (longest * len(batch) >= FULL_TOKENS and lengths[place] < LEAST_SHARE * longest)):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def softmax(logits: Float32) -> Float32:
    """Return probabilities that sum up to 1 over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    out: Any = shifted / shifted.sum(axis=-1, keepdims=True)
    return out


def sigmoid(logits: Float32) -> Float32:
    """Return probabilities that stand for themselves."""
    out: Float32 = np.float32(0.5) * (1 + np.tanh(logits / 2))
    return out
