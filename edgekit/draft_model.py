"""A small model of the same vocabulary that guesses what the large one will say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgekit.decoding import Session
from edgekit.errors import UsageError
from edgekit.guessing import Draft, Ids

if TYPE_CHECKING:
    from edgekit.bundle import Bundle


class ModelDrafter:
    """Guesses the likeliest tokens of a small model, whose session follows the answer."""

    def __init__(self, session: Session, cost: float) -> None:
        """Take the small model's session; `cost` is of one of its passes, relative to the large model's."""
        self._session = session
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
        for _ in range(count):
            guessed.append(int(self._session.forward(new)[-1].argmax()))
            new = np.array(guessed[-1:], np.int64)
        return Draft(np.array(guessed, np.int64), 0)


def relative_cost(small: Bundle, large: Bundle) -> float:
    """Return what a pass of one model costs beside the other's: both read all their weights."""
    return _weights(small) / _weights(large)


def check_vocabulary(small: Bundle, large: Bundle) -> None:
    """Refuse a model whose tokens mean something else.

    Raises:
        UsageError: the two have different tokenizers, or numbers of tokens.
    """
    sizes = [bundle.manifest.spec.vocab_size for bundle in (small, large)]
    if sizes[0] != sizes[1]:
        problem = f"{sizes[0]:,} tokens, {large.path} has {sizes[1]:,}"
    elif _tokenizer_hash(small) != _tokenizer_hash(large):
        problem = "another tokenizer"
    else:
        return
    raise UsageError(
        f"{small.path} cannot guess for {large.path}: it has {problem}", "take a smaller model of the same family"
    )


def _weights(bundle: Bundle) -> int:
    """Return the bytes of a bundle's largest format: formats of one bundle hold the same weights."""
    files = bundle.manifest.files
    return max(sum(files[name].size for name in entry.files) for entry in bundle.manifest.formats.values())


def _tokenizer_hash(bundle: Bundle) -> str:
    path = bundle.tokenizer_path()
    return "" if path is None else bundle.manifest.files[path.name].sha256
