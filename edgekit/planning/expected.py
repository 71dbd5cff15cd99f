"""How fast a model should be on a machine where nobody has tried it, from what was measured of others elsewhere.

A token that is decoded reads every weight and the cache once; a token of a prompt costs two operations per weight. No
runtime reaches what the machine could do: what it takes is

    seconds = cost / capacity * (share + overhead * layers / cost)

with the bytes and the bandwidth for decoding, the operations and their rate for prompts (the head sees their last token
only). Between two models that were
measured this is a line, and it goes through both. The overhead is what a layer costs beside its weights (starting
threads, norms, small products): nearly all of a model of 100 M parameters, hardly anything of one of 4 B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.decoder import KvPrecision, Runtime
from edgekit.machine import Processor
from edgekit.planning.footprint import Use
from edgekit.planning.outline import FormatOutline, in_layers, layer_count
from edgekit.speeds import Capacity, Measurement, Table, Work

ELSEWHERE = "x86_64-vnni"
"""The kind of processor whose measurements stand in for those that no one has measured."""


EXPANDS = 1.5
"""Copies that are so many times larger than what is in the file are weights of more bits, and read as such. Smaller
differences are the engine's own, and in what was measured of it."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked: a model on a runtime and a kind of processor."""

    runtime: str
    cpu: str
    task: str
    """"generate" or "encode"."""
    quantization: str
    layers: int
    multiplied: int
    read: int
    cache: int
    """As in `speeds.Work`."""
    position: int
    """Tokens in the cache while a token is decoded."""


def reads(runtime: Runtime, outline: FormatOutline, processor: Processor, kv: KvPrecision = "auto") -> tuple[int, int]:
    """Return the bytes of weights that a runtime reads for a token, and those of the cache for each token before it."""
    one, two = (runtime.footprint(outline, Use(context=n, kv=kv, processor=processor)) for n in (1, 2))
    expands = one.copies > EXPANDS * outline.matrices
    return one.copies if expands else outline.matrices, two.cache - one.cache


def work_of(outlines: Mapping[Runtime, FormatOutline], processor: Processor) -> Work:
    """Return what a model asks for on the runtimes that it was measured with."""
    spec = next(iter(outlines.values())).spec
    found = {runtime.name: reads(runtime, outline, processor) for runtime, outline in outlines.items()}
    return Work(
        layers=layer_count(spec),
        multiplied=in_layers(spec),
        read={name: weights for name, (weights, _) in found.items()},
        cache={name: cache for name, (_, cache) in found.items()},
    )


def expect(table: Table, demand: Demand, capacity: Capacity) -> dict[str, float]:
    """Return tokens per second of "prefill" and "decode", or of "encode"; empty where no such model was measured.

    Args:
        table: What was measured.
        demand: What is asked.
        capacity: Of the machine it is asked of.
    """
    parts = ("prefill", "decode") if demand.task == "generate" else ("encode",)
    rates = {}
    for part in parts:
        cost, layers = _cost(part, demand.multiplied, demand.read, demand.cache, demand.position), demand.layers
        points = _points(table, demand, part)
        if not points:
            return {}
        factor = _line(points, demand.quantization, layers / cost)
        rates[part] = _best(part, capacity, demand.quantization) / (cost * factor)
    return rates


@dataclass(frozen=True)
class _Point:
    """One measurement: `y` is how many times longer it took than the machine's best would."""

    quantization: str
    x: float
    y: float


def _points(table: Table, demand: Demand, part: str) -> list[_Point]:
    kinds = {entry.cpu for entry in table.measured}
    cpu = demand.cpu if demand.cpu in kinds else ELSEWHERE
    found = (entry for entry in table.measured if (entry.cpu, entry.task) == (cpu, demand.task))
    points = [_point(entry, demand.runtime, part) for entry in found]
    return [point for point in points if point is not None]


def _point(entry: Measurement, runtime: str, part: str) -> _Point | None:
    work = entry.work
    if entry.capacity is None or work is None or runtime not in entry.speeds:
        return None
    # The middle of what was decoded behind the prompt.
    position = entry.workload.get("prefill", 0) + entry.workload.get("decode", 0) // 2
    cost = _cost(part, work.multiplied, work.read[runtime], work.cache[runtime], position)
    best = _best(part, entry.capacity, entry.quantization)
    return _Point(entry.quantization, work.layers / cost, best / (cost * entry.speeds[runtime][part]))


def _cost(part: str, multiplied: int, read: int, cache: int, position: int) -> float:
    return float(read + cache * position) if part == "decode" else 2.0 * multiplied


def _best(part: str, capacity: Capacity, quantization: str) -> float:
    """Return the bytes, or the operations, per second that nothing exceeds."""
    if part == "decode":
        return capacity.bandwidth
    return capacity.flops * (1.0 if quantization == "none" else capacity.integer_gain)


def _line(points: list[_Point], quantization: str, x: float) -> float:
    """Return y at x: on the line through the two nearest points of the same quantization.

    Where there is one alone, the line has the slope of another quantization's points: a layer's overhead is much the
    same. Where there is none, all others stand in.
    """
    own = [point for point in points if point.quantization == quantization] or points
    near = sorted(own, key=lambda point: abs(math.log(point.x / x)))[:2]
    slope = _slope(near)
    if slope is None:
        others: dict[str, list[_Point]] = {p.quantization: [] for p in points}
        for point in points:
            others[point.quantization].append(point)
        slopes = [found for group in others.values() if (found := _slope(group)) is not None]
        slope = slopes[0] if slopes else 0.0
    # No model reaches more than the best one that was measured.
    floor = min(point.y for point in points)
    return max(near[0].y + slope * (x - near[0].x), floor)


def _slope(points: list[_Point]) -> float | None:
    ends = sorted(points, key=lambda point: point.x)
    if len(ends) < 2 or ends[-1].x == ends[0].x:
        return None
    return max(0.0, (ends[-1].y - ends[0].y) / (ends[-1].x - ends[0].x))
