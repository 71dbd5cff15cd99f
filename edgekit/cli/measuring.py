"""Measures a loaded model: tokens per second, in rounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edgekit.cli.statistics import Measured, measured

if TYPE_CHECKING:
    from edgekit.encoder_session import EncoderSession
    from edgekit.progress import Progress
    from edgekit.session import DecoderSession

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
