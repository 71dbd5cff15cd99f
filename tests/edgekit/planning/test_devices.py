from __future__ import annotations

import pytest

from edgekit.errors import UsageError
from edgekit.machine import Memory
from edgekit.planning import devices
from edgekit.planning.devices import THIS, device_names, find_device
from edgekit.planning.machine_speed import MachineSpeed, measure


@pytest.mark.parametrize("name", [name for name in device_names() if name != THIS])
def test_every_profile_says_where_its_figures_are_from(name: str) -> None:
    device = find_device(name)
    assert set(device.sources) == {"memory", "free", "bandwidth", "flops"}
    assert device.memory is not None
    assert device.free is not None
    assert 0.3 * device.memory < device.free < device.memory
    assert str(round(device.memory / 1e9)) in name
    assert 1e9 < device.bandwidth < 1e12
    assert device.flops > device.bandwidth
    assert device.kind in ("arm64", "x86_64", "x86_64-vnni")


def test_the_boards_and_machines_that_people_name() -> None:
    assert device_names() == ["pi4-4gb", "pi5-8gb", "pi5-16gb", "phone-8gb", "laptop-8gb", "laptop-16gb", "this"]


def test_a_pi_4_has_no_dot_product_and_a_pi_5_has() -> None:
    four, five = find_device("pi4-4gb"), find_device("pi5-8gb")
    assert (four.processor.lacks("asimddp"), five.processor.lacks("asimddp")) == (True, False)
    assert four.capacity.integer_gain < five.capacity.integer_gain


def test_an_unknown_device() -> None:
    with pytest.raises(UsageError) as caught:
        find_device("toaster")
    assert caught.value.message == "unknown device 'toaster'"
    assert "pi5-8gb" in caught.value.hint
    assert "this" in caught.value.hint


def test_this_machine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def fake(count: int) -> MachineSpeed:
        threads.append(count)
        return MachineSpeed(bandwidth=2e9, flops=3e9, noise=0.5)

    monkeypatch.setattr(devices, "measure", fake)
    monkeypatch.setattr(devices, "read_memory", lambda: Memory(total=8, available=None))
    device = find_device(THIS, threads=3)
    assert (device.bandwidth, device.flops, device.noise, device.free) == (2e9, 3e9, 0.5, None)
    assert threads == [3]
    assert device.sources["bandwidth"] == "measured now with 3 threads"


def test_a_measurement_is_within_what_machines_do() -> None:
    found = measure(1)
    assert 1e8 < found.bandwidth < 1e13
    assert 1e8 < found.flops < 1e15
    assert 0 <= found.noise < 1
