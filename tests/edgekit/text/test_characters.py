from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers

from edgekit.text.aligned import AlignedText
from edgekit.text.characters import WHITE_SPACE, Characters, characters, lower_case
from edgekit.text.graphemes import graphemes
from edgekit.text.unicode_tables import TABLES

TOOL = Path(__file__).resolve().parents[3] / "tools" / "unicode_tables.py"
sets = st.lists(st.integers(0, 300).map(chr)).map(lambda drawn: (set(drawn), Characters.from_text("".join(drawn))))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The tool that measures what the package tokenizers says, of the planes that have characters."""
    spec = importlib.util.spec_from_file_location("unicode_tables_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CHARACTERS = [character for character in module.CHARACTERS if ord(character) >> 12 in (*range(0x40), 0xE0)]
    module.TEXT = "".join(module.CHARACTERS)
    return module


@given(first=sets, second=sets)
def test_sets_of_characters_are_sets(first: tuple[set[str], Characters], second: tuple[set[str], Characters]) -> None:
    (one, ours), (two, others) = first, second
    assert set(ours | others) == one | two
    assert set(ours & others) == one & two
    assert set(ours - others) == one - two
    assert len(ours) == len(one)
    assert bool(ours) == bool(one)
    assert ~~ours == ours
    assert not ours & ~ours


@pytest.mark.slow
def test_the_tables_are_what_the_package_says_of_every_character(tool: ModuleType) -> None:
    asked = set(tool.CHARACTERS)
    measured = dict(tool.expressions()) | dict(tool.functions())
    assert {name for name, found in measured.items() if set(characters(name)) & asked != found} == set()
    assert set(characters("break_Extend") | characters("break_SpacingMark")) | {"\u200d"} == tool.joined()
    unmeasured = ("break_", "pictographic", "conjunct_")
    assert all(name in measured or name.startswith(unmeasured) for name in TABLES)


@pytest.mark.slow
def test_lower_case_is_what_the_package_says_of_every_character(tool: ModuleType) -> None:
    lower, table = normalizers.Lowercase(), lower_case()
    assert [
        character for character in tool.CHARACTERS if lower.normalize_str(character) != character.translate(table)
    ] == []


def test_white_space_is_what_the_package_strips() -> None:
    strip = normalizers.Strip()
    known = (chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000)
    assert {character for character in known if not strip.normalize_str(character)} == set(WHITE_SPACE)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_every_character_is_normalized_as_in_the_package(tool: ModuleType, form: str) -> None:
    from edgekit.text.document import Section
    from edgekit.text.normalizers import build_normalizer

    ours, theirs = build_normalizer(Section("", "", {"type": form})), getattr(normalizers, form)()
    for character in tool.CHARACTERS:
        for text in (character, f"e{character}\u0323\u0301", f"\u1100\u1161{character}"):
            found = AlignedText.of(text)
            ours(found)
            assert found.text == theirs.normalize_str(text), ascii(text)


CLUSTERS = {
    "a\u0301\u0323": 1, "\r\n": 1, "\n\r": 2, "\r\n\u0301": 2, "🇩🇪🇫🇷": 2, "🇩🇪🇫": 2, "👩‍👩‍👧‍👦": 1, "👍🏽👍": 2,
    "a\u200db": 2, "각": 1,
    "\u1100\u1161\u11a8\u1100": 2, "\u0600a": 1, "\u0600\n": 2, "क्षि": 1, "क्\u200dष": 1, "\u0e01\u0e33": 1, "": 0,
    "ab": 2,
}  # fmt: skip
"""Rules GB3 to GB13 of UAX 29, by example."""


@pytest.mark.parametrize(("text", "count"), CLUSTERS.items(), ids=ascii)
def test_clusters(text: str, count: int) -> None:
    found = list(graphemes(text))
    assert "".join(found) == text
    assert len(found) == count
