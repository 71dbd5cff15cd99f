"""What Linux (Android, Raspberry Pi OS) says of its machine in /proc and /sys; both are parameters, for recorded ones.

Formats: proc(5), Documentation/admin-guide/cgroup-v2.rst and cputopology.rst of the kernel.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

PROC = Path("/proc")
SYS = Path("/sys")

# Part numbers of Arm's own cores, from their technical reference manuals (MIDR_EL1): such a CPU has no name here.
_ARM_PARTS = {
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse N1",
    0xD0D: "Cortex-A77",
    0xD40: "Neoverse V1",
    0xD41: "Cortex-A78",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD48: "Cortex-X2",
    0xD49: "Neoverse N2",
    0xD4F: "Neoverse V2",
}


def read(path: Path) -> str:
    """Return a file's text; empty where there is none or it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \t\n")
    except OSError:
        return ""


def processors(proc: Path = PROC) -> list[dict[str, str]]:
    """Return /proc/cpuinfo as one mapping per processor; what it says of the whole machine is in the last."""
    blocks = read(proc / "cpuinfo").split("\n\n")
    return [_pairs(block) for block in blocks if block.strip()]


def cpu_name(proc: Path = PROC) -> str:
    """Return the CPU's name, and the board's where there is one ("Cortex-A72, Raspberry Pi 4 Model B Rev 1.4")."""
    found = processors(proc)
    names = [block["model name"] for block in found if "model name" in block][:1]
    if not names:
        parts = {block["CPU part"] for block in found if "CPU part" in block}
        names = sorted({_ARM_PARTS.get(_hexadecimal(part), f"Arm part {part}") for part in parts})
    board = read(proc / "device-tree" / "model")
    boards = [board] if board else [block[key] for block in found for key in ("Model", "Hardware") if key in block]
    return ", ".join([" + ".join(names), *boards[:1]]).strip(", ")


def cpu_flags(proc: Path = PROC) -> frozenset[str]:
    """Return the features that every processor has: a thread may run on any of them."""
    lines = [block.get("flags") or block.get("Features") for block in processors(proc)]
    sets = [frozenset(line.split()) for line in lines if line]
    return frozenset.intersection(*sets) if sets else frozenset()


def physical_cores(proc: Path = PROC, sys: Path = SYS, allowed: frozenset[int] | None = None) -> int | None:
    """Return how many cores the `allowed` processors (None: all) lie on, no more than the group's CPU quota.

    Two hyper-threads of one core count once. None where nothing is known.
    """
    cores: set[str] = set()
    for path in (sys / "devices" / "system" / "cpu").glob("cpu[0-9]*"):
        siblings = read(path / "topology" / "core_cpus_list") or read(path / "topology" / "thread_siblings_list")
        if siblings and (allowed is None or int(path.name[3:]) in allowed):
            cores.add(siblings)
    if not cores:
        for number, block in enumerate(b for b in processors(proc) if "processor" in b):
            if allowed is None or number in allowed:
                cores.add(f"{block.get('physical id', '')} {block.get('core id', f'processor {number}')}")
    if not cores:
        return None
    quotas = [math.ceil(int(quota) / int(period)) for quota, period in _cpu_quotas(proc, sys)]
    return max(1, min([len(cores), *quotas]))


def total_memory(proc: Path = PROC, sys: Path = SYS) -> int | None:
    """Return the bytes of memory of the machine, or of the group (container) if it has a smaller limit."""
    limits = [limit for limit, _, _ in _memory_groups(proc, sys) if limit is not None]
    return min([*_kilobytes(proc / "meminfo", "MemTotal"), *limits], default=None)


def available_memory(proc: Path = PROC, sys: Path = SYS) -> int | None:
    """Return the bytes that can be had without swapping, within the group's limit."""
    rooms = _kilobytes(proc / "meminfo", "MemAvailable")
    for limit, used, reclaimable in _memory_groups(proc, sys):
        if limit is not None and used is not None:
            # The group's usage counts cached file pages, which the kernel gives back on demand.
            rooms.append(max(0, limit - used + reclaimable))
    return min(rooms, default=None)


def process_bytes(key: str, proc: Path = PROC) -> int | None:
    """Return a size that /proc/self/status gives: VmRSS, VmHWM, RssAnon or RssFile."""
    return next(iter(_kilobytes(proc / "self" / "status", key)), None)


def _memory_groups(proc: Path, sys: Path) -> list[tuple[int | None, int | None, int]]:
    """Return limit, usage and reclaimable part of it of this process's groups, in bytes, as far as they are told.

    Version 1 of cgroups (Documentation/admin-guide/cgroup-v1/memory.rst), which older boards and phones have, calls
    them otherwise, and writes a limit near 2^63 where there is none.
    """
    names = {"": ("memory.max", "memory.current", "inactive_file"),
             "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}  # fmt: skip
    return [
        (_count(read(group / limit)), _count(read(group / used)), _count(_words(group / "memory.stat").get(file)) or 0)
        for controller, (limit, used, file) in names.items()
        for group in _groups(proc, sys, controller)
    ]


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _groups(proc: Path, sys: Path, controller: str = "") -> list[Path]:
    """Return the folders of this process's cgroup and of all above it; a limit anywhere binds.

    Args:
        proc: /proc.
        sys: /sys.
        controller: Of version 1 ("memory"), which has a tree for each; "" for version 2.
    """
    lines = (line.split(":", 2) for line in read(proc / "self" / "cgroup").splitlines())
    names = [line[2] for line in lines if len(line) == 3 and controller in line[1].split(",")]
    if not names:
        return []
    root = sys / "fs" / "cgroup" / controller
    # Seen from inside a container the name may begin with "/../", above which nothing can be read.
    inner = root.joinpath(*(part for part in names[0].split("/") if part not in ("", "..")))
    return [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root)]


def _cpu_quotas(proc: Path, sys: Path) -> list[list[str]]:
    pairs = [read(group / "cpu.max").split() for group in _groups(proc, sys)]
    return [pair for pair in pairs if len(pair) == 2 and pair[0].isdecimal() and pair[1].isdecimal() and int(pair[1])]


def _pairs(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, colon, value in lines if colon}


def _words(path: Path) -> dict[str, str]:
    words = (line.split() for line in read(path).splitlines())
    return {pair[0]: pair[1] for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def _kilobytes(path: Path, key: str) -> list[int]:
    value = _pairs(read(path)).get(key, "").removesuffix(" kB").strip()
    return [int(value) * 1024] if value.isdecimal() else []


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1


def allowed_processors() -> frozenset[int] | None:
    """Return the processors that this process may run on, None where the system does not say."""
    ask = getattr(os, "sched_getaffinity", None)
    return None if ask is None else frozenset(ask(0))
