"""Text out of tokens as they come: no character is split, and what was shown is never taken back."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgekit.text.byte_alphabet import BYTE_OF

if TYPE_CHECKING:
    from edgekit.tokenizer import Tokenizer

# Tokens in front of the new ones that are decoded with them, so that what a decoder does at the start of a text
# (stripping a space, a word's first piece) is not done in the middle: the method of TGI and vLLM.
_CONTEXT = 4


class TextStream:
    """Decodes one token after another at constant cost.

    All pieces and `flush()` together are exactly `tokenizer.decode` of all tokens.
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skipped = tokenizer.special_ids if skip_special else frozenset()
        # Bytes of a character that is not whole yet stay in the codec; it replaces bad ones as the tokenizer does.
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._window: list[int] = []
        self._shown_tokens = 0  # of the window
        self._shown_text = ""  # of these

    def push(self, token: int) -> str:
        """Take the next token and return the text that is now complete, often one word, sometimes nothing."""
        if token in self._skipped:
            return ""
        if self._tokenizer.byte_level:
            return self._bytes.decode(self._bytes_of(token))
        if self._tokenizer.token(token) is None:  # outside of the vocabulary: decoding leaves it out
            return ""
        self._window.append(token)
        if self._unfinished(token):
            return ""
        return self._advance()

    def flush(self) -> str:
        """Return what is left at the end; a character that was never finished becomes U+FFFD."""
        if self._tokenizer.byte_level:
            return self._bytes.decode(b"", final=True)
        return self._advance() if len(self._window) > self._shown_tokens else ""

    def _unfinished(self, token: int) -> bool:
        if self._tokenizer.byte_level_within:
            self._bytes.decode(self._bytes_of(token))
            return bool(self._bytes.getstate()[0])
        # A run of byte tokens is right or wrong as a whole: one wrong byte at its end spoils them all.
        return token in self._tokenizer.byte_ids

    def _advance(self) -> str:
        text = self._tokenizer.decode(self._window, skip_special=False)
        piece = text[len(self._shown_text) :]
        if len(self._window) > 2 * _CONTEXT:
            del self._window[:-_CONTEXT]
            text = self._tokenizer.decode(self._window, skip_special=False)
        self._shown_tokens = len(self._window)
        self._shown_text = text
        return piece

    def _bytes_of(self, token: int) -> bytes:
        text = self._tokenizer.token(token)
        if text is None:
            return b""
        try:
            return bytes(BYTE_OF[character] for character in text)
        except KeyError:  # an added token, which is written as it is
            return text.encode("utf-8")


class StopStrings:
    """Ends a text in front of the first stop string, wherever the pieces it comes in are cut.

    The stop string that is complete first counts; of two that end together, the longer one.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None
        """The stop string that ended the text."""

    def push(self, piece: str) -> str:
        """Take the next piece and return what can be shown: an end that may begin a stop string is held back."""
        if self.found is not None:
            return ""
        text = self._held + piece
        ends = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            _, at, self.found = min(ends)
            self._held = ""
            return text[:at]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return what was held back and began no stop string after all."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
