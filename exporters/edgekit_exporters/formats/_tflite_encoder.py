"""Encoders in TFLite: one text at a time, one signature for each of some lengths, all over one set of weights.

The signature `encode_64` takes texts of up to 64 tokens: `tokens` int32 [1, 64]; `mask` [1, 1, 1, 64], 0 where there is
a token and a large negative number behind them; where the model averages a text's tokens, `share` [1, 64], what each
counts. The result is called `logits`, whatever it is: [1, 64, width] or [1, 1, labels].
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.errors import UnsupportedError
from edgekit.spec import Attention, Rope
from edgekit_exporters.architecture import EncoderModel
from edgekit_exporters.encoder import encode
from edgekit_exporters.format import WriteOptions, Written
from edgekit_exporters.formats._tflite_attention import HIDDEN
from edgekit_exporters.formats._tflite_graph import Flatbuffer, Subgraph, Value
from edgekit_exporters.formats._tflite_recorder import Recorder, Stream
from edgekit_exporters.formats._tflite_weights import Store

LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Beyond, each is twice the one before."""


def lengths(context: int) -> list[int]:
    """Return the lengths that have a signature: a text costs at most half as much again as its own."""
    found = [length for length in LENGTHS if length < context]
    while found and found[-1] >= LENGTHS[-1] and 2 * found[-1] < context:
        found.append(2 * found[-1])
    return [*found, context]


class TfliteEncoderWriting:
    """A .tflite file being written."""

    def __init__(self, model: EncoderModel, path: Path, options: WriteOptions) -> None:
        self.options, self._name = options, f"{path.parent.name}/{path.name}"
        flatbuffer = Flatbuffer()
        self._store = Store(model.weights, flatbuffer)
        for length in lengths(options.context):
            recorder = _EncoderRecorder(model, Subgraph(flatbuffer, f"encode_{length}"), self._store, length, options)
            encode(recorder, model.spec, model.weights)
        self._file, self.slots = self._store.begin(path)

    def finish(self) -> Written:
        """Close the file."""
        self._file.close()
        return Written(
            files=(self._name,),
            context_max=self.options.context,
            encodings={part.weight: str(part.encoding) for part in self._store.parts},
        )

    def abort(self) -> None:
        """Close the file."""
        self._file.close()


class _EncoderRecorder(Recorder):
    """`EncoderOperations` that record one signature; values are [n, width], of one text."""

    def __init__(self, model: EncoderModel, graph: Subgraph, store: Store, length: int, options: WriteOptions) -> None:
        super().__init__(model.weights, graph, store, length, options)
        self.length = length
        self._mask = graph.input("mask", (1, 1, 1, length))
        self._masks: dict[tuple[int | None, Stream | None], Value] = {}
        self._ropes: dict[Rope, tuple[Value, Value]] = {}

    def positions(self, table: str) -> Stream:
        return Stream(self.nodes.part(self.graph.external(self._stack(table)), 0, 0, self.length))

    def relative_bias(self, table: str) -> Stream:
        nodes, n, (rows, heads) = self.nodes, self.length, self.weights[table].shape
        index = (np.arange(n)[None, :] - np.arange(n)[:, None] + rows // 2).astype(np.int32).reshape(-1)
        gathered = nodes.gather(self.graph.external(self._stack(table)), self.graph.constant(index))
        turned = nodes.transpose(nodes.reshape(gathered, (n, n, heads)), (2, 0, 1))
        return Stream(nodes.reshape(turned, (1, heads, n, n)))

    def attend_all(self, q: Stream, k: Stream, v: Stream, attention: Attention, bias: Stream | None = None) -> Stream:
        """Batched products over the heads."""
        if attention.kv_heads != attention.heads or attention.softcap is not None or attention.qk_norm is not None:
            raise UnsupportedError("the tflite format has no shared heads, softcaps or head norms in encoders")
        nodes, n, heads, head = self.nodes, self.length, attention.heads, attention.head_dim
        parts = [nodes.reshape(self._use(x), (n, heads, head)) for x in (q, k, v)]
        if attention.rope is not None:
            parts[:2] = [self._rotate(x, attention.rope) for x in parts[:2]]
        parts[0] = nodes.multiply(parts[0], self.graph.number(attention.scale))
        queries, keys, values = (nodes.reshape(nodes.transpose(x, (1, 0, 2)), (1, heads, n, head)) for x in parts)
        scores = nodes.add(nodes.matmul(queries, keys, transpose=True), self._hidden(attention.window, bias))
        out = nodes.reshape(nodes.matmul(nodes.softmax(scores), values, transpose=False), (heads, n, head))
        return Stream(nodes.reshape(nodes.transpose(out, (1, 0, 2)), (n, attention.query_size)))

    def pool(self, x: Stream, kind: Literal["first", "mean"]) -> Stream:
        value = self._use(x)
        if kind == "first":
            return Stream(self.nodes.part(value, 0, 0, 1))
        share = self.graph.input("share", (1, self.length))
        return Stream(self.nodes.matmul(share, value, transpose=False))

    def output(self, name: str, x: Stream) -> None:  # noqa: ARG002 - one name for all: the runtime asks for one result
        value = self._use(x)
        self.graph.output("logits", self.nodes.reshape(value, (1, *value.shape)))

    def _rotate(self, x: Value, rope: Rope) -> Value:
        """Return x [n, heads, head] · [cos, cos] + x with its halves exchanged · [-sin, sin]."""
        nodes, half = self.nodes, x.shape[2] // 2
        cos, sin = self._rope(rope)
        exchanged = nodes.join([nodes.part(x, 2, half, half), nodes.part(x, 2, 0, half)], 2)
        return nodes.add(nodes.multiply(x, cos), nodes.multiply(exchanged, sin))

    def _rope(self, rope: Rope) -> tuple[Value, Value]:
        if rope not in self._ropes:
            nodes, n, half = self.nodes, self.length, len(rope.frequencies)
            name, context = f"rope_{self.store.number(rope)}", self.options.context
            table = self.store.table(name, lambda: np.concatenate(rope.tables(context), axis=1))
            rows = nodes.part(self.graph.external(table), 0, 0, n)
            cos, sin = nodes.columns(rows, 0, half), nodes.columns(rows, half, half)
            turned = nodes.join([nodes.multiply(sin, self.graph.number(-1.0)), sin], 1)
            self._ropes[rope] = (
                nodes.reshape(nodes.join([cos, cos], 1), (n, 1, 2 * half)),
                nodes.reshape(turned, (n, 1, 2 * half)),
            )
        return self._ropes[rope]

    def _hidden(self, window: int | None, bias: Stream | None) -> Value:
        """Return what is added to the scores."""
        if window is not None and window >= self.length:
            window = None
        key = (window, bias)
        if key not in self._masks:
            nodes, mask = self.nodes, self._mask
            if window is not None:
                places = np.arange(self.length, dtype=np.float32)
                rows = self.graph.constant(places.reshape(1, 1, -1, 1))
                columns = self.graph.constant(places.reshape(1, 1, 1, -1))
                ahead, behind = nodes.relu(nodes.subtract(columns, rows)), nodes.relu(nodes.subtract(rows, columns))
                beyond = nodes.relu(nodes.subtract(nodes.add(ahead, behind), self.graph.number(window - 1)))
                mask = nodes.add(mask, nodes.multiply(beyond, self.graph.number(HIDDEN)))
            self._masks[key] = mask if bias is None else nodes.add(bias.value, mask)
        return self._masks[key]
