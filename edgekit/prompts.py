"""From what a caller says to what the generation loop takes: a prompt's ids, and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from edgekit.chat import Message, check_messages, render_chat
from edgekit.errors import BundleError, UsageError
from edgekit.generation import Ids, Options
from edgekit.rolling import Overflow
from edgekit.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.bundle import Bundle
    from edgekit.tokenizer import Tokenizer
    from edgekit.tools import Tool

Prompt = str | Sequence[Message] | Sequence[int] | npt.NDArray[np.integer]


class Settings(TypedDict, total=False):
    """What `Model.stream` and `Model.generate` take by keyword; the bundle's own defaults stand in for the rest."""

    max_tokens: int | None
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    seed: int | None
    stop: str | Sequence[str]
    overflow: Overflow


@dataclass(frozen=True)
class Asked:
    """A prompt that was understood."""

    encode: Callable[[], Ids]
    """Returns its ids."""
    messages: Sequence[Message] | None = None
    """The conversation, its system message included, where the prompt is one."""


def options_of(bundle: Bundle, settings: Mapping[str, Any]) -> Options:
    """Return the options of a call: the settings given, over the defaults that the checkpoint came with.

    A checkpoint that does not sample (`do_sample` false), or has no temperature, is greedy.

    Raises:
        UsageError: an unknown setting, or a value out of its range.
    """
    known = Settings.__optional_keys__
    if unknown := settings.keys() - known:
        raise UsageError(f"unknown setting {min(unknown)!r}", f"choose among: {', '.join(sorted(known))}")
    defaults = dict(bundle.manifest.generation)
    if not defaults.pop("do_sample", True):
        defaults.pop("temperature", None)
    merged = {**defaults, **settings}
    stop = merged.pop("stop", ())
    max_tokens = merged.pop("max_tokens", None)
    overflow = merged.pop("overflow", "stop")
    return Options(
        sampling=Sampling(**merged),
        max_tokens=max_tokens,
        overflow=overflow,
        eos_ids=frozenset(bundle.manifest.eos_ids),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )


def read_prompt(
    bundle: Bundle,
    tokenizer: Callable[[], Tokenizer],
    prompt: Prompt,
    *,
    system: str | None,
    raw: bool,
    tools: Sequence[Tool] = (),
) -> Asked:
    """Return what a prompt means: its ids once they are asked for, and the conversation that they are.

    Args:
        bundle: Its chat template is used for messages, and for a text that is not `raw`.
        tokenizer: Opens the tokenizer; not called for a prompt that is ids.
        prompt: A text, chat messages or ids.
        system: A system message to put in front.
        raw: Take the text as it is.
        tools: What the model may call.

    Raises:
        UsageError: an empty prompt, or one that does not go with `system`, `raw` or `tools`.
        BundleError: the bundle lacks the tokenizer or the template that this prompt needs, or the template has no place
            for tools.
    """
    if not isinstance(prompt, str) and not _is_chat(prompt):
        if system is not None or raw or tools:
            raise UsageError("system, raw and tools go with a text, not with token ids")
        return Asked(lambda: prompt)  # type: ignore[arg-type, return-value]  # what is left; the loop checks every id
    template = None if raw else bundle.chat_template()
    if tools and template is None:
        why = "the prompt is raw" if raw else f"{bundle.path} has no chat template"
        raise UsageError(f"tools need a chat template, and {why}", "describe them in the prompt, or use model.command")
    if isinstance(prompt, str):
        if not prompt:
            raise UsageError("the prompt is empty", "give a text")
        if template is None:
            if system is not None:
                why = "the prompt is raw" if raw else f"{bundle.path} has no chat template"
                raise UsageError(f"a system message needs a chat template, and {why}", "put it into the prompt's text")
            return Asked(partial(_encoded, tokenizer(), prompt, add_special_tokens=True))
        messages: Sequence[Message] = [{"role": "user", "content": prompt}]
    else:
        if raw:
            raise UsageError("a raw prompt is a text, not messages", "leave out raw")
        messages = prompt  # type: ignore[assignment]  # _is_chat
    messages = _opened(messages, system)
    if tools and _rendered(bundle, messages, tools) == _rendered(bundle, messages, ()):
        raise BundleError(f"the chat template of {bundle.path} has no place for tools", "use model.command instead")
    return Asked(lambda: ids_of_chat(bundle, tokenizer(), messages, tools), messages)


def ids_of_chat(
    bundle: Bundle, tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Tool] = ()
) -> list[int]:
    """Return the ids of a conversation, up to where the model's answer begins.

    Raises:
        UsageError: the template refuses the messages.
        BundleError: there is no template, or it fails.
    """
    return _encoded(tokenizer, _rendered(bundle, messages, tools), add_special_tokens=False)


def _rendered(bundle: Bundle, messages: Sequence[Message], tools: Sequence[Tool]) -> str:
    template = bundle.chat_template()
    if template is None:
        raise BundleError(f"{bundle.path} has no chat template", "give the prompt as one text")
    manifest = bundle.manifest
    described = [tool.to_json() for tool in tools] or None
    # A token that the checkpoint does not have is not defined for the template, as in transformers.
    return render_chat(
        template, messages, described, bos_token=manifest.bos_token or None, eos_token=manifest.eos_token or None
    )


def _is_chat(prompt: object) -> bool:
    """Whether it is meant as messages: whatever is no number in a list is, and its own check will say what is wrong."""
    if isinstance(prompt, Mapping):
        return True
    return isinstance(prompt, Sequence) and any(isinstance(item, (Mapping, str)) for item in prompt)


def _opened(messages: Sequence[Message], system: str | None) -> Sequence[Message]:
    """Return a conversation with the system message in front."""
    check_messages(messages)
    if system is None:
        return messages
    if messages[0]["role"] == "system":
        raise UsageError("there is a system message already", "leave out system, or the first message")
    return [{"role": "system", "content": system}, *messages]


def _encoded(tokenizer: Tokenizer, text: str, *, add_special_tokens: bool) -> list[int]:
    ids = tokenizer.encode(text, add_special_tokens)
    if not ids:
        raise UsageError(f"the prompt {text[:40]!r} has no tokens", "give a longer text")
    return ids
