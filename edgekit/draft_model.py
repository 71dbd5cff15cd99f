"""A small model of the same vocabulary that guesses what the large one will say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.decoding import Session
from edgekit.errors import BundleError, UsageError
from edgekit.guessing import Draft, Ids

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


class ModelDrafter:
    """Guesses the likeliest tokens of a small model, whose session follows the answer."""

    def __init__(self, session: Session, cost: float, vocab_size: int | None = None) -> None:
        """Take the small model's session.

        Args:
            session: Of a model whose tokens mean the same.
            cost: Of one of its passes, relative to the large model's.
            vocab_size: The large model's, where the two differ: one may be filled up with rows that no text uses.
        """
        self._session = session
        self._most = min(session.vocab_size, vocab_size or session.vocab_size)
        self.cost = cost

    def first_estimate(self, kind: int) -> float:  # noqa: ARG002 - all its guesses are of one kind
        """Expect that two of three are right, as is common between models of one family (arXiv 2302.01318)."""
        return 2 / 3

    def propose(self, history: Ids, most: int) -> Draft:
        """Return the small model's greedy continuation, as far as its context goes."""
        count = min(most, self._session.context - len(history) + 1)
        if count < 1:
            return Draft(history[:0], 0)
        known = self._session.align(history[:-1].tolist())
        new, guessed = history[known:], list[int]()
        if new.max() >= self._session.vocab_size:
            return Draft(history[:0], 0)
        for _ in range(count):
            guessed.append(int(self._session.forward(new)[-1, : self._most].argmax()))
            new = np.array(guessed[-1:], np.int64)
        return Draft(np.array(guessed, np.int64), 0)


def relative_cost(small: Bundle, large: Bundle) -> float:
    """Return what a pass of one model costs beside the other's: both read all their weights."""
    return _weights(small) / _weights(large)


def check_vocabulary(small: Bundle, large: Bundle) -> None:
    """Refuse a model whose tokens mean something else.

    Raises:
        UsageError: an id stands for something else, or nobody knows: where one has no tokenizer, both must have none.
        BundleError: a tokenizer is damaged.
    """
    paths = [bundle.tokenizer_path() for bundle in (small, large)]
    if paths == [None, None]:
        sizes = [bundle.manifest.spec.vocab_size for bundle in (small, large)]
        problem = "" if sizes[0] == sizes[1] else f"it has {sizes[0]:,} tokens, not {sizes[1]:,}"
    elif None in paths:
        problem = "one of them has a tokenizer and the other has none"
    else:
        problem = _difference(*(_pieces(path) for path in paths if path is not None))
    if problem:
        raise UsageError(
            f"{small.path} cannot guess for {large.path}: {problem}", "take a smaller model of the same family"
        )


def _difference(small: dict[int, str], large: dict[int, str]) -> str:
    """Say which token differs; "" if all are the same: how a text is cut into them does not matter."""
    for token in sorted(small.keys() | large.keys()):
        if small.get(token) != large.get(token):
            return f"its token {token} is {small.get(token)!r:.60}, not {large.get(token)!r:.60}"
    return ""


def _pieces(tokenizer: Path) -> dict[int, str]:
    """Return the tokens of a tokenizer.json by their ids."""
    try:
        data = json.loads(tokenizer.read_text("utf-8"))
        found = data["model"]["vocab"]
        # Unigram's are a list of pieces with their scores.
        ids = {row[0]: token for token, row in enumerate(found)} if isinstance(found, list) else found
        pieces = {token: piece for piece, token in ids.items()}
        return pieces | {added["id"]: added["content"] for added in data.get("added_tokens") or ()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{tokenizer} has no vocabulary that can be read: {error!r:.200}", "copy it again") from error


def _weights(bundle: Bundle) -> int:
    """Return the bytes of a bundle's largest format: formats of one bundle hold the same weights."""
    files = bundle.manifest.files
    return max(sum(files[name].size for name in entry.files) for entry in bundle.manifest.formats.values())
