"""MPNet: BERT's layers with RoBERTa's positions and, for all layers, one bias of the scores by distance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.bert_like import LAYER_NAMES, finish, read_spec, read_weights
from edgekit_exporters.config import Config
from edgekit_exporters.weights import Take

NAMES = {
    **LAYER_NAMES,
    "attention.q": "attention.attn.q",
    "attention.k": "attention.attn.k",
    "attention.v": "attention.attn.v",
    "attention.o": "attention.attn.o",
    "attention_norm": "attention.LayerNorm",
}

OFFSET = 2
"""Rows of the position table in front of position 0, whatever the config's padding token is."""
BUCKETS = 32
"""Transformers computes with this many whatever the config says."""
MAX_DISTANCE = 128
"""Tokens further away than this share the last bucket."""


def read(config: Config, tensors: Tensors) -> EncoderModel:
    """Read a checkpoint."""
    config.assume(layer_norm_eps=1e-12, max_position_embeddings=512)
    config.require("relative_attention_num_buckets", BUCKETS)
    root = tensors.prefix("embeddings.word_embeddings.weight", "", "mpnet.")
    spec = read_spec(config, offset=OFFSET, relative_bias=True)
    weights = read_weights(tensors, spec, root, NAMES, offset=OFFSET)
    table = tensors(f"{root}encoder.relative_attention_bias.weight")
    distances = np.arange(1 - spec.context, spec.context)
    weights["relative_bias.weight"] = Take(table, buckets(distances))
    return finish(
        config, tensors, spec, weights, root=root, dense=("classifier.dense", "tanh"), classifier="classifier.out_proj"
    )


def buckets(distances: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bucket of each distance of a seen token from the one that sees it.

    Half of the buckets are for tokens behind. Of each half, the first half are single distances and the others grow
    logarithmically up to `MAX_DISTANCE` (T5, Raffel et al., 2020, arXiv 1910.10683).
    """
    half = BUCKETS // 2
    exact = half // 2
    far = np.abs(distances)
    # In float32, as transformers does: a border between buckets must not move by rounding.
    ratio = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact)) / np.float32(
        math.log(MAX_DISTANCE / exact)
    )
    grown = np.minimum(exact + (ratio * (half - exact)).astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(far < exact, far, grown)
