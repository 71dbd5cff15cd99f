"""Tiny tokenizers of every family, trained when a test asks for them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.normalizers import Normalizer

TEXTS = [
    "The quick brown fox doesn't jump over the lazy dog, does it? Yes: 12 times, 345 in all!",
    "Größe, naïve café, señor; été à la française. Привет, мир! 你好,世界。",
    "def f(x):\n    return x + 1\n\n\tprint(f(2))  # two  spaces",
    "she said: 'I'm here', and they've gone . a b c d e f g h i j k l m n o p q r s t u v w x y z",
] * 4


@cache
def trained(family: str) -> str:
    """Return the tokenizer.json of a family."""
    tokenizer = _FAMILIES[family]()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.add_tokens(["<|added word|>", "→"])
    return str(tokenizer.to_str())


def write(family: str, folder: Path) -> Path:
    """Write the tokenizer.json of a family into a folder and return its path."""
    path = folder / "tokenizer.json"
    path.write_bytes(trained(family).encode())
    return path


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _byte_level_within() -> Tokenizer:
    tokenizer = _byte_level()
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def _byte_fallback() -> Tokenizer:
    """Sentencepiece's BPE as Llama 2 and Phi-3 have it."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = _sentence_pieces(normalizer)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _gemma() -> Tokenizer:
    """The same without a space in front, and with tokens of several spaces and line ends that come before all else."""
    tokenizer = _sentence_pieces(normalizers.Replace(" ", "▁"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("▁▁", "\n\n", "<h1>")])
    return tokenizer


def _metaspace() -> Tokenizer:
    """The same as transformers writes it today: the space in front comes from the pre-tokenizer."""
    tokenizer = _sentence_pieces(normalizers.Replace(" ", "▁"))
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _sentence_pieces(normalizer: Normalizer) -> Tokenizer:
    base = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    base.normalizer = normalizer
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    alphabet = [*"abcdefghijklmnopqrstuvwxyz", "▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=tokens, initial_alphabet=alphabet, limit_alphabet=40, show_progress=False
    )
    base.train_from_iterator(TEXTS, trainer)
    # As trained, the bytes would be special; published files have them in the vocabulary only.
    data = json.loads(base.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] == "<unk>"]
    return Tokenizer.from_str(json.dumps(data))


def _word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[PAD]"], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _suffix() -> Tokenizer:
    """BPE whose tokens mark the end of a word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _plain() -> Tokenizer:
    """Whole words, and no decoder: tokens are joined by spaces."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(TEXTS, trainers.WordLevelTrainer(special_tokens=["<unk>"], show_progress=False))
    return tokenizer


_FAMILIES = {
    "byte_level": _byte_level,
    "byte_level_within": _byte_level_within,
    "byte_fallback": _byte_fallback,
    "gemma": _gemma,
    "metaspace": _metaspace,
    "word_piece": _word_piece,
    "unigram": _unigram,
    "suffix": _suffix,
    "plain": _plain,
}
FAMILIES = tuple(_FAMILIES)
