"""Devices that a model may be planned for: what `devices.json` says of some kinds, and this machine as it is measured.

The data names its sources. Where it says "estimate" it is one; `edgekit plan --device this`, run on the device, is not.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.machine import Processor, read_cpu, read_memory
from edgekit.planning.machine_speed import measure
from edgekit.speeds import Capacity, cpu_kind, integer_gain
from edgekit.strict_json import Reader, parse

PROFILES = Path(__file__).with_name("devices.json")
THIS = "this"
"""The name of the machine that EdgeKit runs on."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a plan must know of a machine."""

    title: str
    machine: str
    """As `platform.machine()` has it."""
    features: tuple[str, ...]
    """Of its processor, by the names of `machine.FEATURES`."""
    cores: int
    memory: int | None
    """Bytes in all."""
    free: int | None
    """Bytes that a program can have; None where the system does not say."""
    bandwidth: float
    """Bytes per second that all cores together read from memory."""
    flops: float
    """Float32 operations per second that all cores together reach in a product of matrices."""
    sources: dict[str, str]
    """Where each figure is from."""
    noise: float | None = None
    """How far repeated measurements were apart, as a share; None of a profile."""

    @property
    def processor(self) -> Processor:
        """What engines choose their kernels by."""
        return Processor(self.machine, self.features)

    @property
    def capacity(self) -> Capacity:
        """What it could do at best."""
        gain = integer_gain(self.features)
        return Capacity(bandwidth=self.bandwidth, flops=self.flops, integer_gain=gain)

    @property
    def kind(self) -> str:
        """The kind of its processor, as the table of speeds calls it."""
        return cpu_kind(self.machine, self.features)


def device_names() -> list[str]:
    """Return the names of all devices."""
    return [*_profiles(), THIS]


def find_device(name: str, threads: int | None = None) -> Device:
    """Return a device by name; this machine is measured, which takes a second or two.

    Args:
        name: One of `device_names()`.
        threads: Threads that this machine is measured with; None takes the physical cores.

    Raises:
        UsageError: there is none of that name.
    """
    if name == THIS:
        return _this(threads)
    found = _profiles().get(name)
    if found is None:
        raise UsageError(f"unknown device {name!r:.100}", f"choose one of: {', '.join(device_names())}")
    return found


def _profiles() -> dict[str, Device]:
    reader = Reader(str(PROFILES))
    profiles: dict[str, Device] = reader.build(dict[str, Device], parse(PROFILES.read_bytes(), str(PROFILES)), "")
    return profiles


def _this(threads: int | None) -> Device:
    cpu, memory = read_cpu(), read_memory()
    cores = threads or cpu.physical_cores
    measured = measure(cores)
    how = f"measured now with {cores} thread{'s' if cores > 1 else ''}"
    return Device(
        title=cpu.name or "this machine",
        machine=platform.machine(),
        features=cpu.features,
        cores=cores,
        memory=memory.total,
        free=memory.available,
        bandwidth=measured.bandwidth,
        flops=measured.flops,
        sources={"memory": "as the system says", "free": "as the system says", "bandwidth": how, "flops": how},
        noise=measured.noise,
    )
