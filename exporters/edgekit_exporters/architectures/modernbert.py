"""ModernBERT: pre-norm, rotary positions, local attention in two of three layers, a gated MLP, few biases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.errors import UnsupportedError
from edgekit.spec import Attention, EncoderSpec, Head, Norm
from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.bert_like import affine, probabilities, read_attention, read_notes, task_of, with_head
from edgekit_exporters.config import Config
from edgekit_exporters.llama_like import split
from edgekit_exporters.rope import read_rope, rope_parameters
from edgekit_exporters.weights import Rows

# What training needs, or its own fused kernels.
TRAINING = (
    "initializer_cutoff_factor", "decoder_bias", "deterministic_flash_attn", "sparse_prediction",
    "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad", "embedding_dropout", "mlp_dropout",
    "layer_norm_eps", "position_embedding_type",
)  # fmt: skip


def read(config: Config, tensors: Tensors) -> EncoderModel:
    """Read a checkpoint."""
    config.assume(max_position_embeddings=8192, norm_eps=1e-5, local_attention=128)
    read_notes(config)
    config.ignore(*TRAINING)
    norm = config.norm("norm_eps", "layer")
    hidden = config.size("hidden_size")
    attention = read_attention(hidden, config.size("num_attention_heads"))
    spec = EncoderSpec(
        architecture="modernbert",
        vocab_size=config.size("vocab_size"),
        hidden_size=hidden,
        mlp_size=config.size("intermediate_size"),
        context=config.size("max_position_embeddings"),
        layers=_layers(config, attention),
        norm=norm,
        activation=config.activation("hidden_activation", default="gelu"),
        gated=True,
        pre_norm=True,
        learned_positions=False,
    )
    root = tensors.prefix("embeddings.tok_embeddings.weight", "", "model.")
    weights = _weights(config, tensors, spec, root)
    return _finish(config, tensors, spec, weights, norm)


def _layers(config: Config, attention: Attention) -> tuple[Attention, ...]:
    count = config.size("num_hidden_layers")
    types = config.choices("layer_types", count, "full_attention", "sliding_attention")
    every = config.size("global_attn_every_n_layers", 3)
    if types is None:
        types = tuple("sliding_attention" if i % every else "full_attention" for i in range(count))
    # local_attention counts both sides; a window counts one, and the position itself.
    window = config.size("local_attention") // 2 + 1
    theta = {
        "full_attention": config.number("global_rope_theta", 160000.0),
        "sliding_attention": config.number("local_rope_theta", 10000.0),
    }
    kinds = {}
    for kind, default in theta.items():
        parameters = {"rope_theta": default, **rope_parameters(config, kind)}
        parameters = {key: value for key, value in parameters.items() if key not in theta}
        rope = read_rope(config, attention.head_dim, config.size("max_position_embeddings"), parameters=parameters)
        kinds[kind] = replace(attention, rope=rope, window=window if kind == "sliding_attention" else None)
    return tuple(kinds[kind] for kind in types)


def _weights(config: Config, tensors: Tensors, spec: EncoderSpec, root: str) -> dict[str, Rows]:
    biased = {name: config.flag(name) for name in ("norm_bias", "attention_bias", "mlp_bias")}
    weights: dict[str, Rows] = {"embed.weight": tensors(f"{root}embeddings.tok_embeddings.weight")}
    affine(tensors, weights, "embed_norm", f"{root}embeddings.norm", bias=biased["norm_bias"])
    affine(tensors, weights, "norm", f"{root}final_norm", bias=biased["norm_bias"])
    for i, layer in enumerate(spec.layers):
        at, source = f"layers.{i}", f"{root}layers.{i}"
        if i:
            affine(tensors, weights, f"{at}.attention_norm", f"{source}.attn_norm", bias=biased["norm_bias"])
        affine(tensors, weights, f"{at}.mlp_norm", f"{source}.mlp_norm", bias=biased["norm_bias"])
        affine(tensors, weights, f"{at}.qkv", f"{source}.attn.Wqkv", bias=biased["attention_bias"])
        affine(tensors, weights, f"{at}.attention.o", f"{source}.attn.Wo", bias=biased["attention_bias"])
        affine(tensors, weights, f"{at}.wi", f"{source}.mlp.Wi", bias=biased["mlp_bias"])
        affine(tensors, weights, f"{at}.mlp.down", f"{source}.mlp.Wo", bias=biased["mlp_bias"])
        for end in (".weight", ".bias"):
            if f"{at}.qkv{end}" in weights:
                parts = ((f"{at}.attention.{part}{end}", layer.query_size) for part in ("q", "k", "v"))
                split(weights, f"{at}.qkv{end}", *parts)
            if f"{at}.wi{end}" in weights:
                # The first half is activated, the second multiplies it.
                parts = ((f"{at}.mlp.{part}{end}", spec.mlp_size) for part in ("gate", "up"))
                split(weights, f"{at}.wi{end}", *parts)
    return weights


def _finish(config: Config, tensors: Tensors, spec: EncoderSpec, weights: dict[str, Rows], norm: Norm) -> EncoderModel:
    task = task_of(config)
    switches = ("classifier_pooling", "classifier_activation", "classifier_bias")
    if task == "embed":
        config.ignore(*switches)
        tensors.ignore_below("head.", "decoder.")
        return EncoderModel(spec, weights)
    affine(tensors, weights, "classifier.dense", "head.dense", bias=config.flag("classifier_bias"))
    affine(tensors, weights, "classifier.norm", "head.norm", bias=config.flag("norm_bias"))
    affine(tensors, weights, "classifier", "classifier")
    labels = weights["classifier.weight"].shape[0]
    pooling: dict[Any, Any] = {"cls": "first", "mean": "mean"}
    chosen = config.get("classifier_pooling", "cls")
    if chosen not in pooling:
        raise UnsupportedError(f"config.json: classifier_pooling is {chosen!r:.200}", "supported: cls, mean")
    head = Head(
        labels=labels,
        pool=None if task == "tag" else pooling[chosen],
        activation=config.activation("classifier_activation", default="gelu"),
        norm=norm,
        probabilities="softmax" if task == "tag" else probabilities(config, labels),
    )
    return with_head(config, spec, weights, head)
