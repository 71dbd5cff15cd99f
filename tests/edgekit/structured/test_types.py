from __future__ import annotations

import dataclasses
import enum
import json
from typing import Annotated, Any, Literal, Optional, TypedDict

import jsonschema
import pytest
from typing_extensions import NotRequired, Required

from edgekit.errors import UsageError
from edgekit.structured.types import schema_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Item:
    name: str
    count: int = 1


@dataclasses.dataclass
class Order:
    items: list[Item]
    colour: Colour
    note: str | None
    tags: set[str] = dataclasses.field(default_factory=set)
    size: Literal["s", "l"] = "s"


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree]


class Point(TypedDict, total=False):
    x: float
    y: float


@dataclasses.dataclass
class Square:
    kind: Literal["square"]
    side: int


@dataclasses.dataclass
class Circle:
    kind: Literal["circle"]
    side: int


@dataclasses.dataclass
class Longer:
    kind: Literal["circle"]
    side: int
    note: str


class Visit(TypedDict):
    place: Required[str]
    days: NotRequired[int]


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        (str, "a", "a"),
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, True, True),
        (type(None), None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (set[str], ["a", "b"], {"a", "b"}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Literal["a", 2], 2, 2),
        (Colour, "blue", Colour.BLUE),
        (Optional[Colour], None, None),  # noqa: UP045 - the older form of it
        (int | str, "a", "a"),
        (bool | int, True, True),
        (int | float, 2.5, 2.5),
        (Item | None, {"name": "a", "count": 2}, Item("a", 2)),
        (Item, {"name": "a"}, Item("a")),
        (Point, {"x": 1.0}, {"x": 1.0}),
        (Annotated[int, "how many"], 4, 4),
        (Square | Circle, {"kind": "circle", "side": 2}, Circle("circle", 2)),
        (Longer | Circle, {"kind": "circle", "side": 2}, Circle("circle", 2)),
        (list[Square] | list[Circle], [{"kind": "circle", "side": 2}], [Circle("circle", 2)]),
        (tuple[int, Square] | tuple[int, Circle], [1, {"kind": "circle", "side": 2}], (1, Circle("circle", 2))),
        (dict[str, Square] | dict[str, Circle], {"a": {"kind": "circle", "side": 2}}, {"a": Circle("circle", 2)}),
        (Visit, {"place": "Rome"}, {"place": "Rome"}),
        (
            Order,
            {"items": [{"name": "a", "count": 2}], "colour": "red", "note": None, "tags": ["x"], "size": "l"},
            Order([Item("a", 2)], Colour.RED, None, {"x"}, "l"),
        ),
        (
            Tree,
            {"value": 1, "children": [{"value": 2, "children": []}]},
            Tree(1, [Tree(2, [])]),
        ),
    ],
)
def test_a_value_becomes_what_the_type_says(wanted: Any, value: Any, expected: Any) -> None:
    schema, build = schema_of(wanted)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)
    made = build(json.loads(json.dumps(value)))
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (int, "3"),
        (Item, {"count": 1}),
        (Item, {"name": "a", "other": 1}),
        (tuple[int, str], [1]),
        (tuple[int, str], [1, "a", 2]),
        (Colour, "green"),
        (Literal["a"], "b"),
        (Tree, {"value": 1, "children": [{"value": "x", "children": []}]}),
    ],
)
def test_a_schema_refuses_what_is_no_value_of_the_type(wanted: Any, value: Any) -> None:
    schema, _ = schema_of(wanted)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema)


def test_a_pydantic_model_describes_itself() -> None:
    import pydantic

    class Visit(pydantic.BaseModel):
        place: str
        days: int = 1

    schema, build = schema_of(Visit)
    jsonschema.validate({"place": "Rome", "days": 2}, schema)
    assert build({"place": "Rome", "days": 2}) == Visit(place="Rome", days=2)
    schema, build = schema_of(list[Visit] | dict[str, int])
    jsonschema.validate([{"place": "Rome"}], schema)
    assert build([{"place": "Rome"}]) == [Visit(place="Rome")]


def test_descriptions_are_kept() -> None:
    assert schema_of(Annotated[int, "how many"])[0] == {"type": "integer", "description": "how many"}


@pytest.mark.parametrize("wanted", [complex, dict[int, str], bytes, object(), 3, Literal[b"a"], list[Literal[b"a"]]])
def test_types_without_a_schema_are_named(wanted: Any) -> None:
    with pytest.raises(UsageError, match="has no JSON schema"):
        schema_of(wanted)


def test_an_annotation_that_cannot_be_looked_up_is_named() -> None:
    class Hidden:
        pass

    @dataclasses.dataclass
    class Holder:
        inner: Hidden

    with pytest.raises(UsageError, match="an annotation of Holder cannot be looked up: name 'Hidden'"):
        schema_of(Holder)
