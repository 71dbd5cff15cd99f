"""Each part's rows as people read them: what is unknown or has no target stays empty, never a crash."""

from part import Table
from parts import imports, load, passes, plan, quality, speed

INTERVAL = {"median": 0.151, "low": 0.14, "high": 0.2, "rounds": 9}


def cells(tables: list[Table]) -> list[list[str]]:
    assert all(len(line) == len(table.header) for table in tables for line in table.lines)
    return [[*line] for table in tables for line in table.lines]


def test_loads() -> None:
    known = {
        "model": "phi3 int4", "runtime": "tflite", "import": 0.4, "first": 11.0, "second": 2.0,
        "token": 0.5, "ratio": INTERVAL, "ratio_target": 0.2, "anonymous": 400e6, "share": 0.18, "share_target": 0.3,
        "met": True,
    }  # fmt: skip
    unknown = {**known, "ratio_target": None, "anonymous": None, "share": None, "share_target": None, "met": None}
    first, second = cells(load.tables([known, unknown]))
    assert first[2:] == [
        "400 ms",
        "11.0 s",
        "2.0 s",
        "0.15 (0.14 – 0.20)",
        "0.20",
        "400 MB",
        "18%",
        "30%",
        "500 ms",
        "pass",
    ]
    assert second[6:10] == ["", "unknown", "unknown", ""]
    assert second[-1] == ""


def test_passes() -> None:
    costs = {name: {**INTERVAL, "median": 2.0} for name in (*map(str, passes.PASSES), "change")}
    (line,) = cells(passes.tables([{"model": "smollm2 int8", "runtime": "onnx", "costs": costs, "met": None}]))
    assert line == ["smollm2 int8", "onnx", *["2.00 (0.14 – 0.20)"] * 5]


def test_losses() -> None:
    row = {
        "quantize": "int4", "runtime": "tflite", "positions": 103, "top1": 0.7, "top1_target": 0.693,
        "perplexity_ratio": 1.1, "perplexity_target": None, "met": False,
    }  # fmt: skip
    assert cells(quality.tables([row])) == [["int4", "tflite", "0.700", "0.693", "+10.00%", "", "fail"]]


def test_speeds_of_two_settings_are_two_tables_each() -> None:
    ratio = {
        "model": "smollm2", "quantize": "int8", "group": "g", "threads": 2, "clock": "wall", "rounds": 9,
        "phase": "decode", "tokens": 128, "ours": "tflite", "peer": "LiteRT-LM", "ratio": INTERVAL, "target": None,
        "met": None, "noise": "quiet",
    }  # fmt: skip
    engine = {**ratio, "engine": "tflite", "prefill": 2000.0, "decode": 150.0}
    del engine["ratio"]
    rows = [{**row, "threads": threads} for threads in (1, 2) for row in (ratio, engine)]
    tables = speed.tables(rows)
    assert [table.title[:6] for table in tables] == ["Ratios", "Median", "Ratios", "Median"]
    assert tables[0].notes == ("The machine while g ran was quiet.",)
    assert cells(tables[1:2]) == [["smollm2 int8", "tflite", "2000 tok/s", "150 tok/s"]]


def test_imports_are_judged_by_their_whole_interval() -> None:
    rows = [imports.row("import a", [0.1, 0.2], [0.1] * 2, target) for target in (1.5, 0.9, None)]
    assert [row["met"] for row in rows] == [True, False, None]
    assert cells(imports.tables(rows))[0] == ["`import a`", "150 ms", "100 ms", "1.50 (1.00 – 2.00)", "1.5", "pass"]


def test_plans() -> None:
    row = {
        "model": "phi3 int4", "runtime": "onnx", "what": "memory", "predicted": 4.3e9, "measured": 4.2e9,
        "allowed": 0.15, "before": 40e9, "after": 20e9, "flops": 2e11, "met": True,
    }  # fmt: skip
    speed_row = {**row, "what": "decode", "predicted": 10.0, "measured": 12.5, "allowed": 0.25, "met": None}
    assert cells(plan.tables([row, speed_row])) == [
        ["phi3 int4", "onnx", "memory", "4.30 GB", "4.20 GB", "+2%", "15%", "", "pass"],
        [
            *("phi3 int4", "onnx", "decode", "10.0 tok/s", "12.5 tok/s", "-20%", "25%"),
            *("40.0 / 20.0 GB/s", "machine not steady"),
        ],
    ]
