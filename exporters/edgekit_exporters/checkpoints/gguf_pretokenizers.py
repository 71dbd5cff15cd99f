"""How byte-level tokenizers cut a text before they merge, by the names GGUF files give in `tokenizer.ggml.pre`.

The expressions are those of the models' own tokenizer.json files; llama.cpp's src/llama-vocab.cpp has the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_ENDINGS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_ENDINGS}"
QWEN2 = rf"{_CONTRACTIONS}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_ENDINGS}"
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_ENDINGS}"
)
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_ENDINGS}"
)
DIGIT = r"\p{N}"


@dataclass(frozen=True)
class Pretokenizer:
    """Expressions that cut one after the other, what they match and what lies between being pieces."""

    cuts: tuple[str, ...]
    nfc: bool = False
    """The text is brought into Unicode's composed form first."""
    whole_words: bool = False
    """A piece that is a token as it stands is not merged (`ignore_merges`)."""
    adds_bos: bool = False
    """A text begins with the bos token where the file does not say otherwise."""

    def to_json(self) -> dict[str, Any]:
        """Return the pre-tokenizer as tokenizer.json has it."""
        splits = [
            {"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": False} for cut in self.cuts
        ]
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        return {"type": "Sequence", "pretokenizers": [*splits, level]}


_GPT2 = Pretokenizer((GPT2,))
_DIGITS = Pretokenizer((DIGIT, GPT2))
_LLAMA3 = Pretokenizer((LLAMA3,), whole_words=True, adds_bos=True)

PRETOKENIZERS = {
    # llama.cpp's stand-in for what its converter did not recognise, cut by cut.
    "default": Pretokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "olmo": _GPT2,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "codeshell": _DIGITS,
    "command-r": Pretokenizer((DIGIT, GPT2), nfc=True),
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "falcon3": _LLAMA3,
    "dbrx": Pretokenizer((LLAMA3,)),
    "smaug-bpe": Pretokenizer((LLAMA3,)),
    "qwen2": Pretokenizer((QWEN2,), nfc=True),
    "stablelm2": Pretokenizer((QWEN2,), nfc=True),
    "deepseek-r1-qwen": Pretokenizer((QWEN2,)),
    "tekken": Pretokenizer((TEKKEN,), whole_words=True, adds_bos=True),
    "gpt-4o": Pretokenizer((GPT4O,)),
}
