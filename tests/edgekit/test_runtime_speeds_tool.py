"""tools/runtime_speeds.py keeps the table readable and replaces what it measures again."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from pathlib import Path

from edgekit.speeds import TABLE, Passes, read_table

TOOL = Path(__file__).resolve().parents[2] / "tools" / "runtime_speeds.py"


def test_a_measurement_is_added_once_and_the_rest_kept(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("runtime_speeds", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    before = read_table()
    new = dataclasses.replace(before.measured[0], cpu="arm64", source="a board, in a test")
    path = tmp_path / "1.json"
    shutil.copy(TABLE, path)
    tool.add(new, path)
    again = tmp_path / "2.json"
    shutil.copy(path, again)
    tool.add(dataclasses.replace(new, size=new.size + 1, source="measured again"), again)
    after = read_table(again)
    assert [entry.source for entry in after.measured if entry.cpu == "arm64"] == ["measured again"]
    assert {entry.source for entry in before.measured} <= {entry.source for entry in after.measured}
    assert after.unmeasured == before.unmeasured
    passes = {"onnx": Passes(costs={"2": 1.5}, change=0.1)}
    tool.add(dataclasses.replace(new, passes=passes, source="passes"), again, only_passes=True)
    (entry,) = (entry for entry in read_table(again).measured if entry.cpu == "arm64")
    assert (entry.source, entry.speeds, entry.passes) == ("measured again", new.speeds, passes)
