"""The parts of a tokenizer.json, which a stranger may have written: every value is checked where it is taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from edgekit.errors import BundleError, UnsupportedError, install_hint
from edgekit.strict_json import show
from edgekit.text.expression_syntax import ExpressionError
from edgekit.text.expressions import Expression, compile_expression, literal

DAMAGED = "the tokenizer.json is damaged: copy or export it again"
MAX_ID = (1 << 32) - 1
MAX_DEPTH = 8
Built = TypeVar("Built")


@dataclass(frozen=True)
class Section:
    """An object of a tokenizer.json; errors name the file and where in it the object is."""

    where: str
    at: str
    data: Mapping[str, Any]
    depth: int = 0

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Raise the error for a value."""
        raise BundleError(f"{self.where}: {self.path(name)} {problem}", DAMAGED)

    def unsupported(self, what: str) -> NoReturn:
        """Raise the error for what only the package tokenizers can do."""
        raise UnsupportedError(
            f"{self.where}: {self.at}: {what} is not supported by EdgeKit's own tokenizer",
            f"install the package tokenizers: {install_hint('text')}",
        )

    def path(self, name: str) -> str:
        """Return where a value is, for messages."""
        return f"{self.at}.{name}" if self.at else name

    @property
    def kind(self) -> str:
        """The `type`, which says what the object is."""
        return self.text("type")

    def choose(self, kinds: Mapping[str, Built], what: str) -> Built:
        """Return what builds this kind of object.

        Raises:
            UnsupportedError: none does; the message says what it is and its `type`.
        """
        build = kinds.get(self.kind)
        if build is None:
            self.unsupported(f"the {what} {show(self.kind)}")
        return build

    def get(self, name: str, kind: type, default: Any = ...) -> Any:  # noqa: ANN401 - of the kind asked for
        """Return a value of a type; null counts as absent."""
        value = self.data.get(name)
        if value is None:
            if default is ...:
                self.refuse(name, "is missing")
            return default
        if type(value) is not kind:
            self.refuse(name, f"is {show(value)}, expected {_NAMES[kind]}")
        if kind is str:
            self.check_text(name, value)
        return value

    def check_text(self, name: str, value: Any) -> None:  # noqa: ANN401 - a text
        """Refuse half of a surrogate pair, which no text has."""
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            self.refuse(name, f"is {show(value)}, which is not valid Unicode")

    def text(self, name: str, default: Any = ...) -> str:  # noqa: ANN401 - a text, or ... for none
        """Return a text."""
        value: str = self.get(name, str, default)
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text or None."""
        value: str | None = self.get(name, str, None)
        return value

    def character(self, name: str) -> str:
        """Return a text of one character."""
        value = self.text(name)
        if len(value) != 1:
            self.refuse(name, f"is {show(value)}, expected one character")
        return value

    def flag(self, name: str, default: Any = ...) -> bool:  # noqa: ANN401 - a bool, or ... for none
        """Return true or false."""
        value: bool = self.get(name, bool, default)
        return value

    def count(self, name: str, default: Any = ...) -> int:  # noqa: ANN401 - a number, or ... for none
        """Return a whole number, at least 0 and fit for an id."""
        value: int = self.get(name, int, default)
        if not 0 <= value <= MAX_ID:
            self.refuse(name, f"is {show(value)}, expected a number from 0 to {MAX_ID}")
        return value

    def section(self, name: str) -> Section | None:
        """Return an object inside, None where there is none."""
        value = self.get(name, dict, None)
        return None if value is None else self.inside(self.path(name), value)

    def sections(self, name: str) -> Iterator[Section]:
        """Yield the objects of a list."""
        for index, value in enumerate(self.get(name, list)):
            if not isinstance(value, dict):
                self.refuse(f"{name}[{index}]", f"is {show(value)}, expected an object")
            yield self.inside(f"{self.path(name)}[{index}]", value)

    def inside(self, at: str, data: Mapping[str, Any]) -> Section:
        """Return an object inside."""
        if self.depth == MAX_DEPTH:
            self.refuse("", "is nested too deeply")
        return Section(self.where, at, data, self.depth + 1)

    def expression(self, name: str) -> Expression:
        """Return the expression of {"Regex": ...} or {"String": ...}."""
        pattern = self.section(name)
        if pattern is None:
            self.refuse(name, "is missing")
        if "String" in pattern.data:
            return literal(pattern.text("String"))
        source = pattern.text("Regex")
        try:
            return compile_expression(source)
        except ExpressionError as error:
            self.unsupported(f"the regular expression {show(source)} ({error})")


def vocabulary(section: Section) -> dict[str, int]:
    """Return the `vocab` of a model: the ids of its tokens."""
    vocab: dict[str, Any] = section.get("vocab", dict)
    for token, number in vocab.items():
        if type(number) is not int or not 0 <= number <= MAX_ID:
            section.refuse("vocab", f"has {show(number)} for {show(token)}, expected an id")
    section.check_text("vocab", "".join(vocab))
    return vocab


_NAMES = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
