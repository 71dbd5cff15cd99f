"""A conversation that outgrows the context: its oldest turns are left out, and what remains is a conversation again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from edgekit.chat import Message
from edgekit.errors import ContextError, UsageError

Overflow = Literal["stop", "error", "roll"]
"""What happens once the context is full: the answer ends there; it is an error; the oldest turns are left out."""

ROOM = 4
"""A conversation is rolled before an answer that would have less than a fourth of the context for itself."""


def check_overflow(overflow: str, *, is_chat: bool) -> None:
    """Refuse an unknown way, or rolling of what has no turns.

    Raises:
        UsageError: with the value.
    """
    if overflow not in get_args(Overflow):
        raise UsageError(f"overflow is {overflow!r}", f"choose one of: {', '.join(get_args(Overflow))}")
    if overflow == "roll" and not is_chat:
        raise UsageError('overflow="roll" leaves out turns of a conversation, and the prompt is none', "give messages")


def opening_length(messages: Sequence[Message]) -> int:
    """Return how many messages stand in front of the first turn: they are never left out."""
    return next((index for index, message in enumerate(messages) if message["role"] == "user"), len(messages))


class Rolling:
    """The messages of a call, of which the oldest turns are left out where the context does not hold them.

    A turn is a user's message with all that follows it up to the next one. The messages in front of the first turn (the
    system message) stay, and the last turn does.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        encode: Callable[[Sequence[Message]], Sequence[int]],
        context: int,
        dropped: int = 0,
    ) -> None:
        """Take a conversation, what renders and encodes one, and the number of messages that are left out already."""
        self._encode, self._context = encode, context
        starts = [index for index, message in enumerate(messages) if message["role"] == "user"]
        self.messages = messages
        self._opening = opening_length(messages)
        self._cuts = starts
        """Where the messages that are kept may begin."""
        self._cut = next((k for k, start in enumerate(starts) if start == self._opening + dropped), 0)
        self.ids = self._ids(self._cut)
        """Of the messages that are kept."""

    @property
    def dropped(self) -> int:
        """How many messages behind the opening ones are left out."""
        return self._cuts[self._cut] - self._opening if self._cuts else 0

    def make_room(self, max_tokens: int | None) -> None:
        """Roll if the prompt leaves too little room for an answer of at most `max_tokens`.

        Raises:
            ContextError: what must stay does not fit.
        """
        wanted = self._context // ROOM if max_tokens is None else min(max_tokens, self._context // ROOM)
        if len(self.ids) + wanted > self._context + 1:
            self.roll(0)
        if len(self.ids) > self._context:
            raise ContextError(
                f"the last turn and what stands in front of the first have {len(self.ids):,} tokens and the context "
                f"holds {self._context:,}",
                "shorten them, or load the bundle with a larger context",
            )

    def roll(self, answered: int) -> Sequence[int] | None:
        """Leave out the oldest turns until half the context is free, or only the last turn is left.

        Args:
            answered: Tokens of the answer so far, which follow the prompt and stay.

        Returns:
            The new prompt; None where nothing more can be left out.
        """
        if self._cut + 1 >= len(self._cuts):
            return None
        low, high = self._cut + 1, len(self._cuts) - 1
        while low < high:
            middle = (low + high) // 2
            if len(self._ids(middle)) + answered <= self._context // 2:
                high = middle
            else:
                low = middle + 1
        self._cut = low
        self.ids = self._ids(low)
        return self.ids

    def _ids(self, cut: int) -> Sequence[int]:
        kept = self.messages[self._cuts[cut] :] if self._cuts else []
        return self._encode([*self.messages[: self._opening], *kept])


class Memory:
    """Remembers what was left out of a conversation, so that the next call with it begins at the same turn.

    A conversation that begins anew at every turn would be computed anew at every turn.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._dropped = 0

    def dropped(self, messages: Sequence[Message]) -> int:
        """Return how many messages were left out when this conversation was last seen; 0 for another one."""
        return self._dropped if list(messages[: len(self._messages)]) == self._messages else 0

    def keep(self, rolling: Rolling) -> None:
        """Remember a conversation as it was rolled."""
        self._messages, self._dropped = list(rolling.messages), rolling.dropped
