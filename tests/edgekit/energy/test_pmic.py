from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sysfs_trees import RECORDED

from edgekit.energy import pmic
from edgekit.errors import EnergyError

SAID = (RECORDED / "pi5_pmic.txt").read_text(encoding="utf-8")

needs_sh = pytest.mark.skipif(sys.platform == "win32", reason="the command is a shell script here")


def command(folder: Path, said: str, code: int = 0, error: str = "") -> str:
    """Write a vcgencmd that answers so to what is asked, and return its path."""
    (folder / "said").write_text(said, encoding="utf-8")
    path = folder / "vcgencmd"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = pmic_read_adc ] || exit 9\ncat "{folder}/said"\necho "{error}" >&2\nexit {code}\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return str(path)


def test_rails_are_paired_by_name_and_those_without_a_current_left_out() -> None:
    found = pmic.rails(SAID)
    assert found["VDD_CORE"] == pytest.approx(2.0 * 0.9)
    assert not {"EXT5V", "BATT"} & set(found)
    expected = 0.037 + 0.33 + 0.36 + 0.022 + 0 + 0.22 + 0.24 + 1.8 + 0 + 0 + 0.004 + 0.05
    assert (len(found), sum(found.values())) == (12, pytest.approx(expected))


def test_a_current_without_its_voltage_is_no_power() -> None:
    assert pmic.rails(" A_A current(0)=2.0A\n B_A current(1)=3.0A\n B_V volt(2)=1.5V\n") == {"B": 4.5}


@pytest.mark.parametrize("text", ["", "EXT5V_V volt(24)=5.1V\n", "A_A current(0)=nanA\nA_V volt(1)=1.0V\n"])
def test_no_rail_at_all(text: str) -> None:
    with pytest.raises(EnergyError, match="told no rail with current and voltage"):
        pmic.rails(text)


@needs_sh
def test_the_command_is_asked(tmp_path: Path) -> None:
    assert pmic.find(command(tmp_path, SAID)).watts() == pytest.approx(3.063)


@needs_sh
def test_an_older_board(tmp_path: Path) -> None:
    refused = 'vc_gencmd_read_response returned -1\nerror=1 error_msg="Command not registered"\n'
    with pytest.raises(EnergyError, match="the power chip of this board does not measure"):
        pmic.find(command(tmp_path, refused, code=255))


@needs_sh
def test_a_user_who_may_not_ask(tmp_path: Path) -> None:
    with pytest.raises(EnergyError, match="ended with 255: Can't open device file: /dev/vcio") as caught:
        pmic.find(command(tmp_path, "", code=255, error="Can't open device file: /dev/vcio"))
    assert "usermod -aG video" in caught.value.hint


def test_no_such_command(tmp_path: Path) -> None:
    with pytest.raises(EnergyError, match="which a Raspberry Pi has"):
        pmic.find(str(tmp_path / "vcgencmd"))


@needs_sh
def test_a_command_that_hangs_or_stops_answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pmic.find(command(tmp_path, SAID))
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    monkeypatch.setattr(pmic, "TIMEOUT", 0.2)
    with pytest.raises(EnergyError, match=r"did not answer: .* timed out"):
        source.advance()
    command(tmp_path, "")
    with pytest.raises(EnergyError, match="told no rail"):
        source.advance()
