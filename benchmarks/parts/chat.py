"""A chat of 200 turns in a context of 1,024 tokens: what rolling computes, what a turn takes, what memory it needs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bundles import bundle
from part import Options, Row, Table, verdict

import edgekit
from edgekit.cli import figures
from edgekit.machine import physical_cores, read_process

ORDER = 65
RUNTIMES = ("onnx", "openvino", "tflite")
TURNS, CONTEXT, ANSWER = 200, 1024, 16
SYSTEM = "You are the assistant of a museum. You answer in one short sentence."
GROWTH = 16 << 20
"""Bytes of anonymous memory that the turns behind the 50th may add: noise of allocators."""


def measure(options: Options) -> Iterator[Row]:
    """Yield what the chat took, by runtime."""
    if "smollm2" in options.models:
        path = bundle("smollm2", "int8")
        for runtime in RUNTIMES:
            yield _measure(path, runtime, options.threads or physical_cores())


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of chats."""
    lines = [
        (
            row["runtime"],
            f"{row['rolled']}",
            f"{row['most_rolled']}",
            f"{row['most_other']}",
            figures.seconds(row["rolled_seconds"]),
            figures.seconds(row["other_seconds"]),
            figures.size(max(row["growth"], 0)),
            verdict(row),
        )
        for row in rows
    ]
    header = (
        *("runtime", "turns that rolled", "tokens computed in one, at most", "in another, at most"),
        *("first token of a turn that rolled", "of another", "memory added", ""),
    )
    title = f"A chat of {TURNS} turns, SmolLM2 int8, context {CONTEXT}, rolled"
    return [Table(title, header, lines, right=(1, 2, 3, 4, 5, 6))]


def _measure(path: object, runtime: str, threads: int) -> Row:
    rolled, others, memory = [], [], []
    with edgekit.load(str(path), runtime=runtime, threads=threads, context=CONTEXT) as model:
        chat = model.chat(SYSTEM, max_tokens=ANSWER, temperature=0.0)
        opening = model.tokenizer.encode(SYSTEM, add_special_tokens=False)
        for turn in range(TURNS):
            reply = chat.send(f"Visitor number {turn} asks: what can I see in room {turn % 23} of the house?")
            timings = reply.timings
            found = (timings.prompt_tokens - timings.reused_tokens, timings.prefill_seconds)
            (rolled if reply.dropped_messages else others).append(found)
            assert chat.messages[0]["content"] == SYSTEM
            text = model.session.tokens
            assert any(text[k : k + len(opening)] == tuple(opening) for k in range(40)), "the system message is gone"
            memory.append(read_process().anonymous or 0)
    own = max(count for count, _ in others)
    return {
        "name": f"on {runtime}", "runtime": runtime, "rolled": len(rolled),
        "most_rolled": max(count for count, _ in rolled), "most_other": own,
        "rolled_seconds": statistics.median(seconds for _, seconds in rolled),
        "other_seconds": statistics.median(seconds for _, seconds in others),
        "growth": memory[-1] - memory[50],
        "met": max(count for count, _ in rolled) <= CONTEXT // 2 + own and memory[-1] - memory[50] <= GROWTH,
    }  # fmt: skip
