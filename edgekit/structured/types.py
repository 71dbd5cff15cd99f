"""Python types as JSON schemas, and JSON values as instances of them."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from edgekit.errors import UsageError

Build = Callable[[Any], Any]
"""Makes an instance of a JSON value that validates."""

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    Any: {},
}
_LISTS = (list, Sequence, MutableSequence, set, frozenset)


def schema_of(wanted: Any) -> tuple[dict[str, Any], Build]:  # noqa: ANN401 - any type
    """Return the JSON schema of a type, and what makes an instance of a value that validates against it.

    Args:
        wanted: A dataclass, TypedDict, pydantic model, Enum, Literal, or anything of those, str, int, float, bool,
            None, list, set, tuple, dict with str keys, Optional and Union. `Annotated[T, "text"]` describes a field.

    Raises:
        UsageError: a type that JSON has no schema for, by name.
    """
    reader = Types()
    schema, build = reader.read(wanted)
    definitions = reader.definitions
    reference = schema.get("$ref", "")
    if reference and f'"{reference}"' not in json.dumps(definitions):
        # Nothing else refers to it, so it need not be a definition: prompts that show the schema are shorter.
        schema = definitions.pop(reference.rpartition("/")[2])
    return ({**schema, "$defs": definitions} if definitions else schema), build


class Types:
    """Reads types; those with fields become definitions, so that they may contain themselves."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        """What belongs under `$defs` of a schema that is made of what was read."""
        self._named: dict[Any, tuple[dict[str, Any], Build]] = {}

    def read(self, wanted: Any) -> tuple[dict[str, Any], Build]:  # noqa: ANN401
        """Return the schema of a type and what makes an instance; see `schema_of`."""
        origin, arguments = get_origin(wanted), get_args(wanted)
        if _hashable(wanted) and wanted in _PLAIN:
            return dict(_PLAIN[wanted]), float if wanted is float else _same
        if origin is Annotated:
            schema, build = self.read(arguments[0])
            texts = [item for item in arguments[1:] if isinstance(item, str)]
            return ({**schema, "description": " ".join(texts)} if texts else schema), build
        if _is_mark(origin):
            return self.read(arguments[0])
        if origin is Literal:
            return {"enum": _json_values(wanted, arguments)}, _same
        if origin in (Union, types.UnionType):
            return self._union(arguments)
        if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
            return {"enum": _json_values(wanted, [member.value for member in wanted])}, wanted
        if _is_pydantic(wanted):
            return self._pydantic(wanted)
        if dataclasses.is_dataclass(wanted) or typing.is_typeddict(wanted):
            return self._record(wanted)
        return self._container(wanted, origin or wanted, arguments)

    def _union(self, arguments: tuple[Any, ...]) -> tuple[dict[str, Any], Build]:
        choices = [self.read(argument) for argument in arguments]

        def build(value: Any) -> Any:  # noqa: ANN401 - a JSON value
            for argument, (_, made) in zip(arguments, choices, strict=True):
                if _suits(value, argument):
                    return made(value)
            raise UsageError(f"{value!r} is none of {arguments}")

        return {"anyOf": [schema for schema, _ in choices]}, build

    def _record(self, wanted: Any) -> tuple[dict[str, Any], Build]:  # noqa: ANN401
        if wanted in self._named:
            return self._named[wanted]
        name = wanted.__name__ if wanted.__name__ not in self.definitions else f"{wanted.__name__}{len(self._named)}"
        self.definitions[name] = {}
        builders: dict[str, Build] = {}
        is_typed_dict = typing.is_typeddict(wanted)

        def build(value: Mapping[str, Any]) -> Any:  # noqa: ANN401
            made = {key: builders[key](item) for key, item in value.items()}
            return made if is_typed_dict else wanted(**made)

        self._named[wanted] = {"$ref": f"#/$defs/{name}"}, build
        fields, required = _fields(wanted)
        properties = {}
        for key, kind in fields.items():
            properties[key], builders[key] = self.read(kind)
        self.definitions[name] = {
            "type": "object", "properties": properties, "required": required, "additionalProperties": False,
        }  # fmt: skip
        return self._named[wanted]

    def _pydantic(self, wanted: Any) -> tuple[dict[str, Any], Build]:  # noqa: ANN401
        """Take a model's own description; its definitions get its name in front, since others may be called alike."""
        if wanted not in self._named:
            name = f"{wanted.__name__}{len(self._named)}"
            schema = wanted.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
            for key, definition in schema.pop("$defs", {}).items():
                self.definitions[f"{name}.{key}"] = definition
            self._named[wanted] = schema, wanted.model_validate
        schema, build = self._named[wanted]
        return dict(schema), build

    def _container(self, wanted: Any, origin: Any, arguments: tuple[Any, ...]) -> tuple[dict[str, Any], Build]:  # noqa: ANN401
        if origin in _LISTS and len(arguments) <= 1:
            schema, item = self.read(arguments[0]) if arguments else ({}, _same)
            kind = origin if isinstance(origin, type) and origin in (set, frozenset) else list
            return {"type": "array", "items": schema}, lambda value: kind(item(each) for each in value)
        if origin is tuple and arguments[1:] == (...,):
            schema, item = self.read(arguments[0])
            return {"type": "array", "items": schema}, lambda value: tuple(item(each) for each in value)
        if origin is tuple and arguments:
            parts = [self.read(argument) for argument in arguments]
            schema = {"type": "array", "prefixItems": [part for part, _ in parts], "items": False}
            count = {"minItems": len(parts), "maxItems": len(parts)}
            return {**schema, **count}, lambda value: tuple(
                made(each) for each, (_, made) in zip(value, parts, strict=True)
            )
        if origin in (dict, Mapping) and (not arguments or arguments[0] is str):
            schema, item = self.read(arguments[1]) if arguments else ({}, _same)
            return {"type": "object", "additionalProperties": schema}, lambda value: {
                key: item(each) for key, each in value.items()
            }
        raise UsageError(
            f"{wanted!r} has no JSON schema",
            "use dataclasses, TypedDict, pydantic models, Enum, Literal, list, tuple, dict of str and plain types",
        )


