from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import edgekit
from edgekit.cli import COMMANDS, main

SCHEMAS = sorted((Path(edgekit.__file__).parent / "schemas").glob("*.json"))


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_nothing_asked_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "--json" in capsys.readouterr().out
    assert f"{name}.schema.json" in {path.name for path in SCHEMAS}


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_schema_is_one(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgekit {edgekit.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["no-such-command"], ["run", "--no-such-option"], ["run"], ["bench", "x", "--rounds", "2"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, f"edgekit {edgekit.__version__}\n")


def test_help_of_a_command_imports_neither_numpy_nor_engines_nor_other_commands() -> None:
    done = python(
        "import sys; from edgekit.cli import main; main(['run', '--help']); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} "
        "& {'numpy', 'onnxruntime', 'onnx', 'tokenizers', 'edgekit_exporters', 'edgekit_runtimes'}), "
        "*[name for name in sys.modules if name == 'edgekit.cli.export'], sep=',')"
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_its_packages_the_command_line_says_how_to_get_them(package: str) -> None:
    done = python(
        f"import sys; sys.modules['{package}'] = None; from edgekit.cli import main; sys.exit(main(['doctor']))"
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: the command line needs the package {package}, which is not installed",
        'hint: pip install "edgekit-sdk[cli]"',
    ]
