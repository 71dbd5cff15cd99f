"""`edgekit bench`: how large a bundle is, how fast it loads and answers, and how much memory it takes."""

import time
from typing import Annotated, Any

import typer

from edgekit.cli import figures, options
from edgekit.errors import UsageError

MIN_ROUNDS = 3
EVERY = "all"
"""The runtime's name that stands for each that can open the bundle."""
TEXT_TOKENS = 128
"""Of what an encoder reads, where nothing else is asked for: a paragraph."""


def command(
    bundle: options.BundlePath,
    prompt_tokens: Annotated[
        int | None,
        typer.Option(
            "--prompt-tokens", metavar="N", min=1, help="Tokens of the prompt, or of an encoder's text. "
            f"(default: 512, or {TEXT_TOKENS})",
        ),
    ] = None,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", metavar="N", min=2, help="Tokens to generate (decode).")
    ] = 128,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=MIN_ROUNDS, help="Measurements; medians are shown.")
    ] = 5,
    runtime: Annotated[
        str,
        typer.Option(
            "--runtime", metavar="NAME", help="What executes the model; all compares every one that can, and auto "
            "takes the fastest from then on.",
        ),
    ] = "auto",
    threads: options.Threads = None,
    context: options.Context = None,
    memory_check: options.MemoryCheck = True,
    energy: Annotated[
        bool, typer.Option("--energy", help="Measure joules per token and per task, too, where this device tells them.")
    ] = False,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Measure size, load time, peak memory, prefill and decode speed, and energy, of one runtime or of all."""
    from edgekit.cli import comparing, tables

    if runtime == EVERY:
        # As they were given: what is left out each runtime's measurement decides for itself.
        given = {"prompt-tokens": prompt_tokens, "new-tokens": new_tokens, "rounds": rounds, "threads": threads,
                 "context": context, "no-memory-check": None if memory_check else True,
                 "energy": energy or None}  # fmt: skip
        comparison = comparing.compare(bundle, {name: value for name, value in given.items() if value is not None})
        if json:
            tables.print_json(comparison)
        else:
            comparing.show(comparison)
        return
    data = measure(
        bundle, prompt_tokens, new_tokens, rounds, energy=energy, runtime=runtime, threads=threads, context=context,
        memory_check=memory_check,
    )  # fmt: skip
    if json:
        tables.print_json(data)
        return
    title = f"{data['name']} on {data['runtime']}, {rounds} rounds"
    tables.print_table(title, ("", "median", "interval"), _rows(data), right=(1, 2))
    if energy:
        from edgekit.cli import energy as joules

        answer = f" + {data['new_tokens']}" if data["new_tokens"] else ""
        joules.show(data["energy"], f"a task of {data['prompt_tokens']}{answer} tokens")


def measure(
    bundle: options.BundlePath, prompt_tokens: int | None, new_tokens: int, rounds: int, *, energy: bool = False,
    **loading: Any,  # noqa: ANN401
) -> dict[str, Any]:  # fmt: skip
    """Load a bundle and measure it; `loading` are options of `edgekit.load`. Returns JSON values."""
    import edgekit
    from edgekit.cli import describe, measuring
    from edgekit.cli import energy as joules
    from edgekit.cli.progress import watch
    from edgekit.machine import peak_memory

    began = time.perf_counter()
    with watch(brief=True) as progress, edgekit.load(bundle, progress=progress, **loading) as model:
        load_seconds = time.perf_counter() - began
        if model.bundle.manifest.task == "generate":
            prompt_tokens = prompt_tokens or 512
            _check(prompt_tokens, new_tokens, model.session.context)
            speeds = measuring.measure_decoder(model.session, prompt_tokens, new_tokens, rounds, progress)
            more = {"passes": measuring.measure_passes(model.session, prompt_tokens, rounds, progress)}
        else:
            prompt_tokens, new_tokens = prompt_tokens or min(TEXT_TOKENS, model.encoder.context), 0
            speeds, more = measuring.measure_encoder(model.encoder, prompt_tokens, rounds, progress), {}
        used = {"energy": joules.measure(model, prompt_tokens, new_tokens, progress)} if energy else {}
        return {
            "name": model.bundle.manifest.name,
            "runtime": model.runtime,
            "prompt_tokens": prompt_tokens,
            "new_tokens": new_tokens,
            "rounds": rounds,
            "size": describe.bundle_size(model.bundle),
            "load_seconds": load_seconds,
            "peak_memory": peak_memory(),
            **{figure: vars(value) for figure, value in speeds.items()},
            **{group: {name: vars(value) for name, value in values.items()} for group, values in more.items()},
            **used,
        }


def _check(prompt_tokens: int, new_tokens: int, context: int) -> None:
    if prompt_tokens + new_tokens > context:
        raise UsageError(
            f"{prompt_tokens} prompt tokens and {new_tokens} new ones do not fit the context of {context}",
            "choose fewer with --prompt-tokens and --new-tokens, or a larger --context",
        )


def _rows(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    named = {
        "prefill_tokens_per_second": (f"prefill of {data['prompt_tokens']}", figures.rate),
        "decode_tokens_per_second": (f"decode of {data['new_tokens']}", figures.rate),
        "first_token_seconds": ("time to first token", figures.seconds),
        "encode_tokens_per_second": (f"texts of {data['prompt_tokens']}, in batches", figures.rate),
        "text_seconds": (f"one text of {data['prompt_tokens']}", figures.seconds),
    }
    peak = data["peak_memory"]
    rows = [
        ("size", figures.size(data["size"]), ""),
        ("load time", figures.seconds(data["load_seconds"]), ""),
        ("peak memory", figures.size(peak) if peak else "unknown", ""),
    ]
    for figure, (name, words) in named.items():
        if figure in data:
            value = data[figure]
            rows.append((name, words(value["median"]), f"{words(value['low'])} – {words(value['high'])}"))
    for size, value in data.get("passes", {}).items():
        if size != "change":
            name = f"a pass over {size} tokens, relative to one"
            rows.append((name, f"{value['median']:.2f}", f"{value['low']:.2f} – {value['high']:.2f}"))
    return rows
