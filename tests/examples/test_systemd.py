from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "examples" / "systemd" / "edgekit-watch.service"


@pytest.fixture
def unit() -> dict[str, dict[str, str]]:
    """The settings of each section; a line that is none would fail here."""
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    section = ""
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, value = line.split("=", 1)
            assert name not in sections[section]
            sections[section][name] = value
    return sections


def test_it_starts_at_boot_and_again_after_a_failure(unit: dict[str, dict[str, str]]) -> None:
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert unit["Service"]["Restart"] == "on-failure"
    assert {"StartLimitIntervalSec", "StartLimitBurst"} <= unit["Unit"].keys()


def test_it_has_no_network_and_few_rights(unit: dict[str, dict[str, str]]) -> None:
    service = unit["Service"]
    for name in ("DynamicUser", "PrivateNetwork", "PrivateDevices", "PrivateTmp", "ProtectHome", "NoNewPrivileges"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["MemoryMax"].endswith("G")


def test_it_calls_the_watcher_as_the_watcher_wants(unit: dict[str, dict[str, str]]) -> None:
    program, script, *arguments = unit["Service"]["ExecStart"].split()
    assert (program, Path(script).name) == ("/opt/edgekit/venv/bin/python", "watch.py")
    assert len(arguments) == 3  # a bundle, a folder to watch, one for summaries
    assert arguments[2] == f"%S/{unit['Service']['StateDirectory']}"
    readme = UNIT.with_name("README.md").read_text(encoding="utf-8")
    for place in (script, program.removesuffix("/bin/python"), *arguments[:2]):
        assert place in readme


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/edgekit/venv/bin/python", sys.executable)
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
