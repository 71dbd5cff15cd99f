"""`edgekit plan`: whether a model fits a device and how fast it will be there, before anything is exported."""

from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli import figures, options
from edgekit.cli.export import Quantization

if TYPE_CHECKING:
    from edgekit.planning.plan import Plan, RuntimePlan


TEXT = 128
"""Tokens of a text that an encoder's speed is said for: a paragraph."""


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|BUNDLE",
            help="A checkpoint as in export, of which the config is enough, or the folder of a bundle.",
            show_default=False,
        ),
    ],
    device: Annotated[
        str,
        typer.Option(
            "--device",
            metavar="NAME",
            help="Such as pi5-8gb (a wrong name lists all), or this: the machine here, measured for a second.",
        ),
    ] = "this",
    context: Annotated[
        int | None,
        typer.Option(
            "--context", metavar="N", min=1, help="Tokens of prompt and answer. (default: the model's, at most 4096)"
        ),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMATS", help="Formats to consider, as in export. (default: all)")
    ] = "",
    quantize: Annotated[
        Quantization,
        typer.Option("--quantize", metavar="auto|int4|int8|none|keep", help="Bits of the weights, as in export."),
    ] = Quantization.AUTO,
    runtime: Annotated[
        str | None, typer.Option("--runtime", metavar="NAME", help="The only runtime to consider. (default: all)")
    ] = None,
    json: options.Json = False,
) -> int:
    """Say whether a model fits a device, what memory it takes there and how fast it will be; exit 1 if it does not fit.

    Of a checkpoint only the config is read: no weights are fetched from a hub.
    """
    from edgekit.cli import tables
    from edgekit.cli.progress import watch
    from edgekit.planning.plan import plan

    with watch(brief=True) as progress:
        found = plan(
            what, device, to=to, quantize=quantize.value, context=context, runtime=runtime, progress=progress
        )  # fmt: skip
    if json:
        tables.print_json(found.to_json())
    else:
        _show(found)
    return 1 if found.verdict == "no" else 0


def _show(found: "Plan") -> None:
    from edgekit.cli import tables

    on = found.on
    free = "unknown" if on.free is None else figures.size(on.free)
    best = next((each for each in found.runtimes if each.runtime == found.best), None)
    answer = "no" if best is None else f"yes, with {best.runtime}{', but' if found.verdict == 'slow' else ''}"
    facts = [
        ("model", f"{figures.parameters(found.parameters)} parameters, {found.quantization}"),
        ("device", f"{on.title}: {on.cores} cores, memory read at {figures.size(on.bandwidth)}/s"),
        ("free memory", free if on.memory is None else f"{free} of {figures.size(on.memory)}"),
        ("busy", _busy(on.noise)),
        ("context", f"{found.context:,} of {found.context_max:,} tokens"),
        ("does it fit", answer),
        *(("", reason) for reason in found.reasons),
    ]
    tables.print_facts(f"{found.name} on {found.device}", facts)
    print()
    header = ("runtime", "files", "memory", "weights", "cache", "rest", "context", *_speed_names(found), "")
    rows = [_row(each, found) for each in found.runtimes]
    tables.print_table("Expected, by runtime", header, rows, right=range(1, len(header) - 1))
    print(f"\nSpeeds are {found.speeds_from}.")
    for each in found.runtimes:
        for reason in each.reasons:
            print(f"\n{each.runtime}: {reason}.")
    for name, reason in found.left_out.items():
        print(f"\n{name} is left out: {reason}.")


def _row(each: "RuntimePlan", found: "Plan") -> tuple[str, ...]:
    memory = each.memory
    if found.task == "generate":
        speeds = [figures.rate(each.speeds[part]) if part in each.speeds else "" for part in ("prefill", "decode")]
    else:
        speeds = [f"{each.speeds['encode'] / TEXT:.3g}/s" if "encode" in each.speeds else ""]
    return (
        each.runtime,
        figures.size(each.files),
        figures.size(memory.total),
        figures.size(memory.mapped + memory.copies),
        figures.size(memory.cache) if memory.cache else "",
        figures.size(memory.activations + memory.program),
        f"{each.context_largest:,}" if found.task == "generate" else "",
        *speeds,
        each.verdict,
    )


def _speed_names(found: "Plan") -> tuple[str, ...]:
    return ("prefill", "decode") if found.task == "generate" else (f"texts of {TEXT} tokens",)


def _busy(noise: float | None) -> str:
    if noise is None or noise < 0.1:
        return ""
    return f"measurements differed by {noise:.0%}: something else is at work, and an idle machine is faster"
