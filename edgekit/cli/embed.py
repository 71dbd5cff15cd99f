"""`edgekit embed`: a vector for each text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekit.cli.each import command_of

if TYPE_CHECKING:
    from edgekit.model import Model


def _compute(model: Model, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"vector": vector.tolist()} for vector in model.embed(texts)]


command = command_of("embed", _compute, "Write a vector for each line of a file.")
