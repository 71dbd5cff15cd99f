"""Every architecture through every format and its runtime: what was exported computes what was read.

Runtimes, and with them their formats, join by existing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoder_cases import Case, decoder_cases

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.registry import runtime, runtime_names
from edgekit.session import DecoderSession, open_session
from edgekit_exporters.export import export
from edgekit_exporters.format import find_format
from edgekit_exporters.reference import Reference
from edgekit_exporters.weights import Float32

RUNTIMES = [name for name in runtime_names() if runtime(name).available().ok]

QUICK = ("gemma3", "gpt2", "olmo2", "phi4mini", "qwen2", "stablelm_parallel")
"""Cases that together use every operation: the others are slow tests where an engine takes long to load a model."""

SURE = 0.15
"""Positions count whose top-1 leads by more than this share of the logits' standard deviation (DESIGN, section 8)."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def write(case: Case, format_name: str, quantization: str, folder: Path) -> Bundle:
    export(case.path, to=(format_name,), quantize=quantization, output=folder / f"{case}.edge")
    return Bundle.open(folder / f"{case}.edge")


def load(bundle: Bundle, name: str) -> DecoderSession:
    context = bundle.manifest.formats[runtime(name).format].context_max
    assert context is not None
    return open_session(bundle, name, LoadOptions(context=context, threads=1))


def forward(session: DecoderSession, ids: np.ndarray) -> Float32:
    session.rewind(0)
    return session.forward(ids, last=len(ids))


def greedy(session: DecoderSession, prompt: np.ndarray, count: int) -> list[int]:
    session.rewind(0)
    row, tokens = session.forward(prompt)[0], []
    for _ in range(count):
        tokens.append(int(row.argmax()))
        row = session.forward(tokens[-1:])[0]
    return tokens


def test_the_engines_of_the_development_environment_are_there() -> None:
    assert "onnx" in RUNTIMES


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(
            name, case, id=f"{name}-{case}", marks=[] if name == "onnx" or str(case) in QUICK else [pytest.mark.slow]
        )
        for name in RUNTIMES
        for case in decoder_cases()
    ],
)
def test_a_float_bundle_computes_what_transformers_computed(
    name: str, case: Case, shared: Path, tmp_path: Path
) -> None:
    with load(write(case, runtime(name).format, "none", tmp_path), name) as session:
        for ids, golden in case.sequences():
            logits = forward(session, ids)
            assert (logits.argmax(1) == golden.argmax(1)).all()
            assert np.abs(logits - golden).max() <= 1e-3 * np.abs(golden).max()
        prompt, expected = case.greedy()
        assert greedy(session, prompt, len(expected)) == expected.tolist()


@pytest.mark.parametrize("quantization", ["int8", "int4"])
@pytest.mark.parametrize(
    ("name", "cases"),
    [
        pytest.param("onnx", QUICK, id="onnx-quick"),
        *(pytest.param(name, None, id=name, marks=pytest.mark.slow) for name in RUNTIMES),
    ],
)
def test_quantized_bundles_compute_what_was_written(
    name: str, cases: tuple[str, ...] | None, quantization: str, shared: Path, tmp_path: Path
) -> None:
    """Fidelity: the engine against the reference computing with the very weights that were written."""
    agreed, distances = [], {}
    for case in decoder_cases():
        if cases is not None and str(case) not in cases:
            continue
        bundle = write(case, runtime(name).format, quantization, tmp_path)
        reference = Reference(bundle.manifest.spec, find_format(runtime(name).format).read_weights(bundle.path))
        errors, sizes = [], []
        with load(bundle, name) as session:
            for ids, _ in case.sequences():
                truth, logits = reference.logits(ids), forward(session, ids)
                second, first = np.sort(truth, axis=1)[:, -2:].T
                agreed.append((logits.argmax(1) == truth.argmax(1))[first - second > SURE * truth.std()])
                errors.append(np.square(logits - truth).ravel())
                sizes.append(np.square(truth).ravel())
        distances[str(case)] = float(np.sqrt(np.concatenate(errors).mean() / np.concatenate(sizes).mean()))
    # Pooled: a case of 70 positions cannot tell 0.99 from 0.98.
    assert np.concatenate(agreed).mean() >= 0.99
    assert {case: distance for case, distance in distances.items() if distance > 0.08} == {}
