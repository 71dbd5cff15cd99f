"""What GPT-2 and its kin share: learned positions, layer norms with biases, a plain MLP, one head size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.errors import CheckpointError
from edgekit.spec import Attention, DecoderSpec
from edgekit_exporters.architecture import Tensors
from edgekit_exporters.config import Config
from edgekit_exporters.weights import Rows


def read_attention(hidden: int, heads: int) -> Attention:
    """Return attention with as many key/value heads as heads, together as wide as the model."""
    if hidden % heads:
        raise CheckpointError(f"config.json: {hidden} elements cannot be cut into {heads} heads")
    head_dim = hidden // heads
    return Attention(heads=heads, kv_heads=heads, head_dim=head_dim, scale=head_dim**-0.5)


def read_spec(config: Config, layers: tuple[Attention, ...], **sizes: Any) -> DecoderSpec:  # noqa: ANN401
    """Return the spec; `sizes` are the fields whose keys differ between the families."""
    config.assume(tie_word_embeddings=True, layer_norm_epsilon=1e-5)
    return DecoderSpec(
        architecture=config.get("model_type"),
        vocab_size=config.size("vocab_size"),
        layers=layers,
        norm=config.norm("layer_norm_epsilon", kind="layer"),
        activation=config.activation("activation_function", "gelu_new"),
        gated=False,
        learned_positions=True,
        tied=config.flag("tie_word_embeddings"),
        **sizes,
    )


def read_weights(
    tensors: Tensors, spec: DecoderSpec, names: Mapping[str, str], biased: tuple[str, ...]
) -> dict[str, Rows]:
    """Return all weights; `names` are a layer's parts below `h.N`, of which `biased` have a bias."""
    root = tensors.prefix("wte.weight", "transformer.", "")
    weights = {
        "embed.weight": tensors(f"{root}wte.weight"),
        "positions.weight": tensors(f"{root}wpe.weight"),
        "norm.weight": tensors(f"{root}ln_f.weight"),
        "norm.bias": tensors(f"{root}ln_f.bias"),
    }
    for i in range(len(spec.layers)):
        for part, name in names.items():
            weights[f"layers.{i}.{part}.weight"] = tensors(f"{root}h.{i}.{name}.weight")
            if part in biased:
                weights[f"layers.{i}.{part}.bias"] = tensors(f"{root}h.{i}.{name}.bias")
    if spec.tied:
        tensors.ignore("lm_head.weight")
    else:
        weights["head.weight"] = tensors("lm_head.weight")
    return weights
