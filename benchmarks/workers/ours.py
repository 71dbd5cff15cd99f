"""A runtime of EdgeKit over a bundle: `ours.py BUNDLE RUNTIME CONTEXT THREADS`.

Requests: a prompt and a number of greedy steps after it, or `passes`, in how many rounds their costs are measured.
"""

from __future__ import annotations

import sys
import time

from serving import Answer, Watch, serve

import edgekit
from edgekit.cli.measuring import measure_passes
from edgekit.progress import Silent
from edgekit.session import DecoderSession


def main(bundle: str, runtime: str, context: int, threads: int) -> None:
    with edgekit.load(bundle, runtime=runtime, context=context, threads=threads) as model:
        session = model.session
        serve(lambda request: _passes(session, **request) if "passes" in request else _turn(session, request))


def _turn(session: DecoderSession, request: Answer) -> Answer:
    session.rewind(0)
    watch = Watch()
    token = int(session.forward(request["prompt"])[-1].argmax())
    prefill = watch.stop()
    watch = Watch()
    for _ in range(request["steps"]):
        token = int(session.forward([token])[-1].argmax())
    return {"prefill": prefill, "decode": watch.stop()}


def _passes(session: DecoderSession, passes: int, prompt_tokens: int, clock: str) -> Answer:
    timer = {"wall": time.perf_counter, "processor": time.process_time}[clock]
    found = measure_passes(session, prompt_tokens, passes, Silent(), timer)
    return {name: vars(value) for name, value in found.items()}


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
