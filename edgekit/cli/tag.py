"""`edgekit tag`: the labelled stretches of each text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekit.cli.each import command_of

if TYPE_CHECKING:
    from edgekit.model import Model


def _compute(model: Model, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"spans": [dataclasses.asdict(span) for span in model.tag(text)]} for text in texts]


command = command_of(
    "tag", _compute, "Write the labelled spans of each line of a file, with the characters they cover."
)
