"""What is compared, and how a round's figures become a ratio and a verdict."""

import pytest
from comparisons import GROUPS, LITERT, OURS, TFLITE, Pair
from parts import speed
from worker import WORKERS, Engine, Setting, Worker

SETTING = Setting(model="smollm2", quantize="int8", context=64, prompt_tokens=8, new_tokens=4, threads=1)


def row(ours: list[float], peer: list[float], target: float | None) -> dict:
    rates = {"tflite": {"decode": ours}, "LiteRT-LM": {"decode": peer}}
    return speed._ratio(Pair(TFLITE, LITERT, None, target), "decode", SETTING, rates, "small")


def test_ratios_are_taken_within_rounds() -> None:
    found = row([10, 40, 90], [10, 20, 30], 1.0)
    assert (found["ratio"]["median"], found["ratio"]["low"], found["ratio"]["high"]) == (2, 1, 3)
    assert found["met"] is True
    assert found["name"] == "small: decode of tflite / LiteRT-LM"


@pytest.mark.parametrize(
    ("slowest", "fastest", "met"), [(0.5, 0.9, False), (0.5, 1.1, True), (1.1, 1.2, True)], ids=str
)
def test_a_target_is_missed_only_if_the_whole_interval_lies_below_it(slowest: float, fastest: float, met: bool) -> None:
    ours = [slowest] * 8 + [fastest] * 8
    assert row(ours, [1.0] * 16, 1.0)["met"] is met


def test_without_a_target_there_is_no_verdict() -> None:
    assert row([1.0], [2.0], None)["met"] is None


def test_every_group_has_each_engine_once_and_a_script_for_it() -> None:
    for group in GROUPS:
        names = [engine.name for engine in group.engines]
        assert len(names) == len(set(names))
        assert all((WORKERS / engine.worker).is_file() for engine in group.engines)
        assert {pair.ours.name for pair in group.pairs} <= set(OURS)


def test_group_names_are_distinct() -> None:
    assert len({speed._name(group) for group in GROUPS}) == len(GROUPS), "rows are kept by them"


def test_a_worker_that_ends_says_why() -> None:
    broken = Engine(name="broken", worker="ours.py", arguments=lambda setting: ["no.edge", "onnx", setting.context, 1])
    with pytest.raises(RuntimeError, match=r"the broken worker ended with 1:(.|\n)*no\.edge"):
        Worker(broken, SETTING)
