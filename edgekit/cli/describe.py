"""What a bundle is, as facts for people and as JSON: shared by export, inspect and demo."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, cast

from edgekit import registry
from edgekit.cli import figures
from edgekit.spec import GraphSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.bundle import Bundle
    from edgekit.classification.classifier import Figures
    from edgekit.decoder import FormedRuntime
    from edgekit.manifest import FormatEntry, Manifest
    from edgekit.spec import DecoderSpec, EncoderSpec

    Spec = DecoderSpec | EncoderSpec | GraphSpec

Fact = tuple[str, str]

MEASURED = {
    "cross_validation": "Cross-validation: texts judged by heads that have not seen them",
    "calibration": "The texts it was calibrated on",
    "test": "The test file",
}
LABELS = 10
"""Labels that are shown."""


def parameter_count(spec: Spec) -> int:
    """Return the number of parameters, without biases where they can be told apart."""
    if isinstance(spec, GraphSpec):
        return spec.parameters
    shapes: dict[str, tuple[int, ...]] = registry.call("architecture", "weight_shapes", spec)
    return sum(math.prod(shape) for shape in shapes.values())


def bundle_size(bundle: Bundle) -> int:
    """Return the bytes of all files that the manifest lists."""
    return sum(entry.size for entry in bundle.manifest.files.values())


def format_size(bundle: Bundle, entry: FormatEntry) -> int:
    """Return the bytes of one format's files."""
    return sum(bundle.manifest.files[name].size for name in entry.files)


def bundle_facts(bundle: Bundle) -> list[Fact]:
    """Return what a person wants to know of a bundle."""
    manifest, spec = bundle.manifest, bundle.manifest.spec
    return [
        ("name", manifest.name),
        ("task", manifest.task),
        ("labels", labels_in_words(manifest.labels)),
        *spec_facts(manifest.architecture, spec),
        ("quantization", manifest.quantization.get("mode", "unknown")),
        *((f"  {kind.replace('.', ' ')}", how) for kind, how in manifest.quantization.items() if kind != "mode"),
        *((f"format {name}", _reach(bundle, name)) for name in manifest.formats),
        ("size in all", figures.size(bundle_size(bundle))),
        ("tokenizer", "yes" if bundle.tokenizer_path() else "no: driven by token ids"),
        ("chat template", "yes" if bundle.chat_template() else "no"),
        ("source", manifest.source.id + (f" at {manifest.source.revision}" if manifest.source.revision else "")),
        ("adapter", manifest.source.adapter or ""),
        ("via", manifest.source.via or ""),
        ("licence", manifest.source.licence or "unknown"),
    ]


def labels_in_words(labels: Sequence[str]) -> str:
    """Return how many labels there are and the first of them, nothing where there is none."""
    more = ", …" if len(labels) > LABELS else ""
    return f"{len(labels):,}: {', '.join(labels[:LABELS])}{more}" if labels else ""


def figures_facts(found: Figures, labels: Sequence[str]) -> list[Fact]:
    """Return how good a classifier with these labels was on some texts."""
    unknown = {pair.label: 0 for pair in found.confusions if pair.label not in labels}
    for pair in found.confusions:
        if pair.label in unknown:
            unknown[pair.label] += pair.count
    right = "" if found.answered_accuracy is None else f", right {found.answered_accuracy:.1%} of the time"
    return [
        ("texts", f"{found.texts:,}"),
        ("accuracy", f"{found.accuracy:.1%} if it never abstained"),
        ("answers", f"{found.answered:.1%} of the texts{right}"),
        ("calibration", f"probabilities are off by {found.calibration_error:.1%} on average"),
        ("errors for sure", _unlearned(unknown)),
    ]


def _unlearned(unknown: Mapping[str, int]) -> str:
    if not unknown:
        return ""
    more = ", …" if len(unknown) > LABELS else ""
    return f"{sum(unknown.values()):,}, with labels that it was not taught: {', '.join(list(unknown)[:LABELS])}{more}"


def spec_facts(architecture: str, spec: Spec) -> list[Fact]:
    """Return the facts of an architecture and its shape."""
    return [
        ("architecture", architecture),
        ("parameters", figures.parameters(parameter_count(spec))),
        ("shape", f"{_shape(spec)}, vocabulary {spec.vocab_size:,}"),
        ("model's context", f"{spec.context:,} tokens"),
    ]


def _shape(spec: Spec) -> str:
    if isinstance(spec, GraphSpec):
        return f"{spec.hidden_size} wide"
    layer = spec.layers[0]
    shape = f"{len(spec.layers)} layers, {spec.hidden_size} wide, {layer.heads} heads"
    return shape if layer.kv_heads == layer.heads else f"{shape} over {layer.kv_heads} key/value heads"


def _reach(bundle: Bundle, name: str) -> str:
    entry, form = bundle.manifest.formats[name], _form(bundle, name)
    parts = [figures.size(format_size(bundle, entry))]
    parts += [f"context {entry.context_max:,}"] if entry.context_max else []
    return ", ".join(parts + ([f"{form} cache"] if form else []))


def _form(bundle: Bundle, name: str) -> str | None:
    """Return the form in which a format's runtime holds the cache, where it has several."""
    if bundle.manifest.task != "generate":
        return None
    for found in map(registry.runtime, registry.runtime_names()):
        if found.format == name and hasattr(found, "form"):
            return cast("FormedRuntime", found).form(bundle)
    return None


def bundle_json(bundle: Bundle) -> dict[str, Any]:
    """Return the same as JSON values."""
    manifest = bundle.manifest
    return {
        "kind": "bundle",
        "path": str(bundle.path),
        "name": manifest.name,
        "task": manifest.task,
        **spec_json(manifest.architecture, manifest.spec),
        "quantization": dict(manifest.quantization),
        "source": dataclasses.asdict(manifest.source),
        "tokenizer": bundle.tokenizer_path() is not None,
        "chat_template": bundle.chat_template() is not None,
        "size": bundle_size(bundle),
        "formats": {
            name: {
                "size": format_size(bundle, entry),
                "context_max": entry.context_max,
                "form": _form(bundle, name),
                "quality": entry.quality,
            }
            for name, entry in manifest.formats.items()
        },
        "files": {name: entry.size for name, entry in manifest.files.items()},
    }  # fmt: skip


def classifier_json(manifest: Manifest) -> dict[str, Any]:
    """Return what a manifest says of labels, without the confusion tables."""
    entry = manifest.classifier
    if entry is None:
        return {"labels": list(manifest.labels), "classifier": None}
    figures = {measured: dataclasses.asdict(found) for measured, found in entry.figures.items()}
    for found in figures.values():
        del found["confusions"]
    classifier = {"temperature": entry.temperature, "threshold": entry.threshold, "figures": figures}
    return {"labels": list(manifest.labels), "classifier": classifier}


def spec_json(architecture: str, spec: Spec) -> dict[str, Any]:
    """Return an architecture and its shape as JSON values."""
    known = {
        "architecture": architecture,
        "parameters": parameter_count(spec),
        "hidden_size": spec.hidden_size,
        "vocab_size": spec.vocab_size,
        "context": spec.context,
    }
    if isinstance(spec, GraphSpec):
        return known
    heads, kv_heads = spec.layers[0].heads, spec.layers[0].kv_heads
    return {**known, "layers": len(spec.layers), "heads": heads, "kv_heads": kv_heads}
