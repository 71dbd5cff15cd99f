"""How often a FAQ is answered from the right entry, and how often what is not in it is declined.

    python examples/faq/measure.py --encoder minilm.edge [--model smollm2.edge] [--tuning]

Without --model only the search is measured. --tuning measures the questions that the threshold was chosen with, and
shows what other weights and thresholds would have done.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgekit
from edgekit.knowledge import Answer, KnowledgeBase, Passage
from edgekit.model import Model

HERE = Path(__file__).resolve().parent
HELD_OUT = (HERE / "library.md", (HERE / "questions.csv", HERE / "hard.csv"))
TUNING = (HERE / "tuning" / "utility.md", (HERE / "tuning" / "questions.csv",))
KINDS = ("inside", "outside", "hard", "near")


@dataclass(frozen=True)
class Question:
    """A question, and the heading of the entry that answers it; "" where none does."""

    kind: str
    entry: str
    text: str


@dataclass(frozen=True)
class Asked:
    """What became of a question."""

    question: Question
    found: list[Passage]
    answer: Answer | None


def read(paths: Iterable[Path], kinds: Sequence[str] = KINDS) -> list[Question]:
    """Return the questions of some kinds."""
    questions = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            questions += [Question(row["kind"], row["entry"], row["question"]) for row in rows if row["kind"] in kinds]
    return questions


def ask(base: KnowledgeBase, questions: Iterable[Question], model: Model | None) -> list[Asked]:
    """Ask a knowledge base every question, with or without a model that words the answers."""
    return [
        Asked(question, base.search(question.text), base.ask(question.text, model) if model else None)
        for question in questions
    ]


def count(asked: Sequence[Asked], threshold: float) -> dict[str, int]:
    """Return how many were right, declined, and answered in which wording."""
    answers = [each.answer for each in asked if each.answer is not None]
    return {
        "questions": len(asked),
        "declined": sum(each.found[0].score < threshold for each in asked),
        "found first": sum(_is(each, each.found[:1]) and each.found[0].score >= threshold for each in asked),
        "cited first": sum(each.answer is not None and _is(each, each.answer.sources[:1]) for each in asked),
        "cited": sum(each.answer is not None and _is(each, each.answer.sources) for each in asked),
        "worded": sum(answer.wording == "model" for answer in answers),
        "quoted": sum(answer.wording == "quoted" for answer in answers),
    }


def _is(each: Asked, passages: Sequence[Passage]) -> bool:
    return each.question.entry in [passage.headings[-1] for passage in passages]


def alternatives(asked: Sequence[Asked]) -> None:
    """Show what the search would do with other weights of words, each with its own threshold.

    The threshold lies halfway between the best score of any question without an entry and the score that 95 of 100
    ordinary questions reach.
    """
    print("weight  inside found  hard found  best outside  95 % of inside  threshold")
    for weight in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        best = {kind: list[tuple[float, bool]]() for kind in KINDS}
        for each in asked:
            passage = max(each.found, key=lambda passage: passage.similarity + weight * passage.keywords)
            best[each.question.kind].append((passage.similarity + weight * passage.keywords, _is(each, [passage])))
        outside = max(score for kind in ("outside", "near") for score, _ in best[kind])
        inside = float(np.quantile([score for score, _ in best["inside"]], 0.05))
        shares = [sum(right for _, right in best[kind]) / len(best[kind]) for kind in ("inside", "hard")]
        print(
            f"{weight:6.2f} {shares[0]:13.1%} {shares[1]:11.1%} {outside:13.3f} {inside:15.3f} "
            f"{(outside + inside) / 2:10.3f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", required=True, help="a bundle that embeds")
    parser.add_argument("--model", help="a bundle that generates text")
    parser.add_argument("--tuning", action="store_true", help="the questions that the threshold was chosen with")
    options = parser.parse_args()
    document, questions = TUNING if options.tuning else HELD_OUT
    model = edgekit.load(options.model, context=1024) if options.model else None
    with tempfile.TemporaryDirectory() as folder, KnowledgeBase.create(Path(folder, "kb"), options.encoder) as base:
        base.add(document)
        for path, kind in [(path, kind) for path in questions for kind in KINDS]:
            if asked := ask(base, read([path], [kind]), model):
                figures = count(asked, base.threshold)
                print(f"{path.name} {kind}:", ", ".join(f"{number} {name}" for name, number in figures.items()))
        if options.tuning:
            searched = [Asked(each, base.search(each.text, 100), None) for each in read(questions)]
            alternatives(searched)
    if model:
        model.close()


if __name__ == "__main__":
    main()
