"""`make bench`: memory and time of exports, speed beside onnxruntime-genai, quality; says plainly what is missed.

It needs a package index (for SmolLM2 and onnxruntime-genai), 20 GB of disk under the cache folder and a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from memory import measure_memory
from quality import measure_quality
from setting import describe
from speed import measure_speed

from edgekit.cli import figures
from edgekit.cli.tables import print_table

PARTS = ("memory", "speed", "quality")
MODELS = ("smollm2", "phi3")
RESULTS = Path(__file__).resolve().parent / "results.json"


def main() -> int:
    options = _options()
    results: dict[str, Any] = {"machine": describe()}
    missed: list[str] = []
    for part in options.only or PARTS:
        if part == "memory":
            results[part] = rows = measure_memory(options.model or MODELS)
            _show_memory(rows)
        elif part == "speed":
            models = options.model or MODELS
            results[part] = rows = measure_speed(models, options.rounds, options.threads, options.clock)
            _show_speed(rows)
        else:
            results[part] = rows = measure_quality()
            _show_quality(rows)
        missed += [f"{part}: {_name(row)}" for row in rows if not row["met"]]
        RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print("Every target is met." if not missed else "MISSED: " + "; ".join(missed))
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--model", action="append", choices=MODELS, help="this model; may be given again")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds of the speed measurement")
    parser.add_argument("--threads", type=int, help="threads of both engines (default: the physical cores)")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor: for a busy machine, with --threads 1"
    )
    return parser.parse_args()


def _name(row: dict[str, Any]) -> str:
    return " ".join(str(row[key]) for key in ("model", "quantize", "phase") if key in row)


def _verdict(row: dict[str, Any]) -> str:
    return "pass" if row["met"] else "fail"


def _show_memory(rows: list[dict[str, Any]]) -> None:
    print_table(
        "Export to ONNX, in a fresh process",
        ("model", "peak memory", "target", "time", ""),
        [
            (
                _name(row),
                figures.size(row["peak_bytes"]),
                figures.size(row["target_bytes"]),
                figures.seconds(row["seconds"]),
                _verdict(row),
            )
            for row in rows
        ],
        right=(1, 2, 3),
    )


def _show_speed(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    first = rows[0]
    print_table(
        f"int4 on onnxruntime, {first['threads']} threads, {first['clock']} time, {first['ratio']['rounds']} rounds",
        ("model", "edgekit", "genai", "ratio", "95 % interval", "target", ""),
        [
            (
                f"{_name(row)} {row['prompt_tokens' if row['phase'] == 'prefill' else 'new_tokens']}",
                *(figures.rate(row["tokens_per_second"][name]) for name in ("edgekit", "genai")),
                f"{row['ratio']['median']:.3f}",
                f"{row['ratio']['low']:.3f} – {row['ratio']['high']:.3f}",
                f"{row['target']}",
                _verdict(row),
            )
            for row in rows
        ],
        right=(1, 2, 3, 4, 5),
    )
    for model, noise in {row["model"]: row["noise"] for row in rows}.items():
        print(f"The machine while {model} ran was {noise}.")


def _show_quality(rows: list[dict[str, Any]]) -> None:
    print_table(
        "SmolLM2 against transformers in float32",
        ("quantization", "top-1", "target", "perplexity", "target ", ""),
        [
            (
                row["quantize"],
                f"{row['top1']:.3f}",
                f"{row['top1_target']:.2f}" if row["top1_target"] else "none",
                f"{row['perplexity_ratio'] - 1:+.2%}",
                f"{row['perplexity_target'] - 1:+.2%}",
                _verdict(row),
            )
            for row in rows
        ],
        right=(1, 2, 3, 4),
    )


if __name__ == "__main__":
    sys.exit(main())
