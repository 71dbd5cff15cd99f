from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub_runtime import StubRuntime

from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.loading import load
from edgekit.model import Model
from edgekit.tools import ToolCall, read_calls, tool_of, tools_of


def set_climate(zone: Literal["front", "rear"], degrees: Annotated[float, "in Celsius"], fan: int = 2) -> None:
    """Set the temperature of a zone.

    It takes a moment.

    Args:
        zone: Which seats.
        fan (int): Its speed, 0 to 5.
    """


def stop() -> str:
    """Stop everything."""
    return "stopped"


TOOLS = tools_of([set_climate, stop])
FRONT = {"zone": "front", "degrees": 21.5}


def test_a_function_describes_itself() -> None:
    tool = tool_of(set_climate)
    assert (tool.name, tool.description) == ("set_climate", "Set the temperature of a zone.")
    assert tool.function is set_climate
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "zone": {"enum": ["front", "rear"], "description": "Which seats."},
            "degrees": {"type": "number", "description": "in Celsius"},
            "fan": {"type": "integer", "description": "Its speed, 0 to 5."},
        },
        "required": ["zone", "degrees"],
        "additionalProperties": False,
    }
    assert tool_of(stop).parameters["properties"] == {}


def test_a_description_is_taken_in_both_forms() -> None:
    whole = tool_of(set_climate).to_json()
    assert tool_of(whole).to_json() == tool_of(whole["function"]).to_json() == whole
    assert tool_of(tool_of(stop)) == tool_of(stop)


def variadic(*rooms: str) -> None:
    pass


def unannotated(a) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    pass


@pytest.mark.parametrize(
    ("tools", "complaint"),
    [
        ([], "the list of tools is empty"),
        ([stop, stop], "two tools are called 'stop'"),
        ([3], "is no tool"),
        ([int], "is no tool"),
        ([{"function": 3}], "describes no tool"),
        ([variadic], "has no name to call it by"),
        ([{"parameters": {}}], "describes no tool"),
        ([unannotated], "the argument a of unannotated has no annotation"),
    ],
)
def test_tools_that_are_none(tools: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        tools_of(tools)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "set_climate", "arguments": {"zone": "front", "degrees": 21.5}}',
        '<tool_call>\n{"name": "set_climate", "arguments": {"zone": "front", "degrees": 21.5}}\n</tool_call>',
        '[TOOL_CALLS] [{"name": "set_climate", "arguments": {"zone": "front", "degrees": 21.5}, "id": "a"}]',
        'Sure. {"name": "set_climate", "parameters": {"zone": "front", "degrees": 21.5}}',
        '[{"type": "function", "function": {"name": "set_climate", "arguments": {"zone": "front", "degrees": 21.5}}}]',
        '{"name": "set_climate", "arguments": "{\\"zone\\": \\"front\\", \\"degrees\\": 21.5}"}',
        '[set_climate(zone="front", degrees=21.5)]',
        "<|python_tag|>set_climate(zone='front', degrees=21.5)",
    ],
)
def test_calls_as_the_families_write_them(text: str) -> None:
    assert read_calls(text, TOOLS) == (ToolCall("set_climate", FRONT),)


def test_several_calls() -> None:
    text = json.dumps({"name": "set_climate", "arguments": FRONT}) + '\n{"name": "stop", "arguments": {}}'
    assert [call.name for call in read_calls(text, TOOLS)] == ["set_climate", "stop"]
    assert [call.name for call in read_calls('[set_climate(zone="front", degrees=1), stop()]', TOOLS)] == [
        "set_climate",
        "stop",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"name": "fly", "arguments": {}}', "there is no tool 'fly'"),
        ('{"name": "set_climate", "arguments": {"zone": "front"}}', "'degrees' is a required property"),
        ('{"name": "set_climate", "arguments": {"zone": "roof", "degrees": 1}}', "'roof' is not one of"),
        ('{"name": "stop", "arguments": {"now": true}}', "Additional properties are not allowed"),
        ('{"name": "stop", "arguments": [1]}', "and no object"),
        ("set_climate(zone='front', degrees='warm')", "is not of type 'number'"),
    ],
)
def test_calls_that_cannot_be_made_say_why(text: str, problem: str) -> None:
    (call,) = read_calls(text, TOOLS)
    assert problem in (call.problem or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Just text.",
        "{",
        '{"a": 1}',
        "[1, 2]",
        "stop",
        "set_climate(",
        "stop(1)",
        "stop(a={[]})",
        "stop(a={[]: 1})",
        "{[" * 999,
    ],
)
def test_texts_without_a_call(text: str) -> None:
    assert read_calls(text, TOOLS) == ()


