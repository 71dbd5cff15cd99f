"""The one place that turns what went wrong into two lines on standard error and an exit code."""

from __future__ import annotations

import errno
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from collections.abc import Callable

DEBUG_VARIABLE = "EDGEKIT_DEBUG"
INTERRUPTED = 130
"""What shells expect after Ctrl-C: 128 + SIGINT."""

_REASONS = {
    "ENOSPC": ("no space left on the disk", "free some space, or write to another disk"),
    "EDQUOT": ("the disk quota is used up", "free some space, or write to another disk"),
    "EACCES": ("permission denied", "choose a file or folder that you may read and write"),
    "EPERM": ("permission denied", "choose a file or folder that you may read and write"),
    "EROFS": ("the file system is read-only", "choose a folder on a disk that can be written"),
    "ENOENT": ("there is no such file or folder", "check the path"),
    "ENOTDIR": ("a part of the path is a file, not a folder", "check the path"),
    "EISDIR": ("this is a folder, not a file", "check the path"),
    "ENAMETOOLONG": ("the name is too long for the file system", "choose a shorter one"),
    "EMFILE": ("too many open files", "raise the limit (ulimit -n) or close other programs"),
    "ENFILE": ("too many open files", "raise the limit (ulimit -n) or close other programs"),
    "ENOMEM": ("not enough memory", "close other programs or choose a smaller model or context"),
    "EIO": ("the disk failed to read or write", "check the disk"),
}


def exit_code_of(command: Callable[..., int | None]) -> Callable[..., None]:
    """Wrap a command so that its result, or its error told in words, becomes the exit code of typer."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the command takes
        import typer

        try:
            code = command(*args, **kwargs) or 0
            sys.stdout.flush()
        except BaseException as error:  # noqa: BLE001 - the one place that turns what happened into words
            code = tell(error)
        raise typer.Exit(code)

    return guarded


def tell(error: BaseException) -> int:
    """Say on standard error what happened and return the exit code; where EDGEKIT_DEBUG is set, raise it again."""
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    if isinstance(error, SystemExit):  # rich leaves this way once the reader of a pipe went away
        return error.code if isinstance(error.code, int) else 1
    if _reader_went_away(error):
        # What is left in the buffer has no reader; without this the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    if isinstance(error, EdgekitError):
        say(error.message, error.hint)
        return error.exit_code
    if isinstance(error, OSError):
        say(*_words_of(error))
    elif isinstance(error, MemoryError):
        say("not enough memory", "close other programs or choose a smaller model or context")
    else:
        bug = f"unexpected {type(error).__name__}: {error}"
        say(bug, f"this is a bug in EdgeKit: please report it with what {DEBUG_VARIABLE}=1 shows")
    return 1


def warn(message: str) -> None:
    """Print a warning in a line on standard error."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    yellow, end = ("\033[33m", "\033[0m") if colour else ("", "")
    print(f"{yellow}warning:{end} {_one_line(message)}", file=sys.stderr)


def say(message: str, hint: str = "") -> None:
    """Print an error's message and hint, a line each, on standard error."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    red, dim, end = ("\033[1;31m", "\033[2m", "\033[0m") if colour else ("", "", "")
    print(f"{red}error:{end} {_one_line(message)}", file=sys.stderr)
    if hint:
        print(f"{dim}hint:{end} {_one_line(hint)}", file=sys.stderr)


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _reader_went_away(error: BaseException) -> bool:
    # Windows reports a closed pipe as EINVAL.
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, OSError) and os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    )


def _words_of(error: OSError) -> tuple[str, str]:
    name = errno.errorcode.get(error.errno or 0, "")
    reason, hint = _REASONS.get(name, (error.strerror or str(error) or type(error).__name__, ""))
    where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else ""
    return f"{reason}{where}", hint
