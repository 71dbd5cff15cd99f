"""XLM-RoBERTa: RoBERTa with a vocabulary of many languages (multilingual E5, BGE-M3, paraphrase-multilingual)."""

from __future__ import annotations

from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.bert_like import finish, padding_offset, read_spec, read_weights
from edgekit_exporters.config import Config


def read(config: Config, tensors: Tensors) -> EncoderModel:
    """Read a checkpoint."""
    config.assume(layer_norm_eps=1e-12, max_position_embeddings=512)
    # Its transformers class kept the prefix of RoBERTa.
    root = tensors.prefix("embeddings.word_embeddings.weight", "", "roberta.", "xlm_roberta.")
    offset = padding_offset(config)
    spec = read_spec(config, offset=offset)
    weights = read_weights(tensors, spec, root, offset=offset)
    return finish(
        config, tensors, spec, weights, root=root, dense=("classifier.dense", "tanh"), classifier="classifier.out_proj"
    )
