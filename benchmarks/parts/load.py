"""The first load of a bundle and the second, which finds what the first kept, each in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bundles import FORMATS, bundle
from part import Options, Row, Table, verdict
from setting import CACHE

from edgekit.bundle import Bundle
from edgekit.cli import figures
from edgekit.cli.statistics import measured
from edgekit.folders import CACHE_VARIABLE

ORDER = 15
CONTEXT = 512
MODELS = {("smollm2", "int8"): 9, ("phi3", "int4"): 3}
"""Rounds at most: of the large model, one takes half a minute on each runtime."""
LOAD_TARGET = {"openvino": 0.2}
"""A second load takes at most this share of a first one. Packages are imported before, which is no load."""
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "ai_edge_litert.compiled_model"}
"""What a runtime imports."""
MEMORY_TARGET = {("phi3", "tflite"): 0.30}
"""After the second load, anonymous memory is at most this share of the format's files."""

LOAD = """
import importlib, json, sys, time
began = time.perf_counter()
import edgekit
from edgekit.machine import read_process
bundle, runtime, context, engine = sys.argv[1:]
importlib.import_module(engine)
edgekit.load  # its modules are imported late
imported = time.perf_counter() - began
began = time.perf_counter()
model = edgekit.load(bundle, runtime=runtime, context=int(context))
loaded = time.perf_counter()
memory = vars(read_process())
model.session.forward([1])
print(json.dumps({"import": imported, "load": loaded - began, "token": time.perf_counter() - loaded, **memory}))
"""


def measure(options: Options) -> Iterator[Row]:
    """Yield what loads took, by model and runtime."""
    for (model, quantize), rounds in MODELS.items():
        if model in options.models:
            for runtime in FORMATS:
                yield _measure(model, quantize, runtime, min(rounds, options.rounds))


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of loads."""
    lines = [
        (
            row["model"],
            row["runtime"],
            *(figures.seconds(row[which]) for which in ("import", "first", "second")),
            f"{row['ratio']['median']:.2f} ({row['ratio']['low']:.2f} – {row['ratio']['high']:.2f})",
            "" if row["ratio_target"] is None else f"{row['ratio_target']:.2f}",
            figures.size(row["anonymous"]) if row["anonymous"] is not None else "unknown",
            f"{row['share']:.0%}" if row["share"] is not None else "unknown",
            "" if row["share_target"] is None else f"{row['share_target']:.0%}",
            figures.seconds(row["token"]),
            verdict(row),
        )
        for row in rows
    ]
    header = (
        *("model", "runtime", "imports", "first load", "second load", "ratio (95 %)", "at most"),
        *("anonymous memory", "of the files", "at most ", "first token", ""),
    )
    title = f"Loads in fresh processes, for a context of {CONTEXT}; memory and the first token are the second load's"
    return [Table(title, header, lines, right=tuple(range(2, 11)))]


def _measure(model: str, quantize: str, runtime: str, rounds: int) -> Row:
    path = bundle(model, quantize)
    first, second = [], []
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory(dir=CACHE) as cache:
            found = [_load(path, runtime, cache) for _ in range(2)]
        if number:  # the first time, files come from the disk
            first.append(found[0])
            second.append(found[1])
    ratio = measured([b["load"] / a["load"] for a, b in zip(first, second, strict=True)])
    anonymous = None if second[0]["anonymous"] is None else measured([load["anonymous"] for load in second]).median
    share = None if anonymous is None else anonymous / _bytes(path, runtime)
    most, part = LOAD_TARGET.get(runtime), MEMORY_TARGET.get((model, runtime))
    verdicts = [ratio.low <= most] if most is not None else []
    verdicts += [share <= part] if part is not None and share is not None else []
    return {
        "name": f"{model} {quantize} on {runtime}", "model": f"{model} {quantize}", "runtime": runtime,
        "import": measured([load["import"] for load in second]).median,
        "first": measured([load["load"] for load in first]).median,
        "second": measured([load["load"] for load in second]).median,
        "token": measured([load["token"] for load in second]).median,
        "ratio": vars(ratio), "ratio_target": most, "anonymous": anonymous, "share": share, "share_target": part,
        "met": all(verdicts) if verdicts else None,
    }  # fmt: skip


def _load(path: Path, runtime: str, cache: str) -> dict[str, Any]:
    """Load a bundle in a fresh process; what it keeps goes into `cache`."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path), runtime, str(CONTEXT), ENGINES[runtime]],
        env={**os.environ, CACHE_VARIABLE: cache, "ORT_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _bytes(path: Path, runtime: str) -> int:
    """Return the size of a format's own files, without those for other people's engines beside them."""
    manifest = Bundle.open(path).manifest
    return sum(manifest.files[name].size for name in manifest.formats[runtime].files)
