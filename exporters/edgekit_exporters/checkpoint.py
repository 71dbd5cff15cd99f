"""What comes in: a checkpoint, whatever it was read from (a folder, a GGUF file, a hub id, a wheel)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.spec import Pooling
from edgekit_exporters.weights import Rows


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a checkpoint came from, as the manifest records it."""

    id: str
    revision: str | None = None
    licence: str | None = None
    adapter: str | None = None
    """The name of the adapter that was merged into it."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """What sentence-transformers does with an encoder's hidden states."""

    pooling: Pooling = "mean"
    normalised: bool = False
    max_length: int | None = None
    """Tokens that a text is cut to."""


@dataclass(kw_only=True)
class Checkpoint:
    """A published model: its config, its tensors (lazy) and the files around them, all in Hugging Face's terms."""

    name: str
    source: Source
    config: dict[str, Any]
    """config.json; for a GGUF, rebuilt from its metadata."""
    tensors: Mapping[str, Rows]
    """By the names of the checkpoint."""
    tokenizer_json: str | None = None
    tokenizer_config: dict[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    generation_config: dict[str, Any] = field(default_factory=dict)
    sentence: Sentence | None = None
    folder: Path | None = None
    """Where its files lie as a hub has them; None for a GGUF file."""
    closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Close the files."""
        while self.closers:
            self.closers.pop()()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
