"""One tokenizer.json read twice: by the package tokenizers and by EdgeKit's own, which must agree in everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer as Rust

from edgekit.errors import EdgekitError
from edgekit.text.pure import PureTokenizer
from edgekit.tokenizer_guard import open_rust

Seen = tuple[list[int], list[tuple[int, int]], list[int | None], list[bool]]


class Both:
    """The two of them."""

    def __init__(self, content: str | dict[str, Any]) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.rust: Rust = open_rust(text)
        self.rust.no_padding()
        self.rust.no_truncation()
        self.pure = PureTokenizer(text.encode(), "tokenizer.json")

    def agree(self, text: str, *, special: bool = True) -> None:
        """Hold that ids, offsets, words and special tokens of a text are the same, and so is the text again."""
        found = self.by_pure(text, special)
        try:
            expected = self.by_rust(text, special)
        except BaseException as error:
            if "Panic" not in type(error).__name__:
                raise
            return  # a bug of the package: ours may answer, or say that it cannot
        assert found == expected, repr(text)
        if expected is not None:
            self.agree_on_ids(expected[0])

    def agree_on_ids(self, ids: Sequence[int]) -> None:
        """Hold that ids become the same text."""
        for skip in (True, False):
            assert self.pure.decode(list(ids), skip) == self.rust.decode(ids, skip_special_tokens=skip), ids

    def by_rust(self, text: str, special: bool) -> Seen | None:
        """Return what the package says of a text, None where it cannot encode it; where it panics, so does this."""
        try:
            found = self.rust.encode(text, add_special_tokens=special)
        except Exception:  # noqa: BLE001 - it raises bare ones
            return None
        return found.ids, found.offsets, found.word_ids, [bool(mask) for mask in found.special_tokens_mask]

    def by_pure(self, text: str, special: bool) -> Seen | None:
        """Return what ours says of a text, None where it cannot encode it."""
        try:
            found = self.pure.encode(text, special)
        except EdgekitError:
            return None
        return found.ids, found.offsets, found.words, found.special
