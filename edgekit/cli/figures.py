"""Numbers as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """Return bytes in decimal units: 94.1 MB."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB"))


def parameters(count: float) -> str:
    """Return a number of parameters: 134.5 M."""
    return _scaled(count, ("", "k", "M", "B")).strip()


def seconds(value: float) -> str:
    """Return a duration: 31 ms, 2.3 s, 4:05."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return clock(value)


def clock(value: float) -> str:
    """Return a duration as minutes and seconds, or with hours: 4:05, 1:02:05."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rate(value: float) -> str:
    """Return tokens per second: 8.31 tok/s, 114 tok/s."""
    return f"{_short(value)} tok/s"


def joules(value: float) -> str:
    """Return an energy: 640 µJ, 12.5 mJ, 3.20 J, 1.50 kJ."""
    return _prefixed(value, "J")


def watts(value: float) -> str:
    """Return a power: 850 mW, 4.21 W."""
    return _prefixed(value, "W")


def amount(count: float, unit: str) -> str:
    """Return what progress counts: bytes in decimal units, other units by the thousand."""
    return size(count) if unit == "B" else f"{count:,.0f} {unit}"


def part(done: float, total: float, unit: str) -> str:
    """Return how much of a total is done: 40.0 MB of 94.1 MB, 512 of 2,556 tokens."""
    return f"{size(done)} of {size(total)}" if unit == "B" else f"{done:,.0f} of {total:,.0f} {unit}"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    index = 0
    while value >= 999.5 and index < len(units) - 1:
        value, index = value / 1000, index + 1
    return f"{value:.0f} {units[index]}" if index == 0 else f"{_short(value)} {units[index]}"


def _prefixed(value: float, unit: str) -> str:
    for prefix, scale in (("k", 1e3), ("", 1.0), ("m", 1e-3)):
        if abs(value) >= 0.9995 * scale:
            return f"{_short(value / scale)} {prefix}{unit}"
    return f"{value * 1e6:.0f} µ{unit}"


def _short(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
