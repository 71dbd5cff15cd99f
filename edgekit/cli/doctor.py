"""`edgekit doctor`: what this machine is, what is installed, what is missing and how to get it."""

import importlib.metadata
from typing import Any

from edgekit.cli import figures, options
from edgekit.machine import ONLY_64_BITS

PACKAGES = {
    "tokenizers": ("faster text; EdgeKit's own tokenizer does the same without it", "text"),
    "psutil": ("memory and cores on every system", "cli"),
    "onnx": ("export to onnx", "export"),
    "gguf": ("export of .gguf files", "export"),
    "huggingface_hub": ("export of hub ids", "export"),
}
"""Package -> what it is for, and the extra that brings it."""

LITTLE_MEMORY = 1_000_000_000
"""Bytes; below it even small models at 8 bits leave little for anything else."""


def command(json: options.Json = False) -> None:
    """Show the machine, its CPU features and memory, the engines, and how to get what is missing."""
    from edgekit.cli import tables

    data = examine()
    if json:
        tables.print_json(data)
        return
    tables.print_facts("Machine", _machine_facts(data))
    print()
    tables.print_table("Runtimes", ("name", "ready", "version", "how to get it"), _runtime_rows(data["runtimes"]))
    print()
    if data["auto"]:
        chosen = [
            (f"{item['task']}, {item['quantization']}, {figures.size(item['size'])}", item["runtime"], item["reason"])
            for item in data["auto"]
        ]
        header = ("bundle", "runtime", "why")
        tables.print_table("What auto takes for bundles with every format, unless bench measured one", header, chosen)
        print()
    packages = [
        (name, "yes" if item["version"] else "no", item["version"] or "", item["purpose"], item["hint"])
        for name, item in data["packages"].items()
    ]
    tables.print_table("Packages", ("name", "ready", "version", "what for", "how to get it"), packages)
    for warning in data["warnings"]:
        print(f"\nwarning: {warning}")
    if not any(item["ok"] for item in data["runtimes"].values()):
        print(f"\nNo runtime is ready: bundles can be inspected but not run. {_first_hint(data['runtimes'])}")


def examine() -> dict[str, Any]:
    """Return everything that doctor shows, as JSON values."""
    from edgekit import __version__, registry
    from edgekit.machine import read_machine

    machine = read_machine()
    # What runs them cannot even be imported on a 32-bit system.
    found = {name: registry.runtime(name) for name in registry.runtime_names() if machine.is_64bit}
    available = {name: item.available() for name, item in found.items()}
    bits = 64 if machine.is_64bit else 32
    return {
        "edgekit": __version__,
        "python": machine.python,
        "platform": machine.platform,
        "machine": machine.machine,
        "bits": bits,
        "cpu": machine.cpu.name or None,
        "cores": machine.cpu.physical_cores,
        "logical_cores": machine.cpu.logical_cores,
        "cpu_features": list(machine.cpu.features),
        "memory_total": machine.memory.total,
        "memory_available": machine.memory.available,
        "runtimes": {name: {"format": item.format, **vars(available[name])} for name, item in found.items()},
        "auto": _auto([name for name, item in available.items() if item.ok]),
        "packages": {name: _package(name) for name in PACKAGES},
        "warnings": _warnings(bits, machine.memory.total),
    }


def _auto(ready: list[str]) -> list[dict[str, Any]]:
    """Return what auto takes here for models such as were measured anywhere."""
    from edgekit.choice import Question, ask, this_cpu
    from edgekit.speeds import read_table

    table, cpu = read_table(), this_cpu()
    kinds = {(entry.task, entry.quantization, entry.size) for entry in table.measured} if ready else set()
    choices = []
    for task, quantization, size in sorted(kinds):
        choice = ask(table, Question(cpu=cpu, task=task, quantization=quantization, size=size), ready)
        kind = {"task": task, "quantization": quantization, "size": size}
        choices.append({**kind, "runtime": choice.runtime, "reason": choice.reason})
    return choices


def _package(name: str) -> dict[str, Any]:
    from edgekit.errors import install_hint

    purpose, extra = PACKAGES[name]
    try:
        version: str | None = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    return {"version": version, "purpose": purpose, "hint": "" if version else install_hint(extra)}


def _warnings(bits: int, memory: int | None) -> list[str]:
    warnings = []
    if bits == 32:
        warnings.append(f"{ONLY_64_BITS}: install the 64-bit Raspberry Pi OS, or another 64-bit system")
    if memory is not None and memory < LITTLE_MEMORY:
        warnings.append(f"{figures.size(memory)} of memory is little: choose models below 500 M parameters")
    return warnings


def _machine_facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    total, free = data["memory_total"], data["memory_available"]
    memory = figures.size(total) if total else "unknown"
    return [
        ("edgekit", data["edgekit"]),
        ("python", f"{data['python']}, {data['bits']}-bit"),
        ("system", data["platform"]),
        ("CPU", data["cpu"] or "unknown"),
        ("cores", f"{data['cores']} ({data['logical_cores']} logical)"),
        ("CPU features", ", ".join(data["cpu_features"]) or "none of those that matter here"),
        ("memory", memory + (f", {figures.size(free)} free" if free else "")),
    ]


def _runtime_rows(runtimes: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            "yes" if item["ok"] else "no",
            item["version"],
            "" if item["ok"] else f"{item['reason']}: {item['hint']}",
        )
        for name, item in runtimes.items()
    ]


def _first_hint(runtimes: dict[str, Any]) -> str:
    return next((str(item["hint"]) for item in runtimes.values() if item["hint"]), "")
