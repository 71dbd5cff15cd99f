from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import small_encoders
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/answering.md", "docs/energy.md")
"""Those whose Python is run."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    pytest.param(code, id=f"{page}-{number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL),
        1,
    )
]


def test_the_first_result_is_near_the_top() -> None:
    assert "Paris" in "\n".join(README.splitlines()[:20])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    source = write_tiny_checkpoint(folder / "tiny")
    assert main(["export", str(source), "-o", str(folder / "smollm2.edge"), "--json"]) == 0
    return folder / "smollm2.edge"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    return small_encoders.bundle("embed", tmp_path_factory.mktemp("readme-encoder"))


@pytest.mark.parametrize("code", BLOCKS)
def test_its_python_runs(
    code: str,
    bundle: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(bundle, tmp_path / bundle.name)
    shutil.copytree(encoder, tmp_path / "minilm.edge")
    tickets = [
        f"{text},{category}" for text, category in (("a dog", "animal"), ("12 times", "number")) for _ in range(5)
    ]
    (tmp_path / "tickets.csv").write_text("\n".join(["text,category", *tickets]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()
