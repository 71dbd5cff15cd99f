"""An answer as it comes, to a caller who may stop reading at any piece."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from edgekit.errors import UsageError
from edgekit.generation import Generation, Reply


class Stream:
    """The pieces of an answer as they come. A context manager; closing it early leaves the model usable."""

    def __init__(self, generation: Generation, release: Callable[[], None], *, textless: bool = False) -> None:
        self._generation = generation
        self._release: Callable[[], None] | None = release
        self._textless = textless
        self._ending = threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            while True:
                piece = next(self._generation).text
                if piece or self._textless:
                    return piece
        except BaseException:  # the end, an error, Ctrl-C: whatever it is, the model is free again
            self._end()
            raise

    def close(self) -> None:
        """Stop. While another thread waits for a piece, the stream ends there after the step it is in."""
        while not self._generation.ended:
            self._generation.close()
            if self._generation.running:  # in another thread, which will see that it was closed
                return
        self._end()

    def when_ended(self, tell: Callable[[Reply], None]) -> Stream:
        """Have `tell` called with the answer once the stream has ended or was closed; return the stream itself."""
        release = self._release

        def told() -> None:
            if release is not None:
                release()
            tell(self._generation.reply)

        self._release = told
        return self

    @property
    def reply(self) -> Reply:
        """The answer, once the stream has ended or was closed.

        Raises:
            UsageError: it has not.
        """
        if self._release is not None:
            raise UsageError("the stream has not ended", "read it to its end, or close it")
        return self._generation.reply

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A loop that was left with `break` drops its stream: the model must not stay busy.
        self.close()

    def _end(self) -> None:
        with self._ending:
            release, self._release = self._release, None
        if release is not None:
            release()
