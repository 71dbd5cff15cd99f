"""The command line. A command is a module of this package with a function `command`, imported when it is asked for.

What a command needs beyond its options (engines, exporters, the model) it imports inside the function, so that `--help`
answers at once.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import TYPE_CHECKING, Any, TextIO, cast

from edgekit.cli.errors import exit_code_of, tell, warn
from edgekit.machine import require_64bit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer import Typer

COMMANDS = (
    "plan",
    "export",
    "run",
    "chat",
    "embed",
    "classify",
    "tag",
    "fit",
    "index",
    "search",
    "ask",
    "verify",
    "bench",
    "inspect",
    "doctor",
    "demo",
    "prefix",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _speak_utf8()
    _tell_warnings()
    try:
        if arguments[:1] != ["doctor"]:  # which shows what is wrong
            require_64bit()
        app = application(arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS)
        app(args=arguments or ["--help"], prog_name="edgekit")
    except SystemExit as leaving:  # typer ends this way, whatever happened
        return leaving.code if isinstance(leaving.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - the one place that turns what happened into words
        return tell(error)
    return 0


def application(names: Sequence[str] = COMMANDS) -> Typer:
    """Return the typer application with the commands of these names.

    Raises:
        MissingExtraError: the packages of the command line are not installed.
    """
    try:
        import rich as _rich  # noqa: F401 - typer works without it, the tables and bars do not
        import typer
    except ModuleNotFoundError as error:
        from edgekit.errors import MissingExtraError

        raise MissingExtraError(error.name or "typer", "the command line", "cli") from error
    app = typer.Typer(
        help="Small models on the device in someone's hand, quantized and offline.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def version(asked: bool) -> None:
        if asked:
            from edgekit import __version__

            print(f"edgekit {__version__}")
            raise typer.Exit

    # The callback keeps `edgekit NAME` the form even where only the command asked for was imported.
    @app.callback()
    def options(
        version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Show the version."),
    ) -> None:
        pass

    for name in names:
        command = cast("Callable[..., Any]", importlib.import_module(f"edgekit.cli.{name}").command)
        app.command(name)(exit_code_of(command))
    return app


def _speak_utf8() -> None:
    """Let pipes carry UTF-8 whatever the code page is, and let no character end a command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _tell_warnings() -> None:
    """Tell our own warnings as a line, without the place in the code; others stay as Python shows them."""
    from edgekit.errors import EdgekitWarning

    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, EdgekitWarning):
            warn(str(message))
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show
