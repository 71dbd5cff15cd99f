"""Processes are killed while they write, and write at once: what was told to be in is in, and nothing is half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import knowledge_shelf as shelf
import pytest

from edgekit.knowledge.contents import Contents
from edgekit.progress import Silent

ROOT = Path(__file__).resolve().parents[3]

# Adds, replaces and removes for ever, compacts now and then, and tells each that is done.
WRITER = """
import random, sys
from pathlib import Path
import knowledge_shelf as shelf
from edgekit.knowledge.contents import Contents

folder, whose, seed, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
contents = Contents.open(folder)
print("ready", flush=True)
for step in range(steps):
    name, version = f"doc{whose}x{chance.randrange(8)}", seed * 1000 + step + 1
    kind = chance.random()
    if kind < 0.75:
        contents.commit([shelf.entry(name, version), shelf.entry(f"{name}b", version)])
        print("in", name, version, flush=True)
    elif kind < 0.9:
        contents.remove([name, f"{name}b"])
        print("out", name, flush=True)
    else:
        contents.compact()
        print("compacted", flush=True)
"""


def writer(folder: Path, whose: int, seed: int, steps: int = 10_000) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    arguments = [sys.executable, "-c", WRITER, str(folder), str(whose), str(seed), str(steps)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def follow(told: list[str], expected: dict[str, int]) -> None:
    """Note what a writer said to be done."""
    for line in told:
        what, *rest = line.split()
        if what == "in":
            expected[rest[0]] = expected[f"{rest[0]}b"] = int(rest[1])
        elif what == "out":
            expected.pop(rest[0], None)
            expected.pop(f"{rest[0]}b", None)


def killed(process: subprocess.Popen[str], steps: int, seconds: float) -> list[str]:
    """Kill a writer a while after some steps, and return the lines that it wrote whole."""
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(1 + steps)]
    time.sleep(seconds)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    rest = process.communicate()[0].splitlines(keepends=True)
    assert told[0] == "ready\n"
    return [line for line in told[1:] + rest if line.endswith("\n")]


def kill_again_and_again(folder: Path, rounds: int) -> None:
    shelf.make(folder).close()
    chance = random.Random(rounds)
    expected: dict[str, int] = {}
    for seed in range(1, rounds + 1):
        # What was in the last step of a killed writer may or may not be there.
        told = killed(writer(folder, 1, seed), chance.randint(0, 5), chance.uniform(0, 0.05))
        contents = Contents.open(folder)
        contents.check(Silent(), whatever=True)
        found = shelf.held(contents)
        contents.close()
        before = dict(expected)
        follow(told, expected)
        unsaid = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
        # Both documents of the one transaction that was under way, whole, or neither.
        assert unsaid in (set(), *({name, f"{name}b"} for name in unsaid)), (before, told, found)
        for name in unsaid:
            assert found.get(name) == found.get(name.removesuffix("b"))
        expected = found
    assert expected


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "kb", 2)


@pytest.mark.slow
def test_a_writer_that_is_killed_many_times_loses_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "kb", 60)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    shelf.make(tmp_path / "kb").close()
    writers = [writer(tmp_path / "kb", whose, seed=7, steps=8) for whose in (1, 2)]
    expected: dict[str, int] = {}
    for process in writers:
        told = process.communicate(timeout=120)[0].splitlines()
        assert process.returncode == 0
        follow(told[1:], expected)
    contents = Contents.open(tmp_path / "kb")
    contents.check(Silent(), whatever=True)
    assert shelf.held(contents) == expected
    assert {name.partition("x")[0] for name in expected} == {"doc1", "doc2"}
    contents.close()
