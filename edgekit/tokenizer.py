"""Text to token ids and back, as the `tokenizer.json` of a checkpoint says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgekitError, UsageError
from edgekit.tokenizer_guard import open_rust, rust_errors

_DAMAGED = "the tokenizer.json is damaged: copy or export it again"


@dataclass(frozen=True)
class Words:
    """A text's tokens: their ids, the characters (start, stop) each stands for, and the number of its word.

    Special tokens have no word.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    words: list[int | None]


class Backend(Protocol):
    """What does the work behind `Tokenizer`."""

    decoder: dict[str, Any]
    """The `decoder` section of tokenizer.json, {} where there is none."""
    special_ids: frozenset[int]

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        """Return ids, neither padded nor truncated."""

    def encode_batch(self, texts: list[str], longest: int) -> list[list[int]]:
        """Return the ids of texts with special tokens, cut in front of the closing ones where they are longer."""

    def encode_words(self, text: str) -> Words:
        """Return the ids of a text with special tokens, and where they come from."""

    def decode(self, ids: list[int], skip_special: bool) -> str:
        """Return the text; ids outside of the vocabulary have none."""

    def token(self, token_id: int) -> str | None:
        """Return a token as the vocabulary writes it."""

    def token_id(self, token: str) -> int | None:
        """Return the id of a token."""

    def vocab_size(self) -> int:
        """Return the number of tokens, added ones included."""


class Tokenizer:
    """A tokenizer, opened from `tokenizer.json` or a bundle. Works without any engine.

    The package `tokenizers` does the work where it is installed, EdgeKit's own tokenizer in pure Python elsewhere:
    the ids and offsets are the same.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        kinds = set(_kinds(backend.decoder))
        self.byte_level = backend.decoder.get("type") == "ByteLevel"
        """A token is a run of bytes, and decoding joins the bytes (GPT-2)."""
        self.byte_level_within = "ByteLevel" in kinds and not self.byte_level
        """The same, with further steps around it."""
        self.byte_ids = self._byte_ids() if "ByteFallback" in kinds else frozenset()
        """Ids of the tokens <0x00> to <0xFF>, which a run of is decoded as a whole (sentencepiece)."""

    @classmethod
    def open(cls, path: str | os.PathLike[str] | Bundle) -> Tokenizer:
        """Open a `tokenizer.json`, or the one of a bundle.

        Raises:
            BundleError: there is none, or it is damaged; the message names the file.
            UnsupportedError: the package tokenizers is not installed, and EdgeKit's own tokenizer lacks a component.
        """
        if not isinstance(path, Bundle) and not Path(path).is_dir():
            return cls(_open_backend(Path(path)))
        bundle = path if isinstance(path, Bundle) else Bundle.open(path)
        file = bundle.tokenizer_path()
        if file is None:
            raise BundleError(f"{bundle.path} has no tokenizer", "it is driven by token ids: give and take ids")
        return cls(_open_backend(file))

    @property
    def vocab_size(self) -> int:
        """The number of tokens, added ones included; a model's logits may be wider."""
        return self._backend.vocab_size()

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids that `decode` leaves out."""
        return self._backend.special_ids

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the ids of a text.

        Args:
            text: Any text; special tokens written in it become their ids.
            add_special_tokens: Whether to add what the tokenizer adds to a raw text, such as the beginning-of-sequence
                token. A rendered chat template has them already.

        Raises:
            UsageError: the text is no valid Unicode.
        """
        return self._backend.encode(_checked(text), add_special_tokens)

    def encode_batch(self, texts: Sequence[str], longest: int) -> list[list[int]]:
        """Return the ids of texts as an encoder takes them: with special tokens, cut to `longest` as in training.

        Raises:
            UsageError: a text is no valid Unicode.
        """
        return self._backend.encode_batch([_checked(text) for text in texts], longest)

    def encode_words(self, text: str) -> Words:
        """Return the ids of a text with special tokens, and the characters and words they come from.

        Raises:
            UsageError: the text is no valid Unicode.
        """
        return self._backend.encode_words(_checked(text))

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Return the text of ids. Those outside of the vocabulary have none.

        Raises:
            UsageError: an id is negative or too large for an id.
        """
        numbers = [int(number) for number in ids]
        bad = next((number for number in numbers if not 0 <= number < 1 << 32), None)
        if bad is not None:
            raise UsageError(f"{bad} is no token id")
        return self._backend.decode(numbers, skip_special)

    def token(self, token_id: int) -> str | None:
        """Return a token as the vocabulary writes it, None outside of it."""
        return self._backend.token(token_id)

    def token_id(self, token: str) -> int | None:
        """Return the id of a token as the vocabulary writes it, None where there is none."""
        return self._backend.token_id(token)

    def _byte_ids(self) -> frozenset[int]:
        found = (self._backend.token_id(f"<0x{byte:02X}>") for byte in range(256))
        return frozenset(number for number in found if number is not None)


class _Tokenizers:
    """Backed by the package tokenizers, in Rust."""

    def __init__(self, content: str) -> None:
        self._rust = open_rust(content)
        # A saved padding or truncation (MiniLM: 128) serves its training; here every text keeps its own length.
        self._rust.no_padding()
        self._rust.no_truncation()
        decoder = self._rust.decoder
        self.decoder: dict[str, Any] = {} if decoder is None else json.loads(decoder.__getstate__())
        added = self._rust.get_added_tokens_decoder()
        self.special_ids = frozenset(number for number, token in added.items() if token.special)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        try:
            with rust_errors():
                return list(self._rust.encode(text, add_special_tokens=add_special_tokens).ids)
        except ValueError as error:
            raise EdgekitError(f"the tokenizer cannot encode this text: {error}", _DAMAGED) from error

    def encode_batch(self, texts: list[str], longest: int) -> list[list[int]]:
        return [_cut(encoding.ids, encoding.special_tokens_mask, longest) for encoding in self._encodings(texts)]

    def encode_words(self, text: str) -> Words:
        encoding = self._encodings([text])[0]
        return Words(list(encoding.ids), list(encoding.offsets), list(encoding.word_ids))

    def _encodings(self, texts: list[str]) -> list[Any]:
        try:
            with rust_errors():
                return list(self._rust.encode_batch(texts))
        except ValueError as error:
            raise EdgekitError(f"the tokenizer cannot encode these texts: {error}", _DAMAGED) from error

    def decode(self, ids: list[int], skip_special: bool) -> str:
        try:
            with rust_errors():
                return str(self._rust.decode(ids, skip_special_tokens=skip_special))
        except ValueError as error:
            raise EdgekitError(f"the tokenizer cannot decode these ids: {error}", _DAMAGED) from error

    def token(self, token_id: int) -> str | None:
        token: str | None = self._rust.id_to_token(token_id)
        return token

    def token_id(self, token: str) -> int | None:
        number: int | None = self._rust.token_to_id(token)
        return number

    def vocab_size(self) -> int:
        return int(self._rust.get_vocab_size(with_added_tokens=True))


class PurePython:
    """Backed by EdgeKit's own tokenizer."""

    def __init__(self, content: bytes, where: str) -> None:
        from edgekit.text.pure import PureTokenizer

        self._pure = PureTokenizer(content, where)
        self.decoder: dict[str, Any] = self._pure.decoder
        self.special_ids = self._pure.special_ids
        self.decode, self.token, self.token_id = self._pure.decode, self._pure.token, self._pure.token_id
        self.vocab_size = self._pure.vocab_size

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        """See `Backend`."""
        return self._pure.encode(text, add_special_tokens).ids

    def encode_batch(self, texts: list[str], longest: int) -> list[list[int]]:
        """See `Backend`."""
        encodings = (self._pure.encode(text, add_special_tokens=True) for text in texts)
        return [_cut(encoding.ids, encoding.special, longest) for encoding in encodings]

    def encode_words(self, text: str) -> Words:
        """See `Backend`."""
        encoding = self._pure.encode(text, add_special_tokens=True)
        return Words(encoding.ids, encoding.offsets, encoding.words)


