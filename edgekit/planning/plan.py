"""`edgekit plan`: whether a model fits a device, and how fast it will be on which runtime, before it is exported.

Nothing of the model is read but its config. What a runtime takes in memory it says itself (`footprint`), whether or not
it is installed; how fast it is follows from what was measured of it (`expected.py`) and from the device.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from edgekit import registry
from edgekit.bundle import Bundle
from edgekit.bundle_names import MANIFEST
from edgekit.choice import Question, ask
from edgekit.decoder import DEFAULT_CONTEXT, KvPrecision, Runtime
from edgekit.errors import EdgekitError, UsageError
from edgekit.measured import recall
from edgekit.planning.devices import THIS, Device, find_device
from edgekit.planning.expected import ELSEWHERE, Demand, expect, reads
from edgekit.planning.footprint import ROOM, Footprint, Use, fit, largest_context
from edgekit.planning.outline import FormatOutline, Outline, in_layers, layer_count, outline_of
from edgekit.progress import Progress
from edgekit.speeds import CHAT, Measurement, Table, read_table

READING = 5.0
"""Tokens per second below which an answer comes more slowly than people read."""


@dataclass(frozen=True, kw_only=True)
class RuntimePlan:
    """One runtime."""

    runtime: str
    format: str
    files: int
    """Bytes of the format's files."""
    memory: Footprint
    context_largest: int
    """The most tokens of context that fit, up to what the model (or the bundle's format) has; 0 where none do."""
    speeds: dict[str, float]
    """Tokens per second: "prefill" and "decode", or "encode"; empty where nothing alike was measured."""
    verdict: str
    """"fits", "tight" (its weights will be read from the disk again and again) or "too large"."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to expect of a model on a device."""

    name: str
    task: str
    parameters: int
    quantization: str
    context: int
    """Tokens that the figures are for."""
    context_max: int
    """Tokens that the model, or the bundle's format, has at most."""
    device: str
    on: Device
    runtimes: tuple[RuntimePlan, ...]
    """The one that suits best first."""
    left_out: dict[str, str]
    """Runtimes and formats that are no option, and why."""
    speeds_from: str
    """Where the speeds are from, in words."""
    best: str | None
    """The runtime to take: what `auto` takes of those that fit; None where none does."""
    verdict: str
    """"yes", "slow" or "no"."""
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        data = dataclasses.asdict(self)
        for entry, each in zip(data["runtimes"], self.runtimes, strict=True):
            entry["memory"] |= {"own": each.memory.own, "total": each.memory.total}
        on = data.pop("on")
        return {**data, "device": {"name": self.device, **on}}


def plan(
    source: str | os.PathLike[str],
    device: str = THIS,
    *,
    to: str | Sequence[str] = (),
    quantize: str = "auto",
    context: int | None = None,
    runtime: str | None = None,
    kv: KvPrecision = "auto",
    progress: Progress | None = None,
) -> Plan:
    """Say whether a model fits a device and how fast it will be there.

    Args:
        source: A bundle's folder, or a checkpoint as in `export`, of which the config is enough.
        device: The name of a device, or "this": measured now, for about a second.
        to: For a checkpoint, the formats to consider; all if there are none.
        quantize: For a checkpoint, as in `export`.
        context: Tokens of prompt and answer together, or of a text; None takes what `load` takes.
        runtime: The only runtime to consider.
        kv: The precision of the cache, as in `load`.
        progress: Is told of downloads.

    Raises:
        UsageError: an unknown device, runtime or quantization, or a context that the model does not have.
        EdgekitError: the source cannot be read or is not supported.
    """
    if kv not in get_args(KvPrecision):
        raise UsageError(f"kv is {kv!r}", f"choose one of: {', '.join(get_args(KvPrecision))}")
    wanted = [registry.runtime(name) for name in (registry.runtime_names() if runtime is None else [runtime])]
    if device != THIS:
        find_device(device)  # a name that is wrong is told before anything is fetched
    formats = [item.strip() for item in to.split(",") if item.strip()] if isinstance(to, str) else list(to)
    known = sorted({registry.runtime(name).format for name in registry.runtime_names()})
    for unknown in (name for name in formats if name not in known):
        raise UsageError(f"unknown format {unknown!r}", f"choose from: {', '.join(known)}")
    if formats:
        wanted = [each for each in wanted if each.format in formats]
        if not wanted:
            raise UsageError(f"the runtime {runtime} executes none of {', '.join(formats)}", "leave out --to")
    formats = formats or sorted({each.format for each in wanted})
    bundle = Bundle.open(source, progress) if (Path(source) / MANIFEST).is_file() else None
    if bundle is None:
        path = str(source) if isinstance(source, os.PathLike) else source
        outline = registry.call("outline", "outline", path, formats, quantize, context, progress)
        longest = outline.spec.context
    else:
        outline = _only(outline_of(bundle), formats)
        longest = max(each.context_max for each in outline.formats.values())
    used = _checked_context(context, longest, outline)
    measured = None if bundle is None or device != THIS else _recall(bundle)
    return _Planner(
        outline=outline, device=find_device(device), name=device, context=used, context_max=longest, kv=kv,
        table=read_table(), measured=measured,
    ).plan(wanted)  # fmt: skip


