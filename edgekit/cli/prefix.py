"""`edgekit prefix`: prompts that are computed once and stored in the bundle."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import figures, options, reading
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.model import Model
    from edgekit.prefixes import StoredPrefix

DEFAULT_NAME = "default"


def command(
    bundle: options.BundlePath,
    system: Annotated[
        Path | None,
        typer.Option("--system", metavar="FILE", help="A file with the system message that chats begin with."),
    ] = None,
    tools: Annotated[
        Path | None,
        typer.Option("--tools", metavar="FILE", help="A JSON file with the list of tools that chats will have."),
    ] = None,
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="A file with the text that raw prompts begin with.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="N", help="What the prefix is called.")] = DEFAULT_NAME,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Compute anew what does not fit this runtime and its version any more.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the prefix of this name.")] = False,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    context: options.Context = None,
    memory_check: options.MemoryCheck = True,
    json: options.Json = False,
) -> None:
    """Compute a system prompt or a document once and store it in the bundle; without a file, show what is stored."""
    import edgekit
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    if sum((system is not None or tools is not None, text is not None, rebuild, remove)) > 1:
        raise UsageError("--system and --tools, --text, --rebuild and --remove exclude each other", "give one of them")
    files = {"system": system, "text": text}
    made: dict[str, Any] = {kind: reading.read_text_file(path) for kind, path in files.items() if path is not None}
    if tools is not None:
        made["tools"] = reading.read_json_list(tools)
    with (
        watch(brief=True) as progress,
        edgekit.load(
            bundle, runtime=runtime, threads=threads, context=context, memory_check=memory_check, progress=progress
        ) as model,
    ):
        if made:
            _store(model, name, made)
        elif rebuild:
            for prefix in model.prefixes.stored(thorough=True):
                if not prefix.fits and prefix.runtime == model.runtime:
                    _store(model, prefix.name, _made_of(prefix))
        elif remove:
            model.prefixes.remove(name)
        stored = model.prefixes.stored(thorough=True)
        used = model.runtime
    if json:
        tables.print_json({"runtime": used, "prefixes": [_facts(prefix) for prefix in stored]})
    elif stored:
        rows = [
            (
                prefix.name,
                prefix.runtime,
                str(len(prefix.tokens)),
                figures.size(prefix.path.stat().st_size),
                "yes" if prefix.fits else "no",
            )
            for prefix in stored
        ]
        header = ("name", "runtime", "tokens", "size", f"fits {used} here")
        tables.print_table(f"Stored in {bundle}", header, rows, right=(2, 3))
    else:
        print(f"{bundle} has no stored prefixes. Make one: edgekit prefix {bundle} --system FILE")


def _store(model: "Model", name: str, made: dict[str, Any]) -> None:
    began = time.perf_counter()
    model.store_prefix(name, **made)
    seconds = time.perf_counter() - began
    typer.echo(f"Computed {model.session.length} tokens of {name!r} in {figures.seconds(seconds)}", err=True)


def _made_of(prefix: "StoredPrefix") -> dict[str, Any]:
    """Return what a prefix says it was made of: a file may say anything.

    Raises:
        UsageError: it says something else.
    """
    made = {key: value for key, value in prefix.notes.items() if value is not None}
    kinds = {"system": str, "text": str, "tools": list}
    if not made or any(not isinstance(value, kinds.get(key, ())) for key, value in made.items()):
        raise UsageError(
            f"{prefix.path} does not say what it was made of",
            f"remove it: edgekit prefix --remove --name {prefix.name}",
        )
    return made


def _facts(prefix: "StoredPrefix") -> dict[str, Any]:
    return {
        "name": prefix.name,
        "runtime": prefix.runtime,
        "tokens": len(prefix.tokens),
        "size": prefix.path.stat().st_size,
        "fits": prefix.fits,
    }
