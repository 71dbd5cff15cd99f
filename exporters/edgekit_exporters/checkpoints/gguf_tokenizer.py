"""Rebuilds tokenizer.json and tokenizer_config.json from a GGUF file's vocabulary.

Two kinds: "gpt2", byte-level BPE with stored merges, and "llama", SentencePiece's BPE with byte fallback,
whose merges follow from the scores. Built by hand because transformers' own GGUF loader gets SmolLM2 wrong
(it adds a bos token and loses the digits' pre-tokenizer).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import CheckpointError, MissingExtraError, UnsupportedError
from edgekit.tokenizer_guard import open_rust
from edgekit_exporters.checkpoints.gguf_merges import merges_of_scores, split_merges
from edgekit_exporters.checkpoints.gguf_pretokenizers import PRETOKENIZERS, Pretokenizer
from edgekit_exporters.checkpoints.gguf_values import flag, text

if TYPE_CHECKING:
    from collections.abc import Mapping

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
"""Values of `tokenizer.ggml.token_type` that matter here."""
SPACE = "\u2581"
"""SentencePiece's visible space."""


_UNSTRIPPED = {"<unk>", "<s>", "<|endoftext|>"}


@dataclass(frozen=True)
class GgufTokenizer:
    """The text of tokenizer.json and the values of tokenizer_config.json."""

    json: str
    config: dict[str, Any]


def build_tokenizer(metadata: Mapping[str, Any], config: Mapping[str, Any], where: str) -> GgufTokenizer | None:
    """Return the tokenizer of a GGUF file, None where it has none.

    Raises:
        CheckpointError: the vocabulary contradicts itself.
        UnsupportedError: a kind of tokenizer or of pre-tokenizer that EdgeKit does not know.
    """
    kind = text(metadata, "tokenizer.ggml.model", where)
    if kind in (None, "none", "no_vocab"):
        return None
    vocabulary = _Vocabulary(metadata, config["vocab_size"], where)
    if kind == "gpt2":
        pieces = _byte_level(vocabulary)
    elif kind == "llama":
        pieces = _sentence_pieces(vocabulary)
    else:
        raise UnsupportedError(
            f"{where}: the tokenizer model {kind!r:.60} is not supported; gpt2 and llama are", _ORIGINAL
        )
    begins = vocabulary.flag("add_bos_token", default=pieces.pop("adds_bos"))
    ends = vocabulary.flag("add_eos_token", default=False)
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": vocabulary.added_tokens(strips=kind == "llama" and config["model_type"] == "phi3"),
        **pieces,
        "post_processor": _template(
            vocabulary.special("bos") if begins else None, vocabulary.special("eos") if ends else None
        ),
    }
    return GgufTokenizer(_checked(document, where), _tokenizer_config(vocabulary, config, begins=begins, ends=ends))


class _Vocabulary:
    """The tokens of a file with what it says about them, checked for their lengths."""

    def __init__(self, metadata: Mapping[str, Any], size: int, where: str) -> None:
        self.metadata, self.where = metadata, where
        tokens = metadata.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, list) or not tokens:
            raise CheckpointError(f"{where}: tokenizer.ggml.tokens is missing", _AGAIN)
        if len(tokens) > size:
            raise CheckpointError(f"{where}: {len(tokens):,} tokens, but the embedding has {size:,} rows", _AGAIN)
        self.tokens: list[str] = tokens
        self.ids = {token: index for index, token in enumerate(tokens)}
        if len(self.ids) != len(tokens):
            twice = next(token for index, token in enumerate(tokens) if self.ids[token] != index)
            raise CheckpointError(f"{where}: the token {twice!r} is there twice", _AGAIN)
        self.types = self.numbers("token_type", NORMAL)

    def numbers(self, key: str, default: int) -> list[Any]:
        """Return one number per token."""
        values = self.metadata.get(f"tokenizer.ggml.{key}")
        if values is None:
            return [default] * len(self.tokens)
        if not isinstance(values, np.ndarray) or len(values) != len(self.tokens):
            raise CheckpointError(f"{self.where}: tokenizer.ggml.{key} does not have one value for each token", _AGAIN)
        return list(values.tolist())

    def flag(self, key: str, *, default: bool) -> bool:
        return flag(self.metadata, f"tokenizer.ggml.{key}", self.where, default=default)

    def special(self, kind: str) -> tuple[str, int] | None:
        """Return text and id of the bos, eos, unknown or padding token, None where the file has none."""
        index = self.metadata.get(f"tokenizer.ggml.{kind}_token_id")
        if type(index) is not int or not 0 <= index < len(self.tokens):
            return None
        return self.tokens[index], index

    def added_tokens(self, *, strips: bool) -> list[dict[str, Any]]:
        """Return the tokens that are found in a text before anything else; control tokens are special.

        Phi-3's swallow the spaces behind them (`strips`), which GGUF does not say; llama.cpp has the same exceptions.
        """
        flags = {"single_word": False, "lstrip": False, "normalized": False}
        return [
            {
                "id": index,
                "content": token,
                **flags,
                "rstrip": strips and token not in _UNSTRIPPED,
                "special": kind != USER_DEFINED,
            }
            for index, (token, kind) in enumerate(zip(self.tokens, self.types, strict=True))
            if kind in (UNKNOWN, CONTROL, USER_DEFINED) and token
        ]


