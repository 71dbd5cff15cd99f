"""Reads the regular expressions of tokenizer.json: Oniguruma's Ruby syntax, as far as tokenizers use it.

https://github.com/kkos/oniguruma/blob/master/doc/RE. What is not known here is refused by name, never guessed.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from edgekit.text.characters import Characters
from edgekit.text.properties import ANY, bracket_class, escaped_class, named_property

MAX_DEPTH = 50
MAX_LENGTH = 20_000
MAX_COUNT = 1000
MAX_PARTS = 500
"""Characters and sets; an expression of a published tokenizer has about 50."""


class ExpressionError(ValueError):
    """An expression that is damaged or uses what is not known here."""


@dataclass(frozen=True)
class OneOf:
    """One character of a set."""

    set: Characters


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """The first alternative that matches."""

    alternatives: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times; `suffix` is "", "?" (as few as possible) or "+" (never giving back)."""

    part: Node
    least: int
    most: int | None
    suffix: str


@dataclass(frozen=True)
class Group:
    """What stands behind (? of a group without a width or a way back: "=", "!", "<=", "<!" or ">"."""

    kind: str
    part: Node


@dataclass(frozen=True)
class Place:
    """A place between characters, as it is written: ^ and $, and A, z, Z, b and B behind a backslash."""

    sign: str


Node = OneOf | Sequence | Choice | Repeat | Group | Place

_NEWLINE = Characters.from_text("\n")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}
_FOLDED = ("ss", "ff", "fi", "fl", "st")
"""Letters that Oniguruma, ignoring case, also finds in one character: ß and ligatures."""


