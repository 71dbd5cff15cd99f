"""Refuses tokenizer.json files that would end the process instead of failing in the package tokenizers."""

from __future__ import annotations

import json
import re
from typing import Any

# The key itself, or any escape that could hide it: nobody who writes JSON escapes printable ASCII.
_SUSPECT = re.compile(r'"continuing_subword_prefix"\s*:\s*[^\sn]|\\u00[2-7]')


def refuse_hostile(content: str) -> None:
    """Refuse merges whose second part does not begin with the prefix that is cut off it.

    tokenizers (0.23, models/bpe/model.rs) cuts as many bytes as the prefix has, wherever that is; within a character
    or beyond the end, Rust aborts or panics. Files without such a prefix, which are nearly all, are not parsed here.

    Raises:
        ValueError: with what is wrong.
    """
    if _SUSPECT.search(content) is None:
        return
    try:
        document = json.loads(content, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    model = document.get("model") if isinstance(document, dict) else None
    prefix = model.get("continuing_subword_prefix") if isinstance(model, dict) else None
    merges = model.get("merges") if isinstance(model, dict) else None
    if not isinstance(prefix, str) or not isinstance(merges, list):
        return
    for merge in merges:
        second = merge.split(" ", 1)[-1] if isinstance(merge, str) else merge[-1] if merge else ""
        if not isinstance(second, str) or not second.startswith(prefix):
            raise ValueError(f"the merge {merge!r:.80} does not go with continuing_subword_prefix {prefix!r:.40}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; readers disagree about which of two equal keys counts, so there may be none."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
