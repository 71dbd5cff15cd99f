"""RAPL: energy counters of Intel and AMD processors, as Linux shows them in /sys/class/powercap.

Format: Documentation/power/powercap/powercap.rst of the kernel. Zones are `intel-rapl:N` (a processor package, or psys)
and `intel-rapl:N:M` (a part of it, or the memory beside it), whoever made the processor. Counted are the packages and
their memory. `core` and `uncore` are parts of a package; `psys` is the platform as its maker wired it, packages
included; the zones `intel-rapl-mmio` are the same counters seen by another way: each of these would count energy twice.
"""

from __future__ import annotations

from pathlib import Path

from edgekit.energy.source import Source
from edgekit.errors import EnergyError
from edgekit.linux import SYS

POWERCAP = SYS / "class" / "powercap"
_MICRO = 1e-6


def find(powercap: Path = POWERCAP) -> Source:
    """Return the counters of this machine's packages and memory.

    Raises:
        EnergyError: there are none, or they may not be read.
    """
    zones = [zone for folder in sorted(powercap.glob("intel-rapl:*")) if (zone := _Zone(folder)).counts()]
    if not any(zone.is_package for zone in zones):
        raise EnergyError(f"no counters of a processor in {powercap}")
    source = Rapl(zones)
    source.start()
    return source


class Rapl:
    """The sum of some counters."""

    name = "rapl"
    # A counter of 32 bits in units of 15 µJ comes round after 65 kJ: two minutes at 500 W.
    interval = 10.0
    lag = 1.0  # threads of an engine spin for a moment after their work
    window = 3.0

    def __init__(self, zones: list[_Zone]) -> None:
        self._zones = zones
        self._last: dict[_Zone, int] = {}

    @property
    def covers(self) -> str:
        """Say what is counted."""
        return ", ".join(zone.label for zone in self._zones)

    def start(self) -> None:
        """Read all counters."""
        self._last = {zone: zone.read() for zone in self._zones}

    def advance(self) -> float:
        """Return the joules that all counters have gone on by."""
        before = self._last
        self.start()
        return sum(zone.microjoules(before[zone], self._last[zone]) for zone in self._zones) * _MICRO


class _Zone:
    """One counter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kind = _text(folder / "name")
        self.is_package = folder.name.count(":") == 1 and self.kind.startswith("package")

    @property
    def label(self) -> str:
        """Name the zone: package-0, or dram of package-0."""
        if self.is_package:
            return self.kind
        package = self.folder.with_name(self.folder.name.rpartition(":")[0])
        return f"{self.kind} of {_text(package / 'name')}"

    def counts(self) -> bool:
        """Say whether it belongs into the sum."""
        return self.is_package or self.kind == "dram"

    def read(self) -> int:
        """Return the counter in microjoules."""
        return _number(self.folder / "energy_uj")

    def microjoules(self, before: int, after: int) -> int:
        """Return by how much the counter went on, also where it has come round to zero once."""
        if after >= before:
            return after - before
        around = _number(self.folder / "max_energy_range_uj")
        if before > around:
            raise EnergyError(f"the counter of {self.label} went from {before} to {after} µJ; its range is {around} µJ")
        return around - before + after


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except PermissionError as error:
        # Since the kernel of November 2020 (CVE-2020-8694): fine readings of power tell what others compute.
        raise EnergyError(
            f"only root may read {path}",
            "run it as root, or let everybody read it until the next start with: "
            "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj",
        ) from error
    except (OSError, ValueError) as error:
        raise EnergyError(f"{path} cannot be read: {error}") from error


def _number(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal():
        raise EnergyError(f"{path} says {text!r}, which is no number of microjoules")
    return int(text)
