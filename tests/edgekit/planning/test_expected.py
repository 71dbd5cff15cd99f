"""Speeds where nobody measured: those of the table itself, and by bytes and operations elsewhere."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.planning.expected import Demand, expect
from edgekit.speeds import CHAT, Capacity, Measurement, Table, Work, cpu_kind, integer_gain, read_table

MACHINE = Capacity(bandwidth=40e9, flops=200e9, integer_gain=4.0)
SMALL = Work(layers=30, multiplied=100_000_000, read={"a": 60_000_000}, cache={"a": 0})
LARGE = Work(layers=30, multiplied=4_000_000_000, read={"a": 2_400_000_000}, cache={"a": 100_000})
WORKLOAD = {"prefill": 512, "decode": 128}


def entry(work: Work, prefill: float, decode: float, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "cpu": "x86_64-vnni", "task": "generate", "quantization": "int4", "size": 1, "source": "a test",
        "workload": WORKLOAD, "speeds": {"a": {"prefill": prefill, "decode": decode}}, "capacity": MACHINE,
        "work": work,
    }  # fmt: skip
    return Measurement(**{**fields, **changes})


BOTH = Table(measured=(entry(SMALL, 2000, 200), entry(LARGE, 80, 14)), unmeasured={})


def demand(work: Work, **changes: Any) -> Demand:
    fields: dict[str, Any] = {
        "runtime": "a", "cpu": "x86_64-vnni", "task": "generate", "quantization": "int4", "layers": work.layers,
        "multiplied": work.multiplied, "read": work.read["a"], "cache": work.cache["a"], "position": 576,
    }  # fmt: skip
    return Demand(**{**fields, **changes})


def test_what_was_measured_is_expected() -> None:
    assert expect(BOTH, demand(SMALL), MACHINE) == pytest.approx({"prefill": 2000, "decode": 200})
    assert expect(BOTH, demand(LARGE), MACHINE) == pytest.approx({"prefill": 80, "decode": 14})


def test_decoding_follows_the_bandwidth_and_prompts_follow_the_compute() -> None:
    slow_memory = dataclasses.replace(MACHINE, bandwidth=10e9)
    assert expect(BOTH, demand(LARGE), slow_memory) == pytest.approx({"prefill": 80, "decode": 3.5})
    slow_cores = dataclasses.replace(MACHINE, flops=50e9)
    assert expect(BOTH, demand(LARGE), slow_cores) == pytest.approx({"prefill": 20, "decode": 14})
    no_instruction = dataclasses.replace(MACHINE, integer_gain=1.0)
    assert expect(BOTH, demand(LARGE), no_instruction) == pytest.approx({"prefill": 20, "decode": 14})


def test_a_model_between_two_that_were_measured_pays_their_overhead_for_each_layer() -> None:
    """t = cost / capacity * (share + overhead * layers / cost), with the share and overhead of both."""
    middle = Work(layers=20, multiplied=800_000_000, read={"a": 480_000_000}, cache={"a": 0})
    bytes_of = {SMALL.layers / 60e6: 40e9 / 60e6 / 200, 30 / 2457.6e6: 40e9 / 2457.6e6 / 14}
    (x1, y1), (x2, y2) = sorted(bytes_of.items())
    overhead = (y2 - y1) / (x2 - x1)
    seconds = 480e6 / 40e9 * (y1 + overhead * (20 / 480e6 - x1))
    assert expect(BOTH, demand(middle), MACHINE)["decode"] == pytest.approx(1 / seconds)


def test_a_longer_cache_is_read_as_well() -> None:
    near, far = (expect(BOTH, demand(LARGE, position=n), MACHINE)["decode"] for n in (0, 4000))
    assert near / far == pytest.approx((2.4e9 + 4e8) / 2.4e9, rel=0.05)


def test_one_measurement_alone_borrows_the_overhead_of_another_quantization() -> None:
    table = Table(measured=(*BOTH.measured, entry(SMALL, 2000, 150, quantization="int8")), unmeasured={})
    assert expect(table, demand(SMALL, quantization="int8"), MACHINE)["decode"] == pytest.approx(150)
    own = expect(table, demand(LARGE, quantization="int8"), MACHINE)["decode"]
    # Without the overhead of its 30 layers it would be 40 times slower than the small one.
    assert own > 1.5 * 150 * 60e6 / 2457.6e6
    # No better than the best that was measured.
    assert own <= expect(table, demand(LARGE), MACHINE)["decode"] * 1.001


def test_an_unmeasured_processor_gets_the_shares_of_one_that_was() -> None:
    assert expect(BOTH, demand(LARGE, cpu="arm64"), MACHINE) == expect(BOTH, demand(LARGE), MACHINE)


def test_nothing_is_expected_of_what_was_never_measured() -> None:
    assert expect(BOTH, demand(LARGE, runtime="b"), MACHINE) == {}
    assert expect(BOTH, demand(LARGE, task="encode"), MACHINE) == {}
    bare = Table(measured=tuple(dataclasses.replace(each, work=None) for each in BOTH.measured), unmeasured={})
    assert expect(bare, demand(LARGE), MACHINE) == {}


@given(
    layers=st.integers(1, 200), weights=st.integers(10**5, 10**11), bits=st.floats(4, 32),
    position=st.integers(0, 100_000), quantization=st.sampled_from(["int4", "int8", "none", "keep"]),
)  # fmt: skip
def test_any_model_has_speeds_within_what_the_machine_can_do(
    layers: int, weights: int, bits: float, position: int, quantization: str
) -> None:
    work = Work(layers=layers, multiplied=weights, read={"a": int(weights * bits / 8)}, cache={"a": 1000})
    found = expect(BOTH, demand(work, position=position, quantization=quantization), MACHINE)
    assert 0 < found["decode"] <= MACHINE.bandwidth / (work.read["a"] + 1000 * position) * 1.2
    assert 0 < found["prefill"] <= MACHINE.flops * MACHINE.integer_gain / (2 * weights) * 1.2


def test_the_table_expects_what_it_measured_and_ranks_as_auto_does() -> None:
    table = read_table()
    for measured in table.measured:
        assert measured.work is not None
        assert measured.capacity is not None
        prefill, decode = measured.workload.get("prefill", 0), measured.workload.get("decode", 0)
        for name, speeds in measured.speeds.items():
            found = expect(
                table,
                Demand(
                    runtime=name, cpu=measured.cpu, task=measured.task, quantization=measured.quantization,
                    layers=measured.work.layers, multiplied=measured.work.multiplied, read=measured.work.read[name],
                    cache=measured.work.cache[name], position=prefill + decode // 2,
                ),
                measured.capacity,
            )  # fmt: skip
            assert found == pytest.approx(speeds)
        workload = CHAT if measured.task == "generate" else measured.workload
        assert measured.ranked(measured.speeds, workload)


@pytest.mark.parametrize(
    ("features", "gain"),
    [
        (("asimd",), 4 / 3), (("asimd", "asimddp"), 4.0), (("asimddp", "i8mm"), 8.0), (("avx2",), 4 / 3),
        (("avx2", "avx_vnni"), 4.0), (("avx512f", "avx512_vnni"), 4.0), ((), 4 / 3),
    ],
)  # fmt: skip
def test_whole_numbers(features: tuple[str, ...], gain: float) -> None:
    assert integer_gain(features) == gain
    assert cpu_kind("aarch64", features) == "arm64"
