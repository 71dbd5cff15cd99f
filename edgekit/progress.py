"""How long work tells its progress, without knowing who watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher of one piece of work after another."""

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        """Begin a piece of work of `total` units (None: unknown); `unit` is "B" for bytes, or a word like "tokens"."""

    def advance(self, amount: int) -> None:
        """Say that `amount` more units are done."""

    def finish(self) -> None:
        """End the piece of work that was started last."""


class Silent:
    """Tells nobody."""

    def start(self, title: str, total: int | None, unit: str = "B") -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def finish(self) -> None:
        """Ignore it."""
