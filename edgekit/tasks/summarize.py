"""A short text out of a long one, also of one longer than the context."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgekit.errors import ContextError, UsageError
from edgekit.progress import Progress, Silent
from edgekit.tasks.task import Task, count_tokens

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.model import Model
    from edgekit.prompts import Settings

SUMMARIZE = Task(
    system="You summarise texts in a few plain sentences and add nothing of your own.",
    prompt="{text}\n\nSummarise this text in a few sentences.",
)
MAX_TOKENS = 160
_ENDS = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
"""Where a text may be cut: behind a sentence, and at the end of a line."""


def summarize(
    model: Model,
    text: str,
    *,
    task: Task = SUMMARIZE,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> str:
    """Return a summary; of a text that the context does not hold, that of the summaries of its parts.

    Args:
        model: Any that generates text.
        text: Of any length.
        task: The prompt; its place is {text}.
        progress: Is told of the parts.
        settings: Those of `Model.generate`; greedy and 160 tokens at most unless they are given.

    Raises:
        UsageError: an empty text.
        ContextError: the context holds no more than the task itself.
    """
    if not text.strip():
        raise UsageError("the text is empty", "give one")
    options: Settings = {"temperature": 0.0, "max_tokens": MAX_TOKENS, **settings}
    room = model.session.context - count_tokens(model, task.messages(text="")) - (options["max_tokens"] or MAX_TOKENS)
    parts = split(model, text, room)
    progress = progress or Silent()
    while len(parts) > 1:
        progress.start("Summarising parts", len(parts), "parts")
        try:
            summaries = []
            for part in parts:
                summaries.append(model.generate(task.messages(text=part), **options).text.strip())
                progress.advance(1)
        finally:
            progress.finish()
        shorter = split(model, "\n".join(summaries), room)
        if len(shorter) >= len(parts):
            raise ContextError(
                f"summaries of {len(parts)} parts do not fit a context of {model.session.context} either",
                "set a smaller max_tokens, or load the bundle with a larger context",
            )
        parts = shorter
    return model.generate(task.messages(text=parts[0]), **options).text.strip()


def split(model: Model, text: str, room: int) -> list[str]:
    """Return a text in parts of at most `room` tokens, cut between sentences where that is possible.

    Raises:
        ContextError: there is no room.
    """
    if room < 16:
        raise ContextError(f"the context leaves {room} tokens for a text", "load the bundle with a larger context")

    def tokens(piece: str) -> int:
        return len(model.tokenizer.encode(piece, add_special_tokens=False))

    parts, used = [""], 0
    for sentence in filter(None, _ENDS.split(text.strip())):
        for piece in _pieces(sentence, tokens, room):
            # Sentences are counted one by one: together they have at most a token more for each joint.
            count = tokens(piece) + 1
            if parts[-1] and used + count > room:
                parts.append("")
                used = 0
            parts[-1] = f"{parts[-1]} {piece}".strip()
            used += count
    return parts


def _pieces(sentence: str, tokens: Callable[[str], int], room: int) -> list[str]:
    """Halve a sentence until every piece fits."""
    if tokens(sentence) < room:
        return [sentence]
    middle = len(sentence) // 2
    space = sentence.rfind(" ", 1, middle + 1)
    cut = space if space > 0 else middle
    return [*_pieces(sentence[:cut], tokens, room), *_pieces(sentence[cut:].lstrip(), tokens, room)]
