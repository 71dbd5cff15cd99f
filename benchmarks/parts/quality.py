"""Quality of the SmolLM2 bundles against what transformers computed from the unquantized weights (shared golden)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from bundles import FORMATS, bundle
from part import Options, Row, Table, verdict
from setting import shared

import edgekit
from edgekit.decoder import Float32
from edgekit.session import CHUNK, DecoderSession

ORDER = 30
TOP1 = {
    **{(runtime, "none"): 1.0 for runtime in FORMATS},
    ("onnx", "int8"): 0.94,
    ("openvino", "int8"): 0.92,
    ("tflite", "int8"): 0.90,
    ("tflite", "int4"): 133 / 192,
}
"""At least this share of positions has the same first token; the rest has no target."""
PERPLEXITY = {
    **{(runtime, "none"): 0.001 for runtime in FORMATS},
    ("onnx", "int8"): 0.02,
    ("openvino", "int8"): 0.03,
    ("tflite", "int8"): 0.03,
    ("onnx", "int4"): 0.08,
    ("openvino", "int4"): 0.08,
}
"""At most this relative change; the rest has no target."""


def measure(options: Options) -> Iterator[Row]:
    """Compare top-1 agreement at every recorded position and the perplexity, by quantization and runtime."""
    if "smollm2" in options.models:
        for quantize in ("none", "int8", "int4"):
            for runtime in FORMATS:
                yield _measure(quantize, runtime)


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of losses."""
    lines = [
        (
            row["quantize"],
            row["runtime"],
            f"{row['top1']:.3f}",
            "" if row["top1_target"] is None else f"{row['top1_target']:.3f}",
            f"{row['perplexity_ratio'] - 1:+.2%}",
            "" if row["perplexity_target"] is None else f"{row['perplexity_target'] - 1:+.2%}",
            verdict(row),
        )
        for row in rows
    ]
    header = ("quantization", "runtime", "top-1", "target", "perplexity", "target ", "")
    title = f"SmolLM2 against transformers in float32, {rows[0]['positions']} positions"
    return [Table(title, header, lines, right=(2, 3, 4, 5))]


def _measure(quantize: str, runtime: str) -> Row:
    golden = np.load(shared() / "golden" / "smollm2_golden.npz")
    prompts = json.loads((shared() / "golden" / "smollm2_prompts.json").read_text(encoding="utf-8"))["prompts"]
    hits: list[bool] = []
    with edgekit.load(bundle("smollm2", quantize), runtime=runtime) as model:
        for key in (prompt["key"] for prompt in prompts):
            logits = _logits(model.session, golden[f"{key}_ids"])
            hits += (logits.argmax(1) == golden[f"{key}_top_idx"][:, 0]).tolist()
        loss = _loss(model.session, golden["text_ids"])
    top1, least = sum(hits) / len(hits), TOP1.get((runtime, quantize))
    perplexity, change = float(np.exp(loss - golden["text_nll"].mean())), PERPLEXITY.get((runtime, quantize))
    most = None if change is None else 1 + change
    return {
        "name": f"smollm2 {quantize} on {runtime}", "quantize": quantize, "runtime": runtime, "positions": len(hits),
        "top1": top1, "top1_target": least, "perplexity_ratio": perplexity, "perplexity_target": most,
        "met": (least is None or top1 >= least) and (most is None or perplexity <= most),
    }  # fmt: skip


def _logits(session: DecoderSession, ids: np.ndarray) -> Float32:
    session.rewind(0)
    return session.forward(ids, last=len(ids))


def _loss(session: DecoderSession, ids: np.ndarray) -> float:
    """Return the mean negative log-likelihood of each token but the first, computed in the session's own chunks."""
    session.rewind(0)
    total = 0.0
    for start in range(0, len(ids) - 1, CHUNK):
        inputs, targets = ids[start : start + CHUNK], ids[start + 1 : start + CHUNK + 1]
        logits = session.forward(inputs, last=len(inputs))[: len(targets)]
        logits -= logits.max(axis=1, keepdims=True)
        sums = np.exp(logits).sum(axis=1, dtype=np.float64)
        total += float((np.log(sums) - logits[np.arange(len(targets)), targets]).sum())
    return total / (len(ids) - 1)
