from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_encoders

import edgekit
from edgekit import encoding
from edgekit.encoding import BATCH_TEXTS, BATCH_TOKENS, Span, in_batches, pool, softmax, spans
from edgekit.errors import BundleError, ContextError, UsageError
from edgekit.tokenizer import Words
from edgekit_exporters.reference import Reference

TEXTS = ["the lazy dog", "a quick brown fox jumps over it, and over the dog", "dog", "", "the lazy dog"]


def test_pooling_leaves_padding_out() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2, 4, 3)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
    a, b = hidden[0, :2], hidden[1]
    expected: dict[Any, Any] = {
        "mean": [a.mean(0), b.mean(0)],
        "first": [a[0], b[0]],
        "last": [a[-1], b[-1]],
        "max": [a.max(0), b.max(0)],
        "mean_sqrt": [a.sum(0) / np.sqrt(2), b.sum(0) / 2],
        "weighted_mean": [(a[0] + 2 * a[1]) / 3, (b * np.arange(1, 5)[:, None]).sum(0) / 10],
    }
    for kind, rows in expected.items():
        np.testing.assert_allclose(pool(hidden, mask, kind), np.stack(rows), rtol=1e-5)


def test_batches_hold_every_text_once_and_little_padding() -> None:
    lengths = np.random.default_rng(1).integers(1, 256, 500).tolist()
    batches = list(in_batches(lengths))
    assert sorted(place for batch in batches for place in batch) == list(range(500))
    for batch in batches:
        longest = max(lengths[place] for place in batch)
        assert len(batch) == 1 or (len(batch) <= BATCH_TEXTS and longest * len(batch) <= BATCH_TOKENS)
    computed = sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)
    assert computed <= 1.05 * sum(lengths)
    assert list(in_batches([])) == []
    # A batch that is small goes on: two short texts are cheaper together than apart.
    assert list(in_batches([20, 10, 5])) == [[0, 1, 2]]
    assert list(in_batches([5 * BATCH_TOKENS, 1])) == [[0], [1]]


