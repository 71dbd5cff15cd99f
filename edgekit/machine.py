"""The machine and this process, as `edgekit doctor` shows them and runtimes ask: CPU, cores, memory in bytes.

What a system does not tell is None. Nothing here needs a package; psutil, where it is installed, fills the gaps that
macOS and Windows leave.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import linux
from edgekit.errors import RuntimeUnavailableError
from edgekit.linux import PROC, SYS

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"),
    *("asimd", "atomics", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
"""The features that decide which engines run and how fast, by the names of Linux: x86, then Arm."""

# What macOS calls them: `sysctl hw.optional`.
_MACOS_FEATURES = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.avx512vnni": "avx512_vnni",
    "hw.optional.AdvSIMD": "asimd",
    "hw.optional.arm.AdvSIMD": "asimd",
    "hw.optional.arm.FEAT_LSE": "atomics",
    "hw.optional.arm.FEAT_FP16": "asimdhp",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme",
}


ONLY_64_BITS = "this Python is 32-bit; numpy and the engines are built for 64-bit systems only"


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """The processor."""

    name: str
    features: tuple[str, ...]
    """Those of `FEATURES` that it has; empty on Windows, which does not tell."""
    physical_cores: int
    """Cores that this process may use, hyper-threads counted once."""
    logical_cores: int


@dataclass(frozen=True)
class Processor:
    """What an engine chooses its kernels by."""

    machine: str
    """As `platform.machine()` has it."""
    features: tuple[str, ...]
    """Those of `FEATURES` that it has; empty where nobody tells."""

    @property
    def is_arm(self) -> bool:
        """Whether it is a 64-bit Arm processor."""
        return self.machine.lower() in ("aarch64", "arm64")

    def lacks(self, feature: str) -> bool:
        """Say whether it is a 64-bit Arm processor known to be without a feature."""
        return self.is_arm and bool(self.features) and feature not in self.features


def this_processor() -> Processor:
    """Return this machine's."""
    return Processor(platform.machine(), read_cpu().features)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The machine's memory in bytes; in a container with a limit, the container's."""

    total: int | None
    available: int | None
    """What can be had without swapping."""


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """This process's resident memory in bytes."""

    resident: int | None
    peak: int | None
    anonymous: int | None
    """Its own pages; None but on Linux."""
    file: int | None
    """Pages of mapped files, which the system can drop and read again; None but on Linux."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Everything at once."""

    platform: str
    """Such as "Linux-6.12.20-aarch64-with-glibc2.36"."""
    system: str
    """As `sys.platform`: "linux", "darwin", "win32" or "android"."""
    machine: str
    """Such as "x86_64", "aarch64" or "arm64"."""
    is_64bit: bool
    """Whether this Python is: a 64-bit machine may run a 32-bit one."""
    python: str
    cpu: Cpu
    memory: Memory
    process: ProcessMemory


def read_machine(proc: Path = PROC, sysfs: Path = SYS, system: str = sys.platform) -> Machine:
    """Return what is known of this machine."""
    return Machine(
        platform=platform.platform(),
        system=system,
        machine=platform.machine(),
        is_64bit=is_64bit(),
        python=platform.python_version(),
        cpu=read_cpu(proc, sysfs, system),
        memory=read_memory(proc, sysfs, system),
        process=read_process(proc, system),
    )


def is_64bit() -> bool:
    """Say whether this Python has 64-bit addresses."""
    return sys.maxsize > 2**32


def require_64bit() -> None:
    """Refuse a 32-bit Python before an import of numpy fails in words of its own.

    Raises:
        RuntimeUnavailableError: this is one.
    """
    if not is_64bit():
        raise RuntimeUnavailableError(ONLY_64_BITS, "install the 64-bit Raspberry Pi OS, or another 64-bit system")


def lacks(feature: str, cpu: Cpu | None = None) -> bool:
    """Say whether this is a 64-bit Arm processor known to be without a feature; None reads this machine's."""
    return Processor(platform.machine(), (cpu or read_cpu()).features).lacks(feature)


