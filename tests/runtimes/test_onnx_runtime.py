"""The cache's precisions on ONNX Runtime, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.bundle import Bundle
from edgekit.decoder import KvPrecision, LoadOptions
from edgekit.errors import UsageError
from edgekit.kvfile import StateError
from edgekit.session import open_session
from edgekit_exporters.export import export

IDS = np.random.default_rng(5).integers(0, 300, 60)


@pytest.fixture(scope="module")
def bundle(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    source = shared / "golden" / "decoders" / "llama_gqa"
    return Bundle.open(export(source, quantize="int8", output=tmp_path_factory.mktemp("kv") / "b.edge"))


def logits(bundle: Bundle, kv: KvPrecision) -> np.ndarray:
    with open_session(bundle, "onnx", LoadOptions(context=64, kv=kv)) as session:
        # One token at a time: every step reads what the cache kept.
        return np.concatenate([session.forward([token]) for token in IDS])


@pytest.mark.parametrize(("kv", "tolerance"), [("f16", 0.05), ("int8", 0.1)])
def test_a_smaller_cache_costs_little(bundle: Bundle, kv: KvPrecision, tolerance: float) -> None:
    # Rounding alone moves int8 activations: f16 shows more than its own error.
    exact, small = logits(bundle, "f32"), logits(bundle, kv)
    error = np.sqrt(np.square(small - exact).mean() / np.square(exact).mean())
    assert 0 < error <= tolerance


def test_a_smaller_cache_is_smaller_and_comes_back_from_a_file(bundle: Bundle, tmp_path: Path) -> None:
    sizes = {}
    for kv in ("f32", "f16", "int8"):
        with open_session(bundle, "onnx", LoadOptions(context=64, kv=kv)) as session:
            session.forward(IDS[:40])
            session.save(tmp_path / kv)
            expected = session.forward(IDS[40:], last=20)
            session.restore(tmp_path / kv)
            np.testing.assert_array_equal(session.forward(IDS[40:], last=20), expected)
            sizes[kv] = (tmp_path / kv).stat().st_size
    assert sizes["int8"] < 0.6 * sizes["f16"] < 0.4 * sizes["f32"]


def test_a_cache_of_another_precision_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with open_session(bundle, "onnx", LoadOptions(context=64, kv="f32")) as session:
        session.forward(IDS[:4])
        session.save(tmp_path / "state")
    with (
        open_session(bundle, "onnx", LoadOptions(context=64, kv="f16")) as session,
        pytest.raises(StateError, match="cache precision"),
    ):
        session.restore(tmp_path / "state")


def test_a_precision_that_the_bundle_lacks_is_refused(shared: Path, tmp_path: Path) -> None:
    source = shared / "golden" / "decoders" / "llama_gqa"
    bundle = Bundle.open(export(source, quantize="none", output=tmp_path / "float.edge"))
    with pytest.raises(UsageError, match="it has: f32, f16"):
        open_session(bundle, "onnx", LoadOptions(context=16, kv="int8"))
