"""The energy that this device uses: what a `with` block took, in joules.

```python
from edgekit import energy

with energy.meter() as meter:
    model.generate("Why is the sky blue?")
print(f"{meter.joules:.1f} J" if meter.joules is not None else meter.reason)
```

Each source of readings is a file: `pmic.py` (a Raspberry Pi 5), `rapl.py` (Intel, AMD), `battery.py`. All of them tell
of the whole device or processor, whatever else runs on it.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekit.energy import battery, pmic, rapl
from edgekit.energy.metering import Meter
from edgekit.energy.source import Source
from edgekit.errors import EnergyError, UsageError

__all__ = ["SOURCES", "EnergyError", "Meter", "Source", "find", "meter"]

SOURCES: dict[str, Callable[[], Source]] = {"pmic": pmic.find, "rapl": rapl.find, "battery": battery.find}
"""In the order in which they are tried: counters and frequent readings before a battery's rare ones."""


def meter(source: str = "auto") -> Meter:
    """Return a meter for a `with` block; where nothing can be measured, its `joules` are None and `reason` says why.

    Args:
        source: "pmic", "rapl", "battery", or "auto" for the first of them that can be read here.
    """
    try:
        return Meter(find(source))
    except EnergyError as error:
        return Meter(None, error.message)


def find(source: str = "auto") -> Source:
    """Return what tells the energy used here.

    Raises:
        EnergyError: nothing does; the message says it of each source.
        UsageError: there is no source of that name.
    """
    if source != "auto" and source not in SOURCES:
        raise UsageError(f"{source!r} is no source of energy readings", f"choose from auto, {', '.join(SOURCES)}")
    reasons, hints = [], []
    for name in SOURCES if source == "auto" else (source,):
        try:
            return SOURCES[name]()
        except EnergyError as error:
            reasons.append(f"{name}: {error.message}")
            hints += [error.hint] if error.hint else []
    raise EnergyError("; ".join(reasons), "; ".join(hints) or "put a power meter between the plug and the device")
