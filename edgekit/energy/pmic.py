"""The power chip of a Raspberry Pi 5 (PMIC): `vcgencmd pmic_read_adc` tells current and voltage of what it feeds.

A line is a name, a kind with a channel, and a value: `VDD_CORE_A current(7)=1.5A`, `VDD_CORE_V volt(15)=0.9V`. The
channels of one rail differ, so that names pair them. Two have no current and cannot count: EXT5V_V, the supply, and
BATT_V, the clock's battery. What takes its 5 V from the supply directly is not seen: USB devices, the fan, HATs, and
what the chip loses itself. With a meter in the cable, one user found 1.13 times the sum and 0.6 W (README of
github.com/jfikar/RPi5-power, whose listing shows the rails, too); that is of one board, and not added here.
"""

from __future__ import annotations

import re
import subprocess

from edgekit.energy.source import PowerSource
from edgekit.errors import EnergyError

TIMEOUT = 5.0
_LINE = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]\s*$", re.MULTILINE)


def find(command: str = "vcgencmd") -> Pmic:
    """Return the rails of this board.

    Raises:
        EnergyError: there is no such command, or the board has no chip that measures.
    """
    pmic = Pmic(command)
    pmic.start()
    return pmic


class Pmic(PowerSource):
    """All rails whose current and voltage are measured."""

    name = "pmic"
    covers = "the rails that the power chip measures: processor, memory and what is on the board, without USB"
    interval = 0.5  # a reading starts a process, which costs some milliseconds
    lag = 1.0
    window = 10.0

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def watts(self) -> float:
        """Ask the chip and add up all rails."""
        return sum(rails(self._ask()).values())

    def _ask(self) -> str:
        try:
            done = subprocess.run(
                [self._command, "pmic_read_adc"], capture_output=True, encoding="utf-8", errors="replace",
                stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise EnergyError(f"no command {self._command}, which a Raspberry Pi has") from error
        except (OSError, subprocess.SubprocessError) as error:
            raise EnergyError(f"{self._command} did not answer: {error}") from error
        said = " ".join(f"{done.stdout} {done.stderr}".split())
        if "not registered" in said:
            raise EnergyError("the power chip of this board does not measure; that of a Raspberry Pi 5 does")
        if done.returncode:
            raise EnergyError(
                f"{self._command} pmic_read_adc ended with {done.returncode}: {said or 'no word'}",
                "let your user use it: sudo usermod -aG video $USER, and log in again",
            )
        return done.stdout


def rails(text: str) -> dict[str, float]:
    """Return the watts of each rail whose current and voltage the text tells.

    Raises:
        EnergyError: there is none.
    """
    currents: dict[str, float] = {}
    volts: dict[str, float] = {}
    for name, unit, value in _LINE.findall(text):
        (currents if unit == "A" else volts)[name] = float(value)
    found = {name: current * volts[name] for name, current in currents.items() if name in volts}
    if not found:
        raise EnergyError(f"vcgencmd pmic_read_adc told no rail with current and voltage, but {text[:80]!r}")
    return found
