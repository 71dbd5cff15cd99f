"""Which runtime "auto" takes: by what was measured here, else by what was measured elsewhere, else by what was read.

What the runtime's passes cost, by which the loop decides how far to guess ahead, comes from the same measurements, or
is measured when it is asked for.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.machine import read_cpu
from edgekit.measured import recall
from edgekit.pass_costs import PassCosts
from edgekit.speeds import CHAT, Measurement, Table, cpu_kind, pass_costs, read_table

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


@dataclass(frozen=True)
class Choice:
    """A runtime, and why this one, in words."""

    runtime: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the table is asked: which runtime for such a model, on such a processor?"""

    cpu: str
    """As `cpu_kind` says it."""
    task: str
    """"generate" or "encode"."""
    quantization: str
    size: int
    """Bytes of the model's files in one format."""
    prompt_tokens: int | None = None
    """How long prompts will be; None for a usual chat."""


def choose(bundle: Bundle, versions: Mapping[str, str], size: int, prompt_tokens: int | None = None) -> Choice:
    """Choose among the runtimes that can open a bundle.

    Args:
        bundle: The bundle.
        versions: The version of the engine of every such runtime, at least one.
        size: Bytes of the model's files in one format.
        prompt_tokens: How long prompts will be; None takes what was measured here, or a usual chat.
    """
    if len(versions) == 1:
        return Choice(next(iter(versions)), "the only runtime here that opens this bundle")
    here = recall(bundle, versions)
    if here is not None:
        asked = here.workload if prompt_tokens is None else {**here.workload, "prefill": prompt_tokens}
        return _fastest(here, versions, asked if "prefill" in here.workload else here.workload, "measured here: {}")
    manifest = bundle.manifest
    task = "generate" if manifest.task == "generate" else "encode"
    quantization = manifest.quantization.get("mode", "none")
    return ask(read_table(), Question(cpu=this_cpu(), task=task, quantization=quantization, size=size,
                                      prompt_tokens=prompt_tokens), versions)  # fmt: skip


def costs_of_passes(
    bundle: Bundle, versions: Mapping[str, str], runtime: str, size: int, measure: Callable[[], PassCosts | None]
) -> PassCosts:
    """Return what a runtime's passes over several tokens of a bundle cost.

    As `edgekit bench` measured them here, else as `measure` says, else by the table.
    """
    here = recall(bundle, versions)
    if here is not None and runtime in here.passes:
        return pass_costs(here.passes[runtime])
    if (measured := measure()) is not None:
        return measured
    return read_table().pass_costs(this_cpu(), runtime, bundle.manifest.quantization.get("mode", "none"), size)


def ask(table: Table, question: Question, names: Iterable[str]) -> Choice:
    """Choose among runtimes by the table alone; those that it does not know come last, by name."""
    names = sorted(names)
    found = table.nearest(question.cpu, question.task, question.quantization, question.size)
    if found is not None and set(names) & set(found.speeds):
        workload = {**CHAT, "prefill": question.prompt_tokens or CHAT["prefill"]}
        where = f"measured on {found.cpu} with {found.quantization} of {found.size / 1e6:.0f} MB"
        return _fastest(found, names, workload if found.task == "generate" else found.workload, where + ": {}")
    order = table.order(question.cpu)
    best = next((name for name in order.runtimes if name in names), names[0])
    return Choice(best, f"not measured on {question.cpu}; {order.reason}")


def this_cpu() -> str:
    """Return the kind of this machine's processor, as the table calls it."""
    return cpu_kind(platform.machine(), read_cpu().features)


def _fastest(found: Measurement, names: Iterable[str], workload: Mapping[str, int], words: str) -> Choice:
    ranked = found.ranked(names, workload)
    times = ", ".join(f"{name} {found.seconds(name, workload):.2g} s" for name in ranked)
    tokens = " + ".join(f"{count}" for count in workload.values())
    quickest = min(ranked, key=lambda name: found.seconds(name, workload))
    why = "" if ranked[0] == quickest else f", {quickest} with more memory"
    return Choice(ranked[0], words.format(f"{times} for {tokens} tokens{why}"))
