"""The texts that are embedded side by side, and how their speeds are shown."""

from __future__ import annotations

from pathlib import Path

from parts import texts
from worker import WORKERS


def test_a_rounds_texts_are_of_mixed_lengths_and_its_own(shared: Path) -> None:
    first, again, second = texts.texts_of(1), texts.texts_of(1), texts.texts_of(2)
    assert first == again != second
    assert len(first) == sum(texts.PARTS.values())
    lengths = sorted(len(text.split()) for text in first)
    assert lengths[-1] > 5 * lengths[len(lengths) // 2]
    assert lengths != [len(text.split()) for text in first], "they come in no order"


def test_every_engine_has_a_script_and_every_pair_its_engines() -> None:
    names = [engine.name for engine in texts.ENGINES]
    assert len(names) == len(set(names))
    assert all((WORKERS / engine.worker).is_file() for engine in texts.ENGINES)
    for quantize in ("none", "int8"):
        assert {name for pair in texts.pairs(quantize) for name in (pair.ours, pair.peer)} == set(names)


def test_tables_show_ratios_and_medians() -> None:
    common = {"quantize": "int8", "threads": 2, "clock": "wall", "rounds": 9}
    ratio = {
        **common, "phase": "many", "ours": "onnx", "peer": texts.PLAIN, "target": 1.0, "met": True, "noise": "quiet",
        "ratio": {"median": 1.5, "low": 1.4, "high": 1.6, "rounds": 9},
    }  # fmt: skip
    engine = {**common, "engine": "onnx", "one by one": 250.0, "many": 801.4, "met": None}
    ratios, medians = texts.tables([ratio, engine])
    assert ratios.lines == [("int8", "many", "onnx / plain ONNX Runtime", "1.50", "1.40 – 1.60", "1.0", "pass")]
    assert medians.lines == [("int8", "onnx", "4.0 ms", "801 texts/s")]
    assert texts.tables([]) == []
