"""Every architecture, computed by the reference, against what transformers computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from decoder_cases import Case, decoder_cases
from encoder_cases import encoder_cases

from edgekit_exporters.architecture import supported
from edgekit_exporters.reference import Reference


@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_the_reference_agrees_with_transformers(case: Case, shared: Path) -> None:
    with Reference.open(case.path) as reference:
        for ids, golden in case.sequences():
            logits = reference.logits(ids)
            assert logits.shape == golden.shape
            assert np.abs(logits - golden).max() <= 1e-4 * np.abs(golden).max()


@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_the_reference_gives_the_same_greedy_tokens(case: Case, shared: Path) -> None:
    prompt, greedy = case.greedy()
    sequence = np.concatenate([prompt, greedy])
    with Reference.open(case.path) as reference:
        # Each token must follow from those before it. One pass says so, unless the length selects the rope.
        if reference.spec.border is None:
            assert (reference.logits(sequence[:-1])[len(prompt) - 1 :].argmax(1) == greedy).all()
            return
        for k, token in enumerate(greedy):
            assert reference.logits(sequence[: len(prompt) + k], rows=[-1])[0].argmax() == token


def test_some_rows_are_those_of_all(shared: Path) -> None:
    case = decoder_cases()[0]
    ids, _ = list(case.sequences())[1]
    with Reference.open(case.path) as reference:
        np.testing.assert_allclose(reference.logits(ids, rows=[3, -1]), reference.logits(ids)[[3, -1]], atol=1e-5)


def test_every_architecture_has_a_case(shared: Path) -> None:
    paths = [case.path for case in (*decoder_cases(), *encoder_cases())]
    configs = [json.loads((path / "config.json").read_text(encoding="utf-8")) for path in paths]
    assert {config["model_type"].replace("-", "_") for config in configs} == set(supported())
