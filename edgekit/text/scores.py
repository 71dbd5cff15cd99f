"""Reads decimal numbers with the rounding of the crate serde_json, which is not always the nearest."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_MOST = (1 << 64) - 1


def score(text: str) -> float:
    """Return a JSON number: its digits as a whole number, rounded once, then scaled by a power of ten, rounded again.

    Unigram models compare sums of scores, and where two are nearly equal the last bit decides. (Without its feature
    float_roundtrip; `f64_from_parts` in serde_json's src/de.rs.)
    """
    match = _NUMBER.fullmatch(text)
    assert match is not None, "json gives nothing else"
    sign, whole, fraction, power = match.groups()
    digits, exponent = int(whole), int(power or 0)
    if digits > _MOST or abs(exponent) > 300:
        return float(text)
    for digit in fraction or "":
        more = digits * 10 + int(digit)
        if more > _MOST:
            break
        digits, exponent = more, exponent - 1
    value = float(digits)
    if exponent < -308:
        return float(text)
    scale = float(f"1e{abs(exponent)}")
    value = value * scale if exponent >= 0 else value / scale
    return -value if sign else value
