"""One pass over a checkpoint fills every format: each row block is read once, quantized once per encoding, written.

A format records its graph first and leaves slots. A slot says which weight it holds, in which encoding, and how a
block of encoded rows is written.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from edgekit.progress import Progress
from edgekit_exporters.quantization import Encoded, Encoding, encode
from edgekit_exporters.weights import Float32, Rows, Weights


@dataclass(frozen=True)
class Slot:
    """A place for one weight in one file."""

    weight: str
    encoding: Encoding
    write: Callable[[int, Encoded], None]
    """Writes encoded rows, the first of which has this number; called from several threads, in any order."""


def fill(
    weights: Weights, slots: Iterable[Slot], progress: Progress, importance: Mapping[str, Float32] | None = None
) -> frozenset[tuple[str, Encoding]]:
    """Read every weight that has a slot, in the order of `weights`, and write it where it belongs.

    Peak memory is a few row blocks per thread, whatever the size of the model. `importance` says, by weight, where
    rounding errors count (see `calibration.py`).

    Returns:
        The weights and encodings in which values were carried over as the source has them, not rounded.
    """
    wanted: dict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        wanted[slot.weight].append(slot)
    order = [name for name in weights if name in wanted]
    progress.start("quantize and write", sum(_bytes(weights[name]) for name in order))
    threads = min(4, os.cpu_count() or 1)
    pending: set[Future[int]] = set()
    rounded: set[tuple[str, Encoding]] = set()
    pool = ThreadPoolExecutor(threads)
    try:
        for name in order:
            for start, stop in weights[name].blocks():
                # One block waits while each thread has one: more would only be memory.
                if len(pending) > threads:
                    pending = _collect(pending, progress)
                task = (weights[name], start, stop, wanted[name], (importance or {}).get(name), rounded)
                pending.add(pool.submit(_write, *task))
        while pending:
            pending = _collect(pending, progress)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        progress.finish()
    return frozenset((slot.weight, slot.encoding) for own in wanted.values() for slot in own) - rounded


def _write(
    rows: Rows,
    start: int,
    stop: int,
    slots: list[Slot],
    importance: Float32 | None,
    rounded: set[tuple[str, Encoding]],
) -> int:
    block: Float32 | None = None
    encoded: dict[Encoding, Encoded] = {}
    for slot in slots:
        found = encoded.get(slot.encoding) or rows.encoded(slot.encoding, start, stop)
        if found is None:
            rounded.add((slot.weight, slot.encoding))
            block = rows.read(start, stop) if block is None else block
            found = encode(block, slot.encoding, importance)
        encoded[slot.encoding] = found
        slot.write(start, found)
    return _bytes(rows) // rows.shape[0] * (stop - start)


def _collect(pending: set[Future[int]], progress: Progress) -> set[Future[int]]:
    done, rest = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        progress.advance(future.result())
    return rest


def _bytes(rows: Rows) -> int:
    count = 4
    for size in rows.shape:
        count *= size
    return count
