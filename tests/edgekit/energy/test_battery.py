from __future__ import annotations

from pathlib import Path

import pytest
from sysfs_trees import plant, put

from edgekit.energy import battery
from edgekit.errors import EnergyError


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(battery.Battery, "clock", lambda self: clock())
    return clock


def test_a_laptop_without_the_battery_of_its_mouse(tmp_path: Path) -> None:
    source = battery.find(plant("battery_laptop", tmp_path))
    assert source.covers == "the whole device, from BAT0"
    assert source.watts() == pytest.approx(6.2)


def test_a_phone_tells_current_and_voltage_and_counts_what_leaves_as_negative(tmp_path: Path) -> None:
    root = plant("battery_phone", tmp_path)
    assert battery.find(root).watts() == pytest.approx(0.412 * 3.85)
    put(root / "battery/current_now", 412000)
    assert battery.find(root).watts() == pytest.approx(0.412 * 3.85)


def test_of_two_batteries_the_one_in_use_counts(tmp_path: Path) -> None:
    root = plant("battery_two", tmp_path)
    source = battery.find(root)
    assert source.covers == "the whole device, from BAT0 and BAT1"
    assert source.watts() == pytest.approx(6.2)
    put(root / "BAT0/status", "Not charging")
    put(root / "BAT1/status", "Discharging")
    put(root / "BAT1/power_now", 7_500_000)
    assert source.watts() == pytest.approx(7.5)
    put(root / "BAT0/status", "Charging")
    with pytest.raises(EnergyError, match="BAT0 is 'Charging', BAT1 is 'Discharging', not 'Discharging'"):
        source.watts()


def test_power_that_rises_and_falls_is_summed_by_trapezoids(tmp_path: Path, clock: Clock) -> None:
    root = plant("battery_laptop", tmp_path)
    source = battery.find(root)
    total = 0.0
    for clock.now, power in ((2.0, 10_000_000), (3.0, 4_000_000), (3.0, 4_000_000), (7.0, 4_000_000)):
        put(root / "BAT0/power_now", power)
        total += source.advance()
    assert total == pytest.approx((6.2 + 10) / 2 * 2 + (10 + 4) / 2 + 4 * 4)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_that_does_not_feed_the_device(tmp_path: Path, status: str) -> None:
    root = plant("battery_laptop", tmp_path)
    put(root / "BAT0/status", status)
    with pytest.raises(EnergyError, match=f"BAT0 is '{status}', not 'Discharging'") as caught:
        battery.find(root)
    assert caught.value.hint == "unplug the device"


def test_no_battery(tmp_path: Path) -> None:
    with pytest.raises(EnergyError, match="no battery in"):
        battery.find(tmp_path / "missing")
    root = plant("battery_laptop", tmp_path)
    put(root / "BAT0/present", 0)
    with pytest.raises(EnergyError, match="no battery in"):
        battery.find(root)


def test_plugged_in_half_way(tmp_path: Path) -> None:
    root = plant("battery_laptop", tmp_path)
    source = battery.find(root)
    put(root / "BAT0/status", "Charging")
    with pytest.raises(EnergyError, match="BAT0 is 'Charging'"):
        source.advance()


def test_a_gauge_that_says_less(tmp_path: Path) -> None:
    root = plant("battery_phone", tmp_path)
    source = battery.find(root)
    put(root / "battery/voltage_now", "n/a")
    with pytest.raises(EnergyError, match="says 'n/a', which is no number"):
        source.advance()
    (root / "battery/voltage_now").unlink()
    with pytest.raises(EnergyError, match="has neither power_now nor current_now and voltage_now"):
        source.advance()
    (root / "battery/status").unlink()
    with pytest.raises(EnergyError, match="status cannot be read"):
        source.advance()
