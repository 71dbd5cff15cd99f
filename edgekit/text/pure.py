"""The whole tokenizer: from a text to tokens and back, as a tokenizer.json says."""

from __future__ import annotations

from typing import Any

from edgekit import strict_json
from edgekit.text.added_tokens import AddedTokens
from edgekit.text.aligned import AlignedText
from edgekit.text.decoders import build_decoder
from edgekit.text.document import DAMAGED, Section
from edgekit.text.encoding import Encoding
from edgekit.text.models import build_model
from edgekit.text.normalizers import build_normalizer
from edgekit.text.post_processors import build_post_processor
from edgekit.text.pre_tokenizers import build_pre_tokenizer
from edgekit.text.scores import score

MAX_BYTES = 128 << 20
"""Gemma 3's tokenizer.json, the largest that is known, has 33 MB."""


class PureTokenizer:
    """A tokenizer.json, run without any compiled package. Saved truncation and padding are not applied."""

    def __init__(self, raw: bytes, where: str) -> None:
        """Read a tokenizer.json; `where` is its name for messages.

        Raises:
            BundleError: it is damaged.
            UnsupportedError: it has a component that is not known here.
        """
        document = strict_json.parse(raw, where, limit=MAX_BYTES, hint=DAMAGED, to_float=score)
        if not isinstance(document, dict):
            strict_json.Reader(where).refuse("", "is no object", DAMAGED)
        root = Section(where, "", document)
        if (version := root.text("version", "1.0")) != "1.0":
            root.refuse("version", f"is {strict_json.show(version)}, expected 1.0")
        model = root.section("model")
        if model is None:
            root.refuse("model", "is missing")
        self._model = build_model(model)
        part = root.section("normalizer")
        self._normalizer = None if part is None else build_normalizer(part)
        part = root.section("pre_tokenizer")
        self._pre_tokenizer = None if part is None else build_pre_tokenizer(part)
        part = root.section("post_processor")
        self._post_processor = None if part is None else build_post_processor(part)
        part = root.section("decoder")
        self._decoder = None if part is None else build_decoder(part)
        self.decoder: dict[str, Any] = {} if part is None else _kinds(part)
        listed = root.sections("added_tokens") if root.data.get("added_tokens") is not None else iter(())
        self._added = AddedTokens(listed, self._model, self._normalizer)
        self.special_ids = frozenset(number for number, token in self._added.tokens.items() if token.special)

    def encode(self, text: str, add_special_tokens: bool) -> Encoding:
        """Return the tokens of a text, neither padded nor truncated.

        Raises:
            EdgekitError: the text has what the tokenizer has no token for.
        """
        parts = [self._tokenize(text)]
        if self._post_processor is not None:
            parts = self._post_processor(parts, add_special_tokens)
        whole = parts[0] if parts else Encoding()
        for part in parts[1:]:
            whole.add(part)
        return whole

    def _tokenize(self, text: str) -> Encoding:
        found = Encoding()
        word = 0
        for part, number in self._added.cut(text, self._normalizer):
            if number is not None:
                found.ids.append(number)
                found.tokens.append(part.text)
                found.offsets.append((part.starts[0], part.ends[-1]))
                found.words.append(word)
                word += 1
                continue
            for piece in (part,) if self._pre_tokenizer is None else self._pre_tokenizer(part):
                self._add_word(piece, word, found)
                word += 1
        found.special = [False] * len(found.ids)
        return found

    def _add_word(self, piece: AlignedText, word: int, found: Encoding) -> None:
        starts, ends = piece.starts, piece.ends
        for number, token, first, last in self._model.tokenize(piece.text):
            found.ids.append(number)
            found.tokens.append(token)
            found.offsets.append((starts[first], ends[last]))
            found.words.append(word)

    def decode(self, ids: list[int], skip_special: bool) -> str:
        """Return the text of ids; those outside of the vocabulary have none."""
        written = (self.token(number) for number in ids)
        tokens = [
            token for token in written if token is not None and not (skip_special and token in self._added.special)
        ]
        return " ".join(tokens) if self._decoder is None else "".join(self._decoder(tokens))

    def token(self, token_id: int) -> str | None:
        """Return a token as the vocabulary writes it, or the normalizer where it changes an added one."""
        written = self._added.written.get(token_id)
        return self._model.tokens.get(token_id) if written is None else written

    def token_id(self, token: str) -> int | None:
        """Return the id of a token."""
        number = self._added.ids.get(token)
        return self._model.ids.get(token) if number is None else number

    def vocab_size(self) -> int:
        """Return the number of tokens, added ones included."""
        return self._model.size + sum(token not in self._model.ids for token in self._added.ids)


def _kinds(decoder: Section) -> dict[str, Any]:
    """Return the kinds of a decoder's parts, which tell how it can be streamed."""
    if decoder.kind != "Sequence":
        return {"type": decoder.kind}
    return {"type": "Sequence", "decoders": [_kinds(part) for part in decoder.sections("decoders")]}
