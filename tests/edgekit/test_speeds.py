from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import BundleError
from edgekit.pass_costs import PassCosts
from edgekit.registry import runtime_names
from edgekit.speeds import (
    CHAT,
    LEVEL,
    OTHER,
    Measurement,
    Order,
    Passes,
    Table,
    cpu_kind,
    pass_costs,
    read_measurement,
    read_table,
)

MEASURED = Measurement(
    cpu="x86_64",
    task="generate",
    quantization="int8",
    size=100,
    source="a test",
    workload=CHAT,
    speeds={"reader": {"prefill": 512.0, "decode": 64.0}, "writer": {"prefill": 256.0, "decode": 128.0}},
)


def entry(**changes: object) -> Measurement:
    return dataclasses.replace(MEASURED, **changes)


def test_a_workload_takes_the_time_of_its_parts() -> None:
    assert MEASURED.seconds("reader", {"prefill": 1024, "decode": 64}) == 2 + 1


def test_long_prompts_want_the_one_that_reads_fast_and_long_answers_the_other() -> None:
    assert MEASURED.ranked(("reader", "writer"), {"prefill": 4096, "decode": 64})[0] == "reader"
    assert MEASURED.ranked(("reader", "writer"), {"prefill": 16, "decode": 640})[0] == "writer"


def test_only_what_was_measured_and_is_asked_for_is_ranked() -> None:
    assert MEASURED.ranked(("writer", "unknown"), CHAT) == ["writer"]
    assert MEASURED.ranked(("unknown",), CHAT) == []


def test_level_runtimes_go_by_memory_where_it_is_known() -> None:
    speed = {"prefill": 100.0, "decode": 10.0}
    nearly = {part: value / (LEVEL - 0.01) for part, value in speed.items()}
    behind = {part: value / (LEVEL + 0.01) for part, value in speed.items()}
    level = entry(speeds={"a": nearly, "b": speed, "c": behind})
    assert level.ranked("abc", CHAT) == ["b", "a", "c"]
    assert dataclasses.replace(level, memory={"a": 1, "b": 2, "c": 0}).ranked("abc", CHAT) == ["a", "b", "c"]
    assert dataclasses.replace(level, memory={"a": 1}).ranked("abc", CHAT) == ["a", "b", "c"]
    assert entry(speeds={"z": speed, "a": speed}).ranked("az", CHAT) == ["a", "z"], "equal ones by name"


@given(st.data())
def test_the_first_is_never_slower_than_level(data: st.DataObject) -> None:
    speeds = st.fixed_dictionaries({"prefill": st.floats(0.1, 1e4), "decode": st.floats(0.1, 1e4)})
    drawn = entry(speeds=data.draw(st.dictionaries(st.sampled_from("abcd"), speeds, min_size=1)))
    ranked = drawn.ranked("abcd", CHAT)
    assert set(ranked) == set(drawn.speeds)
    assert drawn.seconds(ranked[0], CHAT) <= LEVEL * min(drawn.seconds(name, CHAT) for name in ranked)


def test_the_nearest_measurement_has_the_same_processor_and_task_then_quantization_then_size() -> None:
    small, large, coarse = entry(), entry(size=100_000), entry(quantization="int4", size=2000)
    other = entry(cpu="arm64", size=2000)
    table = Table(measured=(small, large, coarse, other), unmeasured={})
    assert table.nearest("x86_64", "generate", "int8", 2000) is small
    assert table.nearest("x86_64", "generate", "int8", 20_000) is large
    assert table.nearest("x86_64", "generate", "int4", 1) is coarse
    assert table.nearest("arm64", "generate", "none", 0) is other
    assert table.nearest("arm64", "encode", "int8", 100) is None
    assert table.nearest("riscv64", "generate", "int8", 100) is None


def test_costs_of_passes_go_by_quantization_then_processor_and_between_sizes_by_the_logarithm() -> None:
    def passes(two: float, change: float = 0.0) -> dict[str, Passes]:
        return {"reader": Passes(costs={"2": two, "4": two}, change=change)}

    small, large = entry(passes=passes(2.0, 0.4)), entry(size=10_000, passes=passes(1.0))
    coarse, board = entry(quantization="int4", passes=passes(3.0)), entry(cpu="arm64", passes=passes(4.0))
    table = Table(measured=(large, small, coarse, board, entry(size=1)), unmeasured={})
    between = table.pass_costs("x86_64", "reader", "int8", 1000)
    assert [between.of(1), between.of(2), between.of(4), between.change] == pytest.approx([1.0, 1.5, 1.5, 0.2])
    for size, kind, quantization, two in (
        (1, "x86_64", "int8", 2.0), (10**9, "x86_64", "int8", 1.0), (100, "arm64", "int8", 4.0),
        (10**9, "arm64", "int4", 3.0), (100, "riscv64", "int4", 3.0),
    ):  # fmt: skip
        assert table.pass_costs(kind, "reader", quantization, size).of(2) == two
    assert table.pass_costs("x86_64", "writer", "int8", 100) == PassCosts()


