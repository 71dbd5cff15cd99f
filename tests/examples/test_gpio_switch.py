from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from gpiozero import BadPinFactory, Device
from gpiozero.pins.mock import MockFactory

SWITCH = "gpio_switch/switch.py"


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    """Pins that a test can look at and pull."""
    Device.pin_factory = MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = None


class Understands:
    """A model that knows its commands by heart."""

    def classify(self, texts: list[str]) -> list[Any]:
        label = texts[0] if texts[0] != "mumble" else None
        return [SimpleNamespace(label=label, probability=0.9)]


def test_lamp_and_fan_do_what_is_said(
    script: Callable[[str], ModuleType], pins: MockFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    switch = script(SWITCH)
    lamp, fan, unsure, button = (pins.pin(n) for n in (switch.LAMP, switch.FAN, switch.UNSURE, switch.ALL_OFF))

    def state() -> tuple[int, int]:
        return lamp.state, fan.state

    def said() -> Iterator[str]:
        assert state() == (0, 0)
        yield "light_on\n"
        assert state() == (1, 0)
        yield "fan_on\n"
        assert state() == (1, 1)
        yield "nothing\n"
        yield "\n"
        assert state() == (1, 1)
        yield "light_off\n"
        assert state() == (0, 1)
        yield "light_on\n"
        button.drive_low()  # pressed
        assert state() == (0, 0)
        button.drive_high()
        yield "fan_on\n"
        yield "fan_off\n"
        assert state() == (0, 0)
        yield "light_on\n"
        assert unsure.state == 0
        yield "mumble\n"
        assert state() == (1, 0)

    monkeypatch.setattr(sys, "stdin", said())
    switch.listen(Understands())
    assert (1 in [step.state for step in unsure.states]) is True
    shown = capsys.readouterr().out
    assert shown.count("button: all off") == 1
    assert "not sure (90%)" in shown
    assert lamp.function == fan.function == "input"  # let go: nothing stays on


def test_it_learns_when_it_starts(
    run: Callable[..., object], examples: Path, encoder: Path, pins: MockFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    phrases = examples / "gpio_switch" / "phrases.csv"
    assert run(SWITCH, encoder, phrases, said="turn the light on\nfan off\n") is None
    assert capsys.readouterr().out.count("%)") == 2


def test_a_bundle_that_is_not_there(run: Callable[..., object], examples: Path, pins: MockFactory) -> None:
    assert str(run(SWITCH, "missing.edge", examples / "gpio_switch" / "phrases.csv")).startswith("error: ")


def test_a_machine_without_pins(
    run: Callable[..., object], examples: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "pin_factory", None)
    monkeypatch.setattr(Device, "_default_pin_factory", no_pins)
    complaint = run(SWITCH, encoder, examples / "gpio_switch" / "phrases.csv")
    assert complaint == "error: there are no GPIO pins; without a Pi, set GPIOZERO_PIN_FACTORY=mock"


def no_pins() -> None:
    raise BadPinFactory("Unable to load any default pin factory!")


@pytest.mark.slow
def test_how_well_it_understands(
    script: Callable[[str], ModuleType], examples: Path, minilm: Path, tmp_path: Path
) -> None:
    import edgekit

    switch, folder = script(SWITCH), examples / "gpio_switch"
    path = switch.learn(str(minilm), folder / "phrases.csv", tmp_path / "switch.edge")
    with (folder / "held_out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with edgekit.load(path) as model:
        found = [each.label for each in model.classify([row["text"] for row in rows])]
    given = [(label, row["label"]) for label, row in zip(found, rows, strict=True) if label is not None]
    assert len(given) >= 32
    assert sum(label != expected for label, expected in given) <= 2