def parse(expression: str) -> Node:
    """Return what an expression is made of.

    Raises:
        ExpressionError: it is damaged, too large, or has something that is not known here.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(expression):,} characters")
    return _Reader(expression).whole()


@dataclass
class _Reader:
    text: str
    at: int = 0
    depth: int = 0
    parts: int = 0
    ignore_case: bool = False
    dot_all: bool = False

    def whole(self) -> Node:
        node = self.choice()
        if self.at < len(self.text):
            self.refuse("an unmatched )")
        return node

    def refuse(self, what: str) -> NoReturn:
        raise ExpressionError(f"{what} at character {self.at}")

    def peek(self, ahead: str) -> bool:
        return self.text.startswith(ahead, self.at)

    def take(self, ahead: str) -> bool:
        if not self.peek(ahead):
            return False
        self.at += len(ahead)
        return True

    def next(self) -> str:
        if self.at >= len(self.text):
            self.refuse("its end")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self) -> Node:
        """Read alternatives up to a ) or the end."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse("too deep nesting")
        alternatives = [self.sequence()]
        while self.take("|"):
            alternatives.append(self.sequence())
        self.depth -= 1
        return alternatives[0] if len(alternatives) == 1 else Choice(tuple(alternatives))

    def sequence(self) -> Node:
        parts: list[Node] = []
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated(self.part()))
        if self.ignore_case:
            said = self.text[start : self.at].lower()
            if folded := next((folded for folded in _FOLDED if folded in said), None):
                self.refuse(f"{folded!r} where case is ignored,")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, part: Node) -> Node:
        while (counts := self.counts()) is not None:
            if isinstance(part, (Place, Group)) and not (isinstance(part, Group) and part.kind == ">"):
                self.refuse("a repeat of what has no width")
            least, most, interval = counts
            suffix = ""
            if self.peek("?"):
                if interval and least == most:
                    self.refuse("{n}?")
                suffix = self.next()
            elif not interval and self.peek("+"):
                suffix = self.next()
            part = _repeat(part, least, most, suffix)
        return part

    def count(self) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            self.refuse(f"more than {MAX_PARTS} parts")

    def counts(self) -> tuple[int, int | None, bool] | None:
        """Return least and most of a quantifier, and whether it has braces; None where none stands."""
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self.take(sign):
                return least, most, False
        end = self.text.find("}", self.at)
        if not self.peek("{") or end < 0:
            return None
        first, comma, last = self.text[self.at + 1 : end].partition(",")
        if not (first or last) or not all(
            number == "" or (number.isascii() and number.isdigit()) for number in (first, last)
        ):
            return None
        self.at = end + 1
        if len(first) > 4 or len(last) > 4:
            self.refuse("a large count")
        low = int(first or 0)
        most = (int(last) if last else None) if comma else low
        if low > MAX_COUNT or (most is not None and (most > MAX_COUNT or most < low)):
            self.refuse("a large or reversed count")
        return low, most, True

    def part(self) -> Node:
        self.count()
        sign = self.next()
        if sign == "(":
            return self.group()
        if sign == "[":
            return OneOf(self.bracket())
        if sign == ".":
            return OneOf(ANY if self.dot_all else ~_NEWLINE)
        if sign in "^$":
            return Place(sign)
        if sign in "*+?":
            self.refuse("a repeat of nothing")
        if sign != "\\":
            return OneOf(self.cased(Characters.from_text(sign)))
        sign = self.next()
        if sign in "AzZbB":
            return Place("\\" + sign)
        return OneOf(self.cased(self.escaped(sign)))

    def group(self) -> Node:
        before = self.ignore_case, self.dot_all
        if not self.take("?"):
            node = self.choice()
        elif kind := next((kind for kind in ("=", "!", "<=", "<!", ">") if self.take(kind)), None):
            node = Group(kind, self.choice())
        elif self.take("<"):
            name = self.until(">")
            if not name.isidentifier():
                self.refuse("a strange name of a group")
            node = self.choice()
        elif self.options():
            node = self.choice()
        else:  # (?i) holds for the rest of the group around, alternatives included, whose end is not ours to read
            return self.choice()
        if not self.take(")"):
            self.refuse("a missing )")
        self.ignore_case, self.dot_all = before
        return node

    def options(self) -> bool:
        """Read "i:" or "i)" and return whether it was the colon."""
        value = True
        while (sign := self.next()) not in ":)":
            if sign == "-":
                value = False
            elif sign == "i":
                self.ignore_case = value
            elif sign == "m":
                self.dot_all = value
            else:
                self.refuse(f"(?{sign}")
        return sign == ":"

    def until(self, end: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            self.refuse(f"a missing {end}")
        found = self.text[self.at : stop]
        self.at = stop + len(end)
        return found

    def escaped(self, sign: str) -> Characters:
        """Return what a backslash and a sign stand for."""
        if sign in _ESCAPES:
            return Characters.from_text(_ESCAPES[sign])
        if sign in "pP":
            self.count()
            if not self.take("{"):
                self.refuse(f"\\{sign} without a name")
            name = self.until("}")
            found = named_property(name.removeprefix("^"))
            if found is None:
                self.refuse(f"\\{sign}{{{name:.40}}}")
            return found if (sign == "p") != name.startswith("^") else ~found
        if sign in "sdwhSDWH":
            found = escaped_class(sign.lower())
            return found if sign.islower() else ~found
        if sign == "x" and self.take("{"):
            return self.code(self.until("}"))
        if sign in "xu":
            length = 2 if sign == "x" else 4
            digits = self.text[self.at : self.at + length]
            self.at += len(digits)
            return self.code(digits if len(digits) == length else "")
        if sign.isalnum():
            self.refuse(f"\\{sign}")
        return Characters.from_text(sign)

    def code(self, digits: str) -> Characters:
        if not 0 < len(digits) <= 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.refuse(f"the code {digits[:10]!r}")
        code = int(digits, 16)
        if code >= 0x110000 or 0xD800 <= code < 0xE000:
            self.refuse(f"the code {digits!r}")
        return Characters.from_text(chr(code))

    def bracket(self) -> Characters:
        """Read a set in brackets, the first of which is read."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse("too deep nesting")
        negated = self.take("^")
        found: list[tuple[int, int]] = []
        whole, first = ANY, True
        while first or not self.peek("]"):
            if self.take("&&"):
                whole, found = whole & Characters.of(found), []
            else:
                found += self.member(first).spans
            first = False
        self.at += 1
        self.depth -= 1
        members = whole & Characters.of(found)
        return ~members if negated else members

    def member(self, first: bool) -> Characters:
        """Read one member of a set: a character, a range, a class or a set."""
        if self.peek("[:"):
            return self.posix()
        if self.take("["):
            return self.bracket()
        if first and self.peek("]"):
            self.refuse("an empty set")
        low = self.single()
        if len(low) != 1 or not self.peek("-") or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return self.cased(low)
        self.at += 1
        if self.peek("["):
            self.refuse("a range to a set")
        high = self.single()
        start, stop = low.spans[0][0], high.spans[0][0]
        if len(high) != 1 or stop < start:
            self.refuse("a range that is none")
        return self.cased(Characters(((start, stop + 1),)))

    def single(self) -> Characters:
        sign = self.next()
        if sign != "\\":
            return Characters.from_text(sign)
        sign = self.next()
        return Characters.from_text("\b") if sign == "b" else self.escaped(sign)

    def posix(self) -> Characters:
        name = self.until(":]").removeprefix("[:")
        found = bracket_class(name.removeprefix("^"))
        if found is None:
            self.refuse(f"[:{name:.40}:]")
        return ~found if name.startswith("^") else found

    def cased(self, found: Characters) -> Characters:
        """Return a set with the other cases of its letters, where case is ignored; beyond ASCII they are refused."""
        if not self.ignore_case or len(found) == 0:
            return found
        if found.spans[-1][1] > 0x80:
            if len(found) > 1 or unicodedata.category(next(iter(found)))[0] in "LM":
                self.refuse("a letter beyond ASCII where case is ignored,")
            return found
        text = "".join(found)
        # The long s and the sign of Kelvin are cases of s and k.
        extra = ("\u017f" if "s" in text.lower() else "") + ("\u212a" if "k" in text.lower() else "")
        return Characters.from_text(text.lower() + text.upper() + extra)


def _repeat(part: Node, least: int, most: int | None, suffix: str) -> Repeat:
    """Return a repeat; X{1,3}+, which is a repeat of a repeat in this syntax, matches what X+ does."""
    inner = isinstance(part, Repeat) and isinstance(part.part, OneOf) and part.least == 1 and not part.suffix
    if inner and most is None and not suffix:
        assert isinstance(part, Repeat)
        return Repeat(part.part, least, None, "")
    return Repeat(part, least, most, suffix)
