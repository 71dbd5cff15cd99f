"""Lets a model answer and shows the answer as it comes: what run, chat and demo share."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgekit.cli import figures, reading
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.generation import Reply
    from edgekit.model import Draft, Model
    from edgekit.prompts import Settings
    from edgekit.stream import Stream
    from edgekit.structured.grammar import Grammar


def settings_of(**given: Any) -> Settings:  # noqa: ANN401 - options of several types
    """Return the settings that were given, checked before anything is loaded; the rest is the bundle's own.

    Raises:
        UsageError: a value out of its range, or a stop text that is no Unicode.
    """
    from edgekit.generation import Options
    from edgekit.sampling import Sampling

    settings = {name: value for name, value in given.items() if value is not None}
    stop = tuple(reading.checked(text, "the stop text") for text in settings.get("stop", ()))
    sampling = {name: value for name, value in settings.items() if name not in ("max_tokens", "stop", "overflow")}
    Options(sampling=Sampling(**sampling), max_tokens=settings.get("max_tokens"), stop=stop)
    return cast("Settings", settings)


def read_schema(path: Path) -> Grammar:
    """Return what a file of `--schema` asks for, checked before anything is loaded.

    Raises:
        UsageError: it cannot be read, is of another kind, or asks for what cannot be kept to.
    """
    from edgekit.structured.grammar import Lark, grammar_of

    text = reading.read_text_file(path)
    try:
        if path.suffix == ".json":
            return grammar_of(json.loads(text))
        if path.suffix == ".regex":
            return grammar_of(re.compile(text))
    except (ValueError, RecursionError, OverflowError, re.error) as error:
        raise UsageError(f"{path} cannot be read: {error}", "mend it") from error
    if path.suffix == ".lark":
        return grammar_of(Lark(text))
    raise UsageError(f"{path} is of no known kind", "name it .json (a JSON schema), .regex or .lark")


@contextmanager
def drafter(draft: str, *, memory_check: bool = True) -> Iterator[Draft]:
    """Load what `--draft` names: a smaller model, unless it is "lookup" or "none"."""
    if draft == "lookup":
        yield "lookup"
    elif draft == "none":
        yield None
    else:
        import edgekit

        with edgekit.load(draft, memory_check=memory_check) as small:
            yield small


def show(stream: Stream, *, silent: bool = False, stoppable: bool = False) -> Reply:
    """Write an answer to standard output piece by piece and return it.

    Args:
        stream: The answer as it comes.
        silent: Write nothing.
        stoppable: Ctrl-C ends the answer and returns what there is of it, and not the program.
    """
    with stream:
        try:
            for piece in stream:
                if not silent:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
        except KeyboardInterrupt:
            if not stoppable:
                raise
    if not silent:
        print(flush=True)
    return stream.reply


def reply_json(reply: Reply) -> dict[str, Any]:
    """Return a reply as JSON values."""
    return {
        "text": reply.text,
        "tokens": list(reply.tokens),
        "finish_reason": reply.finish_reason,
        "timings": {
            **dataclasses.asdict(reply.timings),
            "prefill_tokens_per_second": reply.timings.prefill_tokens_per_second,
            "decode_tokens_per_second": reply.timings.decode_tokens_per_second,
        },
    }


def identity(model: Model) -> dict[str, str]:
    """Return what answered, as JSON values."""
    return {"name": model.bundle.manifest.name, "runtime": model.runtime}


def print_speed(reply: Reply) -> None:
    """Print tokens per second dimly on standard error, where that is a terminal."""
    if sys.stderr.isatty() and reply.timings.decode_tokens:
        speed = figures.rate(reply.timings.decode_tokens_per_second)
        print(f"\033[2m{len(reply.tokens)} tokens, {speed}\033[0m", file=sys.stderr)
