"""The training script of the car assistant, by `make test-optimum`: its environment has torch and transformers."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.reference import Reference

pytestmark = pytest.mark.optimum

CAR = Path(__file__).resolve().parents[1] / "examples" / "car_assistant"
IDS = [1, 300, 301, 44, 45, 2, 500, 7, 900, 3]


@pytest.fixture(scope="module")
def train() -> Iterator[Any]:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed here: run make test-optimum")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CAR / "training"))
        yield importlib.import_module("train")


@pytest.fixture
def trained(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Train three steps twice, into `first` and `second`, and return what was printed."""
    monkeypatch.setattr(train, "BATCH", 16)
    for name in ("first", "second"):
        monkeypatch.setattr(sys, "argv", ["train.py", "--steps", "3", "--output", str(tmp_path / name)])
        train.main()
    return capsys.readouterr().out


def test_the_first_steps_learn_and_write_a_checkpoint(train: Any, trained: str, tmp_path: Path) -> None:
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", trained)]
    # Nothing is known yet: no worse than guessing among all tokens.
    assert all(loss < np.log(train.CONFIG["vocab_size"]) * 1.1 for loss in losses)
    with Reference.open(tmp_path / "first") as reference:
        assert np.isfinite(reference.logits(IDS)).all()
    with open_checkpoint(tmp_path / "first") as written, open_checkpoint(CAR) as published:
        assert {name: rows.shape for name, rows in written.tensors.items()} == {
            name: rows.shape for name, rows in published.tensors.items()
        }
        assert written.config == published.config
        assert written.chat_template == published.chat_template


def test_the_same_seed_gives_the_same_weights(trained: str, tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_published_tokenizer_is_what_the_script_trains(train: Any) -> None:
    tokenizer = train.train_tokenizer(train.Commands("trained"), train.SEED)
    published = train.Tokenizer.from_file(str(CAR / "tokenizer.json"))
    assert tokenizer.get_vocab() == published.get_vocab()


def test_ours_computes_what_transformers_does(train: Any) -> None:
    import torch
    import transformers
    from safetensors.torch import load_file

    ours = train.Phi3(train.CONFIG)
    ours.load_state_dict(load_file(CAR / "model.safetensors"))
    theirs = transformers.Phi3ForCausalLM.from_pretrained(CAR, torch_dtype=torch.float32).eval()
    ids = torch.tensor([IDS])
    with torch.no_grad(), Reference.open(CAR) as reference:
        logits = ours(ids, torch.ones_like(ids, dtype=torch.bool)).numpy()
        expected = theirs(ids).logits[0].numpy()
        computed = reference.logits(IDS)
    for found in (logits, computed):
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_batches_ask_for_the_answer_alone(train: Any) -> None:
    commands = train.Commands("trained")
    tokenizer = train.Tokenizer.from_file(str(CAR / "tokenizer.json"))
    for ids, answers in itertools.islice(train.batches(commands, tokenizer, 3), 2):
        for row, mask in zip(ids[:20], answers[:20], strict=True):
            said = tokenizer.decode(row[mask].tolist(), skip_special_tokens=False)
            assert re.fullmatch(r'\{"action": .*\}<\|end\|>', said)
            assert tokenizer.decode(row[~mask].tolist(), skip_special_tokens=False).startswith("<|user|> ")
