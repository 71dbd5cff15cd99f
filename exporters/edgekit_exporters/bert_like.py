"""What most encoders share: BERT's config keys, tensor names and heads. An architecture says only where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit.spec import Activation, Attention, EncoderSpec, Head
from edgekit_exporters.architecture import EncoderModel, Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.weights import Map, Rows, Slice

LAYER_NAMES = {
    "attention.q": "attention.self.query",
    "attention.k": "attention.self.key",
    "attention.v": "attention.self.value",
    "attention.o": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}

_CLASSIFIES, _TAGS = "ForSequenceClassification", "ForTokenClassification"
_EMBEDS = ("Model", "ForMaskedLM", "ForPreTraining", "LMHeadModel")
# Parts of a checkpoint that pretraining needed.
_PRETRAINING = ("pooler.", "cls.", "lm_head.", "vocab_", "head.", "decoder.", "mlm_head.")
# Notes of older configs (multilingual BERT, DistilBERT) that nothing computes with.
_NOTES = (
    "tie_word_embeddings", "type_vocab_size", "gradient_checkpointing", "directionality", "pooler_fc_size",
    "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "output_past",
    "dropout", "tie_weights_", "sinusoidal_pos_embds", "num_labels", "use_return_dict", "return_dict",
    "attention_probs_dropout_prob", "hidden_dropout_prob",
)  # fmt: skip


def task_of(config: Config) -> str:
    """Return what a checkpoint does by its class: embed, classify or tag.

    Raises:
        UnsupportedError: something else.
    """
    named = config.get("architectures", [])
    name = str(named[0]) if isinstance(named, list) and named else "Model"
    if name.endswith(_CLASSIFIES):
        return "classify"
    if name.endswith(_TAGS):
        return "tag"
    if name.endswith(_EMBEDS):
        return "embed"
    raise UnsupportedError(
        f"config.json: {name} is neither an encoder alone nor a classifier of texts or tokens",
        f"supported: ...Model, ...{_CLASSIFIES}, ...{_TAGS}",
    )


def read_notes(config: Config) -> None:
    """Ask for what no encoder here computes with, and refuse what would make it a decoder."""
    config.require("is_decoder", value=False)
    config.ignore(*_NOTES)


def read_attention(hidden: int, heads: int) -> Attention:
    """Return the attention of every layer."""
    if hidden % heads:
        raise CheckpointError(f"config.json: {heads} heads do not divide a hidden size of {hidden}")
    head_dim = hidden // heads
    return Attention(heads=heads, kv_heads=heads, head_dim=head_dim, scale=head_dim**-0.5, causal=False)


def read_spec(config: Config, *, offset: int = 0, **differences: Any) -> EncoderSpec:  # noqa: ANN401 - fields of the spec
    """Return the spec by BERT's keys; positions begin at row `offset` of their table."""
    config.require("position_embedding_type", "absolute")
    read_notes(config)
    hidden = config.size("hidden_size")
    attention = read_attention(hidden, config.size("num_attention_heads"))
    fields: dict[str, Any] = {
        "architecture": config.get("model_type"),
        "vocab_size": config.size("vocab_size"),
        "hidden_size": hidden,
        "mlp_size": config.size("intermediate_size"),
        "context": _context(config, offset),
        "layers": (attention,) * config.size("num_hidden_layers"),
        "norm": config.norm("layer_norm_eps", "layer"),
        "activation": config.activation(default="gelu"),
        **differences,
    }
    return EncoderSpec(**fields)


