"""What the signatures of decoders and encoders share in TFLite: an operator or a few for each operation."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.spec import Activation, Norm
from edgekit_exporters.format import WriteOptions
from edgekit_exporters.formats._tflite_graph import INT32, External, Subgraph, Value
from edgekit_exporters.formats._tflite_nodes import Nodes
from edgekit_exporters.formats._tflite_weights import Store, choose_encoding
from edgekit_exporters.operations import Projection, runs
from edgekit_exporters.quantization import Encoding
from edgekit_exporters.weights import Weights


class Recorder:
    """The operations that record the same nodes whatever the model; values are [n, width]."""

    def __init__(self, weights: Weights, graph: Subgraph, store: Store, tokens: int, options: WriteOptions) -> None:
        self.weights, self.graph, self.store, self.options = weights, graph, store, options
        self.nodes = Nodes(graph)
        self.tokens = graph.input("tokens", (1, tokens), INT32)

    def embed(self, table: str) -> Stream:
        ids = self.nodes.reshape(self.tokens, self.tokens.shape[1:])
        return Stream(self.nodes.lookup(self._stack(table), ids))

    def linear(self, x: Stream, *projections: Projection) -> tuple[Stream, ...]:
        """One product over the stacked rows of all projections."""
        names = tuple(p.weight for p in projections)
        groups = runs(projections, self._encoding)
        if len(groups) > 1:
            return tuple(out for group in groups for out in self.linear(x, *group))
        rows = tuple(self.weights[name].shape[0] for name in names)
        bias = None
        if any(p.bias is not None for p in projections):
            bias = self.graph.external(self.store.bias(tuple(p.bias for p in projections), rows))
        product = self.nodes.fully_connected(self._use(x), self._stack(*names), bias)
        if len(rows) == 1:
            return (Stream(product),)
        return tuple(Stream(product, (sum(rows[:k]), width)) for k, width in enumerate(rows))

    def norm(self, x: Stream, norm: Norm, weight: str, bias: str | None = None) -> Stream:
        out = self.nodes.multiply(self.nodes.normalise(self._use(x), norm), self._vector(weight))
        return Stream(out if bias is None else self.nodes.add(out, self._vector(bias)))

    def add(self, a: Stream, b: Stream) -> Stream:
        return Stream(self.nodes.add(self._use(a), self._use(b)))

    def add_norm(self, a: Stream, b: Stream, norm: Norm, weight: str, bias: str | None = None) -> tuple[Stream, Stream]:
        total = self.add(a, b)
        return total, self.norm(total, norm, weight, bias)

    def multiply(self, a: Stream, b: Stream | float) -> Stream:
        other = self._use(b) if isinstance(b, Stream) else self.graph.number(b)
        return Stream(self.nodes.multiply(self._use(a), other))

    def activation(self, x: Stream, kind: Activation) -> Stream:
        return Stream(self.nodes.activation(self._use(x), kind))

    def softcap(self, x: Stream, cap: float) -> Stream:
        return Stream(self.nodes.softcap(self._use(x), cap))

    def _encoding(self, weight: str) -> Encoding:
        shape = self.weights[weight].shape
        return choose_encoding(self.options.precision(weight, shape), shape)

    def _stack(self, *names: str) -> External:
        return self.store.stack(names, self._encoding(names[0]))

    def _vector(self, name: str) -> Value:
        return self.graph.external(self._stack(name))

    def _use(self, x: Stream) -> Value:
        return x.value if x.part is None else self.nodes.columns(x.value, *x.part)


@dataclass(frozen=True)
class Stream:
    """A value [n, width], or a part of a fused product: its first column and how many."""

    value: Value
    part: tuple[int, int] | None = None
