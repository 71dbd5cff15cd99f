"""A car's dashboard that is told what to do: for each line of standard input, one line of JSON on standard output.

    edgekit export examples/car_assistant -o car.edge
    python examples/car_assistant/assistant.py car.edge

What an answer took is told on standard error, so that a program can read the answers alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import edgekit
from edgekit import energy

SCHEMA = Path(__file__).with_name("dashboard.schema.json")
"""What the dashboard can do: every function with its arguments."""

LONGEST, MAX_TOKENS = 200, 40
"""Bytes of what is listened to, and tokens of an answer: no command has as many."""


def main() -> int:
    """Answer every line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="what `edgekit export` wrote")
    parser.add_argument("--runtime", default="auto", help="onnx, openvino or tflite")
    parser.add_argument("--free", action="store_true", help="do not hold the answers to the schema")
    options = parser.parse_args()
    schema = None if options.free else json.loads(SCHEMA.read_text(encoding="utf-8"))
    seconds, joules = [], []
    try:
        with edgekit.load(options.bundle, runtime=options.runtime) as model:
            tell(f"Ready on {model.runtime}. Say what the car should do; the end of the input ends it.")
            for line in filter(None, map(str.strip, sys.stdin)):
                heard = line.encode()[:LONGEST].decode(errors="ignore")
                with energy.meter() as meter:
                    began = time.perf_counter()
                    text = model.generate(heard, max_tokens=MAX_TOKENS, schema=schema).text
                    seconds.append(time.perf_counter() - began)
                print(text, flush=True)
                if meter.joules is not None:
                    joules.append(meter.joules)
                tell(f"  {seconds[-1] * 1e3:.1f} ms, {in_joules(meter.joules)}")
    except edgekit.EdgekitError as error:
        tell(f"{error.message}\n{error.hint or ''}")
        return 1
    if seconds:
        tell(f"{len(seconds)} commands, {statistics.median(seconds) * 1e3:.1f} ms at the median")
        tell(f"{in_joules(statistics.fmean(joules))} each" if joules else f"joules not measurable here: {meter.reason}")
    return 0


def in_joules(joules: float | None) -> str:
    """Return an energy as text."""
    return "joules not measurable here" if joules is None else f"{joules:.3f} J"


def tell(text: str) -> None:
    """Print to whoever watches."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
