"""Measures a loaded model: tokens per second, in rounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edgekit.cli.statistics import Measured, measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.encoder_session import EncoderSession
    from edgekit.progress import Progress
    from edgekit.session import DecoderSession

PASSES = (2, 4, 8, 16)
"""Tokens in the passes whose cost is measured."""
REPEATS = 4
"""Passes of a kind in a round."""
BATCH = 16
"""Texts that are encoded at once."""


def measure_decoder(
    session: DecoderSession, prompt_tokens: int, new_tokens: int, rounds: int, progress: Progress
) -> dict[str, Measured]:
    """Measure prefill and decode by turns, so that a busy moment of the machine falls on both.

    A round is the prompt in an empty cache and then `new_tokens` greedy steps; one round before them is not counted.
    """
    prompts = np.random.default_rng(1).integers(0, session.vocab_size, (rounds + 1, prompt_tokens))
    firsts, steps = [], []
    progress.start("measuring", (rounds + 1) * (prompt_tokens + new_tokens - 1), "tokens")
    for prompt in prompts:
        session.rewind(0)
        began = time.perf_counter()
        token = int(session.forward(prompt, progress=progress)[-1].argmax())
        first = time.perf_counter()
        for _ in range(new_tokens - 1):
            token = int(session.forward([token])[-1].argmax())
        ended = time.perf_counter()
        progress.advance(new_tokens - 1)
        firsts.append(first - began)
        steps.append(ended - first)
    progress.finish()
    return {
        "first_token_seconds": measured(firsts[1:]),
        "prefill_tokens_per_second": measured([prompt_tokens / seconds for seconds in firsts[1:]]),
        "decode_tokens_per_second": measured([(new_tokens - 1) / seconds for seconds in steps[1:]]),
    }


def measure_passes(
    session: DecoderSession,
    prompt_tokens: int,
    rounds: int,
    progress: Progress,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measured]:
    """Measure what a pass over several tokens behind a prompt costs, relative to one over a single token.

    All tokens' logits are computed, as checking guesses needs them. "change" is what a pass costs more if the one
    before it had another number of tokens. One round is not counted. A context without room for them has none.
    """
    sizes = [tokens for tokens in PASSES if tokens < session.context]
    if not sizes:
        return {}
    session.rewind(0)
    prompt = np.random.default_rng(1).integers(0, session.vocab_size, min(prompt_tokens, session.context - sizes[-1]))
    session.forward(prompt)

    def seconds(passes: list[int]) -> float:
        """Return how long such passes take, each behind the prompt; one before them is not counted."""
        spent = 0.0
        for place, tokens in enumerate([passes[-1], *passes]):
            new = np.resize(prompt, tokens)
            began = clock()
            session.forward(new, last=tokens)
            spent += clock() - began if place else 0.0
            session.rewind(len(prompt))
        return spent

    ratios: dict[str, list[float]] = {name: [] for name in (*map(str, sizes), "change")}
    progress.start("measuring passes", rounds + 1, "rounds")
    for number in range(rounds + 1):
        alone, changes = seconds([1] * REPEATS), []
        for tokens in sizes:
            together = seconds([tokens] * REPEATS)
            by_turns = seconds([1, tokens] * REPEATS)
            changes.append((by_turns - alone - together) / alone / 2)
            if number:
                ratios[str(tokens)].append(together / alone)
        if number:
            ratios["change"].append(max(0.0, float(np.median(changes))))
        progress.advance(1)
    progress.finish()
    return {name: measured(values) for name, values in ratios.items()}


def measure_encoder(session: EncoderSession, tokens: int, rounds: int, progress: Progress) -> dict[str, Measured]:
    """Measure one text of so many tokens and a batch of them by turns; one round before them is not counted."""
    texts = np.random.default_rng(1).integers(0, session.vocab_size, (rounds + 1, BATCH, tokens))
    alone, together = [], []
    progress.start("measuring", (rounds + 1) * (BATCH + 1) * tokens, "tokens")
    for batch in texts:
        began = time.perf_counter()
        session.encode(batch[:1], np.ones((1, tokens), np.int64))
        first = time.perf_counter()
        session.encode(batch, np.ones((BATCH, tokens), np.int64))
        ended = time.perf_counter()
        progress.advance((BATCH + 1) * tokens)
        alone.append(first - began)
        together.append(ended - first)
    progress.finish()
    return {
        "text_seconds": measured(alone[1:]),
        "encode_tokens_per_second": measured([BATCH * tokens / seconds for seconds in together[1:]]),
    }
