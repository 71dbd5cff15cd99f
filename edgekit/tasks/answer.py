"""An answer from passages that the caller found, and which of them it stands on."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import ContextError, EdgekitError, UsageError
from edgekit.tasks.task import Task, count_tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.model import Model
    from edgekit.prompts import Settings

ANSWER = Task(
    system="You answer questions from the passages you are given. If they do not hold the answer, you say so.",
    prompt="{passages}\n\nQuestion: {question}\n"
    "Say whether the passages hold the answer, the numbers of those that do, and the answer in one or two sentences.",
)
MAX_TOKENS = 160


@dataclass(frozen=True)
class Answer:
    """What was answered. `str(answer)` is its text."""

    text: str
    """"" where the passages do not hold the answer."""
    passages: tuple[int, ...]
    """The places, from 0, of the passages that it stands on."""
    known: bool
    """Whether the model found the answer in the passages."""

    def __str__(self) -> str:
        return self.text


def answer(
    model: Model, question: str, passages: Sequence[str], *, task: Task = ANSWER, **settings: Unpack[Settings]
) -> Answer:
    """Answer a question from passages, the most promising first; what the context does not hold of them is left out.

    Args:
        model: Any that generates text.
        question: In plain words.
        passages: Texts, best first.
        task: The prompt; its places are {passages} and {question}.
        settings: Those of `Model.generate`; greedy and 160 tokens at most unless they are given.

    Raises:
        UsageError: no question or no passages.
        ContextError: not even the first passage fits.
        EdgekitError: the answer was cut before it was whole.
    """
    if not question.strip() or not passages:
        raise UsageError("an answer needs a question and passages", "give a text and a list of texts")
    options: Settings = {"temperature": 0.0, "max_tokens": MAX_TOKENS, **settings}
    room = model.session.context - (options["max_tokens"] or MAX_TOKENS)

    def tokens(count: int) -> int:
        return count_tokens(model, _messages(task, question, passages[:count]))

    count = len(passages)
    if tokens(count) > room:
        count = bisect.bisect_right(range(1, count), room, key=tokens)
    if not count:
        raise ContextError(
            f"a context of {model.session.context} tokens does not hold the first passage and an answer",
            "give shorter passages, or load the bundle with a larger context",
        )
    reply = model.generate(_messages(task, question, passages[:count]), schema=schema(count), **options)
    if reply.value is None:
        raise EdgekitError(f"the answer was cut after {len(reply.tokens)} tokens", "allow more max_tokens")
    value: dict[str, Any] = reply.value
    if not value["known"]:
        return Answer("", (), known=False)
    return Answer(value["answer"].strip(), tuple(dict.fromkeys(n - 1 for n in value["passages"])), known=True)


def schema(count: int) -> dict[str, Any]:
    """Return the form of an answer from `count` passages."""
    number = {"type": "integer", "minimum": 1, "maximum": count}
    found = {
        "type": "object",
        "properties": {
            "known": {"const": True},
            "passages": {"type": "array", "items": number, "minItems": 1, "maxItems": 3},
            "answer": {"type": "string", "minLength": 1, "maxLength": 600},
        },
        "required": ["known", "passages", "answer"],
        "additionalProperties": False,
    }
    unknown = {
        "type": "object",
        "properties": {"known": {"const": False}},
        "required": ["known"],
        "additionalProperties": False,
    }
    return {"anyOf": [found, unknown]}


def _messages(task: Task, question: str, passages: Sequence[str]) -> list[Any]:
    numbered = "\n\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))
    return task.messages(passages=numbered, question=question)
