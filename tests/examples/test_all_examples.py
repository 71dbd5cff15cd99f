"""What holds for every example: below 80 lines, a README that says what to plug in, a test, a place in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
SCRIPTS = sorted(path for folder in FOLDERS for path in folder.glob("*.py") if path.name != "measure.py")
"""What is copied onto a device; `measure.py` says how good an example is."""

names = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_there_are_some() -> None:
    assert len(FOLDERS) >= 6
    assert len(SCRIPTS) >= 5


@names
def test_a_readme_says_what_to_buy_and_what_to_type(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^\*\*To buy", text, re.MULTILINE)
    assert "```console\n$ " in text
    assert "pip install" in text
    for script in folder.glob("*.py"):
        assert script.name in text


@names
def test_it_has_a_test_and_a_place_in_the_index(folder: Path) -> None:
    assert (Path(__file__).parent / f"test_{folder.name}.py").is_file()
    assert f"[{folder.name}]({folder.name}/README.md)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_below_80_lines(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize("page", sorted(EXAMPLES.rglob("*.md")), ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
