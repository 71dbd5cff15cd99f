from __future__ import annotations

import threading

import pytest

from edgekit import energy
from edgekit.errors import EnergyError, UsageError


class Told:
    """A source that tells what a test gives it, a step at each call; `EnergyError` ends it."""

    name, covers, lag, window = "told", "a test", 0.0, 0.0

    def __init__(self, *steps: float | EnergyError, interval: float = 3600.0) -> None:
        self.steps = list(steps)
        self.interval = interval
        self.empty = threading.Event()

    def start(self) -> None:
        if self.steps and isinstance(self.steps[0], EnergyError):
            raise self.steps[0]

    def advance(self) -> float:
        step = self.steps.pop(0) if self.steps else 0.0
        if not self.steps:
            self.empty.set()
        if isinstance(step, EnergyError):
            raise step
        return step


def test_a_short_block_is_read_at_its_end() -> None:
    with energy.Meter(Told(2.5)) as meter:
        assert meter.joules is None  # not yet
    assert (meter.joules, meter.reason) == (2.5, "")
    assert meter.watts == pytest.approx(2.5 / meter.seconds)


def test_a_long_block_is_read_again_and_again() -> None:
    source = Told(*[0.5] * 20, interval=0.001)
    with energy.Meter(source) as meter:
        assert source.empty.wait(60)
    assert meter.joules == 10.0


def test_readings_that_vanish_half_way_leave_no_number() -> None:
    source = Told(1.0, 1.0, EnergyError("the file is gone"), 7.0, interval=0.001)
    with energy.Meter(source) as meter:
        while not meter.reason:
            threading.Event().wait(0.001)
    assert (meter.joules, meter.watts) == (None, None)
    assert meter.reason.startswith("the readings ended after ")
    assert meter.reason.endswith("the file is gone")
    assert source.steps == [7.0]  # nobody asked again


def test_readings_that_vanish_at_either_end() -> None:
    with energy.Meter(Told(EnergyError("not even once"))) as meter:
        pass
    assert (meter.joules, meter.reason) == (None, "not even once")
    with energy.Meter(Told(0.0)) as meter:
        meter.source.steps[:] = [EnergyError("gone")]  # type: ignore[union-attr]
    assert meter.joules is None
    assert meter.reason.endswith("gone")


def test_a_counter_that_stands_still_is_no_zero() -> None:
    with energy.Meter(Told(0.0)) as meter:
        pass
    assert meter.joules is None
    assert "did not change" in meter.reason


def test_an_error_in_the_block_is_the_users_and_the_thread_ends() -> None:
    before = threading.active_count()
    meter = energy.Meter(Told(4.0, interval=0.001))
    with pytest.raises(KeyError), meter:
        raise KeyError("theirs")
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="one block"), meter:
        pass


def refuse(words: str, hint: str = "") -> object:
    def find() -> energy.Source:
        raise EnergyError(words, hint)

    return find


def test_the_first_that_can_be_read_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Told(1.0)
    sources = {"pmic": refuse("no command"), "rapl": lambda: source, "battery": refuse("not asked")}
    monkeypatch.setattr(energy, "SOURCES", sources)
    with energy.meter() as meter:
        pass
    assert (meter.source, meter.joules) == (source, 1.0)
    assert energy.meter("pmic").reason == "pmic: no command"


def test_where_nothing_can_be_read_each_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "SOURCES", {"rapl": refuse("only root", "use sudo"), "battery": refuse("no battery")})
    with energy.meter() as meter:
        pass
    assert (meter.joules, meter.reason) == (None, "rapl: only root; battery: no battery")
    with pytest.raises(EnergyError) as caught:
        energy.find()
    assert caught.value.hint == "use sudo"


def test_a_source_that_is_none() -> None:
    with pytest.raises(UsageError, match="'socket' is no source"):
        energy.meter("socket")
