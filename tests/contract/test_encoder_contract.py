"""Every encoder through every format and runtime that takes encoders: what was exported computes what was read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from encoder_cases import EncoderCase, encoder_cases, meaningful

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.encoder_session import EncoderSession, open_encoder_session
from edgekit.errors import ContextError, EdgekitError, SessionBusyError, UsageError
from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export
from edgekit_exporters.format import find_format
from edgekit_exporters.reference import Reference
from edgekit_exporters.weights import Float32

RUNTIMES = [name for name in runtime_names() if hasattr(runtime(name), "open_encoder") and runtime(name).available().ok]

QUICK = ("bert_seqcls", "mpnet", "modernbert", "modernbert_classify", "bert_tag")
"""Cases that together use every operation: the others are slow tests where an engine takes long to load a model."""

TRIED = [
    pytest.param(
        name, case, id=f"{name}-{case}", marks=[] if name == "onnx" or str(case) in QUICK else [pytest.mark.slow]
    )
    for name in RUNTIMES
    for case in encoder_cases()
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def write(case: EncoderCase, name: str, quantization: str, folder: Path) -> Bundle:
    output = folder / f"{case}.edge"
    return Bundle.open(export(case.path, to=(runtime(name).format,), quantize=quantization, output=output))


def load(bundle: Bundle, name: str) -> EncoderSession:
    context = bundle.manifest.formats[runtime(name).format].context_max
    assert context is not None
    return open_encoder_session(bundle, name, LoadOptions(context=context, threads=1))


def cosines(a: Float32, b: Float32) -> Float32:
    cosine: Float32 = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return cosine


def test_the_engines_of_the_development_environment_are_there() -> None:
    assert RUNTIMES == ["onnx", "openvino", "tflite"]


@pytest.mark.parametrize(("name", "case"), TRIED)
def test_a_float_bundle_computes_what_transformers_computed(
    name: str, case: EncoderCase, shared: Path, tmp_path: Path
) -> None:
    ids, mask, golden = case.batch()
    with load(write(case, name, "none", tmp_path), name) as session:
        result = session.encode(ids, mask)
        assert result.shape == golden.shape
        assert np.abs(meaningful(result, mask) - meaningful(golden, mask)).max() <= 1e-4
        for row, length in enumerate(mask.sum(axis=1)):
            alone = session.encode(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
            np.testing.assert_allclose(alone, result[row, :length] if result.ndim == 3 else result[row], atol=3e-5)


@pytest.mark.parametrize(("name", "case"), TRIED)
def test_an_int8_bundle_stays_near(name: str, case: EncoderCase, shared: Path, tmp_path: Path) -> None:
    ids, mask, golden = case.batch()
    bundle = write(case, name, "int8", tmp_path)
    with load(bundle, name) as session:
        result = session.encode(ids, mask)
    assert cosines(meaningful(result, mask), meaningful(golden, mask)).mean() >= 0.98
    written = find_format(runtime(name).format).read_weights(bundle.path)
    truth = Reference(bundle.manifest.spec, written).encode(ids, mask)
    # The engine's own share: its arithmetic over the weights that were written.
    assert cosines(meaningful(result, mask), meaningful(truth, mask)).mean() >= 0.99


@pytest.fixture(params=RUNTIMES)
def session(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Iterator[EncoderSession]:
    case = EncoderCase(shared / "golden" / "encoders" / "bert_mean")
    with load(write(case, request.param, "none", tmp_path), request.param) as opened:
        yield opened


def test_what_cannot_be_computed_is_refused(session: EncoderSession) -> None:
    one = np.ones((1, 3), np.int64)
    for ids, mask, message in (
        (one[0], one[0], "not both"),
        (one, one[:, :2], "not both"),
        (one[:, :0], one[:, :0], "not both"),
        (one.astype(np.float32), one, "whole numbers"),
        (one * 300, one, "token id 300 is not within"),
        (-one, one, "token id -1"),
        (one, one * 0, "at least one"),
        (one, np.array([[1, 0, 1]]), "zeros"),
    ):
        with pytest.raises(UsageError, match=message):
            session.encode(ids, mask)
    long = np.ones((1, session.context + 1), np.int64)
    with pytest.raises(ContextError, match=f"a text of {session.context + 1} tokens does not fit"):
        session.encode(long, long)
    assert session.encode(one, one).shape == (1, 3, 64)


def test_a_second_caller_is_refused(session: EncoderSession) -> None:
    started, wait = threading.Event(), threading.Event()

    class Slow:
        def encode(self, ids: object, mask: object) -> Float32:
            started.set()
            wait.wait(10)
            return np.zeros((1, 1, 1), np.float32)

        def close(self) -> None:
            pass

    slow = EncoderSession(Slow(), vocab_size=10, context=8)
    one = np.ones((1, 2), np.int64)
    thread = threading.Thread(target=slow.encode, args=(one, one))
    thread.start()
    assert started.wait(10)
    with pytest.raises(SessionBusyError):
        slow.encode(one, one)
    wait.set()
    thread.join()
    assert slow.encode(one, one).shape == (1, 1, 1)


def test_a_closed_session_says_so(session: EncoderSession) -> None:
    session.close()
    session.close()
    with pytest.raises(EdgekitError, match="the session is closed"):
        session.encode(np.ones((1, 2), np.int64), np.ones((1, 2), np.int64))
