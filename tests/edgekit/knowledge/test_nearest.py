"""Exact search and Faiss find the same, and a stranger's index is checked before Faiss sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import MissingExtraError
from edgekit.knowledge import faiss_index
from edgekit.knowledge.nearest import Float32, Int64, nearest
from edgekit.kvfile import read_state, write_state

WIDTH = 24
NONE: Int64 = np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def vectors() -> Float32:
    """2,000 vectors around 60 topics, as texts are, and not Gaussian noise, in which nothing is near."""
    random = np.random.default_rng(3)
    topics = random.standard_normal((60, WIDTH))
    made = topics[random.integers(60, size=2000)] + 0.5 * random.standard_normal((2000, WIDTH))
    return unit(made)


def unit(rows: object) -> Float32:
    array = np.asarray(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def index(vectors: Float32, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("faiss", reason="faiss-cpu (extra [rag]) is not installed: the index is NOT tested")
    path = tmp_path_factory.mktemp("faiss") / "nearest-1.arrays"
    faiss_index.build(vectors, path, "mine")
    return path


def test_exact_search_sorts_all(vectors: Float32) -> None:
    query = vectors[7]
    rows, similarities = nearest(vectors, np.asarray([7, 3]), query, 20)
    everything = sorted(((-float(row @ query), place) for place, row in enumerate(vectors) if place not in (3, 7)))
    assert rows.tolist() == [place for _, place in everything[:20]]
    np.testing.assert_allclose(similarities, [-value for value, _ in everything[:20]], atol=1e-6)


@pytest.mark.parametrize(("rows", "removed"), [(0, []), (3, []), (3, [0, 1, 2]), (3, [1])])
def test_fewer_than_wanted(rows: int, removed: list[int], vectors: Float32) -> None:
    found, similarities = nearest(vectors[:rows], np.asarray(removed, np.int64), vectors[0], 10)
    assert sorted(found.tolist()) == sorted({*range(rows)} - {*removed})
    assert len(found) == len(similarities)


def test_faiss_finds_what_exact_search_finds(vectors: Float32, index: Path) -> None:
    opened = faiss_index.load(index, "mine", WIDTH)
    assert opened is not None
    more = unit(np.concatenate([vectors, vectors[:50] + 0.01]))
    removed = np.arange(0, 2000, 3)
    hits = []
    for query in unit(vectors[5:205] + 0.1 * np.random.default_rng(4).standard_normal((200, WIDTH))):
        exact, expected = nearest(more, removed, query, 10)
        rows, similarities = nearest(more, removed, query, 10, opened)
        hits.append(len({*exact.tolist()} & {*rows.tolist()}) / 10)
        same = dict(zip(exact.tolist(), expected.tolist(), strict=True))
        for row, value in zip(rows.tolist(), similarities.tolist(), strict=True):
            assert value == pytest.approx(same.get(row, float(more[row] @ query)), abs=1e-6)
        assert not {*rows.tolist()} & {*removed.tolist()}
    assert np.mean(hits) >= 0.98


def spoiled(arrays: dict[str, np.ndarray], **changes: object) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {**arrays, **{name: np.asarray(value) for name, value in changes.items()}}


def test_a_hostile_index_is_not_used(vectors: Float32, index: Path, tmp_path: Path) -> None:
    arrays = dict(read_state(index, "mine").arrays)
    rows, sizes = np.array(arrays["rows"]), np.array(arrays["sizes"])
    far, twice, negative, more = rows.copy(), rows.copy(), sizes.copy(), sizes.copy()
    far[0], twice[0], negative[:2], more[0] = 1 << 30, rows[1], (-1, sizes[0] + sizes[1] + 1), sizes[0] + 1
    hostile = [
        spoiled(arrays, rows=far), spoiled(arrays, rows=twice), spoiled(arrays, sizes=negative),
        spoiled(arrays, sizes=more), spoiled(arrays, codes=arrays["codes"][:, :-1]),
        spoiled(arrays, ranges=arrays["ranges"][:-1]), spoiled(arrays, centroids=arrays["centroids"][:-1]),
        spoiled(arrays, rows=rows.astype(np.float32)), {name: arrays[name] for name in ("rows", "sizes")},
        spoiled(arrays, rows=rows[:0], sizes=sizes[:0]),
    ]  # fmt: skip
    for each in hostile:
        write_state(tmp_path / "a.arrays", "mine", [], each)
        assert faiss_index.load(tmp_path / "a.arrays", "mine", WIDTH) is None
    assert faiss_index.load(index, "mine", WIDTH + 1) is None
    assert faiss_index.load(index, "another", WIDTH) is None
    raw = bytearray(index.read_bytes())
    raw[-1] ^= 1
    (tmp_path / "b.arrays").write_bytes(raw)
    assert faiss_index.load(tmp_path / "b.arrays", "mine", WIDTH) is None
    assert faiss_index.load(tmp_path / "none.arrays", "mine", WIDTH) is None


def test_without_faiss_it_says_how_to_get_it(vectors: Float32, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"edgekit-sdk\[rag\]"):
        faiss_index.build(vectors, tmp_path / "a.arrays", "mine")
