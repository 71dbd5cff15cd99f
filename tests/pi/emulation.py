"""Emulated boards: a Debian for arm64 in a folder, QEMU's user mode for its programs, and a virtual environment in it.

A program is started by a launcher, a shell script in the place of the environment's `bin/python`. Python takes it for
its own executable, so whatever it starts by `sys.executable`, and every script that pip writes, goes through it again:
nothing must be registered with the kernel, and only installing Debian's packages needs root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from boards import Board

ROOT = Path(__file__).resolve().parents[2]

NEEDED = {"qemu-aarch64-static": "qemu-user-static", "mmdebstrap": "mmdebstrap", "arch-test": "arch-test"}
"""Program -> Debian's package of it."""

DEBIAN = "bookworm"
PACKAGES = "python3.11-minimal,libpython3.11-stdlib,python3-pip-whl,libstdc++6,libgomp1"
"""What a Raspberry Pi OS Lite brings of what is needed here: `pip` begins with the rest."""

RETRIES = 5
"""Of a download, by apt; pip has five by itself."""

PYTHON = "usr/bin/python3.11"
TOOLS = ("gpiozero>=2.0", "pytest>=8.3", "pytest-timeout>=2.3", "hypothesis>=6.100", "jsonschema>=4.20")


class NotHereError(Exception):
    """Boards cannot be emulated here; the text says why."""


def install_needed() -> None:
    """Install the programs that are missing.

    Raises:
        NotHereError: that is not possible.
    """
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotHereError(f"Debian's packages {', '.join(missing)} are not installed, and only root can do that")
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    apt = ["apt-get", "-qq", "-o", f"Acquire::Retries={RETRIES}"]
    subprocess.run([*apt, "update"], check=True, **quiet)
    subprocess.run([*apt, "install", "-y", "--no-install-recommends", *missing], check=True, **quiet)


def debian(folder: Path) -> Path:
    """Return a folder with the system of a board, made once."""
    contents = hashlib.sha256(f"{DEBIAN} {PACKAGES}".encode()).hexdigest()
    system = folder / f"debian-{contents[:12]}"
    if not system.exists():
        part = folder / "debian.part"
        shutil.rmtree(part, ignore_errors=True)
        command = [
            "mmdebstrap",
            "--quiet",
            "--arch=arm64",
            "--variant=extract",
            "--components=main",
            f'--aptopt=Acquire::Retries "{RETRIES}"',
        ]
        subprocess.run([*command, f"--include={PACKAGES}", DEBIAN, str(part)], check=True)
        part.rename(system)
    return system


def build_wheel(folder: Path) -> Path:
    """Build the wheel that is tested."""
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


@dataclass(frozen=True)
class Machine:
    """A board with a folder of its own and its virtual environment."""

    board: Board
    folder: Path

    @property
    def python(self) -> Path:
        """The launcher."""
        return self.folder / "venv" / "bin" / "python"

    def prepare(self, system: Path) -> None:
        """Make the board and an empty environment; what is there already is kept."""
        if not self.python.exists() or (self.folder / "root" / "usr").resolve() != (system / "usr").resolve():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._make(system)

    def install(self, system: Path, wheel: Path) -> None:
        """Install the wheel and all that it depends on, as `pip` does on a board; what is there already is kept."""
        pip = [f"{next(system.glob('usr/share/python-wheels/pip-*.whl'))}/pip", "install", "-q", "--no-compile"]
        # A new wheel has the version of the old one.
        self.run(*pip, "--no-deps", "--force-reinstall", str(wheel), check=True)
        self.run(*pip, f"{wheel}[all]", *TOOLS, check=True)

    def copy_packages(self, other: Machine) -> None:
        """Take what was installed on another board: pip decides by the architecture, of which both have the same."""
        packages = Path("lib", "python3.11", "site-packages")
        shutil.rmtree(self.python.parents[1] / packages)
        shutil.copytree(other.python.parents[1] / packages, self.python.parents[1] / packages, copy_function=os.link)
        for script in other.python.parent.iterdir():
            if script != other.python:
                text = script.read_text(encoding="utf-8").replace(str(other.python), str(self.python))
                self.python.with_name(script.name).write_text(text, encoding="utf-8")
                self.python.with_name(script.name).chmod(0o755)

    def run(self, *arguments: str, check: bool = False, log: Path | None = None) -> int:
        """Run the board's Python and return its exit code, negative where a signal ended it."""
        home = self.folder / "home"
        foreign = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "EDGEKIT_CACHE", "OPENBLAS")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HOME": str(home), "EDGEKIT_PI": self.board.name}
        environment["PIP_CACHE_DIR"] = str(self.folder.parent / "pip")
        # Two boards and the host share the tests' folder, but not what they compile of it.
        environment["PYTHONPYCACHEPREFIX"] = str(self.folder / "pycache")
        command = [str(self.python), *arguments]
        with contextlib.ExitStack() as stack:
            out = None if log is None else stack.enter_context(log.open("wb"))
            error = None if log is None else subprocess.STDOUT
            done = subprocess.run(command, cwd=home, env=environment, check=check, stdout=out, stderr=error)
        return done.returncode

    def _make(self, system: Path) -> None:
        root, venv, home = (self.folder / name for name in ("root", "venv", "home"))
        for folder in (root, venv / "bin", venv / "lib" / "python3.11" / "site-packages", home):
            folder.mkdir(parents=True)
        for entry in system.iterdir():
            # Whatever else a path names is the host's: the checkout, its certificates, temporary files.
            if entry.name in ("usr", "lib", "bin", "sbin", "etc"):
                (root / entry.name).symlink_to(entry)
        self.board.write(root)
        (venv / "pyvenv.cfg").write_text(f"home = {(root / PYTHON).parent}\n", encoding="utf-8")
        qemu = f"qemu-aarch64-static -cpu {self.board.cpu} -L '{root}'"
        self.python.write_text(f'#!/bin/sh\nexec {qemu} -0 "$0" \'{root / PYTHON}\' "$@"\n', encoding="utf-8")
        self.python.chmod(0o755)
