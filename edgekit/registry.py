"""Finds runtimes and exporters by name, late: `import edgekit` loads no engine, and nothing here lists them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any, cast

from edgekit.errors import MissingExtraError, RuntimeUnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from edgekit.bundle import Bundle
    from edgekit.choice import Choice
    from edgekit.decoder import Availability, Runtime
    from edgekit.pass_costs import PassCosts

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


def choose_runtime(bundle: Bundle, name: str = "auto", prompt_tokens: int | None = None) -> Runtime:
    """Return the runtime that opens `bundle`: the named one, or the one that suits bundle and machine best ("auto").

    Args:
        bundle: The bundle.
        name: The name of a runtime, or "auto".
        prompt_tokens: How long prompts will be, for "auto"; None takes a usual chat.

    Raises:
        RuntimeUnavailableError: none can, with every reason.
    """
    return runtime(explain_choice(bundle, name, prompt_tokens).runtime)


def explain_choice(bundle: Bundle, name: str = "auto", prompt_tokens: int | None = None) -> Choice:
    """Return the name of the runtime that `choose_runtime` takes, and why it takes that one. Errors are the same."""
    from edgekit.choice import Choice, choose

    able = openers(bundle, name)
    if name == "auto":
        able = {found: _advised(found, bundle, availability) for found, availability in able.items()}
    versions = usable_versions(able)
    if not versions:
        reasons = [f"{found.name}: {availability.reason}" for found, availability in able.items()]
        # What can be installed is nearer than what must be exported again.
        hints = sorted((availability.hint for availability in able.values()), key=lambda hint: "export" in hint)
        raise RuntimeUnavailableError(f"no runtime can open {bundle.path}: {'; '.join(reasons)}", hints[0])
    if name != "auto":
        return Choice(name, "asked for")
    return choose(bundle, versions, _size(bundle, runtime(next(iter(versions)))), prompt_tokens)


def pass_costs(bundle: Bundle, chosen: Runtime, measure: Callable[[], PassCosts | None]) -> PassCosts:
    """Return what a runtime's passes over several tokens cost with a bundle; `measure` is asked where nobody knows."""
    from edgekit.choice import costs_of_passes

    versions = usable_versions(openers(bundle))
    return costs_of_passes(bundle, versions, chosen.name, _size(bundle, chosen), measure)


def openers(bundle: Bundle, name: str = "auto") -> dict[Runtime, Availability]:
    """Return the named runtime, or all, and for each whether it can open a bundle here, or why not."""
    from edgekit.decoder import Availability

    found = {}
    for candidate in map(runtime, runtime_names() if name == "auto" else [name]):
        if candidate.format not in bundle.manifest.formats:
            reason = f"the bundle has no {candidate.format} format"
            found[candidate] = Availability(ok=False, reason=reason, hint=f"export again with --to {candidate.format}")
        elif bundle.manifest.task != "generate" and not hasattr(candidate, "open_encoder"):
            found[candidate] = Availability(ok=False, reason="it opens no encoders", hint="take another runtime")
        else:
            found[candidate] = candidate.available()
    return found


def usable_versions(found: dict[Runtime, Availability]) -> dict[str, str]:
    """Return the versions of the engines, by the names of their runtimes, that `openers` says can open a bundle."""
    return {runtime.name: each.version for runtime, each in found.items() if each.ok}


def _size(bundle: Bundle, chosen: Runtime) -> int:
    """Return the bytes of the format that a runtime opens."""
    return sum(bundle.manifest.files[name].size for name in bundle.manifest.formats[chosen.format].files)


def _advised(found: Runtime, bundle: Bundle, availability: Availability) -> Availability:
    """Return that a runtime is not available where it advises against itself."""
    from edgekit.decoder import Availability
    from edgekit.machine import this_processor
    from edgekit.planning.outline import outline_of

    outline = outline_of(bundle).formats.get(found.format)
    against = found.advises_against(outline, this_processor()) if outline is not None and availability.ok else ""
    if not against:
        return availability
    return Availability(ok=False, reason=against, hint=f"if you want it all the same: --runtime {found.name}")


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
