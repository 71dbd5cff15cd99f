"""Between us and the package tokenizers: its panics become errors, and what would abort the process is refused.

A panic of Rust arrives as a `PanicException`, which is no `Exception` and so would pass everybody by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The key itself, or any escape that could hide it: nobody who writes JSON escapes printable ASCII.
_SUSPECT = re.compile(r'"continuing_subword_prefix"\s*:\s*[^\sn]|\\u00[2-7]')


@contextmanager
def rust_errors() -> Iterator[None]:
    """Turn whatever a package in Rust raises, its panics among it, into a ValueError."""
    try:
        yield
    except Exception as error:  # it raises bare Exceptions
        raise ValueError(str(error)) from error
    except BaseException as error:
        if "Panic" not in type(error).__name__:
            raise
        raise ValueError(str(error)) from error


def open_rust(content: str) -> Any:  # noqa: ANN401 - the package has no types
    """Return `tokenizers.Tokenizer` of a tokenizer.json.

    Raises:
        ValueError: it is none, or would end the process.
        ImportError: the package is not installed.
    """
    from tokenizers import Tokenizer

    refuse_hostile(content)
    with rust_errors():
        return Tokenizer.from_str(content)


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
        parts = merge.split(" ", 1) if isinstance(merge, str) else merge
        second = parts[-1] if isinstance(parts, list) and parts else None
        if not isinstance(second, str) or not second.startswith(prefix):
            raise ValueError(f"the merge {merge!r:.80} does not go with continuing_subword_prefix {prefix!r:.40}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; readers disagree about which of two equal keys counts, so there may be none."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
