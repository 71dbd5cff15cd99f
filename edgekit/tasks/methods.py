"""The tasks as methods of a model, each imported when it is first called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from edgekit.model import Model
    from edgekit.structured.grammar import Schema
    from edgekit.tasks.answer import Answer
    from edgekit.tasks.command import Command
    from edgekit.tools import ToolLike


class Tasks:
    """What `Model` can be asked to do beyond answering a prompt."""

    def extract(self, text: str, schema: Schema, **options: Any) -> Any:  # noqa: ANN401 - what the schema describes
        """Return what a text says, in the form of a schema; see `tasks.extract.extract`."""
        from edgekit.tasks.extract import extract

        return extract(cast("Model", self), text, schema, **options)

    def fill(self, template: Mapping[str, Any] | str, text: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a JSON template filled with what a text says; see `tasks.extract.fill`."""
        from edgekit.tasks.extract import fill

        return fill(cast("Model", self), template, text, **options)

    def summarize(self, text: str, **options: Any) -> str:  # noqa: ANN401 - passed on
        """Return a summary of a text of any length; see `tasks.summarize.summarize`."""
        from edgekit.tasks.summarize import summarize

        return summarize(cast("Model", self), text, **options)

    def answer(self, question: str, passages: Sequence[str], **options: Any) -> Answer:  # noqa: ANN401 - passed on
        """Answer a question from passages; see `tasks.answer.answer`."""
        from edgekit.tasks.answer import answer

        return answer(cast("Model", self), question, passages, **options)

    def command(self, text: str, tools: Sequence[ToolLike], **options: Any) -> Command:  # noqa: ANN401 - passed on
        """Return which of some functions a sentence asks for, with its arguments; see `tasks.command.command`."""
        from edgekit.tasks.command import command

        return command(cast("Model", self), text, tools, **options)
