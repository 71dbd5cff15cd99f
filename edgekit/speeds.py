"""How fast each runtime was, as measured: which of them is the fastest, and what its passes cost.

`runtime_speeds.json` holds what was measured on which kind of processor, each with its source;
`tools/runtime_speeds.py` adds to it. It is data: a new engine or processor needs a line there, and none here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.pass_costs import PassCosts, interpolate
from edgekit.strict_json import Reader, parse

TABLE = Path(__file__).with_name("runtime_speeds.json")

CHAT = {"prefill": 512, "decode": 128}
"""Tokens of a usual question with what came before it, and of its answer."""

LEVEL = 1.05
"""Runtimes whose times differ by less are level: measurements repeat no better. The one with less memory wins."""

OTHER = "other"
"""What the table calls a processor that it does not name."""


INTEGER_GAIN = {"i8mm": 8.0, "asimddp": 4.0, "avx512_vnni": 4.0, "avx_vnni": 4.0}
"""Multiply-adds of an instruction for 8-bit numbers per one of a float32 instruction of the same width: SMMLA, SDOT,
VPDPBUSD."""
NO_GAIN = 4 / 3
"""Without them: three instructions (multiply, add pairs, add) for four times as many numbers."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a machine could do at best, as `machine_speed.measure` finds it with the threads that were used."""

    bandwidth: float
    """Bytes per second read from memory."""
    flops: float
    """Float32 operations per second in products of matrices."""
    integer_gain: float
    """How many times faster its instructions multiply the 8-bit numbers of quantized models."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a model asks of a machine for a token."""

    layers: int
    multiplied: int
    """Weights that a token of a prompt is multiplied with: those of the layers."""
    read: dict[str, int]
    """By runtime: bytes of the weights that a token reads which is decoded: those and the head's."""
    cache: dict[str, int]
    """By runtime: bytes of the cache that a later token reads of this one."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What a runtime's passes over several tokens cost, relative to one over a single token."""

    costs: dict[str, float]
    """By the number of tokens."""
    change: float = 0.0
    """As of `PassCosts`."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One model on one processor, with every runtime that opened it."""

    cpu: str
    """As `cpu_kind` says it."""
    task: str
    """"generate", or "encode" for whatever reads whole texts."""
    quantization: str
    size: int
    """Bytes of the model's files in one format."""
    source: str
    """Who measured it where, and when."""
    workload: dict[str, int]
    """Tokens of what was measured: {"prefill": n, "decode": n} or {"encode": n}."""
    speeds: dict[str, dict[str, float]]
    """By runtime: tokens per second of each part of the workload."""
    memory: dict[str, int] = field(default_factory=dict)
    """By runtime: the peak of resident bytes, where it is known."""
    passes: dict[str, Passes] = field(default_factory=dict)
    """By runtime, where they are known."""
    capacity: Capacity | None = None
    """Of the machine, measured beside it; without it and `work` nothing is expected of other machines and models."""
    work: Work | None = None

    def seconds(self, runtime: str, workload: Mapping[str, int]) -> float:
        """Return how long a runtime takes for a workload."""
        return sum(tokens / self.speeds[runtime][part] for part, tokens in workload.items())

    def ranked(self, names: Iterable[str], workload: Mapping[str, int]) -> list[str]:
        """Return those of the runtimes that were measured, the best first; level ones by memory, where it is known."""
        times = {name: self.seconds(name, workload) for name in sorted(set(names) & set(self.speeds))}
        ranked = sorted(times, key=lambda name: times[name])
        level = [name for name in ranked if times[name] < LEVEL * times[ranked[0]]]
        level.sort(key=lambda name: (self.memory.get(name, math.inf), times[name]))
        return level + ranked[len(level) :]


