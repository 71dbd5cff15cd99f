"""What a checkpoint does, by the class that its config names: before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from edgekit.errors import EdgekitError, UnsupportedError
from edgekit_exporters import bert_like
from edgekit_exporters.architecture import supported
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.config import Config

Task = Literal["embed", "classify", "tag"]

_DECODES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "DoubleHeadsModel")
_ENCODES = "WithLMHeadModel"
"""XLM's and FlauBERT's name of a masked language model."""


def task_of(config: Mapping[str, Any]) -> Task:
    """Return what a checkpoint does.

    Raises:
        UnsupportedError: it generates text, or does something else; the message has the name of its class.
    """
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else "Model"
    if name.endswith(_ENCODES):
        return "embed"
    if name.endswith(_DECODES):
        raise _decoder(name, config)
    return cast(Task, bert_like.task_of(Config(dict(config))))


def may_take(checkpoint: Checkpoint) -> bool:
    """Say whether it is worth a try; whether optimum knows the architecture, only optimum says."""
    try:
        task_of(checkpoint.config)
    except EdgekitError:
        return False
    return checkpoint.folder is not None


def _decoder(name: str, config: Mapping[str, Any]) -> UnsupportedError:
    kind = config.get("model_type")
    if str(kind).replace("-", "_") in supported():
        return UnsupportedError(
            f"{name} generates text, and --via optimum takes encoders and classifiers",
            f"EdgeKit writes {kind} itself: leave out --via",
        )
    return UnsupportedError(
        f"{name} generates text: the cache that optimum gives it has another layout than EdgeKit's runtimes have",
        f"architectures that EdgeKit writes itself: {', '.join(supported())}",
    )
