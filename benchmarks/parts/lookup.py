"""Guessing ahead: decoding with guesses relative to decoding without, on copying work and on free text.

At Phi-3 size the weights are random, so what is right is decided by a script: the logits of every pass that is really
computed are replaced by ones that favour the script's tokens, and guesses are right as often as the script says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from bundles import bundle
from part import Options, Row, Table, verdict

import edgekit
from edgekit.cli.statistics import measured
from edgekit.decoder import Float32
from edgekit.generation import Options as Answering
from edgekit.generation import generate
from edgekit.guessing import Draft, Ids
from edgekit.machine import physical_cores
from edgekit.model import Model
from edgekit.progress import Progress
from edgekit.session import DecoderSession

ORDER = 50
RUNTIMES = ("onnx", "openvino", "tflite")
NEW_TOKENS = 96
COPYING = {"onnx": 1.6, "openvino": 1.6, "tflite": None}
FREE = 0.97
SCRIPTED = {"onnx": 1.3, "openvino": 1.7, "tflite": 1.5}
ACCEPTANCES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TARGETED = 0.6
SCRIPT_TOKENS = 48

CODE = """def total(prices, tax):
    result = 0
    for price in prices:
        if price < 0:
            raise ValueError("a price is negative")
        result = result + price
    return result * (1 + tax)


def average(prices):
    if not prices:
        return 0
    return total(prices, 0) / len(prices)
"""
NEWS = """The town council decided on Monday that the old mill will become a library. The mill was built in 1874 and
has been empty since 1998. The work will cost four million euros and will take two years. "We want a house for
everybody," said the mayor, Ines Falk. The new library will have a reading room for children, a workshop and a garden by
the river."""
COPY_PROMPTS = (
    f"Here is a Python file:\n\n{CODE}\nWrite the whole file again with the name result changed to amount.",
    f"{NEWS}\n\nQuote the article word by word, sentence after sentence.",
    f"{NEWS}\n\nExtract all facts of the article as a list, in the words of the article.",
)
FREE_PROMPTS = (
    "Tell me a story about a fisherman and the moon.",
    "Explain how a bicycle stays upright.",
    "What should I think of when I buy a used car?",
)


def measure(options: Options) -> Iterator[Row]:
    """Yield the gain, by model, kind of work and runtime."""
    threads = options.threads or physical_cores()
    if "smollm2" in options.models:
        path = bundle("smollm2", "int8")
        for runtime in RUNTIMES:
            with edgekit.load(path, runtime=runtime, threads=threads, context=1024) as model:
                yield _real(model, "copying", COPY_PROMPTS, COPYING[runtime], options.rounds)
                yield _real(model, "free text", FREE_PROMPTS, FREE, options.rounds)
    if "phi3" in options.models:
        path = bundle("phi3", "int4")
        for runtime in RUNTIMES:
            with edgekit.load(path, runtime=runtime, threads=threads, context=512) as model:
                for acceptance in ACCEPTANCES:
                    target = SCRIPTED[runtime] if acceptance == TARGETED else None
                    rounds = options.rounds if target else min(3, options.rounds)
                    yield _scripted(model, acceptance, target, rounds)


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of gains."""
    lines = [
        (
            row["model"],
            row["runtime"],
            row["work"],
            f"{row['accepted']:.0%}",
            f"{row['tokens_per_pass']:.2f}",
            f"{row['ratio']['median']:.3f}",
            f"{row['ratio']['low']:.3f} – {row['ratio']['high']:.3f}",
            "" if row["target"] is None else f"{row['target']}",
            verdict(row),
        )
        for row in rows
    ]
    header = ("model", "runtime", "work", "guesses accepted", "tokens a pass", "ratio", "95 %", "at least", "")
    title = "Tokens per second with guesses from the prompt, relative to plain decoding"
    return [Table(title, header, lines, right=(3, 4, 5, 6, 7))]


