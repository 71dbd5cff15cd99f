"""The ONNX format, in ONNX Runtime's fused operators (docs/ContribOperators.md: GroupQueryAttention).

A decoder's inputs and outputs are those that onnxruntime-genai expects, and one more input, `logit_rows`: which of the
n tokens' logits are wanted. Its default is the last one, which is what a generator asks for. An encoder's are those
of other exporters.
"""

from __future__ import annotations

from pathlib import Path

from onnx import TensorProto

from edgekit.spec import Attention
from edgekit_exporters.architecture import EncoderModel, Model
from edgekit_exporters.decoder import decode
from edgekit_exporters.encoder import encode
from edgekit_exporters.format import WriteOptions, Written, recorded
from edgekit_exporters.formats._genai_config import GENAI_CONFIG, LAST_LOGITS, write_genai_config
from edgekit_exporters.formats._onnx_attention import AttentionNodes
from edgekit_exporters.formats._onnx_cache import FILES, over_f16_cache, over_int8_cache, scale_of
from edgekit_exporters.formats._onnx_encoder import OnnxEncoderWriting
from edgekit_exporters.formats._onnx_graph import DATA_FILE, read_index_text, save
from edgekit_exporters.formats._onnx_nodes import FOLDER, OnnxNodes, Value
from edgekit_exporters.packed import read_index, write_index
from edgekit_exporters.weights import Weights


class OnnxFormat:
    """The format, for the exporter."""

    name = "onnx"

    def begin(self, model: Model, bundle: Path, options: WriteOptions) -> OnnxWriting:
        """Record the graph."""
        (bundle / FOLDER).mkdir()
        writing = OnnxWriting(model, bundle, options)
        return recorded(writing, lambda writing: decode(writing, model.spec, model.weights))

    def begin_encoder(self, model: EncoderModel, bundle: Path, options: WriteOptions) -> OnnxEncoderWriting:
        """Record the graph of an encoder."""
        (bundle / FOLDER).mkdir()
        writing = OnnxEncoderWriting(model, bundle, options)
        return recorded(writing, lambda writing: encode(writing, model.spec, model.weights))

    def read_weights(self, bundle: Path) -> Weights:
        """Return the weights that were written, by the index in the model's metadata."""
        folder = bundle / FOLDER
        return read_index(read_index_text(folder), folder / DATA_FILE)


FORMAT = OnnxFormat()


class OnnxWriting(OnnxNodes):
    """`DecoderOperations` that record nodes."""

    def __init__(self, model: Model, bundle: Path, options: WriteOptions) -> None:
        super().__init__(model.weights, bundle, options)
        self.spec, graph = model.spec, self.graph
        graph.input("input_ids", TensorProto.INT64, ["batch", "n"])
        graph.input("attention_mask", TensorProto.INT64, ["batch", "total"])
        graph.constant([-1], name="logit_rows")
        graph.input("logit_rows", TensorProto.INT64, ["rows"])
        self.attention = AttentionNodes(graph, options.context, model.spec.border)

    def positions(self, table: str) -> Value:
        """Gather the rows of the positions."""
        return Value(self._gather(table, self.attention.positions()), self.weights[table].shape[1])

    def attend(
        self,
        q: Value,
        k: Value,
        v: Value,
        attention: Attention,
        layer: int,
        q_norm: str | None = None,
        k_norm: str | None = None,
    ) -> Value:
        """GroupQueryAttention over the cache; a fused q/k/v goes in uncut where no norm stands between."""
        norms = tuple(self._vector(name) for name in (q_norm, k_norm) if name is not None)
        fused = {x.fused[0] for x in (q, k, v) if x.fused is not None}
        if len(fused) == 1 and not norms and all(x.fused is not None and len(x.fused[1]) == 3 for x in (q, k, v)):
            parts = [fused.pop()]
        else:
            parts = [self._use(x) for x in (q, k, v)]
        return Value(self.attention.attend(parts, attention, layer, norms), attention.query_size)

    def select(self, x: Value) -> Value:
        """Gather the rows whose logits are wanted."""
        return Value(self.graph.one("Gather", self._use(x), "logit_rows", axis=1), x.width)

    def output(self, name: str, x: Value) -> None:
        """Name it; beside it, the last row alone: onnxruntime-genai wants all rows unless the shape says one."""
        self.graph.node("Identity", [self._use(x)], [name])
        self.graph.output(name, TensorProto.FLOAT, ["batch", "rows", x.width])
        self.graph.node("Gather", [name, self.graph.constant([-1])], [LAST_LOGITS], axis=1)
        self.graph.output(LAST_LOGITS, TensorProto.FLOAT, ["batch", 1, x.width])

    def finish(self) -> Written:
        """Save the graph, and once more for each smaller precision of the cache."""
        folder = self.bundle / FOLDER
        model = self.graph.save(write_index(self.placed))
        save(over_f16_cache(model), folder / FILES["f16"])
        graphs = ["f32", "f16"]
        if self.options.cached:
            scales = {name: scale_of(self.attention.padded(name, seen)) for name, seen in self.options.cached.items()}
            save(over_int8_cache(model, scales), folder / FILES["int8"])
            graphs.append("int8")
        write_genai_config(self.bundle, self.spec, self.options)
        names = (*(f"{FOLDER}/{FILES[precision]}" for precision in graphs), f"{FOLDER}/{DATA_FILE}", GENAI_CONFIG)
        return Written(
            files=names,
            details={"kv": graphs},
            context_max=self.options.context,
            encodings={name: str(placed.encoding) for name, placed in self.placed.items()},
        )
