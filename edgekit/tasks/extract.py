"""Facts out of a text, in a form that the caller chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, UsageError
from edgekit.structured.grammar import Grammar, Lark, Schema, grammar_of
from edgekit.structured.types import schema_of
from edgekit.tasks.task import Task

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.model import Model
    from edgekit.prompts import Settings

EXTRACT = Task(
    system="You take facts from texts. You write down what the text says and nothing else.",
    prompt="Text:\n{text}\n\nWrite down what the text says as {form}.",
)

_PLAIN = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


def extract(model: Model, text: str, schema: Schema, *, task: Task = EXTRACT, **settings: Unpack[Settings]) -> Any:  # noqa: ANN401 - what the schema describes
    """Return what a text says, in the form of a schema.

    Args:
        model: Any that generates text.
        text: What to take it from.
        schema: As of `Model.generate`.
        task: The prompt; its places are {text} and {form}.
        settings: Those of `Model.generate`; greedy unless temperature is given.

    Raises:
        EdgekitError: the answer was cut by max_tokens or the context before it was whole.
        UsageError, ContextError: those of `Model.generate`.
    """
    grammar = grammar_of(schema)
    asked = task.messages(text=text, form=_form(schema))
    options: Settings = {"temperature": 0.0, **settings}
    reply = model.generate(asked, schema=grammar, **options)
    if reply.finish_reason != "stop":
        raise EdgekitError(
            f"the answer was cut after {len(reply.tokens)} tokens and is not whole",
            "allow more max_tokens, or bound lists and texts in the schema (maxItems, maxLength)",
        )
    return reply.value


def fill(
    model: Model, template: Mapping[str, Any] | str, text: str, *, task: Task = EXTRACT, **settings: Unpack[Settings]
) -> dict[str, Any]:
    """Return a template filled with what a text says.

    Args:
        model: Any that generates text.
        template: A JSON object, or its text, whose values say what belongs there: "" for a text, 0 for a whole number,
            0.0 for a number, false for yes or no, a list of one example for a list, an object for an object, and null
            for anything. A list of several texts is a choice among them.
        text: What to take it from.
        task: As of `extract`.
        settings: As of `extract`.

    Raises:
        UsageError: the template is no JSON object.
        EdgekitError: as of `extract`.
    """
    if isinstance(template, str):
        try:
            template = json.loads(template)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the template is no JSON: {error}", 'for example {"name": "", "age": 0}') from error
    if not isinstance(template, Mapping):
        raise UsageError("the template is no JSON object", 'for example {"name": "", "age": 0}')
    found: dict[str, Any] = extract(model, text, _schema_of_example(template), task=task, **settings)
    return found


def _schema_of_example(example: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON value
    if isinstance(example, Mapping):
        properties = {str(key): _schema_of_example(value) for key, value in example.items()}
        closed = {"required": list(properties), "additionalProperties": False}
        return {"type": "object", "properties": properties, **closed}
    if isinstance(example, (list, tuple)):
        if len(example) > 1 and all(isinstance(item, str) for item in example):
            return {"enum": list(example)}
        return {"type": "array", **({"items": _schema_of_example(example[0])} if example else {})}
    for kind, name in _PLAIN:
        if isinstance(example, kind):
            return {"type": name}
    return {}


def _form(schema: Schema) -> str:
    """Return how the prompt names what is wanted; the grammar holds the model to it in any case."""
    if isinstance(schema, (Lark, Grammar)) or hasattr(schema, "fullmatch"):
        return "one short line"
    described = schema if isinstance(schema, Mapping) else schema_of(schema)[0]
    return f"JSON of this schema: {json.dumps(described, ensure_ascii=False)}"
