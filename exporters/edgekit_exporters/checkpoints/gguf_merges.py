"""The merges of BPE tokenizers: as GGUF files store them, or as they follow from SentencePiece's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Merge = tuple[str, str]

_NORMAL, _USER_DEFINED = 1, 4


def split_merges(merges: object, where: str) -> list[Merge]:
    """Return "left right" strings as pairs.

    Raises:
        CheckpointError: one has no space between two parts.
    """
    if not isinstance(merges, list):
        raise CheckpointError(f"{where}: tokenizer.ggml.merges is missing", "take another conversion of the model")
    pairs = []
    for merge in merges:
        at = merge.find(" ", 1)
        if at < 0:
            raise CheckpointError(
                f"{where}: the merge {merge!r:.60} is not a pair", "take another conversion of the model"
            )
        pairs.append((merge[:at], merge[at + 1 :]))
    return pairs


def merges_of_scores(ids: Mapping[str, int], scores: Sequence[float], types: Sequence[int]) -> list[Merge]:
    """Return the merges that make each piece out of two others, the best score first.

    SentencePiece's BPE joins the pair whose result scores highest; a merge list in that order does the same, as
    transformers' converter of such models builds it (`generate_merges` in convert_slow_tokenizer.py).
    """
    found = []
    for piece, index in ids.items():
        if types[index] not in (_NORMAL, _USER_DEFINED):
            continue
        pairs = [(piece[:at], piece[at:]) for at in range(1, len(piece)) if piece[:at] in ids and piece[at:] in ids]
        pairs.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        found += [(scores[index], pair) for pair in pairs]
    # Equals stay in the order of their ids, which is how Llama 2's and Phi-3's published merges stand.
    found.sort(key=lambda merge: merge[0], reverse=True)
    return [pair for _, pair in found]