def vote(*names: str) -> tuple[list[str], np.ndarray]:
    labels = sorted(set(names))
    return labels, np.eye(len(labels), dtype=np.float32)[[labels.index(name) for name in names]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("O", "B-PER", "I-PER", "O"), [("PER", "anna b.")]),
        (("B-PER", "B-PER", "I-LOC", "I-LOC"), [("PER", "hi"), ("PER", "anna"), ("LOC", "b. rome")]),
        (("S-PER", "E-PER", "U-LOC", "L-LOC"), [("PER", "hi anna"), ("LOC", "b. rome")]),
        (("NAME", "NAME", "O", "NAME"), [("NAME", "hi anna"), ("NAME", "rome")]),
        (("O", "O", "O", "O"), []),
    ],
)
def test_words_become_spans_by_their_scheme(names: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    text = "hi anna b. rome"
    labels, probabilities = vote(*names)
    words = Words([1, 2, 3, 4], [(0, 2), (2, 7), (8, 10), (11, 15)], [0, 1, 2, 3])
    found = spans(text, words, probabilities, labels)
    assert [(span.label, span.text) for span in found] == expected
    assert all(span.text == text[span.start : span.stop] and span.probability == 1 for span in found)


def test_a_word_has_the_label_of_its_first_token() -> None:
    labels, probabilities = vote("O", "B-PER", "O", "I-PER", "O")
    words = Words([9, 1, 2, 3, 9], [(0, 0), (0, 3), (3, 5), (6, 9), (0, 0)], [None, 0, 0, 1, None])
    assert spans("annab rom", words, probabilities, labels) == [Span("PER", 0, 9, "annab rom", 1.0)]


def test_vectors_are_those_of_each_text_alone(shared: Path, tmp_path: Path) -> None:
    with edgekit.load(small_encoders.bundle("embed", tmp_path)) as model:
        vectors = model.embed(TEXTS)
        assert vectors.shape == (5, 64)
        assert vectors.dtype == np.float32
        assert (vectors[0] == vectors[4]).all()
        with Reference.open(tmp_path / "embed-checkpoint") as reference:
            for text, vector in zip(TEXTS, vectors, strict=True):
                ids = np.asarray([model.tokenizer.encode(text)])
                np.testing.assert_allclose(reference.encode(ids, np.ones_like(ids))[0].mean(0), vector, atol=1e-5)
        assert model.embed([]).shape == (0, 64)


def test_a_long_text_is_cut_in_front_of_its_closing_token(shared: Path, tmp_path: Path) -> None:
    with edgekit.load(small_encoders.bundle("embed", tmp_path)) as model:
        long = " ".join(["dog"] * 200)
        ids = model.tokenizer.encode_batch([long, "dog"], model.encoder.context)
        assert [len(own) for own in ids] == [64, 3]
        assert ids[0][0] == ids[1][0]
        assert ids[0][-1] == ids[1][-1]
        np.testing.assert_array_equal(model.embed([long]), model.embed([" ".join(["dog"] * 62)]))


def test_labels_come_with_probabilities(shared: Path, tmp_path: Path) -> None:
    with edgekit.load(small_encoders.bundle("classify", tmp_path)) as model:
        found = model.classify(TEXTS)
        with Reference.open(tmp_path / "classify-checkpoint") as reference:
            ids = np.asarray([model.tokenizer.encode(TEXTS[1])])
            truth = softmax(reference.encode(ids, np.ones_like(ids)))[0]
    assert list(found[1].probabilities) == ["label 0", "label 1", "label 2"]
    np.testing.assert_allclose(list(found[1].probabilities.values()), truth, atol=1e-5)
    assert found[1].label == f"label {truth.argmax()}"
    assert found[1].probability == max(found[1].probabilities.values())
    assert abs(sum(found[0].probabilities.values()) - 1) < 1e-5


def test_labels_that_go_together_have_probabilities_of_their_own(shared: Path, tmp_path: Path) -> None:
    with edgekit.load(small_encoders.bundle("multi_label", tmp_path)) as model:
        found = model.classify(["the lazy dog"])[0]
    assert len(found.probabilities) == 5
    assert abs(sum(found.probabilities.values()) - 1) > 0.1


def test_spans_have_the_characters_they_cover(shared: Path, tmp_path: Path) -> None:
    names = {"0": "O", "1": "B-A", "2": "I-A", "3": "B-C", "4": "I-C"}
    with edgekit.load(small_encoders.bundle("tag", tmp_path, id2label=names)) as model:
        text = "The quick  brown fox: it jumps over Lazy dogs."
        found = model.tag(text)
        assert found
        assert {span.label for span in found} <= {"A", "C"}
        assert all(span.text == text[span.start : span.stop].strip() for span in found)
        assert all(0 < span.probability <= 1 for span in found)
        assert all(a.stop <= b.start for a, b in itertools.pairwise(found))
        with pytest.raises(ContextError, match="does not fit the context of 70"):
            model.tag("dog " * 80)


def test_what_a_bundle_does_not_do_is_refused(shared: Path, tmp_path: Path) -> None:
    with edgekit.load(small_encoders.bundle("embed", tmp_path)) as model:
        with pytest.raises(BundleError, match="task 'embed': no model in it classifies texts"):
            model.classify(["a"])
        with pytest.raises(BundleError, match="generates text"):
            model.generate("a")
        with pytest.raises(BundleError, match="generates text"):
            _ = model.session
        with pytest.raises(UsageError, match="a list of texts is expected"):
            model.embed("a")
        with pytest.raises(UsageError, match="lone surrogate"):
            model.embed(["a", "\ud800"])


def test_a_text_without_tokens_is_named(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with edgekit.load(small_encoders.bundle("embed", tmp_path)) as model:
        monkeypatch.setattr(model.tokenizer, "encode_batch", lambda texts, longest: [[1], []])
        with pytest.raises(UsageError, match="text 2 has no tokens"):
            model.embed(["a", ""])


def test_probabilities() -> None:
    logits = np.array([[1000.0, -1000.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(softmax(logits), [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(encoding.sigmoid(logits), [[1, 0], [0.5, 0.5]])
