"""What is tried on a board itself: `run.py` gives this file to pytest there, beside the contract suites.

Bundles are made on the host and handed over, as a Pi's user gets them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.machine import read_machine
from edgekit.registry import explain_choice, runtime, runtime_names
from edgekit.session import open_session
from edgekit_exporters.format import find_format
from edgekit_exporters.reference import Reference

PI = os.environ["EDGEKIT_PI"]
BUNDLES = Path(os.environ["EDGEKIT_PI_BUNDLES"])
CASES = ("qwen2", "phi3_longrope")
EDGEKIT = Path(sys.executable).with_name("edgekit")
SURE = 0.15
"""As in the contract: the reference's lead, in standard deviations of the logits, from which the top-1 counts."""


def command(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EDGEKIT, *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=300
    )


def answer(*arguments: object) -> dict[str, object]:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    data: dict[str, object] = json.loads(done.stdout)
    return data


def test_what_is_tried_is_the_installed_wheel() -> None:
    assert Path(edgekit.__file__).is_relative_to(sys.prefix)
    assert Path(find_format.__code__.co_filename).is_relative_to(sys.prefix)


def test_the_board_is_known() -> None:
    found = read_machine()
    assert (found.machine, found.is_64bit) == ("aarch64", True)
    names = {"pi4": "Cortex-A72, Raspberry Pi 4 Model B Rev 1.4", "pi5": "Cortex-A76, Raspberry Pi 5 Model B Rev 1.0"}
    assert found.cpu.name == names[PI]
    assert found.cpu.features == {"pi4": ("asimd",), "pi5": ("asimd", "atomics", "asimdhp", "asimddp")}[PI]
    assert 3.9e9 < (found.memory.total or 0) < 8.6e9


def test_doctor_shows_the_board_and_every_runtime() -> None:
    data = answer("doctor")
    assert "Raspberry Pi" in str(data["cpu"])
    assert [name for name, item in data["runtimes"].items() if item["ok"]] == runtime_names()
    assert {item["runtime"] for item in data["auto"]} == {"tflite"}
    shown = command("doctor").stdout
    assert "Raspberry Pi" in shown
    assert "No runtime is ready" not in shown


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
@pytest.mark.parametrize("name", runtime_names())
def test_bundles_compute_what_was_written(name: str, quantization: str) -> None:
    agreed = []
    for case in CASES:
        bundle = Bundle.open(BUNDLES / f"{case}-{quantization}.edge")
        written = find_format(runtime(name).format).read_weights(bundle.path)
        ids = np.random.default_rng(4).integers(0, bundle.manifest.decoder_spec.vocab_size, 60)
        truth = Reference(bundle.manifest.spec, written).logits(ids)
        with open_session(bundle, name, LoadOptions(context=64, threads=2)) as session:
            logits = session.forward(ids, last=len(ids))
        same = logits.argmax(1) == truth.argmax(1)
        if quantization == "none":
            assert np.abs(logits - truth).max() <= 1e-3 * np.abs(truth).max()
            assert same.all()
        assert np.sqrt(np.square(logits - truth).mean() / np.square(truth).mean()) <= 0.08
        second, first = np.sort(truth, axis=1)[:, -2:].T
        agreed.append(same[first - second > SURE * truth.std()])
    # About eighty positions, which cannot tell 0.99 from 0.98.
    assert np.concatenate(agreed).mean() >= 0.98


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_auto_leaves_openvino_aside(quantization: str) -> None:
    bundle = Bundle.open(BUNDLES / f"qwen2-{quantization}.edge")
    choice = explain_choice(bundle)
    assert choice.runtime == "tflite"
    assert "OpenVINO" in choice.reason


@pytest.mark.parametrize("name", ["auto", *runtime_names()])
def test_the_command_line_answers_with_every_runtime(name: str) -> None:
    data = answer("run", BUNDLES / "tiny.edge", "hello", "--runtime", name, "--max-tokens", 4, "--seed", 1)
    expected = json.loads((BUNDLES / "tiny.json").read_text(encoding="utf-8"))
    assert data["tokens"] == expected["tokens"]
    assert data["text"] == expected["text"]


def test_a_chat_and_an_export(tmp_path: Path) -> None:
    done = command("chat", BUNDLES / "tiny.edge", "--max-tokens", 3, text="hello\nagain\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2
    exported = tmp_path / "own.edge"
    assert command("export", BUNDLES / "checkpoint", "-o", exported, "--quantize", "none").returncode == 0
    data = answer("run", exported, "hello", "--max-tokens", 4, "--seed", 1)
    assert data["tokens"] == json.loads((BUNDLES / "tiny.json").read_text(encoding="utf-8"))["tokens"]


COMPILED = """
import sys
from ai_edge_litert.compiled_model import CompiledModel
CompiledModel.from_file(sys.argv[1])
print("loaded")
"""


def test_what_the_tflite_runtime_avoids_is_there_to_be_avoided() -> None:
    """If this fails on the Pi 4, ai-edge-litert no longer needs to be imported without its GPU there."""
    path = BUNDLES / "qwen2-none.edge" / "tflite" / "model.tflite"
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, str(path)], capture_output=True, text=True, check=False, timeout=300
    )
    if PI == "pi4":
        assert done.returncode == -signal.SIGILL
        assert "lse" in done.stderr
    else:
        assert done.stdout == "loaded\n"