def read_cpu(proc: Path = PROC, sysfs: Path = SYS, system: str = sys.platform) -> Cpu:
    """Return the processor's name, features and cores."""
    name, flags = platform.processor(), frozenset[str]()
    if _is_linux(system):
        name, flags = linux.cpu_name(proc) or name, linux.cpu_flags(proc)
    elif system == "darwin":
        values = parse_sysctl(_sysctl())
        name = values.get("machdep.cpu.brand_string", name)
        flags = frozenset(feature for key, feature in _MACOS_FEATURES.items() if values.get(key) == "1")
    return Cpu(
        name=name or platform.machine(),
        features=tuple(feature for feature in FEATURES if feature in flags),
        physical_cores=physical_cores(proc, sysfs, system),
        logical_cores=_logical_cores(),
    )


def physical_cores(proc: Path = PROC, sysfs: Path = SYS, system: str = sys.platform) -> int:
    """Return how many cores this process may use, at least 1: the number of threads that suits an engine."""
    if _is_linux(system):
        found = linux.physical_cores(proc, sysfs, linux.allowed_processors())
    elif system == "darwin":
        cores = parse_sysctl(_sysctl()).get("hw.physicalcpu", "")
        found = int(cores) if cores.isdecimal() else None
    else:
        psutil = _psutil()
        found = psutil.cpu_count(logical=False) if psutil else None
    return max(1, found or _logical_cores())


def read_memory(proc: Path = PROC, sysfs: Path = SYS, system: str = sys.platform) -> Memory:
    """Return the machine's memory."""
    total = available = None
    if _is_linux(system):
        total, available = linux.total_memory(proc, sysfs), linux.available_memory(proc, sysfs)
    elif psutil := _psutil():
        status = psutil.virtual_memory()
        total, available = int(status.total), int(status.available)
    return Memory(total=total or _pages(), available=available)


def read_process(proc: Path = PROC, system: str = sys.platform) -> ProcessMemory:
    """Return this process's memory now, and its peak so far."""
    if _is_linux(system):
        keys = {"resident": "VmRSS", "peak": "VmHWM", "anonymous": "RssAnon", "file": "RssFile"}
        found = {name: linux.process_bytes(key, proc) for name, key in keys.items()}
        return ProcessMemory(**{**found, "peak": found["peak"] or _rusage_peak(system)})
    info = psutil.Process().memory_info() if (psutil := _psutil()) else None
    peak = getattr(info, "peak_wset", None) or _rusage_peak(system)
    return ProcessMemory(resident=getattr(info, "rss", None), peak=peak, anonymous=None, file=None)


def peak_memory() -> int | None:
    """Return the most resident bytes that this process has had."""
    return read_process().peak


def resident_memory() -> int | None:
    """Return the resident bytes that this process has now."""
    return read_process().resident


def parse_sysctl(text: str) -> dict[str, str]:
    """Return the lines `key: value` of macOS's sysctl as a mapping."""
    lines = (line.partition(": ") for line in text.splitlines())
    return {key: value.strip() for key, colon, value in lines if colon}


def _sysctl() -> str:
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "hw", "machdep.cpu"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _is_linux(system: str) -> bool:
    return system in ("linux", "android")


def _logical_cores() -> int:
    return len(linux.allowed_processors() or ()) or os.cpu_count() or 1


def _pages() -> int | None:
    ask = getattr(os, "sysconf", None)
    try:
        return int(ask("SC_PHYS_PAGES")) * int(ask("SC_PAGE_SIZE")) if ask else None
    except (ValueError, OSError):
        return None


def _rusage_peak(system: str) -> int | None:
    if importlib.util.find_spec("resource") is None:
        return None
    resource = importlib.import_module("resource")
    peak = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if system == "darwin" else peak * 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere


def _psutil() -> Any:  # noqa: ANN401 - psutil or None
    return importlib.import_module("psutil") if importlib.util.find_spec("psutil") else None
