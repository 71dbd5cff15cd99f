"""A conversation that remembers its turns, forgets the oldest when it must, and can be saved and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.chat import Message, check_messages
from edgekit.errors import EdgekitError, UsageError
from edgekit.kvfile import ForeignStateError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.generation import Reply
    from edgekit.model import Draft, Model, Stream
    from edgekit.progress import Progress
    from edgekit.prompts import Settings

NOTE = "messages"


class Chat:
    """A conversation with a model. Each turn costs its own tokens; what came before is in the cache."""

    def __init__(
        self, model: Model, system: str | None = None, *, draft: Draft = "lookup", **settings: Unpack[Settings]
    ) -> None:
        self._model, self._draft = model, draft
        self._settings: Settings = {"overflow": "roll", **settings}
        self._opening: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self.messages: list[Message] = list(self._opening)
        """The turns that the model still knows of, behind the system message."""

    @classmethod
    def read(cls, model: Model, path: Path, *, draft: Draft = "lookup", **settings: Unpack[Settings]) -> Chat:
        """Return the conversation that `save` wrote; see `Model.resume`."""
        chat = cls(model, draft=draft, **settings)
        try:
            notes = model.session.restore(path)
        except ForeignStateError as foreign:
            notes = foreign.notes
        messages = notes.get(NOTE)
        if not messages:
            raise EdgekitError(f"{path} holds no conversation", "it was written by Session.save, not by Chat.save")
        try:
            check_messages(messages)
        except UsageError as error:
            raise EdgekitError(f"{path} holds a conversation that is none: {error.message}", "remove it") from error
        chat.messages = list(messages)
        chat._opening = [message for message in messages[:1] if message["role"] == "system"]
        return chat

    def stream(self, text: str, progress: Progress | None = None) -> Stream:
        """Say something and return the answer as it comes; how far it came becomes part of the conversation.

        Raises:
            UsageError: an empty text.
            ContextError, SessionBusyError, BundleError: those of `Model.stream`.
        """
        if not text:
            raise UsageError("the message is empty", "give a text")
        asked = [*self.messages, {"role": "user", "content": text}]

        def remember(reply: Reply) -> None:
            if reply.tokens:
                start = len(self._opening)
                kept = asked[start + reply.dropped_messages :]
                self.messages = [*asked[:start], *kept, {"role": "assistant", "content": reply.text}]

        stream = self._model.stream(asked, draft=self._draft, progress=progress, **self._settings)
        return stream.when_ended(remember)

    def send(self, text: str, progress: Progress | None = None) -> Reply:
        """Say something and return the answer. Errors are those of `stream`."""
        with self.stream(text, progress) as stream:
            for _ in stream:
                pass
        return stream.reply

    def reset(self) -> None:
        """Forget all turns."""
        self.messages = list(self._opening)

    def save(self, path: str | Path) -> None:
        """Write the conversation with what was computed of it, for `Model.resume`.

        Raises:
            UsageError: nothing was said yet.
            EdgekitError: the file cannot be written.
        """
        if len(self.messages) == len(self._opening):
            raise UsageError("the conversation has no turns yet", "say something first")
        notes: dict[str, Any] = {NOTE: self.messages}
        self._model.session.save(path, notes)
