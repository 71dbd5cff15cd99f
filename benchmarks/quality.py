"""Quality of the SmolLM2 bundles against what transformers computed from the unquantized weights (shared golden)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from bundles import bundle
from setting import shared

import edgekit
from edgekit.decoder import Float32
from edgekit.session import DecoderSession

TOP1 = {"none": 1.0, "int8": 0.94, "int4": 0.0}
"""At least this share of positions has the same first token; int4 has no target."""
PERPLEXITY = {"none": 0.001, "int8": 0.02, "int4": 0.08}
"""At most this relative change."""


def measure_quality() -> list[dict[str, Any]]:
    """Return top-1 agreement at every recorded position and the ratio of perplexities, by quantization."""
    golden = np.load(shared() / "golden" / "smollm2_golden.npz")
    prompts = json.loads((shared() / "golden" / "smollm2_prompts.json").read_text(encoding="utf-8"))["prompts"]
    rows = []
    for quantize in ("none", "int8", "int4"):
        hits: list[bool] = []
        with edgekit.load(bundle("smollm2", quantize), runtime="onnx") as model:
            for key in (prompt["key"] for prompt in prompts):
                logits = _logits(model.session, golden[f"{key}_ids"])
                hits += (logits.argmax(1) == golden[f"{key}_top_idx"][:, 0]).tolist()
            ids = golden["text_ids"]
            loss = _losses(_logits(model.session, ids), ids).mean()
        top1 = sum(hits) / len(hits)
        perplexity = float(np.exp(loss - golden["text_nll"].mean()))
        met = top1 >= TOP1[quantize] and perplexity <= 1 + PERPLEXITY[quantize]
        rows.append({
            "quantize": quantize, "positions": len(hits), "top1": top1, "perplexity_ratio": perplexity,
            "top1_target": TOP1[quantize], "perplexity_target": 1 + PERPLEXITY[quantize], "met": met,
        })  # fmt: skip
    return rows


def _logits(session: DecoderSession, ids: np.ndarray) -> Float32:
    session.rewind(0)
    return session.forward(ids, last=len(ids))


def _losses(logits: Float32, ids: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of each token but the first."""
    rows = logits[:-1].astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return np.log(np.exp(rows).sum(axis=1)) - rows[np.arange(len(ids) - 1), ids[1:]]
