from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sysfs_trees import plant, put

from edgekit.energy import rapl
from edgekit.errors import EnergyError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the files have colons in their names")


def test_packages_and_memory_count_once(tmp_path: Path) -> None:
    root = plant("rapl_laptop", tmp_path)
    source = rapl.find(root)
    assert source.covers == "package-0, dram of package-0"
    put(root / "intel-rapl:0/energy_uj", 81_000_000_000 + 5_000_000)
    put(root / "intel-rapl:0:2/energy_uj", 9_400_000_000 + 400_000)
    # What lies within the package, or holds it, or is it seen another way.
    for name in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl-mmio:0"):
        put(root / name / "energy_uj", 200_000_000_000)
    assert source.advance() == pytest.approx(5.4)
    assert source.advance() == 0


def test_two_packages_add_up_and_each_comes_round_by_itself(tmp_path: Path) -> None:
    root = plant("rapl_server", tmp_path)
    source = rapl.find(root)
    assert source.covers == "package-0, dram of package-0, package-1, dram of package-1"
    put(root / "intel-rapl:0/energy_uj", 56_671_150)  # from 262,000 J over 262,143.328850 J
    put(root / "intel-rapl:0:0/energy_uj", 467_389_013)  # from 65,000 J over 65,532.610987 J
    put(root / "intel-rapl:1/energy_uj", 120_000_000_000 + 30_000_000)
    put(root / "intel-rapl:1:0/energy_uj", 3_000_000)
    assert source.advance() == pytest.approx(200.0 + 1000.0 + 30.0 + 2.0)


def test_amd_has_the_same_names(tmp_path: Path) -> None:
    assert rapl.find(plant("rapl_amd", tmp_path)).covers == "package-0"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 65_532_610_986), max_size=8))
def test_what_is_used_between_readings_is_found(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    """As long as it is less than the range; however often the counter comes round in all."""
    root = plant("rapl_amd", tmp_path_factory.mktemp("amd"))
    source, counter, total = rapl.find(root), 44_000_000_000, 0.0
    for step in steps:
        counter = (counter + step) % 65_532_610_987
        put(root / "intel-rapl:0/energy_uj", counter)
        total += source.advance()
    assert total == pytest.approx(sum(steps) / 1e6)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(EnergyError, match="no counters of a processor in"):
        rapl.find(tmp_path / "missing")
    (tmp_path / "dtpm").mkdir()  # another control type
    with pytest.raises(EnergyError, match="no counters of a processor in"):
        rapl.find(tmp_path)


def test_root_alone_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant("rapl_laptop", tmp_path)
    read = Path.read_text

    def refuse(path: Path, *arguments: object, **options: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(EnergyError, match=r"only root may read .*intel-rapl:0/energy_uj") as caught:
        rapl.find(root)
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "value", "words"),
    [
        ("energy_uj", None, "cannot be read"),
        ("energy_uj", "", "says '', which is no number"),
        ("energy_uj", "-5", "says '-5', which is no number"),
        ("max_energy_range_uj", None, "cannot be read"),
        ("max_energy_range_uj", "1000", "went from 44000000000 to 7 µJ; its range is 1000 µJ"),
    ],
)
def test_a_counter_that_vanishes_or_makes_no_sense(tmp_path: Path, file: str, value: str | None, words: str) -> None:
    root = plant("rapl_amd", tmp_path)
    source = rapl.find(root)
    put(root / "intel-rapl:0/energy_uj", 7)
    if value is None:
        (root / "intel-rapl:0" / file).unlink()
    else:
        put(root / "intel-rapl:0" / file, value)
    with pytest.raises(EnergyError, match=words):
        source.advance()
