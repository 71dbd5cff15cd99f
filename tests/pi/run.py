"""Installs the built wheel on an emulated Raspberry Pi 4 and 5 and runs tests there: `make test-pi`.

What a board says is right or wrong holds for a real one; how long it takes says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from boards import BOARDS
from decoder_cases import SHARED
from emulation import ROOT, Machine, NotHereError, build_wheel, debian, install_needed
from report import Report, print_report
from tiny_checkpoint import write_tiny_checkpoint

SUITES = ("tests/pi/on_board.py", "tests/contract", "tests/edgekit/cli", "tests/examples")
"""What runs on every board, without what is marked slow."""

FORMATS = ("onnx", "openvino", "tflite")

STARTED = time.monotonic()
PRINTING = threading.Lock()


def main() -> int:
    """Run everything; 0 where nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "pi", help="what is kept between runs")
    parser.add_argument("--board", choices=[board.name for board in BOARDS], help="this one alone")
    parser.add_argument("tests", nargs="*", help=f"default: {' '.join(SUITES)}")
    options = parser.parse_args()
    machines = [Machine(board, options.cache.resolve() / board.name) for board in BOARDS]
    machines = [machine for machine in machines if options.board in (None, machine.board.name)]
    try:
        reports = run(machines, options.cache.resolve(), options.tests or suites())
    except (NotHereError, subprocess.CalledProcessError) as error:
        print(f"\nTHE TESTS WERE NOT RUN ON A RASPBERRY PI: {error}", file=sys.stderr)
        return 1
    spent = os.times()
    print_report(reports, time.monotonic() - STARTED, spent.children_user + spent.children_system)
    return 0 if all(report.good for report in reports) else 1


def run(machines: list[Machine], cache: Path, tests: list[str]) -> list[Report]:
    """Prepare what the boards need and run the tests, on all of them at once."""
    install_needed()
    cache.mkdir(parents=True, exist_ok=True)
    say("making a Debian for arm64, bundles and the wheel")
    system, wheel = debian(cache), build_wheel(cache / "dist")
    bundles = write_bundles(cache / "bundles")

    first, *others = machines
    for machine in machines:
        machine.prepare(system)
    say(f"{first.board.name}: pip install {wheel.name}[all]")
    first.install(system, wheel)
    for machine in others:
        machine.copy_packages(first)

    def test(machine: Machine) -> Report:
        say(f"{machine.board.name}: {' '.join(tests)}")
        report = run_tests(machine, tests, bundles)
        say(f"{machine.board.name}: {report.closing}")
        return report

    with ThreadPoolExecutor(len(machines)) as pool:
        return list(pool.map(test, machines))


def suites() -> list[str]:
    """Return the suites that are there, and name those that are not."""
    for suite in SUITES:
        if not (ROOT / suite).exists():
            say(f"NOT RUN: there is no {suite}")
    return [suite for suite in SUITES if (ROOT / suite).exists()]


def run_tests(machine: Machine, tests: list[str], bundles: Path) -> Report:
    """Run pytest on a board; the tests are the checkout's, what they import is the installed wheel."""
    log, results = machine.folder / "pytest.log", machine.folder / "results.xml"
    results.unlink(missing_ok=True)
    os.environ.update({"EDGEKIT_SHARED": str(SHARED), "EDGEKIT_PI_BUNDLES": str(bundles)})
    configured = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-o", "pythonpath=tests"]
    # The newer family of records has no room for what a test tells of itself, and pytest makes that a warning.
    configured += ["-o", "junit_family=xunit1"]
    written = ["-p", "no:cacheprovider", "--basetemp", str(machine.folder / "tmp"), "--junitxml", str(results)]
    named = [str(ROOT / test) for test in tests]
    # -P: the current folder is no place to import from.
    code = machine.run("-P", "-m", "pytest", "-q", "-m", "not slow", *configured, *written, *named, log=log)
    return Report.read(machine.board.name, code, results, log)


def write_bundles(folder: Path) -> Path:
    """Export, on the host, what the boards are handed, and note what the host answers."""
    import edgekit
    from edgekit_exporters.export import export

    for case in ("qwen2", "phi3_longrope"):
        for quantize in ("none", "int8", "int4"):
            source = SHARED / "golden" / "decoders" / case
            export(source, to=FORMATS, quantize=quantize, output=folder / f"{case}-{quantize}.edge", force=True)
    checkpoint = write_tiny_checkpoint(folder / "checkpoint")
    tiny = export(checkpoint, to=FORMATS, quantize="none", output=folder / "tiny.edge", force=True)
    with edgekit.load(tiny) as model:
        reply = model.generate("hello", max_tokens=4, seed=1)
    said = {"tokens": list(reply.tokens), "text": reply.text}
    (folder / "tiny.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def say(text: str) -> None:
    """Print a line of progress."""
    with PRINTING:
        print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
