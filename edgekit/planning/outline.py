"""A model as far as it decides about memory and speed: its spec, how it is quantized, and the bytes of its files.

A bundle has one, and so has a checkpoint that nobody has exported yet (`edgekit_exporters.outline`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.manifest import Task
from edgekit.spec import DecoderSpec, EncoderSpec, GraphSpec

if TYPE_CHECKING:
    from edgekit.bundle import Bundle

Spec = DecoderSpec | EncoderSpec | GraphSpec


@dataclass(frozen=True, kw_only=True)
class FormatOutline:
    """A model in one format."""

    spec: Spec
    quantization: str
    """What the whole model is quantized to: "int4", "int8", "none" or "keep"."""
    files: Mapping[str, int]
    """Bytes of each file, by its name in the bundle."""
    context_max: int
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the format says for its runtime, as in the manifest."""

    @property
    def weights(self) -> int:
        """Bytes of all weights: of the largest file, beside which others hold graphs and notes."""
        return max(self.files.values(), default=0)

    @property
    def tables(self) -> int:
        """Bytes of the tables of which a token reads one row; a tied embedding is a matrix besides."""
        return sum(round(count * size) for count, size in self._tables())

    @property
    def matrices(self) -> int:
        """Bytes of the matrices that every token is multiplied with."""
        return max(0, self.weights - (0 if self.tied else self.tables))

    @property
    def tied(self) -> bool:
        """Whether a table is a matrix as well."""
        return _tied(self.spec)

    def counts(self, int8: float, int4: float) -> tuple[float, float]:
        """Return how many weights of the matrices have 8 bits and how many 4, which follows from their bytes.

        Args:
            int8: Bytes that a weight of 8 bits takes in the file, with its share of scales.
            int4: The same of one of 4 bits.
        """
        count = multiplied(self.spec)
        few = min(count, max(0.0, (int8 * count - self.matrices) / (int8 - int4)))
        return count - few, few

    def _tables(self) -> list[tuple[int, float]]:
        spec = self.spec
        tables = [(spec.vocab_size * spec.hidden_size, 4.0 if self.quantization == "none" else QUANTIZED)]
        learned = not isinstance(spec, GraphSpec) and spec.learned_positions
        return [*tables, (spec.context * spec.hidden_size, 4.0)] if learned else tables


QUANTIZED = 1.125
"""Bytes of an element of a quantized embedding at most: 8 bits, and a scale for each block of 32 or for a row."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A model, perhaps in several formats."""

    name: str
    task: Task
    formats: dict[str, FormatOutline]
    left_out: dict[str, str] = field(default_factory=dict)
    """Formats that it cannot be written in, and why."""

    @property
    def spec(self) -> Spec:
        """What all formats share."""
        return next(iter(self.formats.values())).spec

    @property
    def quantization(self) -> str:
        """What all formats share."""
        return next(iter(self.formats.values())).quantization

    @property
    def parameters(self) -> int:
        """Weights of all matrices and tables; vectors and a classifier's rows are too few to count."""
        spec = self.spec
        if isinstance(spec, GraphSpec):
            return spec.parameters
        table = 0 if _tied(spec) else spec.vocab_size * spec.hidden_size
        return multiplied(spec) + table + (spec.context * spec.hidden_size if spec.learned_positions else 0)


def multiplied(spec: Spec) -> int:
    """Return how many weights a token is multiplied with that is decoded: those of the layers, and the head."""
    return in_layers(spec) + (spec.hidden_size * spec.vocab_size if isinstance(spec, DecoderSpec) else 0)


def in_layers(spec: Spec) -> int:
    """Return how many weights a token of a prompt or a text is multiplied with; of a graph, all but its embedding."""
    if isinstance(spec, GraphSpec):
        return max(0, spec.parameters - spec.vocab_size * spec.hidden_size)
    hidden, mlp = spec.hidden_size, spec.mlp_size * (3 if spec.gated else 2)
    return sum(hidden * (2 * layer.query_size + 2 * layer.kv_size + mlp) for layer in spec.layers)


def width(spec: Spec) -> int:
    """Return the elements that a token has at the widest place of a layer: of the MLP, of q, k, v and of the stream."""
    if isinstance(spec, GraphSpec):
        return 16 * spec.hidden_size
    mlp = spec.mlp_size * (4 if spec.gated else 2)
    return mlp + max(layer.query_size + 2 * layer.kv_size for layer in spec.layers) + 2 * spec.hidden_size


def heads(spec: Spec) -> int:
    """Return the query heads of a layer; of a graph, as many as its width usually has."""
    return max(1, spec.hidden_size // 64) if isinstance(spec, GraphSpec) else spec.layers[0].heads


def layer_count(spec: Spec) -> int:
    """Return the number of layers; of a graph, as many as its parameters usually make."""
    if isinstance(spec, GraphSpec):
        return max(1, round(multiplied(spec) / (12 * spec.hidden_size**2)))
    return len(spec.layers)


def cached(spec: Spec) -> int:
    """Return the elements that a token leaves in the cache: none in an encoder's."""
    return sum(2 * layer.kv_size for layer in spec.layers) if isinstance(spec, DecoderSpec) else 0


def outline_of(bundle: Bundle) -> Outline:
    """Return a bundle's outline."""
    manifest = bundle.manifest
    spec = manifest.spec
    formats = {
        name: FormatOutline(
            spec=spec,
            quantization=manifest.quantization.get("mode", "none"),
            files={file: manifest.files[file].size for file in entry.files},
            context_max=entry.context_max or spec.context,
            details=entry.details,
        )
        for name, entry in manifest.formats.items()
    }
    return Outline(name=manifest.name, task=manifest.task, formats=formats)


def _tied(spec: Spec) -> bool:
    return isinstance(spec, DecoderSpec) and spec.tied
