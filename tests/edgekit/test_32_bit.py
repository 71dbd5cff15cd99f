"""A 32-bit system, where numpy has no wheel: what its user reads says to take a 64-bit one."""

from __future__ import annotations

import json
import subprocess
import sys

# What a 32-bit Python cannot import, and what it says of itself; everything else is as it is.
SYSTEM = """
import sys
sys.modules["numpy"] = None
from edgekit import machine
machine.is_64bit = lambda: False
"""
ERROR = "this Python is 32-bit; numpy and the engines are built for 64-bit systems only"
HINT = "install the 64-bit Raspberry Pi OS, or another 64-bit system"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SYSTEM + program], capture_output=True, text=True, check=False)


def test_the_api_refuses_in_words() -> None:
    program = """
import edgekit
for call in (lambda: edgekit.load("b"), lambda: edgekit.Tokenizer, lambda: edgekit.export("c")):
    try:
        call()
    except edgekit.EdgekitError as error:
        print(error.message, error.hint, sep="|")
"""
    assert run(program).stdout == f"{ERROR}|{HINT}\n" * 3


def test_the_commands_refuse_in_two_lines_and_doctor_tells() -> None:
    program = """
from edgekit.cli import main
print([main(arguments) for arguments in (["run", "b", "hello"], ["embed", "b", "hello"], [])])
sys.exit(main(["doctor", "--json"]))
"""
    done = run(program)
    assert done.stderr == f"error: {ERROR}\nhint: {HINT}\n" * 3
    codes, *doctor = done.stdout.splitlines()
    assert codes == "[1, 1, 1]"
    data = json.loads("".join(doctor))
    assert (data["bits"], data["runtimes"], data["warnings"][0]) == (32, {}, f"{ERROR}: {HINT}")
    assert done.returncode == 0
