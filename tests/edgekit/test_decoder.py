"""Whether an engine is installed, and new enough."""

from __future__ import annotations

import importlib.metadata

import pytest

from edgekit.decoder import find_engine


@pytest.mark.parametrize(
    ("version", "ok"),
    [("2.3.0", True), ("2.10", True), ("3.0.0rc1", True), ("2.3rc1", True), ("2.2.9", False), ("1.99.0", False)],
)
def test_versions_are_compared_as_numbers(version: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    found = find_engine("engine", (2, 3), "extra")
    assert (found.ok, found.version) == (ok, version)
    if not ok:
        assert found.reason == f"engine {version} is older than 2.3"
        assert found.hint == 'pip install "edgekit-sdk[extra]"'


def test_a_package_that_is_not_there() -> None:
    found = find_engine("no-such-engine", (1, 0), "extra")
    assert (found.ok, found.version, found.reason) == (False, "", "no-such-engine is not installed")
    assert found.hint == 'pip install "edgekit-sdk[extra]"'
