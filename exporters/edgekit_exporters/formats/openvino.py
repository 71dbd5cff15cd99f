"""The OpenVINO IR format: XML and weights written here, decoders in the stateful form that optimum-intel writes.

A decoder's inputs and outputs are those that OpenVINO GenAI expects: input_ids, attention_mask, position_ids, beam_idx,
logits [batch, n, vocab]. Where the runtime may gather the wanted rows is noted in the model's rt_info, so that the file
itself stays what other tools know.
"""

from __future__ import annotations

from pathlib import Path

from edgekit.spec import Attention
from edgekit_exporters.architecture import EncoderModel, Model
from edgekit_exporters.decoder import decode
from edgekit_exporters.encoder import encode
from edgekit_exporters.format import WriteOptions, Written, recorded
from edgekit_exporters.formats._openvino_attention import AttentionNodes
from edgekit_exporters.formats._openvino_encoder import OpenvinoEncoderWriting
from edgekit_exporters.formats._openvino_graph import DATA_FILE, XML_FILE, read_index_text
from edgekit_exporters.formats._openvino_nodes import FOLDER, OpenvinoNodes, Value
from edgekit_exporters.packed import read_index, write_index
from edgekit_exporters.weights import Weights


class OpenvinoFormat:
    """The format, for the exporter."""

    name = "openvino"

    def begin(self, model: Model, bundle: Path, options: WriteOptions) -> OpenvinoWriting:
        """Record the graph."""
        folder = bundle / FOLDER
        folder.mkdir()
        writing = OpenvinoWriting(model, folder, options)
        return recorded(writing, lambda writing: decode(writing, model.spec, model.weights))

    def begin_encoder(self, model: EncoderModel, bundle: Path, options: WriteOptions) -> OpenvinoEncoderWriting:
        """Record the graph of an encoder."""
        folder = bundle / FOLDER
        folder.mkdir()
        writing = OpenvinoEncoderWriting(model, folder, options)
        return recorded(writing, lambda writing: encode(writing, model.spec, model.weights))

    def read_weights(self, bundle: Path) -> Weights:
        """Return the weights that were written, by the index in the model's rt_info."""
        folder = bundle / FOLDER
        return read_index(read_index_text(folder), folder / DATA_FILE)


FORMAT = OpenvinoFormat()


class OpenvinoWriting(OpenvinoNodes):
    """`DecoderOperations` that record nodes."""

    def __init__(self, model: Model, folder: Path, options: WriteOptions) -> None:
        super().__init__(model.weights, folder, options)
        self.spec, graph = model.spec, self.graph
        self.inputs = {
            name: graph.parameter(name, "I64", "?,?") for name in ("input_ids", "attention_mask", "position_ids")
        }
        self.inputs["beam_idx"] = graph.parameter("beam_idx", "I32", "?")
        self.attention = AttentionNodes(graph, options.context, self.inputs)

    def positions(self, table: str) -> Value:
        """Gather the rows of the positions."""
        return self._gather(table, "position_ids")

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
        """Attention over the layer's state."""
        norms = None
        if q_norm is not None and k_norm is not None:
            norms = self.weights.vector(q_norm), self.weights.vector(k_norm)
        return Value(self.attention.attend(q.port, k.port, v.port, attention, layer, norms), attention.query_size)

    def select(self, x: Value) -> Value:
        """Note where the runtime may gather rows; the file computes all of them."""
        self.graph.mark(x.port)
        return x

    def finish(self) -> Written:
        """Save the graph."""
        self.graph.save(
            write_index(self.weights.placed), {"quantization": self.options.quantization, "rows": self.graph.marked()}
        )
        return Written(
            files=(f"{FOLDER}/{XML_FILE}", f"{FOLDER}/{DATA_FILE}"),
            context_max=self.options.context,
            encodings={name: str(placed.encoding) for name, placed in self.weights.placed.items()},
        )
