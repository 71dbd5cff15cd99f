"""The wheel, and what it can do in a fresh environment with numpy and jinja2 only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from small_tokenizers import trained
from tiny_checkpoint import write_tiny_checkpoint
from tokenizers import Tokenizer as Rust
from varied_texts import varied_texts

from edgekit_exporters.export import export

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).parent / "base_install_script.py"
LARGEST_WHEEL = 1_000_000
"""No data slipped in; the half that exports is as large as the one that runs on devices."""
LARGEST_DEVICE_HALF = 450_000
# numpy 1.26, which is what Android has, is built for Python 3.12 and earlier.
VERSIONS = {"numpy 1": "numpy==1.26.*", "numpy 2": "numpy>=2"}


def run(*command: object, **options: Any) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--disable-pip-version-check", "-w", folder, ROOT)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the base install."""
    if request.param == "numpy 1" and sys.version_info >= (3, 13):
        pytest.skip("NOT RUN: numpy 1.26 cannot be installed on this Python; run the tests on 3.10 to 3.12")
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel, VERSIONS[request.param])
    return python


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    return export(write_tiny_checkpoint(folder / "tiny"), to=["onnx"], quantize="int8", output=folder / "tiny.edge")


def test_the_wheel_is_for_any_machine_and_small(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.compress_size for entry in archive.infolist()}
    roots = {name.split("/")[0] for name in sizes if ".dist-info/" not in name}
    assert roots == {"edgekit", "edgekit_exporters", "edgekit_runtimes"}
    assert any(name.endswith("/LICENSE") for name in sizes)
    device = {name: size for name, size in sizes.items() if not name.startswith("edgekit_exporters/")}
    # What the zip needs for each file besides: two headers with its name.
    assert sum(size + 76 + 2 * len(name) for name, size in device.items()) < LARGEST_DEVICE_HALF
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_base_install_tokenizes_and_generates(python: Path, bundle: Path, tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(trained("unigram").encode())
    rust = Rust.from_str(trained("unigram"))
    found = [(text, rust.encode(text)) for text in varied_texts(50, seed=2)]
    expected = [
        {"text": text, "ids": seen.ids, "offsets": seen.offsets, "decoded": rust.decode(seen.ids)}
        for text, seen in found
    ]
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    printed = run(python, "-I", SCRIPT, bundle, tokenizer, tmp_path / "expected.json", cwd=tmp_path)
    errors: dict[str, tuple[str, str]] = json.loads(printed)["errors"]
    assert "no runtime can open" in errors["load"][0]
    for hint in (errors["load"][1], errors["export"][1], errors["schema"][1]):
        assert hint.startswith('pip install "edgekit-sdk[')


def test_the_command_line_says_what_it_needs(python: Path, bundle: Path) -> None:
    for command in (["--help"], ["run", str(bundle), "hello"], ["doctor"]):
        done = subprocess.run([python, "-m", "edgekit", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert lines == [
            "error: the command line needs the package rich, which is not installed",
            'hint: pip install "edgekit-sdk[cli]"',
        ]