def padding_offset(config: Config, default: int = 1) -> int:
    """Return where positions begin in RoBERTa's table: behind the padding token's row."""
    value = config.get("pad_token_id", default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 20:
        raise CheckpointError(f"config.json: pad_token_id is {value!r:.200}, not an id")
    return value + 1


def _context(config: Config, offset: int) -> int:
    rows = config.size("max_position_embeddings")
    if rows <= offset:
        raise CheckpointError(f"config.json: max_position_embeddings is {rows}, of which {offset} are no positions")
    return rows - offset


def read_weights(
    tensors: Tensors,
    spec: EncoderSpec,
    root: str,
    names: Mapping[str, str] = LAYER_NAMES,
    stack: str = "encoder.layer",
    offset: int = 0,
) -> dict[str, Rows]:
    """Return all weights but the head's by BERT's names below `root`."""
    weights: dict[str, Rows] = {"embed.weight": tensors(f"{root}embeddings.word_embeddings.weight")}
    weights["positions.weight"] = _positions(tensors, root, offset)
    layer_norm(tensors, weights, "embed_norm", f"{root}embeddings.LayerNorm")
    for i in range(len(spec.layers)):
        for part, name in names.items():
            source = f"{root}{stack}.{i}.{name}"
            if part.endswith("_norm"):
                layer_norm(tensors, weights, f"layers.{i}.{part}", source)
            else:
                affine(tensors, weights, f"layers.{i}.{part}", source)
    tensors.ignore("embeddings.position_ids", "embeddings.token_type_ids")
    return weights


def _positions(tensors: Tensors, root: str, offset: int) -> Rows:
    """Return the positions with the row of token type 0, the only one there is for a single text, added to each."""
    table = tensors(f"{root}embeddings.position_embeddings.weight")
    if offset:
        table = Slice(table, offset, table.shape[0])
    types_name = f"{root}embeddings.token_type_embeddings.weight"
    if types_name not in tensors:
        return table
    types = tensors(types_name)
    return Map(table, lambda rows: rows + types.read(0, 1))


def affine(tensors: Tensors, weights: dict[str, Rows], name: str, source: str, *, bias: bool = True) -> None:
    """Take a weight and its bias."""
    weights[f"{name}.weight"] = tensors(f"{source}.weight")
    if bias:
        weights[f"{name}.bias"] = tensors(f"{source}.bias")


def layer_norm(tensors: Tensors, weights: dict[str, Rows], name: str, source: str) -> None:
    """Take a layer norm, whose parts the first BERT checkpoints call gamma and beta."""
    old = f"{source}.gamma" in tensors
    weights[f"{name}.weight"] = tensors(f"{source}.{'gamma' if old else 'weight'}")
    weights[f"{name}.bias"] = tensors(f"{source}.{'beta' if old else 'bias'}")


def read_labels(config: Config, count: int) -> tuple[str, ...]:
    """Return the label of each row of a classifier.

    Raises:
        CheckpointError: id2label has another number of them, or is no mapping from 0, 1, ...
    """
    named = config.get("id2label")
    if named is None:
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(named, Mapping) or set(map(str, named)) != {str(index) for index in range(count)}:
        raise CheckpointError(f"config.json: id2label is {named!r:.200}; the classifier has {count} rows")
    return tuple(str({str(key): value for key, value in named.items()}[str(index)]) for index in range(count))


def probabilities(config: Config, labels: int) -> Any:  # noqa: ANN401 - a literal of Head
    """Return how a text's logits become probabilities: sigmoid for one alone, and where labels go together."""
    kind = config.get("problem_type")
    if kind == "regression":
        raise UnsupportedError("config.json: problem_type is 'regression'", "only labels are supported")
    return "sigmoid" if kind == "multi_label_classification" or labels == 1 else "softmax"


def finish(
    config: Config,
    tensors: Tensors,
    spec: EncoderSpec,
    weights: dict[str, Rows],
    *,
    root: str,
    dense: tuple[str, Activation],
    classifier: str,
) -> EncoderModel:
    """Add the head, if the checkpoint has one.

    Args:
        config: Says which.
        tensors: All of them.
        spec: The encoder alone.
        weights: Its weights; the head's are added.
        root: What stands in front of the encoder's tensors.
        dense: The dense layer in front of a text's classifier, and its activation.
        classifier: The classifier of texts; that of tokens is called `classifier` everywhere.
    """
    task = task_of(config)
    if task == "embed":
        tensors.ignore_below(*_PRETRAINING, *(f"{root}{part}" for part in _PRETRAINING))
        return EncoderModel(spec, weights)
    if task == "classify":
        affine(tensors, weights, "classifier.dense", dense[0])
    source = classifier if task == "classify" else "classifier"
    affine(tensors, weights, "classifier", source)
    # A classifier's checkpoint may carry the pooler that only the other kind of classifier uses.
    tensors.ignore_below(f"{root}pooler.")
    labels = weights["classifier.weight"].shape[0]
    head = (
        Head(labels=labels, activation=dense[1], probabilities=probabilities(config, labels))
        if task == "classify"
        else Head(labels=labels, pool=None)
    )
    return with_head(config, spec, weights, head)


def with_head(config: Config, spec: EncoderSpec, weights: dict[str, Rows], head: Head) -> EncoderModel:
    """Return an encoder with a head and its labels."""
    return EncoderModel(replace(spec, head=head), weights, read_labels(config, head.labels))
