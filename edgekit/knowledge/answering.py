"""Lets a small model word an answer from passages, and decides itself whether there is one and what it rests on.

A model of a few hundred million parameters can say again what it reads; it cannot judge whether that answers the
question. So the score of the best passage decides whether a question is declined, and the model's words are held to the
passages: sentences that none of them supports are left out, and where nothing remains the best passage is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgekit.errors import ContextError, UsageError
from edgekit.knowledge.grounding import Given, ground
from edgekit.knowledge.searching import Passage
from edgekit.prompts import read_prompt

if TYPE_CHECKING:
    from edgekit.generation import Ids, Reply
    from edgekit.model import Model
    from edgekit.progress import Progress

PASSAGES = 3
MAX_TOKENS = 160
LEAST = 32
"""Tokens that an answer must have room for, where fewer are not asked for."""
BEHIND = 0.05
"""How far behind the best a passage may be: small models mix up what is only half about the question."""
UNKNOWN = "I do not know: nothing in the knowledge base is near enough to this question."

# Without a system message and without examples: the smallest models follow neither, and repeat the examples.
_REQUEST = "{text}\n\n{question} Answer briefly with the words of the text above."

Wording = Literal["model", "quoted", "declined"]


@dataclass(frozen=True)
class Answer:
    """An answer, or that there is none. `str(answer)` is its text."""

    text: str
    wording: Wording
    """"model": its own words, held to the passages; "quoted": the best passage itself; "declined": nothing is known."""
    sources: tuple[Passage, ...]
    """What the answer rests on, the most relevant first; empty where it is declined."""
    score: float
    """Of the best passage, whether it was near enough or not; -1 in an empty knowledge base."""
    threshold: float
    """What the score was held to."""
    reply: Reply | None = None
    """What the model said; None where it was not asked."""

    @property
    def declined(self) -> bool:
        """Whether nothing was near enough."""
        return self.wording == "declined"

    def __str__(self) -> str:
        return self.text


def answer(
    question: str,
    found: Sequence[Passage],
    model: Model,
    *,
    threshold: float,
    passages: int,
    max_tokens: int,
    progress: Progress | None = None,
) -> Answer:
    """Answer a question from what was found for it; arguments and errors are those of `KnowledgeBase.ask`."""
    if passages < 1 or max_tokens < 1:
        raise UsageError(f"passages is {passages} and max_tokens {max_tokens}; both must be 1 or more")
    score = found[0].score if found else -1.0
    if score < threshold:
        return Answer(UNKNOWN, "declined", (), score, threshold)
    near = [passage for passage in found[:passages] if passage.score >= max(threshold, score - BEHIND)]
    used, ids, room = _fitted(question, near, model, max_tokens)
    # Greedy: an answer that is looked up should be the same every time.
    reply = model.generate(ids, progress=progress, max_tokens=room, temperature=0.0)
    given = [Given(passage.headings[-1] if passage.headings else "", passage.text) for passage in used]
    grounded = ground(_finished(reply), given, question)
    if not grounded.text:
        return Answer(used[0].text, "quoted", (used[0],), score, threshold, reply)
    sources = tuple(used[place] for place in grounded.sources)
    return Answer(grounded.text, "model", sources, score, threshold, reply)


def checked_threshold(value: float) -> float:
    """Return a threshold.

    Raises:
        UsageError: it is no number from -1 to 2, which scores are between.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 2:
        raise UsageError(f"the threshold is {value!r}; it must be a number from -1 to 2")
    return float(value)


def _fitted(question: str, near: list[Passage], model: Model, max_tokens: int) -> tuple[list[Passage], Ids, int]:
    """Drop the least relevant passages until prompt and answer fit; return the rest, the prompt's ids, the room left.

    Where only the best is left, the answer gets what the context leaves.
    """
    context, tokens = model.session.context, 0
    for count in range(len(near), 0, -1):
        prompt = _REQUEST.format(text="\n\n".join(map(_shown, near[:count])), question=question.strip())
        ids = read_prompt(model.bundle, lambda: model.tokenizer, prompt, system=None, raw=False).encode()
        tokens = len(ids)
        left = context - tokens
        if left >= max_tokens or (count == 1 and left >= min(max_tokens, LEAST)):
            return near[:count], ids, min(max_tokens, left)
    raise ContextError(
        f"the best passage and the question have {tokens} tokens, and the model's context is {context}",
        "load the model with a larger context",
    )


def _finished(reply: Reply) -> str:
    """Return what was said, without a sentence that was cut off."""
    if reply.finish_reason == "stop":
        return reply.text
    last = max(reply.text.rfind(end) for end in ".!。！")
    return reply.text[: last + 1]


def _shown(passage: Passage) -> str:
    return f"{passage.headings[-1]}\n{passage.text}" if passage.headings else passage.text
