"""`edgekit inspect`: what a bundle or a checkpoint is."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import figures, options
from edgekit.errors import EdgekitError, RuntimeUnavailableError

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE|SOURCE", help="The folder of a bundle, or a checkpoint as in export.", show_default=False
        ),
    ],
    json: options.Json = False,
) -> None:
    """Show a bundle's or a checkpoint's architecture, sizes, quantization, quality and licence."""
    if (Path(what) / "edgekit.json").is_file():
        _inspect_bundle(Path(what), json)
    else:
        _inspect_source(what, json)


def _inspect_bundle(path: Path, json: bool) -> None:
    from edgekit.bundle import Bundle
    from edgekit.cli import describe, tables

    bundle = Bundle.open(path)
    auto = _auto(bundle)
    if json:
        tables.print_json({**describe.bundle_json(bundle), **describe.classifier_json(bundle.manifest), "auto": auto})
        return
    chosen = f"{auto['runtime'] or 'none'}: {auto['reason']}"
    tables.print_facts(str(path), [*describe.bundle_facts(bundle), ("runtime auto", chosen)])
    if bundle.manifest.classifier is not None:
        for measured, found in bundle.manifest.classifier.figures.items():
            print()
            tables.print_facts(describe.MEASURED[measured], describe.figures_facts(found, bundle.manifest.labels))
    for name, entry in bundle.manifest.formats.items():
        print()
        if entry.quality:
            tables.print_table(f"Quality of {name}, as verify measured it", ("figure", "value"), _flat(entry.quality))
        else:
            print(f"Quality of {name}: not measured yet; edgekit verify {path}")
    print()
    files = [(name, figures.size(entry.size)) for name, entry in bundle.manifest.files.items()]
    tables.print_table("Files", ("name", "size"), files, right=(1,))


def _auto(bundle: "Bundle") -> dict[str, str | None]:
    """Return which runtime auto takes for a bundle on this machine, and why."""
    from edgekit import registry

    try:
        choice = registry.explain_choice(bundle)
    except RuntimeUnavailableError as error:
        return {"runtime": None, "reason": f"{error.message}; {error.hint}"}
    return {"runtime": choice.runtime, "reason": choice.reason}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            rows += _flat(value, f"{name}: ")
        else:
            rows.append((name, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _inspect_source(source: str, json: bool) -> None:
    from edgekit import registry
    from edgekit.cli import describe, tables
    from edgekit.cli.progress import watch

    with watch(brief=True) as progress:
        checkpoint = registry.call("checkpoints", "open_checkpoint", source, progress=progress)
    with checkpoint:
        tensors = {name: tuple(rows.shape) for name, rows in checkpoint.tensors.items()}
        stored = sum(math.prod(shape) for shape in tensors.values())
        architecture = str(checkpoint.config.get("model_type", "unknown"))
        shape: dict[str, Any] = {"architecture": architecture, "parameters": stored}
        facts = [("architecture", architecture), ("parameters", figures.parameters(stored))]
        problem, via = "", None
        try:
            spec = registry.call("architecture", "read_model", checkpoint).spec
        except EdgekitError as error:
            problem = error.message
            via = "optimum" if registry.call("via_optimum.tasks", "may_take", checkpoint) else None
        else:
            shape, facts = describe.spec_json(architecture, spec), describe.spec_facts(architecture, spec)
        origin = checkpoint.source
        rest = {
            "kind": "checkpoint",
            "name": checkpoint.name,
            "supported": not problem,
            "problem": problem or None,
            "via": via,
            "tensors": len(tensors),
            "tokenizer": checkpoint.tokenizer_json is not None,
            "chat_template": checkpoint.chat_template is not None,
            "source": {"id": origin.id, "revision": origin.revision, "licence": origin.licence},
        }
    if json:
        tables.print_json({**shape, **rest})
        return
    facts += [
        ("tensors", str(len(tensors))),
        ("tokenizer", "yes" if rest["tokenizer"] else "no: a bundle of it is driven by token ids"),
        ("chat template", "yes" if rest["chat_template"] else "no"),
        ("revision", origin.revision or ""),
        ("licence", origin.licence or "unknown"),
        ("can be exported", f"no: {problem}" if problem else "yes"),
        *([("it may be with", f"edgekit export --via {via}")] if via else []),
    ]
    tables.print_facts(f"{checkpoint.name} ({origin.id})", facts)
