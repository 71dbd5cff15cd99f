"""Knowledge bases: how fast 100,000 chunks are searched, what Faiss overlooks, and how a FAQ is answered."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bundles import bundle
from part import Options, Row, Table, verdict
from setting import ROOT

from edgekit.cli.statistics import measured

ORDER = 80
RECALL = 0.98
CITED = 0.9
DECLINED = 1.0
NEAREST = 10
FAQ = ROOT / "examples" / "faq" / "measure.py"


def measure(options: Options) -> Iterator[Row]:
    """Search, and then ask."""
    with tempfile.TemporaryDirectory() as folder:
        if "minilm" in options.models:
            yield from _searches(Path(folder, "kb"), options.rounds)
        if {"minilm", "smollm2"} <= {*options.models}:
            yield from _answers(Path(folder, "faq"))


def tables(rows: list[Row]) -> list[Table]:
    """Return a table of times and one of answers."""
    searches = [
        (row["name"], f"{row['milliseconds']:.2f} ms", f"{row['ratio']:.1f}", _share(row["recall"]), verdict(row))
        for row in rows
        if "milliseconds" in row
    ]
    answers = [
        (row["name"], str(row["questions"]), _share(row["share"]), _share(row["target"]), verdict(row))
        for row in rows
        if "share" in row
    ]
    found = []
    if searches:
        header = ("one query", "median", "times as fast as numpy", "recall@10", "")
        found.append(Table("100,000 chunks", header, searches, right=(1, 2, 3)))
    if answers:
        header = ("a FAQ of 50 entries", "questions", "share", "target", "")
        found.append(Table("MiniLM and SmolLM2 in int8", header, answers, right=(1, 2, 3)))
    return found


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _searches(folder: Path, rounds: int) -> Iterator[Row]:
    """Yield a row for each way to search: those of vectors alone, and whole searches with words and texts."""
    from knowledge_base import large

    import edgekit
    from edgekit.knowledge.nearest import nearest
    from edgekit.knowledge.searching import find

    with edgekit.load(bundle("minilm", "int8", 256), runtime="onnx") as model:
        made = large(folder, model)
        contents = made.base._contents
        contents.build_index()
        with contents.snapshot() as found:
            vectors, removed, index = found.vectors, found.removed, found.index
        places = iter(range(1 << 30))

        def next_query() -> int:
            return next(places) % len(made.queries)

        ways: dict[str, Callable[[int], Any]] = {
            "plain numpy scan": lambda at: np.argsort(-(vectors @ made.vectors[at]))[:NEAREST],
            "vectors, every one": lambda at: nearest(vectors, removed, made.vectors[at], NEAREST)[0],
            "vectors, Faiss": lambda at: nearest(vectors, removed, made.vectors[at], NEAREST, index)[0],
            "search, Faiss": lambda at: find(contents, made.queries[at], made.vectors[at], NEAREST),
            "embed and search, Faiss": lambda at: made.base.search(made.queries[at], NEAREST),
        }
        seconds = _timed(ways, next_query, 10 * rounds)
        exact = [{*ways["vectors, every one"](at).tolist()} for at in range(len(made.queries))]
        hits = [len({*ways["vectors, Faiss"](at).tolist()} & exact[at]) / NEAREST for at in range(len(made.queries))]
        made.base.close()
    plain = measured(seconds["plain numpy scan"]).median
    for name, values in seconds.items():
        recall = float(np.mean(hits)) if name == "vectors, Faiss" else None
        median = measured(values).median
        yield {
            "name": name,
            "milliseconds": 1000 * median,
            "ratio": plain / median,
            "recall": recall,
            "met": None if recall is None else recall >= RECALL,
        }


def _timed(ways: dict[str, Callable[[int], Any]], query: Callable[[], int], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way, by turns with the same query; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        at = query()
        for name, way in ways.items():
            began = time.perf_counter()
            way(at)
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _answers(folder: Path) -> Iterator[Row]:
    """Yield a row for the held-out questions from inside, and one for those from outside."""
    import edgekit
    from edgekit.knowledge import KnowledgeBase

    faq = _faq()
    document, (questions, _) = faq.HELD_OUT
    with (
        KnowledgeBase.create(folder, bundle("minilm", "int8", 256), runtime="onnx") as base,
        edgekit.load(bundle("smollm2", "int8"), runtime="onnx", context=1024) as model,
    ):
        base.add(document)
        for kind, figure, target in (("inside", "cited first", CITED), ("outside", "declined", DECLINED)):
            counts = faq.count(faq.ask(base, faq.read([questions], [kind]), model), base.threshold)
            share = counts[figure] / counts["questions"]
            what = "the right entry is cited" if kind == "inside" else "declined"
            yield {
                "name": f"from {kind}: {what}",
                **counts,
                "share": share,
                "target": target,
                "met": share >= target,
            }


def _faq() -> Any:  # noqa: ANN401 - a script beside the FAQ
    spec = importlib.util.spec_from_file_location("faq_measure", FAQ)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
