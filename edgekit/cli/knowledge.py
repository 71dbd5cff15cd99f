"""What index, search and ask share: their options, and how passages are shown."""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.knowledge import KnowledgeBase, Passage
    from edgekit.progress import Progress

BasePath = Annotated[Path, typer.Argument(metavar="KB", help="The folder of a knowledge base.", show_default=False)]
Encoder = Annotated[
    Path | None,
    typer.Option("--encoder", metavar="BUNDLE", help="The encoder that made it. (default: its own copy)"),
]

# A knowledge base may come from a stranger: nothing in it moves the cursor or colours the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WIDTH = 100


@contextmanager
def opened(
    folder: Path,
    encoder: Path | None,
    **loading: Any,  # noqa: ANN401
) -> Iterator[tuple[KnowledgeBase, Progress]]:
    """Open a knowledge base for a command, with options of `KnowledgeBase.open`; yield the progress shown as well."""
    from edgekit.cli.progress import watch
    from edgekit.knowledge import KnowledgeBase

    with (
        watch(brief=True) as progress,
        KnowledgeBase.open(folder, encoder, progress=progress, **loading) as base,
    ):
        yield base, progress


def printable(text: str) -> str:
    """Return a text of a knowledge base as it may be shown on a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def place(passage: Passage) -> str:
    """Return where a passage is from, as editors take it: the file and its line."""
    return printable(f"{passage.source}:{passage.line}")


def path_of(passage: Passage) -> str:
    """Return the headings that a passage stands below."""
    return printable(" › ".join(" ".join(heading.split()) for heading in passage.headings))


def print_passages(passages: Sequence[Passage]) -> None:
    """Print passages with their scores, below each other."""
    dim, bold, end = ("\033[2m", "\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
    for number, passage in enumerate(passages, 1):
        print(f"{bold}{number}. {place(passage)}{end}  {dim}{passage.score:.2f}{end}  {path_of(passage)}")
        for line in printable(passage.text).splitlines():
            print(textwrap.fill(line, _WIDTH, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False))
        print()


def passage_json(passage: Passage) -> dict[str, Any]:
    """Return a passage as JSON values."""
    return {**dataclasses.asdict(passage), "headings": list(passage.headings)}
