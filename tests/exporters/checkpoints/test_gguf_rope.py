from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgekit.errors import UnsupportedError
from edgekit_exporters.checkpoints.gguf_rope import llama3_scaling


def factors_of(head_dim: int, theta: float, scaling: dict[str, Any]) -> Any:
    """Compute the factors as Llama 3.1's reference does (`apply_scaling` in llama3/model.py), in float32."""
    frequencies = 1.0 / theta ** (np.arange(0, head_dim, 2) / head_dim)
    out = []
    for frequency in frequencies:
        wavelength = 2 * math.pi / frequency
        context, low, high = (
            scaling[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
        )
        if wavelength < context / high:
            out.append(1.0)
        elif wavelength > context / low:
            out.append(scaling["factor"])
        else:
            smooth = (context / wavelength - low) / (high - low)
            out.append(frequency / ((1 - smooth) * frequency / scaling["factor"] + smooth * frequency))
    return np.array(out, np.float32).astype(np.float64)


@pytest.mark.parametrize(
    ("head_dim", "factor", "original"),
    [(128, 8.0, 8192), (64, 32.0, 8192), (128, 32.0, 8192), (32, 8.0, 64)],
    ids=["Llama-3.1-8B", "Llama-3.2-1B", "Llama-3.2-3B", "golden"],
)
def test_published_parameters_come_back(head_dim: int, factor: float, original: int) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }
    assert llama3_scaling(factors_of(head_dim, 500000.0, scaling), 500000.0, "file") == scaling


@settings(max_examples=50, deadline=None)
@given(
    head_dim=st.sampled_from([16, 32, 64, 80, 128]),
    factor=st.sampled_from([2.0, 4.0, 8.0, 32.0]),
    original=st.integers(64, 32768),
    high=st.sampled_from([2.0, 4.0, 8.0]),
    theta=st.sampled_from([10000.0, 500000.0, 1000000.0]),
)
def test_whatever_comes_back_gives_the_same_factors(
    head_dim: int, factor: float, original: int, high: float, theta: float
) -> None:
    scaling = {
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }
    factors = factors_of(head_dim, theta, scaling)
    assume(factor in factors)
    found = llama3_scaling(factors, theta, "file")
    np.testing.assert_allclose(factors_of(head_dim, theta, found), factors, rtol=2e-3)


def test_other_factors_are_refused() -> None:
    factors = np.array([1.0, 3.0, 1.5, 2.0, 8.0, 4.0, 1.0, 8.0])
    with pytest.raises(UnsupportedError, match="rope_freqs"):
        llama3_scaling(factors, 10000.0, "file.gguf")
