"""BERT and what was distilled from it in the same form: MiniLM, BGE, E5, GTE, TinyBERT."""

from __future__ import annotations

from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.bert_like import finish, read_spec, read_weights
from edgekit_exporters.config import Config


def read(config: Config, tensors: Tensors) -> EncoderModel:
    """Read a checkpoint."""
    config.assume(layer_norm_eps=1e-12, max_position_embeddings=512)
    root = tensors.prefix("embeddings.word_embeddings.weight", "", "bert.")
    spec = read_spec(config)
    weights = read_weights(tensors, spec, root)
    return finish(
        config, tensors, spec, weights, root=root, dense=(f"{root}pooler.dense", "tanh"), classifier="classifier"
    )
