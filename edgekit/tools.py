"""Functions that a model may call: described to it by its own chat template, and its calls read and checked."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edgekit.errors import MissingExtraError, UsageError
from edgekit.structured.types import Build, Types, annotations_of

ToolLike: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"
_PARAMETER = re.compile(r"^\s*(\*\*)?(\w+)(\s*\([^)]*\))?\s*:\s*(.+)$")
"""A line of an `Args:` section."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function as a model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON schema of its arguments, an object."""
    function: Callable[..., Any] | None = None
    """What is called, where it is a Python function."""
    builders: Mapping[str, Build] = field(default_factory=dict, repr=False, compare=False)
    """What makes an instance of an argument's annotation, by its name."""

    def call(self, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call the function with arguments that its schema takes, as instances of what is annotated.

        Raises:
            UsageError: it was described by a dict, so there is no function.
        """
        if self.function is None:
            raise UsageError(f"there is no function to call for {self.name}", "a dict describes none that is callable")
        made = {key: self.builders[key](value) if key in self.builders else value for key, value in arguments.items()}
        return self.function(**made)

    def to_json(self) -> dict[str, Any]:
        """Return it as chat templates take tools."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class ToolCall:
    """What a model wants to be called."""

    name: str
    arguments: dict[str, Any]
    problem: str | None = None
    """Why it cannot be called so: no such tool, or arguments that its schema does not take."""


def tool_of(given: ToolLike) -> Tool:
    """Return a tool from a Python function with annotations, or from its description as a dict.

    The function's docstring says what it is for; an `Args:` section in it (Google's style) or `Annotated[T, "text"]`
    says what an argument is. A dict is {"type": "function", "function": {"name", "description", "parameters"}}, or the
    inner one alone.

    Raises:
        UsageError: it is none of these, or an argument has no annotation.
    """
    if isinstance(given, Tool):
        return given
    if isinstance(given, Mapping):
        inner = given.get("function", given)
        inner = inner if isinstance(inner, Mapping) else {}
        parameters = inner.get("parameters", {"type": "object", "properties": {}})
        if not isinstance(inner.get("name"), str) or not isinstance(parameters, Mapping):
            raise UsageError(f"{given!r:.200} describes no tool", 'it needs a "name", and "parameters": a JSON schema')
        return Tool(name=inner["name"], description=str(inner.get("description", "")), parameters=parameters)
    if inspect.isfunction(given) or inspect.ismethod(given):
        return _of_function(given)
    raise UsageError(f"{given!r:.200} is no tool", "give a function with annotations, or a dict that describes one")


def tools_of(given: Sequence[ToolLike]) -> list[Tool]:
    """Return tools by `tool_of`.

    Raises:
        UsageError: there are none, or two of one name.
    """
    tools = [tool_of(each) for each in given]
    names = [tool.name for tool in tools]
    if not tools:
        raise UsageError("the list of tools is empty", "leave tools out, or give some")
    if len(set(names)) < len(names):
        raise UsageError(
            f"two tools are called {next(name for name in names if names.count(name) > 1)!r}", "rename one"
        )
    return tools


def read_calls(text: str, tools: Sequence[Tool]) -> tuple[ToolCall, ...]:
    """Return the calls in an answer, in whatever way the model's family writes them.

    Known are JSON objects and lists of them with `name` and `arguments` (or `parameters`), perhaps within `function` or
    between tags, and calls in Python's form, `[turn_on(room="hall")]`. An answer without any is just text.
    """
    known = {tool.name: tool for tool in tools}
    found = list(_json_calls(text)) or list(_python_calls(text, known))
    return tuple(_checked(name, arguments, known) for name, arguments in found)


def _of_function(function: Callable[..., Any]) -> Tool:
    hints = annotations_of(function)
    summary, described = _docstring(inspect.getdoc(function) or "")
    properties, required, builders, reader = dict[str, Any](), list[str](), dict[str, Build](), Types()
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise UsageError(f"the argument {parameter} of {function.__name__} has no name to call it by", "name it")
        if name not in hints:
            raise UsageError(f"the argument {name} of {function.__name__} has no annotation", "say what type it has")
        schema, builders[name] = reader.read(hints[name])
        properties[name] = {**schema, **({"description": described[name]} if name in described else {})}
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if reader.definitions:
        parameters["$defs"] = reader.definitions
    return Tool(
        name=function.__name__, description=summary, parameters=parameters, function=function, builders=builders
    )


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's first paragraph, and what its section `Args:` says of each argument."""
    head, _, rest = text.partition("\nArgs:")
    described = {}
    for line in rest.split("\n\n")[0].splitlines():
        if match := _PARAMETER.match(line):
            described[match[2]] = match[4].strip()
    return " ".join(head.split("\n\n")[0].split()), described


def _json_calls(text: str) -> Iterator[tuple[str, Any]]:
    decoder, place = json.JSONDecoder(), 0
    while (start := _next(text, place)) >= 0:
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
            continue
        for item in value if isinstance(value, list) else [value]:
            call = item.get("function", item) if isinstance(item, dict) else None
            if isinstance(call, dict) and isinstance(call.get("name"), str):
                arguments = call.get("arguments", call.get("parameters", {}))
                yield call["name"], _parsed(arguments)


def _next(text: str, place: int) -> int:
    places = [found for bracket in "{[" if (found := text.find(bracket, place)) >= 0]
    return min(places, default=-1)


def _parsed(arguments: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return arguments that some families write as a JSON text within JSON."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _python_calls(text: str, known: Mapping[str, Tool]) -> Iterator[tuple[str, Any]]:
    """Yield calls written as Python, of known tools only: any text with a bracket in it would be one otherwise."""
    names = "|".join(map(re.escape, known))
    for match in re.finditer(rf"\b({names})\(", text):
        end = _closing(text, match.end() - 1)
        try:
            call = ast.parse(text[match.start() : end], mode="eval").body
            if isinstance(call, ast.Call) and not call.args:
                yield match[1], {str(item.arg): ast.literal_eval(item.value) for item in call.keywords}
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue


def _closing(text: str, start: int) -> int:
    """Return the place behind the bracket that closes the one at `start`; strings are skipped."""
    depth, quote = 0, ""
    for place in range(start, len(text)):
        character = text[place]
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0:
                return place + 1
    return len(text)


def _checked(name: str, arguments: Any, known: Mapping[str, Tool]) -> ToolCall:  # noqa: ANN401 - a JSON value
    try:
        import jsonschema
        from referencing import Registry
    except ModuleNotFoundError as error:
        raise MissingExtraError("jsonschema", "checking the calls of tools", "schema") from error
    if name not in known:
        return ToolCall(name, arguments if isinstance(arguments, dict) else {}, f"there is no tool {name!r}")
    if not isinstance(arguments, dict):
        return ToolCall(name, {}, f"the arguments are {arguments!r:.100} and no object")
    # A registry of its own: the default one fetches schemas that are referred to from the network.
    validator = jsonschema.Draft202012Validator(dict(known[name].parameters), registry=Registry())
    try:
        problems = [f"{found.json_path}: {found.message}"[:300] for found in validator.iter_errors(arguments)]
    except Exception as error:  # noqa: BLE001 - whatever a schema that is none, or refers to none, ends in
        problems = [f"the schema of {name} cannot be followed: {error!s:.200}"]
    return ToolCall(name, arguments, min(problems, default=None))
