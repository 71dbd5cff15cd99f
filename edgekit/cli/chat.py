"""`edgekit chat`: a conversation, on a terminal or with a line of standard input for each turn."""

import contextlib
import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import answering, options, reading
from edgekit.cli.errors import say
from edgekit.errors import ContextError, EdgekitError, UsageError

if TYPE_CHECKING:
    from edgekit.conversation import Chat
    from edgekit.progress import Progress


class Overflow(str, enum.Enum):
    """What `--overflow` takes."""

    ROLL = "roll"
    STOP = "stop"
    ERROR = "error"


HELP = """/help       show this
/reset      forget the conversation
/save FILE  keep the conversation, to go on with --resume FILE
/exit       end (or Ctrl-D)
Ctrl-C stops the answer that is being written."""


def command(
    bundle: options.BundlePath,
    system: options.System = None,
    runtime: options.Runtime = "auto",
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repetition_penalty: options.RepetitionPenalty = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    overflow: Annotated[
        Overflow,
        typer.Option("--overflow", help="Once the context is full: leave out the oldest turns, stop, or fail."),
    ] = Overflow.ROLL,
    draft: options.Draft = "lookup",
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="FILE", help="Go on with a conversation that /save kept.", show_default=False),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Keep the conversation here once it ends.", show_default=False),
    ] = None,
    threads: options.Threads = None,
    context: options.Context = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> None:
    """Talk with a model; it remembers the conversation. Lines piped in are a turn each."""
    import edgekit
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    settings = answering.settings_of(
        max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, seed=seed, stop=stop, overflow=overflow.value,
    )  # fmt: skip
    if resume is not None and system is not None:
        raise UsageError("--resume brings the system message of the conversation", "leave out --system")
    if system is not None:
        reading.checked(system, "the system message")
    with (
        watch(brief=True) as progress,
        edgekit.load(
            bundle, runtime=runtime, threads=threads, context=context, memory_check=memory_check, progress=progress
        ) as model,
        answering.drafter(draft, memory_check=memory_check) as guessing,
    ):
        if resume is None:
            conversation = model.chat(system, draft=guessing, **settings)
        else:
            conversation = model.resume(resume, draft=guessing, **settings)
        chat = Talk(conversation, progress=progress, silent=json)
        if sys.stdin.isatty() and not json:
            print(f"{model.bundle.manifest.name} on {model.runtime}. /help shows what there is.", file=sys.stderr)
            chat.talk(_typed_lines(), patient=True)
        else:
            chat.talk(_piped_lines(), patient=False)
        if save is not None:
            conversation.save(save)
        if json:
            tables.print_json({**answering.identity(model), "turns": chat.turns})


class Talk:
    """A conversation at the command line, and its turns as JSON values."""

    def __init__(self, conversation: "Chat", *, progress: "Progress", silent: bool) -> None:
        self._conversation, self._progress, self._silent = conversation, progress, silent
        self.turns: list[dict[str, Any]] = []
        """Where they are shown at the end, and not as they come: a chat may go on for days."""

    def talk(self, lines: Iterator[str], *, patient: bool) -> None:
        """Answer line after line; `patient` goes on after a line that cannot be answered, as with a person."""
        for line in lines:
            text = line.strip()
            if text == "/exit":
                return
            if text == "/help":
                print(HELP, file=sys.stderr)
            elif text == "/reset":
                self._conversation.reset()
                print("The conversation is forgotten.", file=sys.stderr)
            elif text.split()[:1] == ["/save"]:
                self._save(text.removeprefix("/save").strip(), patient)
            elif text:
                self._turn(text, patient)

    def _turn(self, text: str, patient: bool) -> None:
        try:
            stream = self._conversation.stream(reading.checked(text, "the line"), self._progress)
            reply = answering.show(stream, silent=self._silent, stoppable=True)
        except (ContextError, UsageError) as error:
            if not patient:
                raise
            say(error.message, error.hint if isinstance(error, UsageError) else "/reset forgets the conversation")
            return
        if self._silent:
            self.turns.append({"prompt": text, **answering.reply_json(reply)})
        if patient:
            answering.print_speed(reply)

    def _save(self, file: str, patient: bool) -> None:
        try:
            if not file:
                raise UsageError("/save needs the name of a file", "for example: /save talk.kv")
            self._conversation.save(file)
        except EdgekitError as error:
            if not patient:
                raise
            say(error.message, error.hint)
            return
        print(f"Kept in {file}.", file=sys.stderr)


def _typed_lines() -> Iterator[str]:
    with contextlib.suppress(ImportError):  # Windows has none; its terminal edits lines itself
        import readline as _readline  # noqa: F401 - importing it gives input() its history and editing
    while (line := _typed_line()) is not None:
        yield line


def _typed_line() -> str | None:
    """Return a line, empty after Ctrl-C and None after Ctrl-D."""
    try:
        return input("> ")
    except EOFError:
        print()
        return None
    except KeyboardInterrupt:
        print("\n(/exit or Ctrl-D ends the chat)", file=sys.stderr)
        return ""


def _piped_lines() -> Iterator[str]:
    for number, raw in enumerate(sys.stdin.buffer, 1):
        yield reading.decoded(raw, f"line {number} of standard input")
