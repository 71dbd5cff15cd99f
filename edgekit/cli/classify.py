"""`edgekit classify`: a label for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekit.cli.each import command_of

if TYPE_CHECKING:
    from edgekit.model import Model


def _compute(model: Model, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"label": found.label, "probability": found.probability} for found in model.classify(texts)]


command = command_of(
    "classify",
    _compute,
    "Write a label and its probability for each line of a file; no label where it is too uncertain.",
)