def _real(model: Model, work: str, prompts: Sequence[str], target: float | None, rounds: int) -> Row:
    ratios, guessed, accepted, tokens, passes = [], 0, 0, 0, 0
    for number in range(rounds + 1):
        rates = dict[str, float]()
        for way in ("plain", "guessed") if number % 2 else ("guessed", "plain"):
            count = seconds = 0.0
            for prompt in prompts:
                draft: Any = "lookup" if way == "guessed" else None
                timings = model.generate(prompt, draft=draft, temperature=0.0, max_tokens=NEW_TOKENS).timings
                count += timings.decode_tokens
                seconds += timings.decode_seconds
                if draft:
                    guessed += timings.guessed_tokens
                    accepted += timings.accepted_tokens
                    tokens += timings.decode_tokens
                    passes += timings.passes
            rates[way] = count / seconds
        if number:
            ratios.append(rates["guessed"] / rates["plain"])
    return _row(model, "smollm2 int8", work, ratios, target, accepted / max(guessed, 1), tokens / passes)


def _row(
    model: Model, name: str, work: str, ratios: list[float], target: float | None, accepted: float, per_pass: float
) -> Row:
    ratio = measured(ratios)
    return {
        "name": f"{name} {work} on {model.runtime}", "model": name, "runtime": model.runtime, "work": work,
        "accepted": accepted, "tokens_per_pass": per_pass, "ratio": vars(ratio), "target": target,
        "met": None if target is None else ratio.high >= target,
    }  # fmt: skip


class ScriptedSession:
    """A session whose passes are computed, and whose logits are the script's: its token at each position."""

    def __init__(self, session: DecoderSession, script: Ids) -> None:
        self._session, self._script = session, script
        self.pass_costs, self.border = session.pass_costs, session.border
        self.vocab_size, self.context = session.vocab_size, session.context
        self.align, self.rewind = session.align, session.rewind

    @property
    def length(self) -> int:
        """As the session's."""
        return self._session.length

    def forward(self, tokens: Sequence[int] | Ids, last: int = 1, progress: Progress | None = None) -> Float32:
        """Compute the pass, and say what the script says."""
        rows = self._session.forward(tokens, last, progress)
        for row, position in zip(rows, range(self.length - last + 1, self.length + 1), strict=True):
            row[self._script[position]] = row.max() + 10
        return rows


class ScriptedDrafter:
    """Guesses the script's tokens, each of them rightly with a given probability."""

    cost = 0.0

    def __init__(self, script: Ids, acceptance: float, seed: int) -> None:
        self._script, self._acceptance = script, acceptance
        self._random = np.random.default_rng(seed)

    def first_estimate(self, kind: int) -> float:  # noqa: ARG002 - there is one kind
        """Begin as a look-up does."""
        return 0.5

    def propose(self, history: Ids, most: int) -> Draft:
        """Return the next tokens of the script, some of them changed."""
        tokens = self._script[len(history) : len(history) + most].copy()
        wrong = self._random.random(len(tokens)) >= self._acceptance
        tokens[wrong] = (tokens[wrong] + 1) % 1000
        return Draft(tokens, 0)


def _scripted(model: Model, acceptance: float, target: float | None, rounds: int) -> Row:
    random = np.random.default_rng(7)
    script = random.integers(0, 1000, 64 + SCRIPT_TOKENS + 32)
    session = ScriptedSession(model.session, script)
    ratios, guessed, accepted, tokens, passes = [], 0, 0, 0, 0
    for number in range(rounds + 1):
        rates = dict[str, float]()
        for way in ("plain", "guessed") if number % 2 else ("guessed", "plain"):
            drafter = ScriptedDrafter(script, acceptance, number) if way == "guessed" else None
            generation = generate(session, script[:64], Answering(max_tokens=SCRIPT_TOKENS), drafter=drafter)
            for _ in generation:
                pass
            timings = generation.reply.timings
            assert generation.reply.tokens == tuple(script[64 : 64 + SCRIPT_TOKENS])
            rates[way] = timings.decode_tokens / timings.decode_seconds
            if drafter:
                guessed += timings.guessed_tokens
                accepted += timings.accepted_tokens
                tokens += timings.decode_tokens
                passes += timings.passes
        if number:
            ratios.append(rates["guessed"] / rates["plain"])
    work = f"guesses right at {acceptance:.0%}"
    return _row(model, "phi3 int4", work, ratios, target, accepted / max(guessed, 1), tokens / passes)
