"""Quality of the SmolLM2 bundles against what transformers computed from the unquantized weights (shared golden)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from bundles import bundle
from part import Options, Row, Table, verdict
from setting import shared

import edgekit
from edgekit.decoder import Float32
from edgekit.session import CHUNK, DecoderSession

ORDER = 30
TOP1 = {"none": 1.0, "int8": 0.94, "int4": 0.0}
"""At least this share of positions has the same first token; int4 has no target."""
PERPLEXITY = {"none": 0.001, "int8": 0.02, "int4": 0.08}
"""At most this relative change."""


def measure(options: Options) -> Iterator[Row]:
    """Compare top-1 agreement at every recorded position and the perplexity, by quantization."""
    if "smollm2" not in options.models:
        return
    golden = np.load(shared() / "golden" / "smollm2_golden.npz")
    prompts = json.loads((shared() / "golden" / "smollm2_prompts.json").read_text(encoding="utf-8"))["prompts"]
    for quantize in ("none", "int8", "int4"):
        hits: list[bool] = []
        with edgekit.load(bundle("smollm2", quantize), runtime="onnx") as model:
            for key in (prompt["key"] for prompt in prompts):
                logits = _logits(model.session, golden[f"{key}_ids"])
                hits += (logits.argmax(1) == golden[f"{key}_top_idx"][:, 0]).tolist()
            loss = _loss(model.session, golden["text_ids"])
        top1 = sum(hits) / len(hits)
        perplexity = float(np.exp(loss - golden["text_nll"].mean()))
        met = top1 >= TOP1[quantize] and perplexity <= 1 + PERPLEXITY[quantize]
        yield {
            "name": f"smollm2 {quantize}", "positions": len(hits), "top1": top1, "perplexity_ratio": perplexity,
            "top1_target": TOP1[quantize], "perplexity_target": 1 + PERPLEXITY[quantize], "met": met,
        }  # fmt: skip


def tables(rows: list[Row]) -> list[Table]:
    """Return the one table of losses."""
    lines = [
        (
            row["name"],
            f"{row['top1']:.3f}",
            f"{row['top1_target']:.2f}" if row["top1_target"] else "none",
            f"{row['perplexity_ratio'] - 1:+.2%}",
            f"{row['perplexity_target'] - 1:+.2%}",
            verdict(row),
        )
        for row in rows
    ]
    header = ("quantization", "top-1", "target", "perplexity", "target ", "")
    return [Table("Against transformers in float32", header, lines, right=(1, 2, 3, 4))]


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
