"""Over every runtime: a saved session goes on as if it had never stopped, in any process; other files are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from opened import Opened

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.errors import ContextError, EdgekitError
from edgekit.kvfile import StateError, read_state, write_state
from edgekit.registry import runtime_names
from edgekit.session import DecoderSession, open_session

ROOT = Path(__file__).resolve().parents[2]

GO_ON = """
import sys
from pathlib import Path
import numpy as np
from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.session import open_session
bundle, runtime, context, folder = sys.argv[1:]
with open_session(Bundle.open(bundle), runtime, LoadOptions(context=int(context), threads=1)) as session:
    session.restore(Path(folder, "state"))
    np.save(Path(folder, "logits.npy"), session.forward(np.load(Path(folder, "ids.npy")), last=4))
"""


@pytest.mark.parametrize("kept", [1, 16, 19, 32, 45, 70])
def test_restored_it_goes_on(opened: Opened, session: DecoderSession, kept: int, tmp_path: Path) -> None:
    after = opened.others(4)
    session.forward(opened.ids[:kept])
    session.save(tmp_path / "state")
    expected = session.forward(after, last=4)
    opened.check([*opened.ids[:kept], *after], expected)
    session.rewind(0)
    session.forward(opened.others(50))
    session.restore(tmp_path / "state")
    assert session.tokens == tuple(opened.ids[:kept])
    np.testing.assert_array_equal(session.forward(after, last=4), expected)
    opened.fresh.restore(tmp_path / "state")
    np.testing.assert_array_equal(opened.fresh.forward(after, last=4), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_restored_it_can_go_back(opened: Opened, session: DecoderSession, tmp_path: Path) -> None:
    session.forward(opened.ids[:40])
    session.save(tmp_path / "state")
    session.rewind(0)
    session.restore(tmp_path / "state")
    for kept in (35, 20, 3):
        session.rewind(kept)
        tokens = [*opened.ids[:kept], *opened.others(2)]
        opened.check(tokens, session.forward(tokens[kept:], last=2))
        session.rewind(kept)


@pytest.mark.parametrize("kept", [32, 20])
def test_saved_after_a_rewind_over_the_border(
    opened: Opened, session: DecoderSession, kept: int, tmp_path: Path
) -> None:
    session.forward(opened.ids[:40])
    session.rewind(kept)
    session.save(tmp_path / "state")
    assert session.tokens == tuple(opened.ids[:kept])
    tokens = opened.ids[: kept + 1] if kept < 32 else opened.ids[:34]
    opened.check(tokens, session.forward(tokens[kept:]))
    opened.fresh.restore(tmp_path / "state")
    opened.check(tokens, opened.fresh.forward(tokens[kept:]))


def test_an_empty_session_is_saved_too(opened: Opened, session: DecoderSession, tmp_path: Path) -> None:
    session.save(tmp_path / "state")
    session.forward(opened.ids[:5])
    session.restore(tmp_path / "state")
    assert session.length == 0
    opened.check(opened.ids[:8], session.forward(opened.ids[:8]))


@pytest.mark.slow
def test_a_new_process_goes_on(opened: Opened, session: DecoderSession, tmp_path: Path) -> None:
    ids = opened.ids
    session.forward(ids[:30])
    session.save(tmp_path / "state")
    np.save(tmp_path / "ids.npy", ids[30:37])
    expected = session.forward(ids[30:37], last=4)
    arguments = [str(opened.bundle.path), opened.runtime, str(session.context), str(tmp_path)]
    subprocess.run([sys.executable, "-c", GO_ON, *arguments], check=True, cwd=ROOT, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), expected)


def test_a_smaller_context_refuses_what_does_not_fit_and_takes_what_does(
    opened: Opened, session: DecoderSession, tmp_path: Path
) -> None:
    session.forward(opened.ids[:24])
    session.save(tmp_path / "long")
    session.rewind(20)
    session.save(tmp_path / "short")
    with opened.open(context=23) as small:
        small.forward(opened.ids[5:8])
        with pytest.raises(ContextError, match="holds 24 tokens; this session's context is 23"):
            small.restore(tmp_path / "long")
        assert small.tokens == tuple(opened.ids[5:8])
        small.restore(tmp_path / "short")
        opened.check(opened.ids[:23], small.forward(opened.ids[20:23], last=3))
    small.close()
    with pytest.raises(EdgekitError, match="the session is closed"):
        small.forward([1])
    with pytest.raises(EdgekitError, match="the session is closed"):
        small.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("held", [11, 13, 70])
def test_a_file_whose_cache_is_of_another_length_is_refused(
    opened: Opened, session: DecoderSession, held: int, tmp_path: Path
) -> None:
    """A whole file with a right hash, which somebody else wrote."""
    session.forward(opened.ids[:held])
    session.save(tmp_path / "state")
    state = read_state(tmp_path / "state", session.identity)
    tokens = opened.ids[: held + 30 if held < 70 else 20]
    write_state(tmp_path / "state", session.identity, tokens, {k: v.copy() for k, v in state.arrays.items()})
    with pytest.raises(EdgekitError, match=r"the saved cache of .* has the shape"):
        session.restore(tmp_path / "state")
    assert session.length == 0
    opened.check(opened.ids[:13], session.forward(opened.ids[:13]))


def test_a_damaged_file_leaves_the_session_as_it_was(opened: Opened, session: DecoderSession, tmp_path: Path) -> None:
    session.forward(opened.ids[:12])
    session.save(tmp_path / "state")
    whole = (tmp_path / "state").read_bytes()
    rng = np.random.default_rng(5)
    for position in [*range(0, 60, 7), *rng.integers(60, len(whole), 12).tolist()]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "state").write_bytes(damaged)
        with pytest.raises(StateError):
            session.restore(tmp_path / "state")
    (tmp_path / "state").write_bytes(whole[:-1])
    with pytest.raises(StateError):
        session.restore(tmp_path / "state")
    opened.check(opened.ids[:13], session.forward(opened.ids[12:13]))


def test_files_of_another_bundle_runtime_or_precision_are_refused(
    float_bundle: Callable[[str], Bundle], tmp_path: Path
) -> None:
    longrope, gemma2 = float_bundle("phi3_longrope"), float_bundle("gemma2")

    def load(bundle: Bundle, name: str, options: LoadOptions) -> DecoderSession:
        return open_session(bundle, name, options)

    options = LoadOptions(context=40, threads=1)
    with load(longrope, "onnx", options) as session:
        session.forward([1, 2, 3])
        session.save(tmp_path / "state")
    foreign = [(gemma2, "onnx", options), (longrope, "onnx", LoadOptions(context=40, threads=1, kv="f32"))]
    foreign += [(longrope, name, options) for name in runtime_names() if name != "onnx"]
    for bundle, name, given in foreign:
        with load(bundle, name, given) as other:
            other.forward([4])
            with pytest.raises(StateError, match="saved with another model, format, runtime or cache precision"):
                other.restore(tmp_path / "state")
            assert other.tokens == (4,)
    with load(longrope, "onnx", options) as session:
        session.restore(tmp_path / "state")
        assert session.tokens == (1, 2, 3)
