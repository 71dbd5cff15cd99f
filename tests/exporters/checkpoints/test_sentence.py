from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.architecture import EncoderModel, read_model
from edgekit_exporters.checkpoint import Sentence
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.checkpoints.sentence import read_sentence

MODULE = "sentence_transformers.models"
STEPS = [
    {"idx": 0, "name": "0", "path": "", "type": f"{MODULE}.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{MODULE}.Pooling"},
]
NORMALIZE = {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{MODULE}.Normalize"}


def write(folder: Path, steps: Any, pooling: Any, length: Any = None) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(json.dumps(steps), encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    settings = {"max_seq_length": length, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_folder_without_steps_has_none(tmp_path: Path) -> None:
    assert read_sentence(tmp_path) is None


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "word_embedding_dimension": 64, "include_prompt": True}, "first"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": "mean_sqrt_len"}, "mean_sqrt"),
    ],
)
def test_pooling_is_read(tmp_path: Path, pooling: Any, expected: Any) -> None:
    assert read_sentence(write(tmp_path, STEPS, pooling)) == Sentence(pooling=expected)


def test_normalisation_and_length_reach_the_model(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(shared / "golden" / "encoders" / "bert_mean", folder)
    write(folder, [*STEPS, NORMALIZE], {"pooling_mode_cls_token": True}, 32)
    with open_checkpoint(folder) as checkpoint:
        model = read_model(checkpoint)
    assert isinstance(model, EncoderModel)
    assert (model.spec.pooling, model.spec.normalised, model.max_length, model.spec.context) == ("first", True, 32, 64)


@pytest.mark.parametrize(
    ("steps", "pooling", "length", "error", "message"),
    [
        (
            [*STEPS, {"path": "2_Dense", "type": f"{MODULE}.Dense"}],
            {"pooling_mode": "cls"},
            8,
            UnsupportedError,
            "Dense",
        ),
        (STEPS, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, 8, UnsupportedError, "first, mean"),
        (STEPS, {"pooling_mode": "attention"}, 8, UnsupportedError, "ways of pooling: pooling_mode"),
        (STEPS, {}, 8, UnsupportedError, "ways of pooling: none"),
        (STEPS, [], 8, CheckpointError, "not a JSON object"),
        (STEPS, {"pooling_mode": "cls"}, "long", CheckpointError, "max_seq_length is 'long'"),
        ({"a": 1}, {"pooling_mode": "cls"}, 8, CheckpointError, "no list of steps"),
        ([{"type": "x.Pooling", "path": "../.."}], {}, 8, CheckpointError, "as a folder beside it"),
    ],
)
def test_what_is_not_handled_or_damaged_is_refused(
    tmp_path: Path, steps: Any, pooling: Any, length: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_sentence(write(tmp_path, steps, pooling, length))
