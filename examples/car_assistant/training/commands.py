"""What drivers say, and what to answer: sentences of the grammar with fillers, reasons, stray words and typos."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import grammar

NONE_SHARE = 0.22
"""How often a sentence is none of the car's business."""
TYPOS = 0.15
"""How often a sentence has one or two."""
STRAY_WORDS = 0.3
"""How often words come before a sentence, or behind it, that make little sense there, or a small word is missing."""

SMALL = ("the", "a", "my", "is", "to", "it", "in", "me", "please", "are", "be", "of")
CONTRACTIONS = (
    ("it is", "it's"), ("i am", "i'm"), ("we are", "we're"), ("do not", "don't"), ("i would", "i'd"),
    ("is not", "isn't"), ("can not", "can't"), ("cannot", "can't"), ("there is", "there's"), ("that is", "that's"),
    ("i have", "i've"), ("are not", "aren't"), ("does not", "doesn't"), ("going to", "gonna"), ("want to", "wanna"),
    ("you are", "you're"), ("i will", "i'll"), ("what is", "what's"), ("where is", "where's"), ("let us", "let's"),
    ("we would", "we'd"),
)  # fmt: skip
KEPT = {part for number in range(200) for said in grammar.spoken(number) for part in said.replace("-", " ").split()}
"""Words of numbers: with a typo, nobody knows which one is meant."""
NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wqwertyuioqasdfghjkasxcvbn", strict=True))


class Example(NamedTuple):
    """What is said, and the line of JSON to answer."""

    sentence: str
    answer: str


class Commands:
    """Sentences of one file of templates."""

    def __init__(self, name: str) -> None:
        self.grammar = grammar.Grammar()
        for words in ("words", "around"):
            grammar.read(words, self.grammar)
        self.templates = grammar.read(name, self.grammar)
        if name == "trained":
            self.templates += grammar.read_constructions("constructions")
        self._commands: dict[tuple[str, str], list[grammar.Template]] = defaultdict(list)
        for template in self.templates:
            self._commands[template.action, str(template.arguments)].append(template)
        self._none = self._commands.pop(("none", "{}"))

    def stream(self, seed: int, typos: float = TYPOS) -> Iterator[Example]:
        """Draw without end, each command as often as the others, and twice as often with a number to be understood."""
        chance = random.Random(seed)
        groups = [group for group in self._commands.values() for _ in range(2 if _counts(group[0]) else 1)]
        while True:
            none = chance.random() < NONE_SHARE
            yield self.draw(chance.choice(self._none if none else chance.choice(groups)), chance, typos)

    def draw(
        self, template: grammar.Template, chance: random.Random, typos: float = TYPOS, stray: float = STRAY_WORDS
    ) -> Example:
        """Draw a sentence of a template, with what people say around it."""
        sentence, arguments = self.grammar.draw(template, chance)
        sentence = self._dress(sentence, template, chance)
        for long, short in CONTRACTIONS:
            if long in sentence and chance.random() < 0.6:
                sentence = f" {sentence} ".replace(f" {long} ", f" {short} ").strip()
        if "'" in sentence and chance.random() < 0.2:
            sentence = sentence.replace("'", "")
        if chance.random() < stray:
            sentence = self._stray(sentence, chance)
        if chance.random() < typos:
            for _ in range(chance.choice((1, 1, 2))):
                sentence = _mistype(sentence, chance)
        return Example(sentence + chance.choice(("", "", "", ".", "!", "?")), answer(template.action, arguments))

    def _dress(self, sentence: str, template: grammar.Template, chance: random.Random) -> str:
        """Put openers, interjections, reasons and tails around a sentence."""
        comma = chance.choice((", ", " ", ". ", " - ", ", "))
        if not template.statement:
            drawn = chance.random()
            if drawn < 0.35:
                sentence = f"{self._around('opener', chance)} {sentence}"
            elif drawn < 0.45:
                verb, _, rest = sentence.partition(" ")
                sentence = f"{_gerund(verb)} {rest}".strip()
                if drawn < 0.4:
                    sentence = f"{self._around('gerund_opener', chance)} {sentence}"
                else:
                    sentence = f"{sentence} {self._around('verdict', chance)}"
            drawn = chance.random()
            if drawn < 0.2 and template.action != "none":
                reason = self._around("reason", chance)
                link = chance.choice((comma, comma, " so ", " and so ", ", so "))
                sentence = f"{reason}{link}{sentence}" if drawn < 0.14 else f"{sentence} because {reason}"
        if chance.random() < 0.25:
            sentence = f"{self._around('interjection', chance)}{comma}{sentence}"
        if chance.random() < 0.25:
            sentence = f"{sentence}{chance.choice((' ', ' ', ', '))}{self._around('tail', chance)}"
        return sentence

    def _stray(self, sentence: str, chance: random.Random) -> str:
        """Return the sentence with stray words, so that a phrase is known by what it says and not by how it begins."""
        words = sentence.split(" ")
        if chance.random() < 0.3:
            small = [at for at, word in enumerate(words) if word in SMALL]
            if small:
                del words[chance.choice(small)]
        else:
            stray = [
                _unknown(chance) if chance.random() < 0.25 else self._around("stray", chance)
                for _ in range(chance.choice((1, 2, 2, 3)))
            ]
            words = [*stray, *words] if chance.random() < 0.75 else [*words, *stray]
        return " ".join(words)

    def _around(self, word: str, chance: random.Random) -> str:
        return self.grammar.draw(grammar.Template("none", {}, f"<{word}>", statement=True), chance)[0]


def answer(action: str, arguments: grammar.Arguments) -> str:
    """Return the line of JSON for a command."""
    return json.dumps({"action": action, **arguments})


def _unknown(chance: random.Random) -> str:
    """Return a word that nobody knows."""
    return "".join(
        chance.choice("bcdfghklmnprstvwz") + chance.choice("aeiou") for _ in range(chance.choice((1, 2, 2, 3)))
    )


def _counts(template: grammar.Template) -> bool:
    return not {"<degrees>", "<percent>", "<amount>", "<limit>"}.isdisjoint(template.arguments.values())


def _gerund(verb: str) -> str:
    if verb in ("set", "put", "cut", "get", "shut", "stop", "let", "run", "skip", "hit", "drop", "dim", "dip"):
        return f"{verb}{verb[-1]}ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def _mistype(sentence: str, chance: random.Random) -> str:
    """Return the sentence with a slip in a longer word: two letters swapped, one left out, doubled or missed."""
    words = sentence.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 3 and word.isalpha() and word not in KEPT]
    if not long:
        return sentence
    where = chance.choice(long)
    word = words[where]
    at = chance.randrange(1, len(word) - 1)
    words[where] = chance.choice((
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + NEIGHBOURS.get(word[at], word[at]) + word[at + 1 :],
    ))  # fmt: skip
    return " ".join(words)