def _only(outline: Outline, formats: list[str]) -> Outline:
    """Return the outline of a bundle with some of its formats."""
    kept = {name: each for name, each in outline.formats.items() if name in formats}
    if not kept:
        has = ", ".join(outline.formats) or "none"
        raise UsageError(f"the bundle has no {' or '.join(formats)} format; it has: {has}")
    return dataclasses.replace(outline, formats=kept)


def _checked_context(context: int | None, longest: int, outline: Outline) -> int:
    if context is None:
        return min(longest, DEFAULT_CONTEXT)
    if not 1 <= context <= longest:
        longer = "choose less, or export it again with a larger --context"
        raise UsageError(
            f"a context of {context!r} tokens was asked for; {outline.name} takes 1 to {longest:,}",
            longer if longest < outline.spec.context else "choose less",
        )
    return context


def _recall(bundle: Bundle) -> Measurement | None:
    """Return what `edgekit bench --runtime all` measured of a bundle on this machine."""
    return recall(bundle, registry.usable_versions(registry.openers(bundle)))


@dataclass(frozen=True, kw_only=True)
class _Planner:
    outline: Outline
    device: Device
    name: str
    context: int
    context_max: int
    kv: KvPrecision
    table: Table
    measured: Measurement | None
    """Of this very bundle on this machine."""

    def plan(self, wanted: Sequence[Runtime]) -> Plan:
        found: dict[str, RuntimePlan] = {}
        left_out = dict(self.outline.left_out)
        for each in wanted:
            if each.format not in self.outline.formats:
                left_out.setdefault(each.name, f"there is no {each.format} format")
                continue
            try:
                found[each.name] = self._runtime(each)
            except UsageError as error:
                left_out[each.name] = error.message
        if not found:
            raise EdgekitError("no runtime can be planned for: " + "; ".join(f"{k}: {v}" for k, v in left_out.items()))
        order = self._order(wanted, found)
        fitting = [name for name in order if found[name].verdict != "too large"]
        best = fitting[0] if fitting else None
        verdict, reasons = self._verdict(found, best, order)
        outline = self.outline
        return Plan(
            name=outline.name, task=outline.task, parameters=outline.parameters, quantization=outline.quantization,
            context=self.context, context_max=self.context_max, device=self.name, on=self.device,
            runtimes=tuple(found[name] for name in order), left_out=left_out, best=best, verdict=verdict,
            reasons=reasons, speeds_from=self._speeds_from(),
        )  # fmt: skip

    def _speeds_from(self) -> str:
        if self.measured is not None:
            return f"measured here ({self.measured.source})"
        kind = self.device.kind
        if any(entry.cpu == kind for entry in self.table.measured):
            return f"expected by what other models reached on {kind}, and this device's bandwidth and compute"
        instead = f"{ELSEWHERE}, since none was measured on {kind}"
        return f"expected by what models reached on {instead}, and this device's bandwidth and compute"

    def _runtime(self, runtime: Runtime) -> RuntimePlan:
        outline = self.outline.formats[runtime.format]
        memory = self._footprint(runtime, outline, self.context)
        verdict, reason = self._fit(memory)
        against = runtime.advises_against(outline, self.device.processor)
        return RuntimePlan(
            runtime=runtime.name,
            format=runtime.format,
            files=sum(outline.files.values()),
            memory=memory,
            context_largest=self._largest(runtime, outline),
            speeds=self._speeds(runtime, outline),
            verdict=verdict,
            reasons=tuple(filter(None, (reason, against, self._missing(runtime)))),
        )

    def _footprint(self, runtime: Runtime, outline: FormatOutline, context: int) -> Footprint:
        return runtime.footprint(outline, Use(context=context, kv=self.kv, processor=self.device.processor))

    def _fit(self, memory: Footprint) -> tuple[str, str]:
        free = self.device.free
        return ("fits", "how much memory is free is not known") if free is None else fit(memory, free)

    def _largest(self, runtime: Runtime, outline: FormatOutline) -> int:
        free = self.device.free
        if free is None:
            return self.context_max
        return largest_context(
            lambda context: self._footprint(runtime, outline, context).total <= ROOM * free, self.context_max
        )

    def _speeds(self, runtime: Runtime, outline: FormatOutline) -> dict[str, float]:
        if self.measured is not None and runtime.name in self.measured.speeds:
            return dict(self.measured.speeds[runtime.name])
        spec = outline.spec
        weights, cache = reads(runtime, outline, self.device.processor, self.kv)
        demand = Demand(
            runtime=runtime.name,
            cpu=self.device.kind,
            task=self._task,
            quantization=outline.quantization,
            layers=layer_count(spec),
            multiplied=in_layers(spec),
            read=weights,
            cache=cache,
            position=min(CHAT["prefill"] + CHAT["decode"] // 2, self.context),
        )
        return expect(self.table, demand, self.device.capacity)

    def _missing(self, runtime: Runtime) -> str:
        """Say how to get an engine that is not here, where here is what is planned for."""
        found = runtime.available() if self.name == THIS else None
        return "" if found is None or found.ok else f"{found.reason}: {found.hint}"

    def _order(self, wanted: Sequence[Runtime], found: dict[str, RuntimePlan]) -> list[str]:
        """Return the runtimes as `auto` prefers them, those that it would not or cannot take last."""
        last = {
            each.name
            for each in wanted
            if each.name in found
            and (self._missing(each) or each.advises_against(self.outline.formats[each.format], self.device.processor))
        }
        rest, order = set(found) - last, list[str]()
        if self.measured is not None:
            order = self.measured.ranked(rest, self.measured.workload)
            rest -= set(order)
        while rest:
            order.append(ask(self.table, self._question(found[min(rest)]), rest).runtime)
            rest.remove(order[-1])
        return order + sorted(last)

    def _question(self, any_of_them: RuntimePlan) -> Question:
        quantization = self.outline.quantization
        return Question(cpu=self.device.kind, task=self._task, quantization=quantization, size=any_of_them.files)

    @property
    def _task(self) -> str:
        return "generate" if self.outline.task == "generate" else "encode"

    def _verdict(
        self, found: dict[str, RuntimePlan], best: str | None, order: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        if best is None:
            nearest = min(found.values(), key=lambda each: each.memory.total)
            return "no", (f"{nearest.runtime} needs the least: {'; '.join(nearest.reasons)}", *self._ways_out(found))
        chosen = found[best]
        reasons = [f"{best}: {reason}" for reason in chosen.reasons]
        if best != order[0]:
            reasons.append(f"{order[0]}, which auto would prefer, is too large")
        decode = chosen.speeds.get("decode")
        slow = decode is not None and decode < READING
        if decode is not None and slow:
            reasons.append(f"{decode:.2g} tokens per second are slower than people read ({READING:g})")
        return "slow" if slow or chosen.verdict == "tight" else "yes", tuple(reasons)

    def _ways_out(self, found: dict[str, RuntimePlan]) -> tuple[str, ...]:
        longest = max(each.context_largest for each in found.values())
        if longest:
            return (f"a context of {longest:,} tokens fits: --context {longest}",)
        if self.outline.quantization != "int4" and self.outline.task == "generate":
            return ("4 bits take about half the memory: --quantize int4",)
        return ("take a smaller model, or a device with more memory",)