@given(st.text(alphabet="stop(){}[]\"':, name=arguments1\\\n"))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert isinstance(read_calls(text, TOOLS), tuple)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Scene:
    colour: Colour
    rooms: list[str]


def paint(scene: Scene, other: Colour | None = None) -> tuple[Scene, Colour | None]:
    """Paint a scene."""
    return scene, other


def test_a_function_with_types_of_its_own() -> None:
    tool = tool_of(paint)
    given = {"scene": {"colour": "blue", "rooms": ["hall"]}, "other": "red"}
    (call,) = read_calls(json.dumps({"name": "paint", "arguments": given}), [tool])
    assert call.problem is None
    assert tool.call(call.arguments) == (Scene(Colour.BLUE, ["hall"]), Colour.RED)
    (wrong,) = read_calls('{"name": "paint", "arguments": {"scene": {"colour": "blue"}}}', [tool])
    assert "'rooms' is a required property" in (wrong.problem or "")


@pytest.mark.parametrize(
    "parameters",
    [{"type": "strng"}, {"enum": 3}, {"$ref": "https://example.com/x"}, {"$ref": "#/no"}, {"pattern": "("}],
)
def test_a_schema_that_is_none_is_the_calls_problem(
    parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    tool = tool_of({"name": "odd", "parameters": {"properties": {"a": parameters}}})
    (call,) = read_calls('{"name": "odd", "arguments": {"a": "b"}}', [tool])
    assert "cannot be followed" in (call.problem or "")


TEMPLATE = (
    "{% if tools %}[{% for t in tools %}{{ t.function.name }};{% endfor %}]{% endif %}"
    "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{% if m.tool_calls %}!{{ m.tool_calls[0].function.name }}"
    "{% endif %}|{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
)


@pytest.fixture
def model(write: Callable[..., Path], stub: StubRuntime) -> Any:
    with load(write(template=TEMPLATE)) as loaded:
        yield loaded


def prompt_text(model: Model) -> str:
    return model.tokenizer.decode(model.session.tokens, skip_special=False)


def test_the_template_tells_of_the_tools(model: Model) -> None:
    reply = model.generate("Hi", tools=[set_climate, stop], max_tokens=1)
    assert prompt_text(model) == "[set_climate;stop;]u:Hi|a:"
    assert reply.tool_calls == ()


def test_a_chat_takes_the_results_of_calls(model: Model) -> None:
    chat = model.chat(tools=[stop], max_tokens=30, temperature=0.0)
    stream = chat.stream("Stop!")
    stream._generation._pieces.append("stop() ")  # what a model that can call tools would say first
    with stream:
        for _ in stream:
            pass
    assert stream.reply.tool_calls == (ToolCall("stop", {}),)
    assert chat.messages[-1]["tool_calls"][0]["function"] == {"name": "stop", "arguments": {}}
    with chat.report({"stop": stop()}) as answer:
        assert "".join(answer)
    assert 'u:Stop!|a:!stop|t:"stopped"|a:' in prompt_text(model)
    with chat.report([("stop", "at once"), ("stop", "again")]) as answer:
        assert "".join(answer)
    assert 't:"at once"|t:"again"|a:' in prompt_text(model)
    with pytest.raises(UsageError, match="there are no results"):
        chat.report({})
    with pytest.raises(UsageError, match="nothing that JSON can say"):
        chat.report({"stop": object()})


def test_a_template_without_a_place_for_tools(write: Callable[..., Path], stub: StubRuntime) -> None:
    with load(write()) as model:
        with pytest.raises(BundleError, match="has no place for tools"):
            model.generate("Hi", tools=[stop])
        with pytest.raises(UsageError, match="tools need a chat template"):
            model.generate("Hi", tools=[stop], raw=True)
        with pytest.raises(UsageError, match="go with a text"):
            model.generate([1, 2], tools=[stop])


def test_a_stored_list_of_tools(model: Model) -> None:
    many = [{"name": f"tool_number_{k}", "description": "", "parameters": {"type": "object"}} for k in range(6)]
    model.store_prefix("tools", system="Be brief", tools=many)
    stored = model.prefixes.stored()[0]
    assert stored.notes["tools"] == [tool.to_json() for tool in tools_of(many)]
    model.session.rewind(0)
    reply = model.generate("Hi", system="Be brief", tools=many, max_tokens=1)
    assert reply.timings.reused_tokens == len(stored.tokens)


def test_without_jsonschema_the_hint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(EdgekitError, match="needs the package jsonschema"):
        read_calls('{"name": "stop", "arguments": {}}', TOOLS)
