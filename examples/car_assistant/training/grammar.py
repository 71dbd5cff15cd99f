"""Phrases of a small grammar: reads the templates of `phrases/`, draws sentences from them and recognizes them.

A file has commands (`fan to=<speed>`), below each of them, indented, its templates, and definitions of words
(`little = a bit | slightly`). In both, `(a|b)` is one of these, `[a|b]` one of these or nothing, and `<little>` a word.
A definition `seat:driver = my seat` also says which value it gives an argument; `speed:1..5 =` are numbers.

`constructions.txt` says of many things what is said of one. Below `kind up: IT MORE` stand things, a command each and
what the slots are (`fan to=up : the fan : stronger`), and below these, indented, templates with the slots (`IT should
be MORE`). Behind ` !` is a command whose thing a template leaves out, since what it would say is measured.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

PHRASES = Path(__file__).parent / "phrases"
Arguments = dict[str, "str | int"]

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_GROUPS = {"(": "(?:", "[": "(?:", "|": "|", ")": ")", "]": ")?"}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_INNERMOST = re.compile(r"<(\w+)>|\[([^\[\]()<>]*)\]|\(([^\[\]()<>]*)\)")


@dataclass(frozen=True)
class Template:
    """One way to say a command."""

    action: str
    arguments: Arguments
    """A value may be a word's name in <>: the word that is drawn says it."""
    text: str
    statement: bool
    """No request: nobody says "could you" in front of it."""


@dataclass
class Grammar:
    """The words that templates are made of."""

    words: dict[str, list[tuple[str, str | int]]] = field(default_factory=dict)
    """name -> its alternatives, each with the value that it says, or ""."""

    def define(self, name: str, alternatives: str) -> None:
        """Add a definition; those of one name, with different values, are alternatives of each other."""
        name, _, value = name.partition(":")
        found = self.words.setdefault(name, [])
        if ".." in value:
            low, high = map(int, value.split(".."))
            found.extend((said, number) for number in range(low, high + 1) for said in spoken(number))
        else:
            found.extend((text.strip(), value) for text in alternatives.split("|"))

    def draw(self, template: Template, chance: random.Random) -> tuple[str, Arguments]:
        """Return a sentence of a template, and the arguments that it says."""
        arguments = dict(template.arguments)

        def choose(match: re.Match[str]) -> str:
            word, optional, choice = match.groups()
            if word is None:
                alternatives = (choice or optional).split("|")
                return chance.choice(alternatives if choice else [*alternatives, *[""] * len(alternatives)])
            # Each value is as likely as the others, however many ways there are to say it.
            value = chance.choice(list(dict.fromkeys(value for _, value in self.words[word])))
            for name, wanted in arguments.items():
                if wanted == f"<{word}>":
                    arguments[name] = value
            return chance.choice([said for said, meant in self.words[word] if meant == value])

        text, before = template.text, ""
        while text != before:
            before, text = text, _INNERMOST.sub(choose, text)
        return " ".join(text.split()), arguments

    def pattern(self, template: Template) -> re.Pattern[str]:
        """Return an expression that matches every sentence of a template, and nothing else."""
        parts = []
        for part in re.findall(r"<\w+>|[()\[\]|]|[^ ()\[\]|<>]+", template.text):
            if part in _GROUPS:
                parts.append(_GROUPS[part])
            else:
                said = [said for said, _ in self.words[part[1:-1]]] if part[0] == "<" else [part]
                parts.append(f"(?:{'|'.join(map(re.escape, said))})(?: |$)")
        return re.compile("".join(parts))


def spoken(number: int) -> list[str]:
    """Return how a number from 0 to 199 is written: "110", "a hundred and ten", "one ten"."""
    return [str(number), *_in_words(number)]


def _in_words(number: int) -> list[str]:
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        ten, one = divmod(number, 10)
        return [_TENS[ten - 2] + (link + _ONES[one] if one else "") for link in (" -" if one else " ")]
    rest = number - 100
    hundreds = ("a hundred", "one hundred")
    if not rest:
        return list(hundreds)
    links = [f"{hundred} {link}" for hundred in hundreds for link in ("", "and ")] + (["one "] if rest >= 10 else [])
    return [link + said for link in links for said in _in_words(rest)]


def read(name: str, grammar: Grammar) -> list[Template]:
    """Return the templates of a file of `phrases/`; its definitions go into the grammar."""
    templates: list[Template] = []
    action, arguments = "", {}
    for line in _lines(name):
        text = line.strip()
        if " =" in line:
            word, _, alternatives = text.partition("=")
            grammar.define(word.strip(), alternatives)
        elif line[0] == " ":
            templates.append(Template(action, arguments, text.lstrip("~"), text.startswith("~")))
        else:
            action, arguments = read_command(text)
    return templates


def read_constructions(name: str) -> list[Template]:
    """Return what a file of constructions says of each of its things."""
    templates: list[Template] = []
    slots: list[str] = []
    things: list[tuple[str, list[str]]] = []
    for line in _lines(name):
        text = line.strip()
        if text.startswith("kind "):
            slots, things = text.partition(": ")[2].split(), []
        elif line[0] != " ":
            command, *parts = text.split(" : ")
            things.append((command, parts))
        else:
            text, *left_out = text.split(" !")
            for command, parts in things:
                if command not in left_out:
                    said = dict(zip(slots, parts, strict=True))
                    filled = re.sub(r"\b[A-Z]+\b", lambda slot, said=said: said[slot[0]], text.lstrip("~"))
                    templates.append(Template(*read_command(command), filled, text.startswith("~")))
    return templates


def _lines(name: str) -> list[str]:
    """Return the lines of a file of `phrases/` that say something."""
    lines = (PHRASES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def read_command(text: str) -> tuple[str, Arguments]:
    """Return what `fan to=3` means: an action and its arguments, numbers as such."""
    action, *pairs = text.split()
    split = (pair.split("=") for pair in pairs)
    return action, {name: int(value) if value.isdigit() else value for name, value in split}
