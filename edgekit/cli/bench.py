"""`edgekit bench`: how large a bundle is, how fast it loads and answers, and how much memory it takes."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import figures, options
from edgekit.cli.statistics import Measured, measured
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.progress import Progress
    from edgekit.session import DecoderSession

MIN_ROUNDS = 3


def command(
    bundle: options.BundlePath,
    prompt_tokens: Annotated[
        int, typer.Option("--prompt-tokens", metavar="N", min=1, help="Tokens of the prompt (prefill).")
    ] = 512,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", metavar="N", min=2, help="Tokens to generate (decode).")
    ] = 128,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=MIN_ROUNDS, help="Measurements; medians are shown.")
    ] = 5,
    runtime: options.Runtime = "auto",
    threads: options.Threads = None,
    context: options.Context = None,
    json: options.Json = False,
) -> None:
    """Measure size, load time, peak memory, prefill and decode speed."""
    import edgekit
    from edgekit.cli import describe, tables
    from edgekit.cli.progress import watch
    from edgekit.machine import peak_memory

    began = time.perf_counter()
    with (
        watch(brief=True) as progress,
        edgekit.load(bundle, runtime=runtime, threads=threads, context=context, progress=progress) as model,
    ):
        load_seconds = time.perf_counter() - began
        session = model.session
        if prompt_tokens + new_tokens > session.context:
            raise UsageError(
                f"{prompt_tokens} prompt tokens and {new_tokens} new ones do not fit the context of {session.context}",
                "choose fewer with --prompt-tokens and --new-tokens, or a larger --context",
            )
        speeds = measure(session, prompt_tokens, new_tokens, rounds, progress)
        size = describe.bundle_size(model.bundle)
        name, used = model.bundle.manifest.name, model.runtime
    peak = peak_memory()
    if json:
        tables.print_json({
            "name": name, "runtime": used, "prompt_tokens": prompt_tokens, "new_tokens": new_tokens, "rounds": rounds,
            "size": size, "load_seconds": load_seconds, "peak_memory": peak,
            **{figure: vars(value) for figure, value in speeds.items()},
        })  # fmt: skip
        return
    rows = [
        ("size", figures.size(size), ""),
        ("load time", figures.seconds(load_seconds), ""),
        ("peak memory", figures.size(peak) if peak else "unknown", ""),
        _row(f"prefill of {prompt_tokens}", speeds["prefill_tokens_per_second"], figures.rate),
        _row(f"decode of {new_tokens}", speeds["decode_tokens_per_second"], figures.rate),
        _row("time to first token", speeds["first_token_seconds"], figures.seconds),
    ]
    tables.print_table(f"{name} on {used}, {rounds} rounds", ("", "median", "interval"), rows, right=(1, 2))


def _row(name: str, value: Measured, words: Any) -> tuple[str, str, str]:  # noqa: ANN401 - a function to words
    return name, words(value.median), f"{words(value.low)} – {words(value.high)}"


def measure(
    session: "DecoderSession", prompt_tokens: int, new_tokens: int, rounds: int, progress: "Progress"
) -> dict[str, Measured]:
    """Measure prefill and decode by turns, so that a busy moment of the machine falls on both.

    A round is the prompt in an empty cache and then `new_tokens` greedy steps; one round before them is not counted.
    """
    import numpy as np

    prompts = np.random.default_rng(1).integers(0, session.vocab_size, (rounds + 1, prompt_tokens))
    firsts, steps = [], []
    progress.start("measuring", (rounds + 1) * (prompt_tokens + new_tokens - 1), "tokens")
    for prompt in prompts:
        session.rewind(0)
        began = time.perf_counter()
        token = int(session.forward(prompt, progress=progress)[-1].argmax())
        first = time.perf_counter()
        for _ in range(new_tokens - 1):
            token = int(session.forward([token])[-1].argmax())
        ended = time.perf_counter()
        progress.advance(new_tokens - 1)
        firsts.append(first - began)
        steps.append(ended - first)
    progress.finish()
    return {
        "first_token_seconds": measured(firsts[1:]),
        "prefill_tokens_per_second": measured([prompt_tokens / seconds for seconds in firsts[1:]]),
        "decode_tokens_per_second": measured([(new_tokens - 1) / seconds for seconds in steps[1:]]),
    }
