from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import strict_json
from edgekit.errors import BundleError
from edgekit.manifest import Manifest
from edgekit.strict_json import parse


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1} {}', "not valid JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' is there twice"),
        (b'{"a": {"b": 2, "b": 2}}', "the key 'b' is there twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "'1e999' is not finite"),
        (b"9" * 100_000, "an integer of 100000 digits"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'"\xff"', r"not UTF-8 \(byte 1\)"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        ('"a"'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_bad_json_is_refused_with_the_file_named(raw: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        parse(raw, "x/edgekit.json")
    assert caught.value.message.startswith("x/edgekit.json: ")
    assert caught.value.hint


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BundleError, match="16,777,217 bytes"):
        parse(b" " * (strict_json.MAX_BYTES + 1), "edgekit.json")


def test_values_that_are_nested_deeply_in_memory_are_refused() -> None:
    deep: list[object] = []
    for _ in range(strict_json.MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(BundleError, match="nested too deeply"):
        strict_json.Reader("x").build(dict[str, Any], {"a": deep}, "details")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_raises_nothing_but_a_bundle_error(raw: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.from_bytes(raw, "edgekit.json")
