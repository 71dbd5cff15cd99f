"""Small encoders with a tokenizer, as bundles: recorded checkpoints and a vocabulary of their texts."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from encoder_cases import encoder_cases
from small_tokenizers import TEXTS
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgekit_exporters.export import export

CASES = {"embed": "bert_mean", "classify": "bert_seqcls", "tag": "bert_tag", "multi_label": "xlm_roberta_multi_label"}


@cache
def word_piece(vocab_size: int = 140) -> str:
    """Return the tokenizer.json of a BERT tokenizer that pads and cuts, as published ones do."""
    # Not by a trainer: the order of what one finds, and so what a random model computes, changes from run to run.
    words = Counter(re.findall(r"\w+|[^\w\s]", " ".join(TEXTS).lower()))
    letters = [letter for letter, _ in Counter("".join(words)).most_common(40)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = list(dict.fromkeys([*pieces, *(word for word, _ in words.most_common())]))[:vocab_size]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return str(tokenizer.to_str())


def checkpoint(task: str, folder: Path, **config: Any) -> Path:
    """Write a checkpoint that does a task and return its folder; `config` replaces keys of its config."""
    source = next(case.path for case in encoder_cases() if str(case) == CASES[task])
    path = folder / f"{task}-checkpoint"
    shutil.copytree(source, path)
    (path / "tokenizer.json").write_text(word_piece(), encoding="utf-8")
    values = json.loads((path / "config.json").read_text(encoding="utf-8")) | config
    (path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return path


def bundle(task: str, folder: Path, quantize: str = "none", **config: Any) -> Path:
    """Write an ONNX bundle that does a task and return its folder."""
    source = checkpoint(task, folder, **config)
    return export(source, to=("onnx",), quantize=quantize, output=folder / f"{task}.edge")
