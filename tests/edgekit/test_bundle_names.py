from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bundle_names import collision, name_problem


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "onnx/model.onnx.data", "a/b/c", "ünï/日本 x", ".hidden", "console", "com0x"]
)
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("../x", "leaves the folder"),
        ("a/../../x", "leaves the folder"),
        ("a/..", "leaves the folder"),
        ("/etc/passwd", "absolute"),
        ("a\\b", "character"),
        ("..\\x", "character"),
        ("C:x", "character"),
        ("C:/x", "character"),
        ("x:stream", "character"),
        ("a//b", "empty or '.'"),
        ("a/", "empty or '.'"),
        ("./a", "empty or '.'"),
        ("a\x00b", "character"),
        ("a\nb", "character"),
        ("a\x1b[0m", "character"),
        ("\ud800", "character"),
        ("what?", "character"),
        ("CON", "device"),
        ("onnx/nul.txt", "device"),
        ("com1", "device"),
        ("LPT9.a.b", "device"),
        ("aux .txt", "device"),
        ("name.", "dot or space"),
        ("folder /x", "dot or space"),
        ("edgekit.json", "manifest itself"),
        ("EdgeKit.JSON", "manifest itself"),
        ("prefixes/a", "prefixes/"),
        ("Prefixes/a", "prefixes/"),
        ("prefixes", "prefixes/"),
        ("é" * 200, "255 bytes"),
        ("a/" * 600 + "a", "1201 characters"),
    ],
)
def test_bad_names(name: str, problem: str) -> None:
    assert problem in (name_problem(name) or "")


@pytest.mark.parametrize(
    "names", [["a", "A"], ["a/B", "A/c", "a/b"], ["a", "a/b"], ["a/b", "A"], ["\u00e9", "e\u0301"]]
)
def test_names_that_are_one_file_somewhere(names: list[str]) -> None:
    assert collision(names) is not None


def test_names_that_are_different_everywhere() -> None:
    assert collision(["a", "b", "c/a", "c/b", "d/c"]) is None


@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_name_that_passes_stays_inside_on_every_system(name: str) -> None:
    if name_problem(name) is not None:
        return
    for path in (PurePosixPath("/bundle") / name, PureWindowsPath("C:/bundle") / name):
        assert ".." not in path.parts
        assert path.parts[:2] == (path.anchor, "bundle")
        assert path.parts[2:] == tuple(name.split("/"))
