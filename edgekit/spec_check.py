"""Reads the spec of a bundle and refuses one that no model can have, before anything is allocated by its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from edgekit.spec import Attention, DecoderSpec, EncoderSpec, GraphSpec, Head, Norm, Rope
from edgekit.strict_json import show

if TYPE_CHECKING:
    from edgekit.strict_json import Reader

# Far above any published model, far below what would exhaust memory or overflow an engine's 32-bit sizes.
LIMITS = {"vocab_size": 1 << 24, "hidden_size": 1 << 20, "mlp_size": 1 << 22, "context": 1 << 28}
ATTENTION_LIMITS = {"heads": 1 << 14, "kv_heads": 1 << 14, "head_dim": 1 << 14}
MAX_LAYERS = 1 << 12
MAX_LABELS = 1 << 20
MAX_PARAMETERS = 1 << 48


Spec = TypeVar("Spec", DecoderSpec, EncoderSpec)


def read_decoder_spec(reader: Reader, data: object, at: str = "spec") -> DecoderSpec:
    """Return the decoder spec that `DecoderSpec.to_json` wrote.

    Raises:
        BundleError: a wrong type or key, or numbers that contradict each other; the message names file and field.
    """
    spec = _read(reader, DecoderSpec, data, at)
    _check_decoder(reader, spec, at)
    return spec


def read_encoder_spec(reader: Reader, data: object, at: str = "spec") -> EncoderSpec:
    """Return the encoder spec that `EncoderSpec.to_json` wrote.

    Raises:
        BundleError: as `read_decoder_spec`.
    """
    spec = _read(reader, EncoderSpec, data, at)
    _check_shared(reader, spec, at)
    for number, layer in enumerate(spec.layers):
        if layer.causal or (layer.rope is not None and layer.rope.border is not None):
            reader.refuse(f"{at}.layers[{number}]", "is an attention that only decoders have")
    _check_head(reader, spec.head, at)
    if spec.head is not None and spec.head.pool == "other":
        reader.refuse(f"{at}.head.pool", "is 'other', which only graphs of other exporters have")
    return spec


def read_graph_spec(reader: Reader, data: object, at: str = "spec") -> GraphSpec:
    """Return the spec of another exporter's graph that `GraphSpec.to_json` wrote.

    Raises:
        BundleError: as `read_decoder_spec`.
    """
    spec = GraphSpec(**reader.fields(GraphSpec, data, at))
    for name in ("vocab_size", "hidden_size", "context"):
        _check_count(reader, getattr(spec, name), LIMITS[name], f"{at}.{name}")
    _check_count(reader, spec.parameters, MAX_PARAMETERS, f"{at}.parameters")
    if not spec.architecture:
        reader.refuse(f"{at}.architecture", "is empty")
    _check_head(reader, spec.head, at)
    return spec


def _check_head(reader: Reader, head: Head | None, at: str) -> None:
    if head is not None:
        _check_count(reader, head.labels, MAX_LABELS, f"{at}.head.labels")
        if head.norm is not None:
            _check_norm(reader, head.norm, f"{at}.head.norm")


def _read(reader: Reader, kind: type[Spec], data: object, at: str) -> Spec:
    """Return a spec whose fields have the right types and whose layers are sound."""
    values = reader.mapping(data, at)
    for name in ("attention", "layers"):
        if name not in values:
            reader.refuse(f"{at}.{name}", "is missing")
    kinds = reader.build(tuple[Attention, ...], values["attention"], f"{at}.attention")
    layers = reader.build(tuple[int, ...], values["layers"], f"{at}.layers")
    if not 0 < len(layers) <= MAX_LAYERS:
        reader.refuse(f"{at}.layers", f"has {len(layers)} entries, expected 1 to {MAX_LAYERS}")
    for index, layer in enumerate(layers):
        if not 0 <= layer < len(kinds):
            reader.refuse(f"{at}.layers[{index}]", f"is {layer}, but there are {len(kinds)} kinds of attention")
    rest = {name: value for name, value in values.items() if name != "attention"}
    reader.fields(kind, rest, at, frozenset({"layers"}))
    spec = _from_json(reader, kind, values, at)
    for number, attention in enumerate(kinds):
        _check_attention(reader, attention, f"{at}.attention[{number}]")
    return spec


def _from_json(reader: Reader, kind: type[Spec], values: dict[str, Any], at: str) -> Spec:
    try:
        return kind.from_json(values)
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        reader.refuse(at, f"is no {'decoder' if kind is DecoderSpec else 'encoder'} spec: {error}")


def _check_shared(reader: Reader, spec: DecoderSpec | EncoderSpec, at: str) -> None:
    for name, limit in LIMITS.items():
        _check_count(reader, getattr(spec, name), limit, f"{at}.{name}")
    if not spec.architecture:
        reader.refuse(f"{at}.architecture", "is empty")
    _check_norm(reader, spec.norm, f"{at}.norm")


def _check_decoder(reader: Reader, spec: DecoderSpec, at: str) -> None:
    _check_shared(reader, spec, at)
    for name in ("embedding_scale", "residual_scale", "logit_scale"):
        if getattr(spec, name) == 0:
            reader.refuse(f"{at}.{name}", "is 0, which would erase what it multiplies")
    if spec.logit_softcap is not None:
        _check_positive(reader, spec.logit_softcap, f"{at}.logit_softcap")


def _check_attention(reader: Reader, attention: Attention, at: str) -> None:
    for name, limit in ATTENTION_LIMITS.items():
        _check_count(reader, getattr(attention, name), limit, f"{at}.{name}")
    if attention.heads % attention.kv_heads:
        reader.refuse(f"{at}.heads", f"is {attention.heads}, no multiple of the {attention.kv_heads} kv_heads")
    _check_positive(reader, attention.scale, f"{at}.scale")
    if attention.window is not None:
        _check_count(reader, attention.window, LIMITS["context"], f"{at}.window")
    if attention.softcap is not None:
        _check_positive(reader, attention.softcap, f"{at}.softcap")
    if attention.qk_norm is not None:
        _check_norm(reader, attention.qk_norm, f"{at}.qk_norm")
    elif attention.qk_norm_by_head:
        reader.refuse(f"{at}.qk_norm_by_head", "is true, but there is no qk_norm")
    if attention.rope is not None:
        _check_rope(reader, attention.rope, attention.head_dim, f"{at}.rope")


def _check_rope(reader: Reader, rope: Rope, head_dim: int, at: str) -> None:
    if head_dim % 2:
        reader.refuse(at, f"turns pairs, but head_dim is {head_dim}")
    for name in ("frequencies", "long_frequencies"):
        values = getattr(rope, name)
        if values is None:
            continue
        if len(values) != head_dim // 2:
            reader.refuse(f"{at}.{name}", f"has {len(values)} entries, expected head_dim / 2 = {head_dim // 2}")
        if min(values) < 0:
            reader.refuse(f"{at}.{name}", f"holds {min(values)}, expected frequencies of at least 0")
    _check_positive(reader, rope.scale, f"{at}.scale")
    if (rope.border is None) != (rope.long_frequencies is None):
        reader.refuse(f"{at}.border", f"is {show(rope.border)}: border and long_frequencies belong together")
    if rope.border is not None:
        _check_count(reader, rope.border, LIMITS["context"], f"{at}.border")


def _check_norm(reader: Reader, norm: Norm, at: str) -> None:
    if not 0 <= norm.eps < 1:
        reader.refuse(f"{at}.eps", f"is {norm.eps}, expected 0 to 1")


def _check_count(reader: Reader, value: int, limit: int, at: str) -> None:
    if not 0 < value <= limit:
        reader.refuse(at, f"is {show(value)}, expected 1 to {limit}")


def _check_positive(reader: Reader, value: float, at: str) -> None:
    if not value > 0:
        reader.refuse(at, f"is {value}, expected a number above 0")
