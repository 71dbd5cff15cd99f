"""Balancing changes no result: it moves scale from inputs to weights."""

from __future__ import annotations

import numpy as np
import pytest
from decoder_cases import Case, decoder_cases

from edgekit.progress import Silent
from edgekit_exporters.architecture import read_model
from edgekit_exporters.balance import balance
from edgekit_exporters.calibration import calibrate
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.reference import Reference


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_a_balanced_model_computes_the_recorded_logits(case: Case) -> None:
    ids, recorded = next(sequence for sequence in case.sequences() if len(sequence[0]) > 1)
    with open_checkpoint(case.path) as checkpoint:
        model = read_model(checkpoint)
        balanced, _ = balance(model, calibrate(model, None, Silent()).squares)
        measured = Reference(balanced.spec, balanced.weights).logits(ids)
    assert np.abs(measured - recorded).max() <= 2e-4 * np.abs(recorded).max()


@pytest.mark.usefixtures("shared")
def test_inputs_come_out_nearer_to_each_other_and_as_predicted() -> None:
    case = next(case for case in decoder_cases() if case.path.name == "llama_gqa")
    with open_checkpoint(case.path) as checkpoint:
        model = read_model(checkpoint)
        before = calibrate(model, None, Silent()).squares
        balanced, predicted = balance(model, before)
        after = calibrate(balanced, None, Silent()).squares
    name = "layers.0.attention.q.weight"
    assert after[name].std() / after[name].mean() < before[name].std() / before[name].mean()
    for weight, squares in after.items():
        np.testing.assert_allclose(squares, predicted[weight], rtol=1e-2, atol=1e-6)
