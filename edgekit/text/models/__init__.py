"""The models that turn a word into tokens, by the `type` of tokenizer.json's `model`."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.text.document import Section
from edgekit.text.models.base import Model
from edgekit.text.models.bpe import BytePairs
from edgekit.text.models.unigram import Unigram
from edgekit.text.models.word_level import WordLevel
from edgekit.text.models.word_piece import WordPiece

_KINDS: dict[str, Callable[[Section], Model]] = {
    "BPE": BytePairs,
    "Unigram": Unigram,
    "WordPiece": WordPiece,
    "WordLevel": WordLevel,
}


def build_model(section: Section) -> Model:
    """Return the model that a section of tokenizer.json describes.

    Raises:
        UnsupportedError: it is of a kind that is not known here.
        BundleError: it is damaged.
    """
    return section.choose(_KINDS, "model")(section)
