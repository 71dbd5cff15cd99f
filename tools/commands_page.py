"""Write docs/commands.md from what `--help` says, so that the page cannot drift: python tools/commands_page.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from typer.main import get_command

from edgekit.cli import COMMANDS, application

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

HEAD = """# Commands

Every command takes `--help`. With `--json`, standard output holds exactly one JSON object, described by
`edgekit/schemas/COMMAND.schema.json`; embed, classify and tag write one for each text anyway, on a line of its own.
Progress and messages go to standard error. Exit codes: 0 done, 1 error,
2 wrong usage, 130 stopped with Ctrl-C.
"""


def page() -> str:
    """Return the page as it should be."""
    group: Any = get_command(application())
    return HEAD + "".join(_section(name, group.commands[name]) for name in COMMANDS)


def _section(name: str, command: Any) -> str:  # noqa: ANN401 - typer carries its own copy of click or depends on it
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option"]
    usage = " ".join(["edgekit", name, *(_usage(item) for item in arguments), "[OPTIONS]"])
    rows = [(f"`{_metavar(item)}`", item) for item in arguments] + [(_option(item), item) for item in options]
    lines = [f"| {left} | {_text(item.help)}{_default(item)} |" for left, item in rows]
    intro = "\n".join(_text(part) for part in (command.help or "").split("\n\n"))
    return f"\n## edgekit {name}\n\n{intro}\n\n```\n{usage}\n```\n\n| | |\n|---|---|\n" + "\n".join(lines) + "\n"


def _usage(argument: Any) -> str:  # noqa: ANN401
    return _metavar(argument) if argument.required else f"[{_metavar(argument)}]"


def _metavar(argument: Any) -> str:  # noqa: ANN401
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:  # noqa: ANN401
    value = "" if option.is_flag else _text(option.metavar or option.name.upper())
    return ", ".join(f"`{name}`" for name in option.opts) + (f" `{value}`" if value else "")


def _default(option: Any) -> str:  # noqa: ANN401
    default = getattr(option.default, "value", option.default)
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return f" (default: {default})" if plain and option.param_type_name == "option" else ""


def _text(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