def _byte_level(vocabulary: _Vocabulary) -> dict[str, Any]:
    pretokenizer = _pretokenizer(vocabulary)
    return {
        "normalizer": {"type": "NFC"} if pretokenizer.nfc else None,
        "pre_tokenizer": pretokenizer.to_json(),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "ignore_merges": pretokenizer.whole_words,
            "vocab": vocabulary.ids,
            "merges": split_merges(vocabulary.metadata.get("tokenizer.ggml.merges"), vocabulary.where),
        },
        "adds_bos": pretokenizer.adds_bos,
    }


def _pretokenizer(vocabulary: _Vocabulary) -> Pretokenizer:
    name = text(vocabulary.metadata, "tokenizer.ggml.pre", vocabulary.where)
    if name is None:
        raise UnsupportedError(
            f"{vocabulary.where} does not name its pre-tokenizer (tokenizer.ggml.pre): an outdated converter made it",
            "take a newer conversion of the model: this one tokenizes wrongly everywhere",
        )
    if name not in PRETOKENIZERS:
        raise UnsupportedError(
            f"{vocabulary.where}: the pre-tokenizer {name!r:.60} is not supported; "
            f"these are: {', '.join(PRETOKENIZERS)}",
            _ORIGINAL,
        )
    return PRETOKENIZERS[name]


def _sentence_pieces(vocabulary: _Vocabulary) -> dict[str, Any]:
    unknown = vocabulary.special("unknown")
    prefix = vocabulary.flag("add_space_prefix", default=True)
    prepend = [{"type": "Prepend", "prepend": SPACE}] if prefix else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    restore = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*prepend, replace]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [restore, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        "model": {
            "type": "BPE",
            "unk_token": unknown[0] if unknown else None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary.ids,
            "merges": merges_of_scores(vocabulary.ids, vocabulary.numbers("scores", 0), vocabulary.types),
        },
        "adds_bos": True,
    }


def _template(begin: tuple[str, int] | None, end: tuple[str, int] | None) -> dict[str, Any] | None:
    """Return the post-processor that adds the bos and eos tokens, None where nothing is added."""
    if begin is None and end is None:
        return None

    def frame(*sequences: tuple[str, int]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for name, kind in sequences:
            out += [{"SpecialToken": {"id": begin[0], "type_id": kind}}] if begin else []
            out += [{"Sequence": {"id": name, "type_id": kind}}]
            out += [{"SpecialToken": {"id": end[0], "type_id": kind}}] if end else []
        return out

    special = {text: {"id": text, "ids": [index], "tokens": [text]} for text, index in filter(None, (begin, end))}
    return {
        "type": "TemplateProcessing",
        "single": frame(("A", 0)),
        "pair": frame(("A", 0), ("B", 1)),
        "special_tokens": special,
    }


def _tokenizer_config(
    vocabulary: _Vocabulary, config: Mapping[str, Any], *, begins: bool, ends: bool
) -> dict[str, Any]:
    names = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
    specials = {key: found[0] for kind, key in names.items() if (found := vocabulary.special(kind))}
    return {
        **specials,
        "add_bos_token": begins,
        "add_eos_token": ends,
        "clean_up_tokenization_spaces": False,
        "model_max_length": config.get("max_position_embeddings") or config["n_positions"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _checked(document: dict[str, Any], where: str) -> str:
    """Return the document as text after the tokenizers package has accepted it."""
    text = json.dumps(document, ensure_ascii=False)
    try:
        open_rust(text)
    except ModuleNotFoundError as error:
        raise MissingExtraError("tokenizers", "reading a GGUF file's tokenizer", "export") from error
    except ValueError as error:
        raise CheckpointError(f"{where}: tokens and merges do not fit: {str(error)[:200]}", _AGAIN) from error
    return text


_ORIGINAL = "give the model's original checkpoint (config.json, safetensors and tokenizer.json)"
_AGAIN = "the file was converted wrongly: take another conversion of the model"
