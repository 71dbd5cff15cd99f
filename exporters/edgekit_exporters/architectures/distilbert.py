"""DistilBERT: BERT's layers under other names, without token types, and with a ReLU in its classifier."""

from __future__ import annotations

from edgekit.spec import EncoderSpec, Norm
from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.bert_like import finish, read_attention, read_notes, read_weights
from edgekit_exporters.config import Config

NAMES = {
    "attention.q": "attention.q_lin",
    "attention.k": "attention.k_lin",
    "attention.v": "attention.v_lin",
    "attention.o": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "mlp.up": "ffn.lin1",
    "mlp.down": "ffn.lin2",
    "mlp_norm": "output_layer_norm",
}


def read(config: Config, tensors: Tensors) -> EncoderModel:
    """Read a checkpoint."""
    config.assume(max_position_embeddings=512, dim=768, hidden_dim=3072, n_layers=6, n_heads=12)
    root = tensors.prefix("embeddings.word_embeddings.weight", "", "distilbert.")
    read_notes(config)
    hidden = config.size("dim")
    spec = EncoderSpec(
        architecture="distilbert",
        vocab_size=config.size("vocab_size"),
        hidden_size=hidden,
        mlp_size=config.size("hidden_dim"),
        context=config.size("max_position_embeddings"),
        layers=(read_attention(hidden, config.size("n_heads")),) * config.size("n_layers"),
        norm=Norm(kind="layer", eps=1e-12),
        activation=config.activation("activation", default="gelu"),
    )
    weights = read_weights(tensors, spec, root, NAMES, "transformer.layer")
    return finish(config, tensors, spec, weights, root=root, dense=("pre_classifier", "relu"), classifier="classifier")
