"""A battery that gives power: what its gauge says in /sys/class/power_supply, of the whole device.

Format: Documentation/ABI/testing/sysfs-class-power of the kernel: microwatts, microamperes and microvolts; drivers
differ in the sign of a current that leaves the battery. While it charges, it tells how it is filled, not what is used.
"""

from __future__ import annotations

from pathlib import Path

from edgekit.energy.source import PowerSource
from edgekit.errors import EnergyError
from edgekit.linux import SYS

SUPPLIES = SYS / "class" / "power_supply"


def find(supplies: Path = SUPPLIES) -> Battery:
    """Return the batteries that feed this device.

    Raises:
        EnergyError: there is none, the device is plugged in, or a gauge tells no power.
    """
    folders = [folder for folder in sorted(supplies.glob("*")) if _feeds_the_device(folder)]
    if not folders:
        raise EnergyError(f"no battery in {supplies}")
    battery = Battery(folders)
    battery.start()
    return battery


class Battery(PowerSource):
    """All batteries together."""

    name = "battery"
    interval = 0.5
    lag = 10.0  # gauges average over seconds, and many refresh as rarely
    window = 30.0

    def __init__(self, folders: list[Path]) -> None:
        super().__init__()
        self._folders = folders

    @property
    def covers(self) -> str:
        """Say what is measured."""
        return f"the whole device, from {' and '.join(folder.name for folder in self._folders)}"

    def watts(self) -> float:
        """Return what leaves the batteries that are in use now."""
        states = {folder: _text(folder / "status") for folder in self._folders}
        giving = [folder for folder, state in states.items() if state == "Discharging"]
        # Of two batteries one may rest; but what is filled, or full at the mains, does not feed the device.
        if not giving or "Charging" in states.values():
            said = ", ".join(f"{folder.name} is {state!r}" for folder, state in states.items())
            raise EnergyError(f"{said}, not 'Discharging'", "unplug the device")
        return sum(_watts(folder) for folder in giving)


def _feeds_the_device(folder: Path) -> bool:
    """Say whether it is a battery that is there, and not that of a mouse or a headset."""
    words = {name: _text(folder / name) if (folder / name).exists() else "" for name in ("type", "scope", "present")}
    return words["type"] == "Battery" and words["scope"] != "Device" and words["present"] != "0"


def _watts(folder: Path) -> float:
    if (folder / "power_now").exists():
        return abs(_number(folder / "power_now")) * 1e-6
    if (folder / "current_now").exists() and (folder / "voltage_now").exists():
        return abs(_number(folder / "current_now")) * _number(folder / "voltage_now") * 1e-12
    raise EnergyError(f"{folder} has neither power_now nor current_now and voltage_now")


def _number(path: Path) -> int:
    text = _text(path)
    try:
        return int(text)
    except ValueError as error:
        raise EnergyError(f"{path} says {text!r}, which is no number") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise EnergyError(f"{path} cannot be read: {error}") from error
