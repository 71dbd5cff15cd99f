"""Prefill and decode of EdgeKit's runtimes beside their peers, with the same weights, prompts and threads.

Each engine has a process of its own that waits while another works. A round is a turn of each engine of a group, a
prompt in an empty cache and then greedy steps; figures are ratios within a round, so that a busy moment of the machine
does less harm. The order changes from round to round.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing

import numpy as np
from bundles import bundle
from comparisons import GROUPS, Group, Pair
from part import Options, Row, Table, verdict
from setting import Noise
from worker import Setting, Worker

from edgekit.bundle import Bundle
from edgekit.cli import figures
from edgekit.cli.statistics import measured
from edgekit.machine import physical_cores

ORDER = 20
PHASES = ("prefill", "decode")
Rates = dict[str, dict[str, list[float]]]
"""Tokens per second of each round, by engine and phase."""


def measure(options: Options) -> Iterator[Row]:
    """Yield the medians of each engine, and the ratio of each pair with its interval, by group and phase."""
    for group in GROUPS:
        if group.work.model in options.models:
            yield from _measure(group, options)


def tables(rows: list[Row]) -> list[Table]:
    """Return a table of ratios, and one of all engines."""
    by_setting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_setting[f"{row['threads']} threads, {row['clock']} time, {row['rounds']} rounds"].append(row)
    return [table for setting, found in by_setting.items() for table in _tables(setting, found)]


def _tables(setting: str, rows: list[Row]) -> Iterator[Table]:
    ratios = [row for row in rows if "ratio" in row]
    lines = [
        (
            f"{row['model']} {row['quantize']}",
            f"{row['phase']} {row['tokens']}",
            f"{row['ours']} / {row['peer']}",
            f"{row['ratio']['median']:.3f}",
            f"{row['ratio']['low']:.3f} – {row['ratio']['high']:.3f}",
            "" if row["target"] is None else f"{row['target']}",
            verdict(row),
        )
        for row in ratios
    ]
    header = ("model", "phase", "engines", "ratio", "95 % interval", "target", "")
    notes = dict.fromkeys(f"The machine while {row['group']} ran was {row['noise']}." for row in ratios)
    yield Table(f"Ratios of speeds within a round: {setting}", header, lines, right=(3, 4, 5), notes=tuple(notes))
    medians = [
        (f"{row['model']} {row['quantize']}", row["engine"], *(figures.rate(row[phase]) for phase in PHASES))
        for row in rows
        if "engine" in row
    ]
    yield Table(f"Medians: {setting}", ("model", "engine", "prefill", "decode"), medians, right=(2, 3))


def _measure(group: Group, options: Options) -> Iterator[Row]:
    setting = Setting(
        model=group.work.model, quantize=group.quantize, context=group.work.context,
        prompt_tokens=group.work.prompt_tokens, new_tokens=group.work.new_tokens,
        threads=options.threads or physical_cores(),
    )  # fmt: skip
    noise = Noise()
    rates = _rates(group, setting, options, noise)
    common = {
        "model": group.work.model, "quantize": group.quantize, "group": _name(group), "threads": setting.threads,
        "clock": options.clock, "rounds": options.rounds,
    }  # fmt: skip
    for pair in group.pairs:
        if pair.ours.name in rates and pair.peer.name in rates:
            for phase in PHASES:
                yield {**common, **_ratio(pair, phase, setting, rates, _name(group)), "noise": noise.summary()}
    for engine, found in rates.items():
        medians = {phase: measured(values).median for phase, values in found.items()}
        yield {**common, "name": f"{_name(group)}: {engine}", "engine": engine, **medians, "met": None}


def _ratio(pair: Pair, phase: str, setting: Setting, rates: Rates, group: str) -> Row:
    ours, peer = (rates[engine.name][phase] for engine in (pair.ours, pair.peer))
    ratio = measured([a / b for a, b in zip(ours, peer, strict=True)])
    target = getattr(pair, phase)
    return {
        "name": f"{group}: {phase} of {pair.ours.name} / {pair.peer.name}",
        "phase": phase, "tokens": setting.prompt_tokens if phase == "prefill" else setting.new_tokens,
        "ours": pair.ours.name, "peer": pair.peer.name, "ratio": vars(ratio), "target": target,
        "met": None if target is None else ratio.high >= target,
    }  # fmt: skip


def _rates(group: Group, setting: Setting, options: Options, noise: Noise) -> Rates:
    work = group.work
    path = bundle(work.model, group.quantize, work.context)
    vocabulary = Bundle.open(path).manifest.spec.vocab_size
    prompts = np.random.default_rng(1).integers(0, vocabulary, (options.rounds + 1, work.prompt_tokens)).tolist()
    rates: Rates = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        engines = [engine for engine in group.engines if options.clock in engine.clocks]
        workers = [stack.enter_context(closing(Worker(engine, setting))) for engine in engines]
        for number, prompt in enumerate(prompts):
            noise.measure()
            for worker in workers[:: 1 if number % 2 else -1]:
                found = worker.ask(prompt=prompt, steps=work.new_tokens)
                if number:  # in the first round engines allocate and page in
                    for phase, tokens in zip(PHASES, (work.prompt_tokens, work.new_tokens), strict=True):
                        rates[worker.name][phase].append(tokens / found[phase][options.clock])
    return rates


def _name(group: Group) -> str:
    """Name a group by what its first pair compares."""
    pair = group.pairs[0]
    return f"{group.work.model} {group.quantize}, {pair.ours.name} beside {pair.peer.name}"
