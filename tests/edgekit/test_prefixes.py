from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stub_runtime import StubRuntime

from edgekit.errors import ContextError, EdgekitError, EdgekitWarning, UsageError
from edgekit.loading import load
from edgekit.model import Model
from edgekit.prefixes import WORTH

SYSTEM = "You answer every question about the museum in one sentence."


def system_tokens(model: Model) -> int:
    return len(model.tokenizer.encode(f"<s>s:{SYSTEM}|u:", add_special_tokens=False))


def asked(model: Model, text: str = "When do you open?") -> tuple[int, int, tuple[int, ...]]:
    reply = model.generate(text, system=SYSTEM, max_tokens=4)
    return reply.timings.reused_tokens, reply.timings.prompt_tokens, reply.tokens


@pytest.fixture
def stored(write: Callable[..., Path]) -> Path:
    path = write()
    with load(path) as model:
        model.store_prefix("museum", system=SYSTEM)
    return path


def test_a_chat_begins_where_the_prefix_ends(stored: Path, stub: StubRuntime) -> None:
    with load(stored) as model:
        reused, prompt, tokens = asked(model)
        assert reused == system_tokens(model)
        assert stub.decoders[-1].computed[0] == prompt - reused
    shutil.rmtree(stored / "prefixes")
    with load(stored) as model:
        assert asked(model) == (0, prompt, tokens)


def test_what_the_session_holds_already_is_not_read_again(stored: Path) -> None:
    with load(stored) as model:
        asked(model)
        reused, prompt, _ = asked(model)
        assert reused == prompt - 1
        # Another conversation, and back: the prefix is there again.
        model.generate("Something else entirely, which shares nothing", raw=True, max_tokens=2)
        assert asked(model, "And close?")[0] == system_tokens(model)


def test_the_prefix_that_spares_the_most_is_taken(stored: Path) -> None:
    longer = SYSTEM + " It is closed on Mondays and on all public holidays."
    with load(stored) as model:
        model.store_prefix("longer", system=longer)
    with load(stored) as model:
        assert model.generate("Hi", system=longer, max_tokens=1).timings.reused_tokens > system_tokens(model) + WORTH
    with load(stored) as model:
        # Of the longer one the shared beginning would serve as well: the session says which tokens it holds.
        assert asked(model)[0] == system_tokens(model)


def test_where_one_cannot_be_read_the_next_serves(stored: Path) -> None:
    with load(stored) as model:
        file = model.store_prefix("longer", system=SYSTEM + " It is closed on Mondays.")
        expected = system_tokens(model) - 3
    data = bytearray(file.read_bytes())
    data[-3] ^= 4
    file.write_bytes(data)
    with load(stored) as model:
        with pytest.warns(EdgekitWarning, match="longer.stub.kv is not used"):
            reply = model.generate("Hi", system=SYSTEM + " It is closed on Mondays.", max_tokens=1)
        assert reply.timings.reused_tokens >= expected - 3


def test_a_raw_text(write: Callable[..., Path]) -> None:
    text = "a document that is long enough to be worth its file on the disk "
    path = write()
    with load(path) as model:
        model.store_prefix("document", text=text)
    with load(path) as model:
        reply = model.generate(text + "and a question", raw=True, max_tokens=3)
        assert reply.timings.reused_tokens >= len(model.tokenizer.encode(text)) - 1


def test_a_prefix_of_another_precision_is_left_alone(stored: Path) -> None:
    with load(stored, kv="f16") as model:
        with pytest.warns(EdgekitWarning, match=r"museum\.stub\.kv is not used: it was computed with other weights"):
            assert asked(model)[0] == 0
        (prefix,) = model.prefixes.stored()
        assert not prefix.fits


def test_a_prefix_of_other_weights_is_left_alone(stored: Path, write: Callable[..., Path]) -> None:
    kept = stored.parent / "kept"
    shutil.copytree(stored / "prefixes", kept)
    path = write(weights=b"other weights")
    shutil.copytree(kept, path / "prefixes", dirs_exist_ok=True)
    with load(path) as model, pytest.warns(EdgekitWarning, match="other weights"):
        assert asked(model)[0] == 0


def test_a_prefix_of_another_version_is_left_alone(stored: Path, stub: StubRuntime) -> None:
    stub.version = "2"
    with load(stored) as model, pytest.warns(EdgekitWarning, match="another version"):
        assert asked(model)[0] == 0


@pytest.mark.parametrize("place", [60, -3])
def test_a_flipped_bit_is_found_and_the_answer_comes_all_the_same(stored: Path, place: int) -> None:
    (file,) = (stored / "prefixes").iterdir()
    with load(stored) as model:
        expected = asked(model)[2]
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)
    with load(stored) as model:
        with pytest.warns(EdgekitWarning, match="is not used"):
            reused, _, tokens = asked(model)
        assert (reused, tokens) == (0, expected)
        if place < 0:
            assert not model.prefixes.stored(thorough=True)[0].fits


@pytest.mark.parametrize("content", [b"", b"noise", b"EDGEKV03", b"EDGEKV03" + bytes(40)])
def test_files_that_are_no_prefix(stored: Path, content: bytes) -> None:
    (stored / "prefixes" / "odd.stub.kv").write_bytes(content)
    with load(stored) as model:
        with pytest.warns(EdgekitWarning, match="odd.stub.kv is not used"):
            reused = asked(model)[0]
        assert reused == system_tokens(model)


def test_a_prefix_longer_than_the_context_is_left_alone(stored: Path) -> None:
    with load(stored, context=24) as model:
        beginning = model.prefixes.stored()[0].tokens[:20]
        with pytest.warns(EdgekitWarning, match="this session's context is 24"):
            reply = model.generate(beginning, max_tokens=1)
        assert reply.timings.reused_tokens == 0


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a.b", "CON", "x" * 65, "-a"])
def test_names_that_are_none(model: Model, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        model.store_prefix(name, text="something")


def test_what_cannot_be_stored(model: Model) -> None:
    with pytest.raises(UsageError, match="of a system message and tools, or of a text"):
        model.store_prefix("a")
    with pytest.raises(UsageError, match="of a system message and tools, or of a text"):
        model.store_prefix("a", system="b", text="c")
    with pytest.raises(ContextError):
        model.store_prefix("a", text="long " * 300)
    (model.bundle.path / "prefixes").write_bytes(b"a file")
    with pytest.raises(EdgekitError, match="cannot make"):
        model.store_prefix("a", text="something")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_others_may_read_a_prefix_as_they_may_any_file(stored: Path) -> None:
    (file,) = (stored / "prefixes").iterdir()
    plain = stored.parent / "plain"
    plain.write_bytes(b"")
    assert file.stat().st_mode == plain.stat().st_mode
