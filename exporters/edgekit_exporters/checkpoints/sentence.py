"""Reads what sentence-transformers puts around an encoder: pooling, normalisation, the longest text.

`modules.json` lists the steps, each with a folder of its own; `sentence_bert_config.json` beside it has the length.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoint import Sentence
from edgekit_exporters.checkpoints.json_files import read_object, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.spec import Pooling

MODULES = "modules.json"
_LENGTHS = "sentence_*_config.json"
_FOLDER = re.compile(r"[\w-]+", re.ASCII)

# The flags of Pooling's config, and the one name that newer versions have in their place.
_FLAGS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "first",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
_NAMES: dict[str, Pooling] = {
    name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token"): kind
    for name, kind in _FLAGS.items()
}


def read_sentence(folder: Path) -> Sentence | None:
    """Return the steps behind an encoder, None where the folder says nothing of them.

    Raises:
        CheckpointError: a file is damaged or missing.
        UnsupportedError: a step, or a way of pooling, that is not handled.
    """
    if not (folder / MODULES).is_file():
        return None
    pooling: Pooling = "mean"
    normalised = False
    for kind, path in _modules(folder / MODULES):
        if kind == "Pooling":
            pooling = _pooling(folder / path / "config.json")
        elif kind == "Normalize":
            normalised = True
        elif kind != "Transformer":
            raise UnsupportedError(
                f"{folder / MODULES} has the step {kind}, which is not handled",
                "handled: Transformer, Pooling, Normalize",
            )
    return Sentence(pooling=pooling, normalised=normalised, max_length=_max_length(folder))


def _modules(path: Path) -> list[tuple[str, str]]:
    """Return each step's class and folder."""
    try:
        entries = json.loads(read_text(path))
        steps = [(str(entry["type"]).rpartition(".")[2], str(entry["path"])) for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} is no list of steps: {error!s:.100}", "fetch it again") from error
    for _, folder in steps:
        if folder and not _FOLDER.fullmatch(folder):
            raise CheckpointError(f"{path} names {folder!r:.100} as a folder beside it", "fetch it again")
    return steps


def _pooling(path: Path) -> Pooling:
    config = read_object(path)
    named = config.get("pooling_mode")
    if isinstance(named, str) and named in _NAMES:
        return _NAMES[named]
    chosen = [kind for flag, kind in _FLAGS.items() if config.get(flag) is True]
    unknown = [key for key, value in config.items() if key.startswith("pooling_mode") and value and key not in _FLAGS]
    if len(chosen) != 1 or unknown:
        what = ", ".join([*chosen, *unknown]) or "none"
        raise UnsupportedError(f"{path}: ways of pooling: {what}", f"one of these is handled: {', '.join(_NAMES)}")
    return chosen[0]


def _max_length(folder: Path) -> int | None:
    for path in sorted(folder.glob(_LENGTHS)):
        value: Any = read_object(path).get("max_seq_length")
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise CheckpointError(f"{path}: max_seq_length is {value!r:.100}, not a number of tokens")
            return value
    return None
