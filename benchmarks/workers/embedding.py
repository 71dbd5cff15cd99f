"""What the workers that make vectors of texts do with a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from serving import Answer, Watch, serve


def serve_texts(embed: Callable[[list[str]], Any]) -> None:
    """Answer requests that have texts, and how many of them are computed one by one first."""

    def answer(request: Answer) -> Answer:
        texts, found = request["texts"], {}
        watch = Watch()
        for text in texts[: request["queries"]]:
            embed([text])
        found["one by one"] = watch.stop()
        watch = Watch()
        embed(texts)
        return {**found, "many": watch.stop()}

    serve(answer)
