from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.progress import Silent
from edgekit_exporters.architecture import Model, read_model
from edgekit_exporters.calibration import TOKENS, calibrate, sample_text
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.reference import Reference, normalise


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Model, str]]:
    with open_checkpoint(write_tiny_checkpoint(tmp_path / "tiny")) as checkpoint:
        model = read_model(checkpoint)
        assert isinstance(model, Model)
        assert checkpoint.tokenizer_json is not None
        yield model, checkpoint.tokenizer_json


def test_every_linear_weight_gets_the_mean_squares_of_its_inputs(opened: tuple[Model, str]) -> None:
    model, tokenizer = opened
    for squares in (calibrate(model, tokenizer, Silent()).squares, calibrate(model, None, Silent()).squares):
        linear = {name for name, rows in model.weights.items() if len(rows.shape) == 2}
        assert set(squares) == linear  # the embedding too: it is the head
        for name, values in squares.items():
            assert values.shape == model.weights[name].shape[1:]
            assert values.dtype == np.float32
            assert (values >= 0).all()
            assert np.isfinite(values).all()


def test_they_are_those_of_the_forward_pass(opened: tuple[Model, str]) -> None:
    """What enters the first layer's projections can be computed by hand: normed embeddings."""
    model, _ = opened
    ids = np.random.default_rng(0).integers(0, model.spec.vocab_size, min(TOKENS, model.spec.context))
    embedded = Reference(model.spec, model.weights).rows("embed.weight", ids)
    normed = normalise(embedded, model.spec.norm) * model.weights["layers.0.attention_norm.weight"].all()
    squares = calibrate(model, None, Silent()).squares
    for part in ("q", "k", "v"):
        np.testing.assert_allclose(squares[f"layers.0.attention.{part}.weight"], np.square(normed).mean(0), rtol=1e-4)


def test_it_is_the_same_every_time(opened: tuple[Model, str]) -> None:
    model, tokenizer = opened
    first, second = (calibrate(model, tokenizer, Silent()).squares for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_progress_counts_the_weights(opened: tuple[Model, str]) -> None:
    class Told(Silent):
        total, done = 0, 0

        def start(self, title: str, total: int | None, unit: str = "B") -> None:
            self.total = total or 0

        def advance(self, amount: int) -> None:
            self.done += amount

    told, (model, tokenizer) = Told(), opened
    calibrate(model, tokenizer, told)
    assert told.total == told.done > 0


def test_the_texts_share_no_sentence() -> None:
    calibration, verification = (
        {sentence.strip() for sentence in sample_text(name).replace("\n", " ").split(". ") if len(sentence) > 20}
        for name in ("calibration", "verification")
    )
    assert calibration
    assert verification
    assert not calibration & verification
