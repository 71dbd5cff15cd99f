"""A runtime of EdgeKit over a bundle: `ours.py BUNDLE RUNTIME CONTEXT THREADS`.

Requests: a prompt and a number of greedy steps after it, or `passes`, numbers of tokens to be computed in one pass.
"""

from __future__ import annotations

import sys

from serving import Answer, Watch, serve

import edgekit
from edgekit.session import DecoderSession


def main(bundle: str, runtime: str, context: int, threads: int) -> None:
    with edgekit.load(bundle, runtime=runtime, context=context, threads=threads) as model:
        session = model.session
        serve(lambda request: _passes(session, request) if "passes" in request else _turn(session, request))


def _turn(session: DecoderSession, request: Answer) -> Answer:
    session.rewind(0)
    watch = Watch()
    token = int(session.forward(request["prompt"])[-1].argmax())
    prefill = watch.stop()
    watch = Watch()
    for _ in range(request["steps"]):
        token = int(session.forward([token])[-1].argmax())
    return {"prefill": prefill, "decode": watch.stop()}


def _passes(session: DecoderSession, request: Answer) -> Answer:
    """Compute each number of tokens behind the prompt, with the logits of all of them, as checking guesses does."""
    if session.length != len(request["prompt"]):
        session.rewind(0)
        session.forward(request["prompt"])
    found = {}
    for tokens in request["passes"]:
        watch = Watch()
        session.forward(request["prompt"][:tokens], last=tokens)
        found[str(tokens)] = watch.stop()
        session.rewind(len(request["prompt"]))
    return found


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
