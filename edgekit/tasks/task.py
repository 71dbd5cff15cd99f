"""What a task says to the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.chat import Message
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.model import Model


@dataclass(frozen=True)
class Task:
    """A prompt with places in braces, as `str.format` has them. `dataclasses.replace` makes another of it."""

    system: str
    prompt: str

    def messages(self, **values: str) -> list[Message]:
        """Return the conversation with the places filled.

        Raises:
            UsageError: the prompt has a place that the task does not fill.
        """
        prompt = fill_places(self.prompt, **values)
        system: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": prompt}]


def fill_places(text: str, /, **values: str) -> str:
    """Return a text with its places in braces filled.

    Raises:
        UsageError: it has a place that is none of these.
    """
    try:
        return text.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        places = ", ".join(f"{{{name}}}" for name in values)
        raise UsageError(f"the task's prompt cannot be filled: {error}", f"its places may be {places}") from error


def count_tokens(model: Model, messages: Sequence[Message]) -> int:
    """Return how many tokens a conversation has as a prompt.

    Raises:
        BundleError: the bundle has no tokenizer or no chat template.
    """
    from edgekit.prompts import ids_of_chat

    return len(ids_of_chat(model.bundle, model.tokenizer, messages))
