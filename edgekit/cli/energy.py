"""`edgekit bench --energy`: joules of a token and of a task, by what this device tells of its energy.

The model works through the same part again and again for as long as the source of readings needs, after a while that
is not counted. The joules are what the device used meanwhile, with all that it would have used idle; what is above that
is told beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import energy
from edgekit.cli import figures, tables
from edgekit.cli.measuring import BATCH
from edgekit.errors import EnergyError

if TYPE_CHECKING:
    from edgekit.encoder_session import EncoderSession
    from edgekit.model import Model
    from edgekit.progress import Progress
    from edgekit.session import DecoderSession

_NAPS = 0.1
"""Seconds that idling sleeps at a time."""
_PARTS = {"prefill": "a token of the prompt", "decode": "a token of the answer", "text": "a token of one text",
          "batch": f"a token in batches of {BATCH} texts"}  # fmt: skip

_TASK = {"prefill", "decode", "text"}
"""The parts of which a task consists: a prompt and its answer, or one text."""

Work = Callable[[], int]
"""Does something once and returns how many tokens that were."""


@dataclass(frozen=True)
class Used:
    """What some work took."""

    joules: float
    seconds: float
    tokens: int
    times: int


def measure(model: Model, prompt_tokens: int, new_tokens: int, progress: Progress) -> dict[str, Any]:
    """Return the energy of a loaded model's work, as JSON values; where it cannot be measured, why.

    Args:
        model: One that generates, or an encoder.
        prompt_tokens: Of the prompt, or of an encoder's text.
        new_tokens: Of the answer.
        progress: Is told of the parts.
    """
    if model.bundle.manifest.task == "generate":
        work = _decoder_work(model.session, prompt_tokens, new_tokens)
    else:
        work = _encoder_work(model.encoder, prompt_tokens)
    progress.start("measuring energy", len(work) + 1, "parts")
    try:
        source = energy.find()
        used = {part: _used(source, do, progress) for part, do in {"idle": _idle, **work}.items()}
    except EnergyError as error:
        return {"measurable": False, "reason": error.message, "hint": error.hint}
    finally:
        progress.finish()
    idle = used.pop("idle")
    idle_watts = idle.joules / idle.seconds
    task = [each for part, each in used.items() if part in _TASK]
    return {
        "measurable": True,
        "source": source.name,
        "covers": source.covers,
        "idle_watts": idle_watts,
        "parts": {part: _figures(each, idle_watts) for part, each in used.items()},
        "task": {
            "joules": sum(each.joules / each.times for each in task),
            "joules_above_idle": sum((each.joules - idle_watts * each.seconds) / each.times for each in task),
        },
    }


def _figures(used: Used, idle_watts: float) -> dict[str, float]:
    return {
        "joules_per_token": used.joules / used.tokens,
        "joules_above_idle_per_token": (used.joules - idle_watts * used.seconds) / used.tokens,
        "watts": used.joules / used.seconds,
        "seconds": used.seconds,
        "tokens": used.tokens,
    }


def _decoder_work(session: DecoderSession, prompt_tokens: int, new_tokens: int) -> dict[str, Work]:
    """Return a prompt in an empty cache, and an answer of greedy steps behind one."""
    prompt = np.random.default_rng(1).integers(0, session.vocab_size, prompt_tokens)

    def prefill() -> int:
        session.rewind(0)
        session.forward(prompt)
        return prompt_tokens

    def decode() -> int:
        session.rewind(prompt_tokens)
        token = 0
        for _ in range(new_tokens):
            token = int(session.forward([token])[-1].argmax())
        return new_tokens

    return {"prefill": prefill, "decode": decode}


def _encoder_work(session: EncoderSession, tokens: int) -> dict[str, Work]:
    """Return one text, and a batch of them."""
    texts = np.random.default_rng(1).integers(0, session.vocab_size, (BATCH, tokens))
    mask = np.ones((BATCH, tokens), np.int64)

    def encode(count: int) -> int:
        session.encode(texts[:count], mask[:count])
        return count * tokens

    return {"text": lambda: encode(1), "batch": lambda: encode(BATCH)}


def _idle() -> int:
    time.sleep(_NAPS)
    return 1


def _used(source: energy.Source, work: Work, progress: Progress) -> Used:
    """Work for as long as the source lags, and then measure for as long as it needs.

    Raises:
        EnergyError: the readings ended, or make no sense.
    """
    _repeat(work, source.lag)
    with energy.Meter(source) as meter:
        tokens, times = _repeat(work, source.window)
    progress.advance(1)
    if meter.joules is None:
        raise EnergyError(f"{source.name}: {meter.reason}")
    return Used(meter.joules, meter.seconds, tokens, times)


def _repeat(work: Work, seconds: float) -> tuple[int, int]:
    """Do it at least once; return how many tokens it were, and how many times."""
    tokens, times, began = work(), 1, time.perf_counter()
    while time.perf_counter() - began < seconds:
        tokens, times = tokens + work(), times + 1
    return tokens, times


def show(data: dict[str, Any], task: str) -> None:
    """Print what `measure` returned; `task` says of how many tokens one is."""
    if not data["measurable"]:
        print(f"\nEnergy: not measurable here: {data['reason']}" + (f"\n({data['hint']})" if data["hint"] else ""))
        return
    rows = [
        (_PARTS[part], figures.joules(found["joules_per_token"]),
         figures.joules(found["joules_above_idle_per_token"]), figures.watts(found["watts"]))
        for part, found in data["parts"].items()
    ]  # fmt: skip
    whole = data["task"]
    rows.append((task, figures.joules(whole["joules"]), figures.joules(whole["joules_above_idle"]), ""))
    print()
    header = ("energy", "used", "above idle", "power")
    tables.print_table("", header, rows, right=(1, 2, 3))
    print(f"\nBy {data['source']}: {data['covers']}; {figures.watts(data['idle_watts'])} idle.")
