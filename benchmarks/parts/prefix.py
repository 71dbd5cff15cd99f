"""The time to the first token behind a stored prefix, relative to computing it all, in fresh processes after `load`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bundles import bundle
from part import Options, Row, Table, verdict
from setting import CACHE

import edgekit
from edgekit.bundle import Bundle
from edgekit.bundle_names import PREFIXES
from edgekit.cli import figures
from edgekit.cli.statistics import measured
from edgekit.machine import physical_cores

ORDER = 55
RUNTIMES = ("onnx", "openvino", "tflite")
PREFIX_TOKENS, TURN_TOKENS, CONTEXT = 1000, 16, 1152
MODELS = {("smollm2", "int8"): (9, 0.10), ("phi3", "int4"): (3, 0.05)}
"""Rounds at most, and the share of computing it all that a stored prefix may take."""

ASK = """
import json, sys, time
import edgekit
bundle, runtime, threads, context, file = sys.argv[1:]
prompt = json.load(open(file))
with edgekit.load(bundle, runtime=runtime, threads=int(threads), context=int(context)) as model:
    model.session.forward([1, 2, 3])  # engines finish their setting up in the first pass
    model.session.rewind(0)
    began = time.perf_counter()
    reply = model.generate(prompt, max_tokens=1)
    print(json.dumps({"seconds": time.perf_counter() - began, "reused": reply.timings.reused_tokens}))
"""


def measure(options: Options) -> Iterator[Row]:
    """Yield the share, by model and runtime."""
    for (model, quantize), (rounds, target) in MODELS.items():
        if model in options.models:
            for runtime in RUNTIMES:
                yield _measure(model, quantize, runtime, min(rounds, options.rounds), target, options)


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of shares."""
    lines = [
        (
            row["model"],
            row["runtime"],
            *(figures.seconds(row[which]) for which in ("computed", "stored")),
            f"{row['ratio']['median']:.3f}",
            f"{row['ratio']['low']:.3f} – {row['ratio']['high']:.3f}",
            f"{row['target']}",
            figures.size(row["size"]),
            verdict(row),
        )
        for row in rows
    ]
    header = ("model", "runtime", "computed", "stored", "ratio", "95 %", "at most", "the file", "")
    title = (
        f"Time to the first token of {PREFIX_TOKENS} + {TURN_TOKENS} tokens: all computed, and behind a stored prefix"
    )
    return [Table(title, header, lines, right=(2, 3, 4, 5, 6, 7))]


def _measure(model: str, quantize: str, runtime: str, rounds: int, target: float, options: Options) -> Row:
    path, threads = bundle(model, quantize), options.threads or physical_cores()
    vocabulary = Bundle.open(path).manifest.spec.vocab_size
    prompt = np.random.default_rng(2).integers(10, vocabulary - 10, PREFIX_TOKENS + TURN_TOKENS).tolist()
    with edgekit.load(path, runtime=runtime, threads=threads, context=CONTEXT) as loaded:
        stored = loaded.prefixes.store("measured", prompt[:PREFIX_TOKENS], {})
        size = stored.stat().st_size
    kept = Path(tempfile.mkdtemp(dir=CACHE))
    times: dict[str, list[float]] = {"computed": [], "stored": []}
    try:
        (kept / "prompt.json").write_text(json.dumps(prompt), "utf-8")
        for number in range(rounds + 1):
            for way, seconds in times.items():
                taken = _ask(path, runtime, threads, kept, way)
                if number:  # the first time, files come from the disk
                    seconds.append(taken)
    finally:
        stored.unlink(missing_ok=True)
        shutil.rmtree(kept)
    ratio = measured([b / a for a, b in zip(times["computed"], times["stored"], strict=True)])
    return {
        "name": f"{model} {quantize} on {runtime}", "model": f"{model} {quantize}", "runtime": runtime,
        **{way: measured(values).median for way, values in times.items()}, "ratio": vars(ratio), "target": target,
        "size": size, "met": ratio.low <= target,
    }  # fmt: skip


def _ask(path: Path, runtime: str, threads: int, kept: Path, way: str) -> float:
    """Return the seconds to the first token in a fresh process, with the stored prefix or without."""
    folder, away = path / PREFIXES, kept / PREFIXES
    if way == "computed":
        folder.rename(away)
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(path), runtime, str(threads), str(CONTEXT), str(kept / "prompt.json")],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    finally:
        if way == "computed":
            away.rename(folder)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["reused"] == (PREFIX_TOKENS if way == "stored" else 0), found
    return float(found["seconds"])
