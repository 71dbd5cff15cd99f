"""Reads JSON that a stranger may have written: nothing is guessed, coerced or ignored.

`parse` refuses what `json` lets pass (duplicate keys, NaN, nesting without end). `build` turns the values into frozen
dataclasses by their annotations: exact types, no unknown keys, missing ones only where there is a default.
"""

from __future__ import annotations

import dataclasses
import json
import math
import reprlib
import types
import typing
from collections.abc import Callable
from typing import Any, NoReturn

from edgekit.errors import BundleError

MAX_BYTES = 16 << 20
MAX_DEPTH = 32
DAMAGED = "the bundle is damaged or was changed by hand: copy it again, or export it again"


class _RefusedError(ValueError):
    """What the hooks of `json.loads` raise."""


def parse(
    raw: bytes,
    where: str,
    *,
    limit: int = MAX_BYTES,
    hint: str = DAMAGED,
    to_float: Callable[[str], float] = float,
) -> Any:  # noqa: ANN401 - JSON is any of six types
    """Return the JSON value in `raw`.

    Args:
        raw: The file's content.
        where: The file's name, for messages.
        limit: The bytes allowed.
        hint: What to do about a bad file.
        to_float: Turns the text of a number with a point or an exponent into a float.

    Raises:
        BundleError: larger than `limit`, not UTF-8, not JSON, a key twice in one object, a number that is not finite or
            has more than 20 digits before the point, or nested too deeply.
    """
    if len(raw) > limit:
        raise BundleError(f"{where}: {len(raw):,} bytes, which is more than the {limit:,} allowed", hint)
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=lambda text: _finite(to_float(text), text),
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise BundleError(f"{where}: not UTF-8 (byte {error.start})", hint) from error
    except RecursionError:
        raise BundleError(f"{where}: nested too deeply", hint) from None
    except ValueError as error:
        raise BundleError(f"{where}: not valid JSON: {error}", hint) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RefusedError(f"the key {show(twice)} is there twice")
    return out


def _integer(text: str) -> int:
    # Every count and size fits; converting millions of digits would take minutes.
    if len(text) > 20:
        raise _RefusedError(f"an integer of {len(text)} digits")
    return int(text)


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise _RefusedError(f"the number {show(text)} is not finite")
    return value


def _constant(text: str) -> NoReturn:
    raise _RefusedError(f"{text} is not a JSON number")


def show(value: object) -> str:
    """Return a value for a message: short, whatever it is."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    return ascii(value) if isinstance(value, str) and len(value) <= 120 else reprlib.repr(value)


@dataclasses.dataclass(frozen=True)
class Reader:
    """Checks values of one file; every refusal names the file and the field."""

    where: str

    def refuse(self, at: str, problem: str, hint: str = DAMAGED) -> NoReturn:
        """Raise the error of this file for the field `at`."""
        raise BundleError(f"{self.where}: {at} {problem}" if at else f"{self.where}: {problem}", hint)

    def build(self, kind: Any, value: Any, at: str) -> Any:  # noqa: ANN401 - `kind` is an annotation, the result one of it
        """Return `value` as the annotation `kind` wants it: a plain type, Literal, union, tuple, dict or dataclass."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments, value, at)
        if origin is typing.Literal:
            return value if value in arguments and isinstance(value, str) else self._wrong(arguments, value, at)
        if origin is tuple:
            if not isinstance(value, list):
                self.refuse(at, f"is {show(value)}, expected a list")
            return tuple(self.build(arguments[0], item, f"{at}[{index}]") for index, item in enumerate(value))
        if origin is dict:
            names = self.mapping(value, at)
            return {key: self.build(arguments[1], item, f"{at}[{show(key)}]") for key, item in names.items()}
        if dataclasses.is_dataclass(kind):
            return self._dataclass(kind, value, at)
        return self._plain(kind, value, at)

    def mapping(self, value: object, at: str) -> dict[str, Any]:
        """Return `value` if it is an object whose keys are clean texts."""
        if not isinstance(value, dict):
            self.refuse(at, f"is {show(value)}, expected an object")
        for key in value:
            self._plain(str, key, f"a key of {at}")
        return value

    def fields(self, kind: Any, value: object, at: str, special: frozenset[str] = frozenset()) -> dict[str, Any]:  # noqa: ANN401
        """Return the checked fields of the dataclass `kind`, without the `special` ones, which the caller reads."""
        data = self.mapping(value, at)
        inside = f"{at}." if at else ""
        hints = typing.get_type_hints(kind)
        known = {field.name: field for field in dataclasses.fields(kind) if field.name not in special}
        for key in data:
            if key not in known and key not in special:
                self.refuse(f"{inside}{key}" if key.isidentifier() else show(key), "is an unknown key")
        for name, field in known.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if name not in data and required:
                self.refuse(f"{inside}{name}", "is missing")
        return {name: self.build(hints[name], data[name], f"{inside}{name}") for name in known if name in data}

    def _dataclass(self, kind: Any, value: object, at: str) -> Any:  # noqa: ANN401
        return kind(**self.fields(kind, value, at))

    def _union(self, arguments: tuple[Any, ...], value: Any, at: str) -> Any:  # noqa: ANN401
        if value is None and type(None) in arguments:
            return None
        rest = [kind for kind in arguments if kind is not type(None)]
        if len(rest) == 1:
            return self.build(rest[0], value, at)
        for kind in rest:
            if type(value) is kind:
                return self._plain(kind, value, at)
        return self._wrong(tuple(kind.__name__ for kind in rest), value, at)

    def _plain(self, kind: Any, value: Any, at: str) -> Any:  # noqa: ANN401
        if kind is Any:
            return self._any(value, at, 0)
        if kind is float and type(value) in (int, float):
            value = _to_float(value)
        if type(value) is not kind:  # bool is an int to isinstance, but never a count
            self.refuse(at, f"is {show(value)}, expected {_NAMES.get(kind, kind.__name__)}")
        if kind is float and not math.isfinite(value):
            self.refuse(at, f"is {value}, expected a finite number")
        if kind is str and any("\ud800" <= character <= "\udfff" for character in value):
            self.refuse(at, f"is {show(value)}, which is not valid Unicode")
        return value

    def _any(self, value: Any, at: str, depth: int) -> Any:  # noqa: ANN401
        if depth > MAX_DEPTH:
            self.refuse(at, "is nested too deeply")
        if isinstance(value, dict):
            return {
                key: self._any(item, f"{at}[{show(key)}]", depth + 1) for key, item in self.mapping(value, at).items()
            }
        if isinstance(value, list):
            return [self._any(item, f"{at}[{index}]", depth + 1) for index, item in enumerate(value)]
        return value if value is None else self._plain(_scalar(value), value, at)

    def _wrong(self, choices: tuple[Any, ...], value: object, at: str) -> NoReturn:
        self.refuse(at, f"is {show(value)}, expected one of {', '.join(map(str, choices))}")


_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


def _scalar(value: object) -> type:
    return next((kind for kind in _NAMES if type(value) is kind), str)


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