def annotations_of(wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - a class or a function
    """Return its annotations, with those that are written as texts looked up where it was defined.

    Raises:
        UsageError: one names what cannot be found there.
    """
    try:
        return typing.get_type_hints(wanted, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"an annotation of {wanted.__name__} cannot be looked up: {error}", "define its types in the module itself"
        ) from error


def _suits(value: Any, wanted: Any) -> bool:  # noqa: ANN401 - a JSON value and a type
    """Whether a value that validates against a union may be of this member of it."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated or _is_mark(origin):
        return _suits(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(_suits(value, argument) for argument in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return value in [member.value for member in wanted]
    if _is_pydantic(wanted):
        return isinstance(value, dict) and _validates(value, wanted)
    if dataclasses.is_dataclass(wanted) or typing.is_typeddict(wanted):
        fields, required = _fields(wanted)
        fits = isinstance(value, dict) and value.keys() <= fields.keys() and value.keys() >= set(required)
        return fits and all(_suits(item, fields[key]) for key, item in value.items())
    if wanted is Any:
        return True
    if wanted in (None, type(None)):
        return value is None
    kind = origin or wanted
    if kind in (*_LISTS, tuple):
        return isinstance(value, list) and _all_suit(value, kind, arguments)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and (not arguments or all(_suits(each, arguments[1]) for each in value.values()))
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _all_suit(values: list[Any], kind: Any, arguments: tuple[Any, ...]) -> bool:  # noqa: ANN401 - a container's type
    if kind is tuple and arguments[1:] != (...,):
        return len(values) == len(arguments) and all(map(_suits, values, arguments))
    return not arguments or all(_suits(each, arguments[0]) for each in values)


def _fields(wanted: Any) -> tuple[dict[str, Any], list[str]]:  # noqa: ANN401 - a dataclass or TypedDict
    """Return the types of its fields, and the names of those that must be there."""
    hints = annotations_of(wanted)
    if typing.is_typeddict(wanted):
        # Marks within annotations that are texts are unknown to the class itself.
        marks = {key: getattr(get_origin(hint), "_name", None) for key, hint in hints.items()}
        needed = wanted.__required_keys__
        return hints, [k for k in hints if marks[k] == "Required" or (k in needed and marks[k] != "NotRequired")]
    fields, missing = [field for field in dataclasses.fields(wanted) if field.init], dataclasses.MISSING
    required = [field.name for field in fields if field.default is missing and field.default_factory is missing]
    return {field.name: hints[field.name] for field in fields}, required


def _is_mark(origin: Any) -> bool:  # noqa: ANN401
    """Whether it is `Required` or `NotRequired` of a TypedDict, from `typing` or, before 3.11, `typing_extensions`."""
    return getattr(origin, "_name", None) in ("Required", "NotRequired")


def _is_pydantic(wanted: Any) -> bool:  # noqa: ANN401
    return isinstance(wanted, type) and hasattr(wanted, "model_json_schema") and hasattr(wanted, "model_validate")


def _validates(value: Any, wanted: Any) -> bool:  # noqa: ANN401 - a JSON value and a pydantic model
    try:
        wanted.model_validate(value)
    except ValueError:  # pydantic's own is one
        return False
    return True


def _json_values(wanted: Any, values: Sequence[Any]) -> list[Any]:  # noqa: ANN401
    for value in values:
        if not isinstance(value, (str, int, float, bool, type(None))) or isinstance(value, enum.Enum):
            raise UsageError(f"{wanted!r} has no JSON schema: {value!r} is no JSON value", "use texts and numbers")
    return list(values)


def _same(value: Any) -> Any:  # noqa: ANN401
    return value


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
