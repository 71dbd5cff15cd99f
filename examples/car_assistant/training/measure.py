"""How often a bundle of the car assistant answers exactly what it should.

    python examples/car_assistant/training/measure.py car.edge [--runtime onnx] [--misses]

"held out": phrasings whose templates were never trained on, with fillers and typos around them; "others": the same, by
another author, who did not know what was trained on. "natural": sentences written by hand before there was a grammar;
"unlike": those of them that no trained template can say.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import grammar
from commands import Commands, Example, answer

import edgekit
from edgekit.model import Model

NATURAL = Path(__file__).with_name("natural.csv")
SEED, EACH = 2026, 10


class Miss(NamedTuple):
    """A wrong answer."""

    example: Example
    answered: str


def phrasings(name: str, each: int = EACH) -> list[Example]:
    """Return the sentences of a file of templates that are measured: `each` of every template, always the same."""
    commands, chance = Commands(name), random.Random(SEED)
    return [commands.draw(template, chance, stray=0.0) for template in commands.templates for _ in range(each)]


def natural() -> list[Example]:
    """Return the sentences that were written by hand."""
    with NATURAL.open(encoding="utf-8", newline="") as file:
        return [Example(row["sentence"], answer(*grammar.read_command(row["command"]))) for row in csv.DictReader(file)]


def unlike(examples: Iterable[Example]) -> list[Example]:
    """Return those that no trained template can say, whatever case and punctuation."""
    commands = Commands("trained")
    patterns = [commands.grammar.pattern(template) for template in commands.templates]

    def trained(sentence: str) -> bool:
        bare = " ".join(re.sub(r"[^a-z0-9'%/ -]", "", sentence.lower()).split())
        return any(pattern.fullmatch(bare) for pattern in patterns)

    return [example for example in examples if not trained(example.sentence)]


def misses(model: Model, examples: Iterable[Example]) -> list[Miss]:
    """Return what a model gets wrong: anything but the very line of JSON."""
    answers = ((example, model.generate(example.sentence, max_tokens=40).text) for example in examples)
    return [Miss(example, said) for example, said in answers if said != example.answer]


def main() -> None:
    """Print a line per set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--misses", action="store_true", help="show what was wrong")
    parser.add_argument("--sets", default="held out,others,natural,unlike", help="default: all")
    options = parser.parse_args()
    sets = {
        "held out": lambda: phrasings("held_out"),
        "others": lambda: phrasings("others"),
        "natural": natural,
        "unlike": lambda: unlike(natural()),
    }
    with edgekit.load(options.bundle, runtime=options.runtime) as model:
        for name in options.sets.split(","):
            examples = sets[name]()
            wrong = misses(model, examples)
            right = len(examples) - len(wrong)
            print(f"{name:9} {right:5} of {len(examples):5}  {right / len(examples):.3f}")
            for miss in wrong if options.misses else []:
                print(f"    {miss.example.sentence}\n        {miss.answered}, not {miss.example.answer}")


if __name__ == "__main__":
    main()
