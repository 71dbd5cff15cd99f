"""What guessing ahead gains on recorded answers, by the loop itself and a clock that adds up what its passes cost.

The costs are those of the table that ships, so a change of either is seen here; no time is measured.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from echo_decoder import EchoDecoder

from edgekit.decoder import Float32
from edgekit.generation import Options, generate
from edgekit.guessing import Draft, Drafter, Ids, PromptLookup
from edgekit.pass_costs import PassCosts
from edgekit.session import DecoderSession
from edgekit.speeds import read_table

STREAMS = json.loads((Path(__file__).parents[1] / "data" / "token_streams.json").read_text("utf-8"))
COPYING = [stream for stream in STREAMS if stream["work"] == "copying"]
FREE = [stream for stream in STREAMS if stream["work"] == "free text"]
SMALL, LARGE = 140_000_000, 2_300_000_000
RUNTIMES = ("onnx", "openvino", "tflite")


def costs(runtime: str, quantization: str, size: int) -> PassCosts:
    return read_table().pass_costs("x86_64-vnni", runtime, quantization, size)


class Recorded(EchoDecoder):
    """Says what was recorded, wherever it is asked."""

    def __init__(self, tokens: Sequence[int]) -> None:
        super().__init__(None, max(tokens) + 1, len(tokens))
        self._recorded = tokens

    def _logits(self, tokens: list[int]) -> Float32:
        logits = np.zeros(self.vocab_size, np.float32)
        logits[self._recorded[min(len(tokens), len(self._recorded) - 1)]] = 1
        return logits


def seconds(stream: dict[str, Any], believed: PassCosts, true: PassCosts, drafter: Drafter | None) -> tuple[int, float]:
    """Return how many tokens were decoded, and what their passes cost in passes of one token."""
    # Fewer different ids, so that a row of logits is short.
    ids = np.unique([*stream["prompt"], *stream["answer"]], return_inverse=True)[1].tolist()
    decoder = Recorded(ids)
    prompt = len(stream["prompt"])
    session = DecoderSession(decoder, pass_costs=believed)
    generation = generate(session, ids[:prompt], Options(max_tokens=len(ids) - prompt), drafter=drafter)
    for _ in generation:
        pass
    assert list(generation.reply.tokens) == ids[prompt:]
    sizes = [1, *decoder.computed[1:]]
    spent = sum(true.of(size) + true.change * (size != before) for before, size in itertools.pairwise(sizes))
    return generation.reply.timings.decode_tokens, spent


def gains(streams: list[dict[str, Any]], believed: PassCosts, true: PassCosts | None = None) -> tuple[float, float]:
    """Return the gain on all of them together, and the least on one."""
    found = [seconds(stream, believed, true or believed, PromptLookup()) for stream in streams]
    return sum(tokens for tokens, _ in found) / sum(spent for _, spent in found), min(t / spent for t, spent in found)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(("quantization", "size"), [("int8", SMALL), ("int4", SMALL), ("int4", LARGE)])
def test_copying_gains_and_free_text_loses_next_to_nothing(runtime: str, quantization: str, size: int) -> None:
    known = costs(runtime, quantization, size)
    copying, _ = gains(COPYING, known)
    # A pass of the small model in int4 over several tokens costs twice one over a single token in LiteRT.
    assert copying > (1.15 if (runtime, quantization, size) == ("tflite", "int4", SMALL) else 1.35)
    assert gains(COPYING[:3], known)[0] > 1.6 or quantization == "int4"
    together, least = gains(FREE, known)
    assert together > 0.985
    # Of one answer; where a pass of another size costs more, little of that is counted before it is known to come.
    assert least > (0.97 if known.change < 0.1 else 0.96)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_free_text_bears_costs_that_are_half_as_high_again(runtime: str) -> None:
    known = costs(runtime, "int8", SMALL)
    dearer = PassCosts(tuple((size, 1 + 1.5 * (cost - 1)) for size, cost in known.sizes), 1.5 * known.change)
    together, least = gains(FREE, known, dearer)
    assert together > 0.97
    assert least > (0.965 if known.change < 0.1 else 0.9)


class Scripted:
    """Guesses what is recorded, each token rightly with a given probability."""

    cost = 0.0

    def __init__(self, tokens: Sequence[int], acceptance: float) -> None:
        self._tokens, self._acceptance = np.array(tokens), acceptance
        self._random = np.random.default_rng(3)

    def first_estimate(self, kind: int) -> float:
        return 0.5

    def propose(self, history: Ids, most: int) -> Draft:
        tokens = self._tokens[len(history) : len(history) + most].copy()
        wrong = self._random.random(len(tokens)) >= self._acceptance
        return Draft(np.where(wrong, (tokens + 1) % self._tokens.max(), tokens), 0)


def scripted(acceptance: float, known: PassCosts) -> float:
    tokens = np.random.default_rng(5).integers(0, 50, 800)
    tokens[0] = 50
    stream = {"prompt": tokens[:20].tolist(), "answer": tokens[20:].tolist()}
    decoded, spent = seconds(stream, known, known, Scripted(tokens, acceptance))
    return decoded / spent


@pytest.mark.parametrize(("runtime", "least"), [("onnx", 1.3), ("openvino", 1.7), ("tflite", 1.5)])
def test_the_gain_at_phi3_size_where_three_of_five_guesses_are_right(runtime: str, least: float) -> None:
    assert scripted(0.6, costs(runtime, "int4", LARGE)) > least


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_more_right_guesses_gain_more_and_none_lose_next_to_nothing(runtime: str) -> None:
    found = [scripted(acceptance, costs(runtime, "int4", LARGE)) for acceptance in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert found == sorted(found)
    assert found[0] > 0.98
    assert found[-1] > 3
