"""`edgekit chat`: a conversation, on a terminal or with a line of standard input for each turn."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgekit.cli import answering, options, reading
from edgekit.cli.errors import say
from edgekit.errors import ContextError, UsageError

if TYPE_CHECKING:
    from edgekit.model import Model
    from edgekit.progress import Progress
    from edgekit.prompts import Settings

HELP = """/help   show this
/reset  forget the conversation
/exit   end (or Ctrl-D)
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
    threads: options.Threads = None,
    context: options.Context = None,
    json: options.Json = False,
) -> None:
    """Talk with a model; it remembers the conversation. Lines piped in are a turn each."""
    import edgekit
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    settings = answering.settings_of(
        max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, seed=seed, stop=stop,
    )  # fmt: skip
    if system is not None:
        reading.checked(system, "the system message")
    with (
        watch(brief=True) as progress,
        edgekit.load(bundle, runtime=runtime, threads=threads, context=context, progress=progress) as model,
    ):
        chat = Chat(model, system, settings, progress=progress, silent=json)
        if sys.stdin.isatty() and not json:
            print(f"{model.bundle.manifest.name} on {model.runtime}. /help shows what there is.", file=sys.stderr)
            chat.talk(_typed_lines(), patient=True)
        else:
            chat.talk(_piped_lines(), patient=False)
        if json:
            tables.print_json({**answering.identity(model), "turns": chat.turns})


class Chat:
    """A conversation: its messages, and the turns as JSON values."""

    def __init__(
        self, model: "Model", system: str | None, settings: "Settings", *, progress: "Progress", silent: bool
    ) -> None:
        self._model, self._settings, self._progress, self._silent = model, settings, progress, silent
        self._opening = [{"role": "system", "content": system}] if system else []
        self.messages = list(self._opening)
        self.turns: list[dict[str, Any]] = []

    def talk(self, lines: Iterator[str], *, patient: bool) -> None:
        """Answer line after line; `patient` goes on after a line that cannot be answered, as with a person."""
        for line in lines:
            text = line.strip()
            if text == "/exit":
                return
            if text == "/help":
                print(HELP, file=sys.stderr)
            elif text == "/reset":
                self.messages = list(self._opening)
                print("The conversation is forgotten.", file=sys.stderr)
            elif text:
                self._turn(text, patient)

    def _turn(self, text: str, patient: bool) -> None:
        asked = [*self.messages, {"role": "user", "content": text}]
        try:
            reading.checked(text, "the line")
            stream = self._model.stream(asked, progress=self._progress, **self._settings)
        except (ContextError, UsageError) as error:
            if not patient:
                raise
            say(error.message, error.hint if isinstance(error, UsageError) else "/reset forgets the conversation")
            return
        reply = answering.show(stream, silent=self._silent, stoppable=True)
        if reply.tokens:
            # What was stopped half-way stays in the conversation as far as it came: that is what the reader saw.
            self.messages = [*asked, {"role": "assistant", "content": reply.text}]
        self.turns.append({"prompt": text, **answering.reply_json(reply)})
        if patient:
            answering.print_speed(reply)


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
