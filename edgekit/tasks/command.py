"""What a sentence asks a machine to do: one of some functions with its arguments, or none of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, UsageError
from edgekit.scoring import probabilities
from edgekit.tasks.task import Task, fill_places
from edgekit.tools import Tool, ToolLike, tools_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.model import Model
    from edgekit.prompts import Settings

COMMAND = Task(
    system="You turn what a person says into one call of a function, as JSON. Functions:\n{tools}\n"
    '{{"name": "none"}}: for everything that none of these does.',
    prompt="{text}",
)
NONE = "none"
THRESHOLD = 0.5
MAX_TOKENS = 128


@dataclass(frozen=True)
class Command:
    """What was understood."""

    name: str | None
    """The function's name; None where no function fits, or none fits surely enough."""
    arguments: dict[str, Any]
    confidence: float
    """The probability of this function among all of them and none, by the model's own logits; 0 to 1."""
    tool: Tool | None = field(default=None, repr=False, compare=False)
    """What was understood, as it was described to the model."""

    def __call__(self) -> Any:  # noqa: ANN401 - whatever the function returns
        """Call the function.

        Raises:
            UsageError: no function fits, or it was described by a dict.
        """
        if self.tool is None:
            raise UsageError("there is no function to call", "look at the name first")
        return self.tool.call(self.arguments)


def command(
    model: Model,
    text: str,
    tools: Sequence[ToolLike],
    *,
    threshold: float = THRESHOLD,
    task: Task = COMMAND,
    **settings: Unpack[Settings],
) -> Command:
    """Return which function a sentence asks for, with its arguments.

    The function is the one whose name the model finds likeliest; "none" is one of them. Its arguments are then
    generated in the form of its schema. It needs no support for tools in the chat template.

    Args:
        model: Any that generates text.
        text: What a person said.
        tools: Python functions with annotations, or their descriptions.
        threshold: The confidence below which no function counts as understood.
        task: The prompt; its places are {text} and {tools}, of which the system message may use {tools}.
        settings: Those of `Model.generate` for the arguments; greedy and 128 tokens at most unless they are given.

    Raises:
        UsageError: an empty text, no tools, or one that is called "none".
        EdgekitError: the arguments were cut before they were whole.
    """
    if not text.strip():
        raise UsageError("the text is empty", "give what was said")
    known = tools_of(tools)
    if any(tool.name == NONE for tool in known):
        raise UsageError(f"a tool is called {NONE!r}, which stands for none of them here", "rename it")
    described = "\n".join(_described(tool) for tool in known)
    messages = Task(fill_places(task.system, tools=described), task.prompt).messages(text=text, tools=described)
    names = [*(tool.name for tool in known), NONE]
    confidences = _confidences(model, messages, names)
    best = int(confidences.argmax())
    confidence = float(confidences[best])
    if names[best] == NONE or confidence < threshold:
        return Command(None, {}, confidence)
    tool = known[best]
    return Command(tool.name, _arguments(model, messages, tool, settings), confidence, tool)


def _described(tool: Tool) -> str:
    call = {"name": tool.name, "arguments": dict(tool.parameters.get("properties", {}))}
    if "$defs" in tool.parameters:
        call["$defs"] = tool.parameters["$defs"]
    return f"{json.dumps(call, ensure_ascii=False)}: {tool.description}"


def _confidences(model: Model, messages: list[Any], names: Sequence[str]) -> Any:  # noqa: ANN401 - float64 [names]
    from edgekit.prompts import ids_of_chat

    prompt = ids_of_chat(model.bundle, model.tokenizer, messages)
    # Whole beginnings are encoded, and not names alone: where a name's first token begins depends on what is before it.
    beginnings = [f'{{"name": {json.dumps(name)}' for name in names]
    encoded = [model.tokenizer.encode(text, add_special_tokens=False) for text in beginnings]
    with model.exclusive():
        return probabilities(model.session, [[*prompt, *ids] for ids in encoded])


def _arguments(model: Model, messages: list[Any], tool: Tool, settings: Settings) -> dict[str, Any]:
    if not tool.parameters.get("properties"):
        return {}
    # References within a schema begin at its top, so what they refer to belongs there.
    form = {
        **{key: tool.parameters[key] for key in ("$defs", "definitions") if key in tool.parameters},
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": dict(tool.parameters)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    options: Settings = {"temperature": 0.0, "max_tokens": MAX_TOKENS, **settings}
    reply = model.generate(messages, schema=form, **options)
    if reply.value is None:
        raise EdgekitError(
            f"the arguments of {tool.name} were cut after {len(reply.tokens)} tokens",
            "allow more max_tokens, or bound texts and lists in its schema",
        )
    arguments: dict[str, Any] = reply.value["arguments"]
    return arguments
