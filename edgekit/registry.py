"""Finds runtimes and exporters by name, late: `import edgekit` loads no engine, and nothing here lists them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any, cast

from edgekit.errors import MissingExtraError, RuntimeUnavailableError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from edgekit.bundle import Bundle
    from edgekit.decoder import Runtime

RUNTIMES = "edgekit_runtimes"
EXPORTERS = "edgekit_exporters"


def runtime_names() -> list[str]:
    """Return the names of all runtimes there are, installed engine or not."""
    package = importlib.import_module(RUNTIMES)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def runtime(name: str) -> Runtime:
    """Return a runtime by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in runtime_names():
        raise UsageError(f"unknown runtime {name!r}", f"choose one of: auto, {', '.join(runtime_names())}")
    return cast("Runtime", importlib.import_module(f"{RUNTIMES}.{name}").RUNTIME)


def choose_runtime(bundle: Bundle, name: str = "auto") -> Runtime:
    """Return the runtime that opens `bundle`: the named one, or the first whose engine is here and has its format.

    Raises:
        RuntimeUnavailableError: none can, with every reason.
    """
    names = runtime_names() if name == "auto" else [name]
    reasons, hints = [], []
    for candidate in map(runtime, names):
        if candidate.format not in bundle.manifest.formats:
            reasons.append(f"{candidate.name}: the bundle has no {candidate.format} format")
            hints.append(f"export again with --to {candidate.format}")
            continue
        availability = candidate.available()
        if availability.ok:
            return candidate
        reasons.append(f"{candidate.name}: {availability.reason}")
        hints.insert(0, availability.hint)
    raise RuntimeUnavailableError(f"no runtime can open {bundle.path}: {'; '.join(reasons)}", hints[0])


def exporter(module: str) -> ModuleType:
    """Import a module of the workstation half by its name below `edgekit_exporters`.

    Raises:
        MissingExtraError: a package that exporting needs is not installed.
    """
    try:
        return importlib.import_module(f"{EXPORTERS}.{module}")
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def call(module: str, function: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a late call has no static type
    """Call a function of the workstation half by name.

    Raises:
        MissingExtraError: a package that it needs, perhaps only once it runs, is not installed.
    """
    try:
        return getattr(exporter(module), function)(*args, **kwargs)
    except ModuleNotFoundError as error:
        raise _missing(error) from error


def _missing(error: ModuleNotFoundError) -> ImportError:
    """Return the error that says how to get a package; a module of our own that is missing stays what it is."""
    package = (error.name or "").partition(".")[0]
    return error if package in ("", "edgekit", EXPORTERS) else MissingExtraError(package, "exporting", "export")
