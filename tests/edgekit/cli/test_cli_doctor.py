from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekit import registry
from edgekit.cli import doctor, main
from edgekit.decoder import Availability


class Absent:
    name = "onnx"
    format = "onnx"

    def available(self) -> Availability:
        return Availability(ok=False, reason="onnxruntime is not installed", hint='pip install "edgekit-sdk[onnx]"')


def test_this_machine_as_json(run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("doctor")
    assert data["runtimes"]["onnx"]["ok"]
    assert data["cores"] >= 1
    assert {item["task"] for item in data["auto"]} >= {"generate"}
    assert all(data["runtimes"][item["runtime"]]["ok"] and item["reason"] for item in data["auto"])


def test_what_is_missing_comes_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "runtime", lambda _: Absent())
    monkeypatch.setattr(doctor, "PACKAGES", {"no-such-package": ("a test", "export")})
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert 'onnxruntime is not installed: pip install "edgekit-sdk[onnx]"' in shown
    assert 'pip install "edgekit-sdk[export]"' in shown
    assert "No runtime is ready" in shown
    assert "auto takes" not in shown


def test_a_32_bit_python_and_little_memory_are_warned_of() -> None:
    warnings = doctor._warnings(32, 512_000_000)
    assert warnings[0].startswith("this Python is 32-bit")
    assert "512 MB of memory is little" in warnings[1]
    assert doctor._warnings(64, 8_000_000_000) == []
