"""A grammar followed token by token, by llguidance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BundleError, EdgekitError, MissingExtraError, UsageError
from edgekit.sampling import Float32
from edgekit.structured.grammar import Grammar
from edgekit.tokenizer_guard import rust_errors


class Vocabulary:
    """A bundle's tokens as llguidance sees them. Making it takes a moment, so a model keeps it."""

    def __init__(self, tokenizer: Path, vocab_size: int, eos_ids: Sequence[int]) -> None:
        """Read a `tokenizer.json`.

        Raises:
            MissingExtraError: llguidance is not installed.
            BundleError: it cannot read this tokenizer, or the bundle has no end-of-sequence token.
        """
        try:
            from llguidance import LLTokenizer
        except ModuleNotFoundError as error:
            raise MissingExtraError("llguidance", "structured output", "schema") from error
        if not eos_ids:
            raise BundleError("the bundle has no end-of-sequence token", "structured output ends with one")
        data = json.loads(tokenizer.read_text("utf-8"))
        data["truncation"] = data["padding"] = None
        try:
            with rust_errors():
                self.tokens = LLTokenizer(json.dumps(data), n_vocab=vocab_size, eos_token=sorted(eos_ids))
        except ValueError as error:
            raise BundleError(
                f"llguidance cannot read {tokenizer}: {error!s:.200}", "export the bundle again"
            ) from error
        self.size = vocab_size


class GrammarConstraint:
    """An answer that keeps to a grammar, for the decoding loop (`decoding.Constraint`)."""

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary) -> None:
        """Begin an answer.

        Raises:
            UsageError: no answer at all keeps to this grammar, or it is too complex.
        """
        from llguidance import LLMatcher

        self._read = grammar.read
        self._matcher = LLMatcher(vocabulary.tokens, grammar.source, log_level=0)
        self._size = vocabulary.size
        self._mask = np.zeros(-(-vocabulary.size // 32), np.int32)
        try:
            self._beginning = self._forced()
            possible = bool(self._beginning) or self._allowed().any()
        except EdgekitError as error:
            raise UsageError(f"the schema cannot be kept to: {_problem(self._matcher)}", "make it simpler") from error
        if not possible:
            raise UsageError("the schema cannot be kept to: no answer at all does", "does it contradict itself?")

    @property
    def finished(self) -> bool:
        """Whether all tokens that were accepted are a whole answer, which nothing may follow."""
        return bool(self._matcher.is_stopped())

    def start(self) -> Sequence[int]:
        """Return the tokens that every answer begins with."""
        return self._beginning

    def allow(self, logits: Float32) -> Float32:
        """Return a copy of the logits with -inf at each token that may not come next."""
        return np.where(self._allowed(), logits, np.float32(-np.inf))

    def accept(self, token: int) -> Sequence[int]:
        """Take a token and return those that must follow."""
        if not self._matcher.consume_token(token):
            raise self._too_complex()
        return self._forced()

    def value(self, text: str) -> Any:  # noqa: ANN401 - what the caller's schema describes
        """Return what a finished answer says."""
        return self._read(text)

    def _forced(self) -> list[int]:
        forced: list[int] = self._matcher.compute_ff_tokens()
        if self._matcher.is_error() or (forced and not self._matcher.consume_tokens(forced)):
            raise self._too_complex()
        return forced

    def _allowed(self) -> Any:  # noqa: ANN401 - bool [vocab_size]
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._matcher.is_error():
            raise self._too_complex()
        return np.unpackbits(self._mask.view(np.uint8), count=self._size, bitorder="little").view(np.bool_)

    def _too_complex(self) -> EdgekitError:
        return EdgekitError(f"the schema is too complex at this place: {_problem(self._matcher)}", "make it simpler")


def _problem(matcher: Any) -> str:  # noqa: ANN401 - llguidance's own type
    return " ".join(str(matcher.get_error()).split("\n")[0].split())[:300]