def test_no_pass_costs_less_than_a_shorter_one_and_behind_the_longest_they_grow_with_the_tokens() -> None:
    costs = pass_costs(Passes(costs={"16": 3.0, "2": 1.9, "8": 1.5}, change=-0.1))
    assert costs == PassCosts(((1, 1.0), (2, 1.9), (8, 1.9), (16, 3.0)), 0.0)
    assert [costs.of(tokens) for tokens in (1, 5, 12, 32)] == pytest.approx([1.0, 1.9, 2.45, 6.0])


def test_a_processor_that_nobody_named_has_an_order_too() -> None:
    named, rest = Order(runtimes=("a",), reason="x"), Order(runtimes=("b",), reason="y")
    table = Table(measured=(), unmeasured={"arm64": named, OTHER: rest})
    assert table.order("arm64") is named
    assert table.order("riscv64") is rest


@pytest.mark.parametrize(
    ("architecture", "features", "kind"),
    [
        ("x86_64", ("avx2", "avx512_vnni"), "x86_64-vnni"),
        ("AMD64", ("avx_vnni",), "x86_64-vnni"),
        ("x86_64", ("avx2",), "x86_64"),
        ("AMD64", (), "x86_64"),
        ("aarch64", ("asimd", "asimddp"), "arm64"),
        ("arm64", (), "arm64"),
        ("riscv64", (), "riscv64"),
    ],
)
def test_kinds_of_processors(architecture: str, features: tuple[str, ...], kind: str) -> None:
    assert cpu_kind(architecture, features) == kind


def test_the_table_that_ships_is_whole() -> None:
    table = read_table()
    for measured in table.measured:
        parts = set(CHAT) if measured.task == "generate" else {"encode"}
        assert set(measured.workload) == parts
        assert set(measured.speeds) <= set(runtime_names())
        assert len(measured.speeds) > 1
        assert all(set(speeds) == parts and min(speeds.values()) > 0 for speeds in measured.speeds.values())
        assert len(measured.source) > 20, "says who measured it where"
    assert {"x86_64", "arm64", OTHER} <= set(table.unmeasured)
    for order in table.unmeasured.values():
        assert sorted(order.runtimes) == runtime_names()
        assert order.reason


def test_what_was_measured_of_openvino_and_litert() -> None:
    """On x86, OpenVINO reads long prompts fastest and ONNX Runtime suits short ones better; LiteRT does most chats."""
    table = read_table()
    small = table.nearest("x86_64-vnni", "generate", "int4", 90_000_000)
    assert small is not None
    assert small.ranked(("onnx", "openvino"), {"prefill": 32, "decode": 128})[0] == "onnx"
    assert small.ranked(("onnx", "openvino"), {"prefill": 3000, "decode": 64})[0] == "openvino"
    assert small.ranked(small.speeds, CHAT)[0] == "tflite"
    large = table.nearest("x86_64-vnni", "generate", "int4", 2_300_000_000)
    assert large is not None
    assert large.ranked(large.speeds, CHAT)[0] == "tflite"
    assert large.speeds["tflite"]["prefill"] > 1.8 * large.speeds["onnx"]["prefill"]
    assert table.order("arm64").runtimes[-1] == "openvino"


@pytest.mark.parametrize(
    "spoiled",
    [
        b"", b"[]", b"{}", b"\xff",
        {"workload": {}}, {"workload": {"prefill": 0, "decode": 1}}, {"workload": {"decode": 1}}, {"size": 0},
        {"speeds": {"a": {"prefill": 1.0}}}, {"speeds": {"a": {"prefill": 0.0, "decode": 1.0}}},
        {"speeds": {"a": {"prefill": "fast", "decode": 1.0}}}, {"more": 1},
        {"passes": {"a": {"costs": {"many": 1.5}}}}, {"passes": {"a": {"costs": {"1": 1.0}}}}, {"passes": {"a": {}}},
    ],
)  # fmt: skip
def test_a_damaged_measurement_is_refused(spoiled: bytes | dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(dataclasses.asdict(MEASURED)), encoding="utf-8")
    assert read_measurement(path) == MEASURED
    whole = {**dataclasses.asdict(MEASURED), **(spoiled if isinstance(spoiled, dict) else {})}
    path.write_bytes(json.dumps(whole).encode() if isinstance(spoiled, dict) else spoiled)
    with pytest.raises(BundleError, match=r"x\.json"):
        read_measurement(path)