def _cut(ids: list[int], special: Sequence[int], longest: int) -> list[int]:
    if len(ids) <= longest:
        return ids
    closing = next((k for k in range(len(ids)) if not special[-1 - k]), 0)
    return ids[: max(longest - closing, 0)] + ids[len(ids) - min(closing, longest) :]


def _checked(text: str) -> str:
    if not isinstance(text, str):
        raise UsageError(f"a text is expected, not a {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = text[error.start]
        raise UsageError(
            f"the text is no valid Unicode: a lone surrogate {bad!r} at character {error.start}",
            'read it with the right encoding, or replace it: text.encode("utf-8", "replace").decode("utf-8")',
        ) from error
    return text


def _open_backend(path: Path) -> Backend:
    try:
        raw = path.read_bytes()
        content = raw.decode("utf-8")
    except FileNotFoundError as error:
        raise BundleError(f"{path}: there is no such file", "give a tokenizer.json or a bundle") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: not UTF-8 (byte {error.start})", _DAMAGED) from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return _Tokenizers(content)
    except ImportError:
        return PurePython(raw, str(path))
    except ValueError as error:
        raise BundleError(f"{path}: is no valid tokenizer.json: {error}", _DAMAGED) from error


def _kinds(decoder: dict[str, Any]) -> Iterator[str]:
    yield str(decoder.get("type"))
    for part in decoder.get("decoders", []):
        yield from _kinds(part)
