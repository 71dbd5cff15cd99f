"""Changes to inputs: of bytes, of numbers within them, of JSON values, and pieces of other inputs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

NUMBERS = (
    0, 1, 2, 7, 8, 31, 32, 127, 128, 255, 256, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1 << 31, 1 << 63, 10**30, 1e308, -0.0, 0.5, "", "a", "../x", "\x00", "\ud800", "▁",
    [], {}, [0], ["a", "b"], {"a": 1}, [[[[]]]], {"type": "Sequence", "decoders": []}, "(a+)+$", "F64", [1 << 40] * 2,
)  # fmt: skip
WORDS = (
    "{{ ", " }}", "{% for x in messages %}", "{% endfor %}", "{% if x %}", "{% endif %}", "{% set x = 'a' %}", "{%- ",
    "-%}", "messages", "loop.index", " * 99999", " ** 999", " ~ x", "|join", "|list", "|tojson", "|length",
    "|replace('a', 'bb')", ".__class__", "['x']", "range(100000)", ".format(9)", "%99d", "{% macro m() %}", "{{ m() }}",
    "{% endmacro %}", "|map('upper')", "{% include 'x' %}", "{% raw %}", "|sort", "|batch(2)", "|center(9999)",
    "lipsum(9)", "cycler", "|indent(9)", "namespace(a=1)", "{{ loop(messages) }}", " recursive %}", "|groupby('role')",
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], draw: random.Random, reader: str) -> bytes:
    """Return an input changed in one to four places."""
    for _ in range(draw.randint(1, 4)):
        if reader in ("manifest", "tokenizer", "pure_tokenizer") and draw.randint(0, 3):
            data = _json(data, draw)
        elif reader == "safetensors" and draw.randint(0, 1):
            data = _header(data, draw)
        elif reader == "template" and draw.randint(0, 3):
            at = draw.randint(0, len(data))
            data = data[:at] + draw.choice(WORDS).encode() + data[at + draw.choice((0, 0, 1, 8)) :]
        else:
            data = _bytes(data, others, draw)
    return data


def _bytes(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    at, kind = draw.randint(0, len(data)), draw.randint(0, 5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([draw.randint(0, 255)]) + data[at + 1 :]
    if kind == 2:
        width = draw.choice((1, 2, 4, 8))
        number = draw.choice(NUMBERS) % (1 << 8 * width)
        return data[:at] + number.to_bytes(width, "little") + data[at + width :]
    if kind == 3:
        return data[:at] + data[at + draw.randint(1, 32) :]
    if kind == 4:
        length = draw.randint(1, 64)
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    other = draw.choice(others)
    start = draw.randint(0, len(other))
    return data[:at] + other[start : start + draw.randint(1, 256)] + data[at:]


def _header(data: bytes, draw: random.Random) -> bytes:
    """Change a safetensors header's JSON, with the length that goes before it."""
    length = int.from_bytes(data[:8], "little")
    header = _json(data[8 : 8 + length], draw)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _json(data: bytes, draw: random.Random) -> bytes:
    """Replace, remove or double one value somewhere in a JSON document; what is none stays as it is."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    place: Any = None
    key: Any = None
    value: Any = document
    while isinstance(value, (dict, list)) and value and (place is None or draw.randint(0, 5)):
        place = value
        key = draw.choice(list(value)) if isinstance(value, dict) else draw.randint(0, len(value) - 1)
        value = value[key]
    if place is None:
        return data
    kind = draw.randint(0, 3)
    if kind == 0:
        del place[key]
    elif kind > 1:
        place[key] = draw.choice(VALUES)
    elif isinstance(place, dict):
        place[f"{key}{draw.choice(('', 'x', '0'))}"] = value
        place[draw.choice(list(place))] = value
    else:
        place.insert(key, value)
    try:
        return json.dumps(document).encode()
    except (ValueError, RecursionError):
        return data
