"""A conversation that remembers its turns, forgets the oldest when it must, and can be saved and resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.chat import Message, check_messages
from edgekit.errors import ContextError, EdgekitError, UsageError
from edgekit.kvfile import ForeignStateError, read_header
from edgekit.prompts import ids_of_chat
from edgekit.rolling import opening_length
from edgekit.tools import tools_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgekit.generation import Reply
    from edgekit.model import Draft, Model
    from edgekit.progress import Progress
    from edgekit.prompts import Settings
    from edgekit.stream import Stream
    from edgekit.tools import ToolLike

NOTE = "messages"


class Chat:
    """A conversation with a model. Each turn costs its own tokens; what came before is in the cache."""

    def __init__(
        self,
        model: Model,
        system: str | None = None,
        *,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        **settings: Unpack[Settings],
    ) -> None:
        self._model, self._tools, self._draft = model, tools, draft
        self._settings: Settings = {"overflow": "roll", **settings}
        self._opening: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self.messages: list[Message] = list(self._opening)
        """The turns that the model still knows of, behind the system message."""

    @classmethod
    def read(
        cls,
        model: Model,
        path: Path,
        *,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        **settings: Unpack[Settings],
    ) -> Chat:
        """Return the conversation that `save` wrote; see `Model.resume`."""
        chat = cls(model, tools=tools, draft=draft, **settings)
        try:
            with model.exclusive():
                notes = model.session.restore(path)
        except ForeignStateError as foreign:
            notes = foreign.notes
        except ContextError:  # it is whole, but longer than this context: its turns are computed anew, or rolled
            notes = read_header(path).notes
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
        return self._answer([*self.messages, {"role": "user", "content": text}], progress)

    def report(
        self, results: Mapping[str, Any] | Sequence[tuple[str, Any]], progress: Progress | None = None
    ) -> Stream:
        """Tell the model what its calls returned, and return its answer as it comes.

        Args:
            results: By the tool's name, anything that JSON can say; where one tool was called several times, pairs of
                name and result in the order of the calls.
            progress: Is told of the tokens as they are computed.

        Raises:
            UsageError: no results, or one that JSON cannot say; others as of `stream`.
        """
        if not results:
            raise UsageError("there are no results", "give the name of a tool and what it returned")
        try:
            said = [
                {"role": "tool", "name": name, "content": json.dumps(result, ensure_ascii=False)}
                for name, result in (results.items() if isinstance(results, Mapping) else results)
            ]
        except (TypeError, ValueError) as error:
            raise UsageError(f"a result is nothing that JSON can say: {error}", "give texts, numbers, lists") from error
        return self._answer([*self.messages, *said], progress)

    def _answer(self, asked: list[Message], progress: Progress | None) -> Stream:
        def remember(reply: Reply) -> None:
            if reply.tokens or reply.finish_reason == "stop":
                start = opening_length(asked)
                kept = asked[start + reply.dropped_messages :]
                self.messages = [*asked[:start], *kept, _said(reply)]

        stream = self._model.stream(asked, tools=self._tools, draft=self._draft, progress=progress, **self._settings)
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
            SessionBusyError: a stream of the model has not ended.
        """
        if len(self.messages) == len(self._opening):
            raise UsageError("the conversation has no turns yet", "say something first")
        notes: dict[str, Any] = {NOTE: self.messages}
        with self._model.exclusive():
            self._forget_others()
            self._model.session.save(path, notes)

    def _forget_others(self) -> None:
        """Let the session hold nothing of other prompts, which have no place in the file of this conversation."""
        tools = () if self._tools is None else tools_of(self._tools)
        ids = ids_of_chat(self._model.bundle, self._model.tokenizer, self.messages, tools)
        self._model.session.align(ids)


def _said(reply: Reply) -> Message:
    """Return an answer as a message: a call of tools in the form that chat templates take it."""
    if not reply.tool_calls:
        return {"role": "assistant", "content": reply.text}
    calls = [
        {"type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in reply.tool_calls
    ]
    return {"role": "assistant", "content": "", "tool_calls": calls}
