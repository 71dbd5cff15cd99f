"""Every encoder, computed by the reference, against what transformers computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from encoder_cases import EncoderCase, encoder_cases, meaningful

from edgekit.errors import UsageError
from edgekit_exporters.reference import Reference


@pytest.mark.parametrize("case", encoder_cases(), ids=str)
def test_the_reference_agrees_with_transformers(case: EncoderCase, shared: Path) -> None:
    ids, mask, golden = case.batch()
    with Reference.open(case.path) as reference:
        result = reference.encode(ids, mask)
    assert result.shape == golden.shape
    # GELU exact and by tanh differ by 2e-4 to 8e-4.
    assert np.abs(meaningful(result, mask) - meaningful(golden, mask)).max() <= 5e-5


@pytest.mark.parametrize("case", encoder_cases(), ids=str)
def test_padding_changes_nothing(case: EncoderCase, shared: Path) -> None:
    ids, mask, _ = case.batch()
    with Reference.open(case.path) as reference:
        together = reference.encode(ids, mask)
        for row, length in enumerate(mask.sum(axis=1)):
            alone = reference.encode(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
            beside = together[row, :length] if together.ndim == 3 else together[row]
            np.testing.assert_allclose(beside, alone, atol=3e-5)


def test_a_decoder_and_an_encoder_are_not_taken_for_each_other(shared: Path) -> None:
    golden = shared / "golden"
    with (
        Reference.open(golden / "encoders" / "mpnet") as encoder,
        Reference.open(golden / "decoders" / "gpt2") as decoder,
    ):
        with pytest.raises(UsageError, match="mpnet is an encoder"):
            encoder.logits([1, 2])
        with pytest.raises(UsageError, match="gpt2 is a decoder"):
            decoder.encode(np.ones((1, 2), np.int64), np.ones((1, 2), np.int64))