@dataclass(frozen=True, kw_only=True)
class Order:
    """The runtimes to try on processors where nothing was measured, and why in this order."""

    runtimes: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """What `runtime_speeds.json` says."""

    measured: tuple[Measurement, ...]
    unmeasured: dict[str, Order]
    """By the kind of processor, `OTHER` among them."""

    def nearest(self, cpu: str, task: str, quantization: str, size: int) -> Measurement | None:
        """Return the measurement that says most about a model: the same quantization before a similar size."""
        found = [entry for entry in self.measured if (entry.cpu, entry.task) == (cpu, task)]

        def distance(entry: Measurement) -> tuple[bool, float]:
            return entry.quantization != quantization, abs(math.log(entry.size / max(1, size)))

        return min(found, key=distance, default=None)

    def pass_costs(self, cpu: str, runtime: str, quantization: str, size: int) -> PassCosts:
        """Return what a runtime's passes over several tokens cost; none where that was never measured.

        Models of the same quantization come before others, and of these the ones on the same processor. Between two
        sizes that were measured, costs go with the logarithm of the size: the smaller a model, the less of a pass is
        reading its weights.
        """
        known = [entry for entry in self.measured if runtime in entry.passes]
        known = [entry for entry in known if entry.quantization == quantization] or known
        known = [entry for entry in known if entry.cpu == cpu] or known
        if not known:
            return PassCosts()
        known.sort(key=lambda entry: entry.size)
        logarithms = [math.log(entry.size) for entry in known]
        costs = [pass_costs(entry.passes[runtime]) for entry in known]

        def between(values: Iterable[float]) -> float:
            return interpolate(math.log(max(1, size)), list(zip(logarithms, values, strict=True)))

        counts = sorted({tokens for each in costs for tokens, _ in each.sizes})
        sizes = tuple((tokens, between(each.of(tokens) for each in costs)) for tokens in counts)
        return PassCosts(sizes, between(each.change for each in costs))

    def order(self, cpu: str) -> Order:
        """Return the order for a processor on which nothing was measured."""
        return self.unmeasured.get(cpu, self.unmeasured[OTHER])


def integer_gain(features: Iterable[str]) -> float:
    """Return how many times faster than floats a processor multiplies 8-bit numbers, by the best instruction it has."""
    return max((INTEGER_GAIN.get(feature, NO_GAIN) for feature in features), default=NO_GAIN)


def cpu_kind(architecture: str, features: Iterable[str]) -> str:
    """Return "x86_64-vnni", "x86_64" (also where nobody tells the features), "arm64", or the architecture's own name.

    Args:
        architecture: As `platform.machine()` has it.
        features: As Linux names them: VNNI multiplies the whole numbers of quantized models in one instruction.
    """
    name = architecture.lower()
    if name in ("x86_64", "amd64"):
        return "x86_64-vnni" if {"avx512_vnni", "avx_vnni"} & set(features) else "x86_64"
    return "arm64" if name in ("arm64", "aarch64") else name


def pass_costs(passes: Passes) -> PassCosts:
    """Return what was measured as the loop takes it: no pass costs less than a shorter one."""
    sizes, dearest = [(1, 1.0)], 1.0
    for tokens, cost in sorted((int(tokens), cost) for tokens, cost in passes.costs.items()):
        dearest = max(dearest, cost)
        sizes.append((tokens, dearest))
    return PassCosts(tuple(sizes), max(0.0, passes.change))


def read_table(path: Path = TABLE) -> Table:
    """Return the table, by default the one that EdgeKit ships."""
    table: Table = Reader(str(path)).build(Table, parse(path.read_bytes(), str(path)), "")
    return table


def read_measurement(path: Path) -> Measurement:
    """Return a measurement from a file.

    Raises:
        OSError: it cannot be read.
        BundleError: it is damaged.
    """
    reader = Reader(str(path))
    found: Measurement = reader.build(Measurement, parse(path.read_bytes(), str(path)), "")
    if not found.workload or found.size <= 0 or min(found.workload.values()) < 1:
        reader.refuse("workload", "measures nothing")
    for name, speeds in found.speeds.items():
        if set(speeds) != set(found.workload) or min(speeds.values()) <= 0:
            reader.refuse(f"speeds[{name!r}]", "does not fit the workload")
    for name, passes in found.passes.items():
        _check_passes(reader, passes, f"passes[{name!r}]")
    return found


def read_passes(path: Path) -> Passes:
    """Return what passes cost from a file. Errors are those of `read_measurement`."""
    reader = Reader(str(path))
    found: Passes = reader.build(Passes, parse(path.read_bytes(), str(path)), "")
    _check_passes(reader, found, "costs")
    return found


def _check_passes(reader: Reader, passes: Passes, where: str) -> None:
    if not all(tokens.isdecimal() and int(tokens) > 1 for tokens in passes.costs):
        reader.refuse(where, "has a cost of no number of tokens")
