"""What every test may use."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import divergence
import pytest
from hypothesis import settings

# Where a run decides whether a change lands, chance has no say; on a desk every run tries something new. That a machine
# is busy is no failure of what is tested.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

# Before numpy is imported: for matrices as small as these, threads cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A run started in the background of a shell ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave nothing in the cache folder of whoever runs them, and find nothing there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded references: EDGEKIT_SHARED, or ../shared beside the checkout."""
    folder = Path(os.environ.get("EDGEKIT_SHARED") or ROOT.parent / "shared")
    if not (folder / "golden").is_dir():
        pytest.fail(f"no recorded references in {folder}: set EDGEKIT_SHARED to the folder that has golden/")
    return folder


@pytest.fixture(scope="session")
def downloads() -> Path:
    """Where tests keep what they fetched, so that it is fetched once; `make clean` removes it."""
    folder = Path(os.environ.get("EDGEKIT_TEST_CACHE") or ROOT / ".cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def run_json(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command with --json and return its object, held to the command's schema."""

    import jsonschema

    from edgekit import cli

    def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert cli.main([*map(str, arguments), "--json"]) == code
        data: dict[str, Any] = json.loads(capsys.readouterr().out)
        schema = json.loads((ROOT / "edgekit" / "schemas" / f"{arguments[0]}.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(data)
        return data

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what the contract suites measured of engines that round a token alone otherwise than with others."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    found = {str(value) for report in reports for name, value in report.user_properties if name == divergence.PROPERTY}
    if found:
        terminalreporter.section(divergence.PROPERTY)
        for line in sorted(found):
            terminalreporter.write_line(line)
