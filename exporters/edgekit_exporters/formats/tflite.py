"""The TFLite format: one flatbuffer with several signatures over one set of weights and one cache.

A signature computes a fixed number of tokens and attends a fixed span of the cache, because that is what the engine
runs fast: what is attended costs, not what is in it. There are three kinds, each for several spans:

    decode          1 token,    logits [1, 1, vocab]
    chunk_16        16 tokens,  logits [1, 16, vocab]: checks guesses
    prefill_128     128 tokens, no logits: the tokens of a prompt but its last

The ones that attend the whole cache have these names, which LiteRT-LM looks for; the others are span256_decode and so
on. Inputs: `tokens` int32 [1, n]; `input_pos` int32 [n], the consecutive positions of the new tokens; `mask`
[1, 1, n, span], 0 where a position is seen and a large negative number where it is not; `kv_cache_k_0`, `kv_cache_v_0`
and so on, which are outputs too: vectors, as long as the span (the last layer's twice as long), and in every signature
the beginning of the same cache; `rope_offset` int32 [1] where there is LongRoPE: 0 for its short table, its border for
the long one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import MissingExtraError
from edgekit.spec import Attention
from edgekit_exporters.architecture import EncoderModel, Model
from edgekit_exporters.decoder import decode
from edgekit_exporters.format import WriteOptions, Written
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Weights

try:
    from edgekit_exporters.formats._tflite_attention import AttentionNodes
    from edgekit_exporters.formats._tflite_encoder import TfliteEncoderWriting
    from edgekit_exporters.formats._tflite_graph import Flatbuffer, Subgraph
    from edgekit_exporters.formats._tflite_recorder import Recorder, Stream
    from edgekit_exporters.formats._tflite_weights import Store, read_stored
except ModuleNotFoundError as error:
    if error.name not in ("ai_edge_litert", "flatbuffers"):
        raise
    raise MissingExtraError("ai-edge-litert", "writing the tflite format", "tflite") from error

FILE = "tflite/model.tflite"
SPANS = {"decode": (256, 512, 1024), "chunk": (256, 1024), "prefill": (256, 1024)}
"""Spans besides the whole context. Each signature costs load time (1.5 s at 4 billion int4 parameters, where XNNPACK
looks at every scale), so only decode, which attention slows down most, has a finer step."""
CHUNK = 16
PREFILL = 128


@dataclass(frozen=True)
class Signature:
    """One of the model's entry points."""

    kind: str
    tokens: int
    span: int
    context: int

    @property
    def name(self) -> str:
        """Its name in the file."""
        name = self.kind if self.tokens == 1 else f"{self.kind}_{self.tokens}"
        return name if self.span == self.context else f"span{self.span}_{name}"


def signatures(context: int) -> list[Signature]:
    """Return the signatures of a model with this context, the smallest spans first."""
    sizes = {"decode": 1, "chunk": CHUNK, "prefill": PREFILL}
    found = [
        Signature(kind, tokens, span, context)
        for kind, tokens in sizes.items()
        for span in (*(span for span in SPANS[kind] if span < context), context)
        if tokens <= span
    ]
    return sorted(found, key=lambda signature: signature.span)


class TfliteFormat:
    """The format, for the exporter."""

    name = "tflite"

    def begin(self, model: Model, bundle: Path, options: WriteOptions) -> TfliteWriting:
        """Record all signatures and write the flatbuffer."""
        (bundle / FILE).parent.mkdir()
        return TfliteWriting(model, bundle / FILE, options)

    def begin_encoder(self, model: EncoderModel, bundle: Path, options: WriteOptions) -> TfliteEncoderWriting:
        """Record a signature for each of some lengths and write the flatbuffer."""
        (bundle / FILE).parent.mkdir()
        return TfliteEncoderWriting(model, bundle / FILE, options)

    def read_weights(self, bundle: Path) -> Weights:
        """Return the weights that were written, by the tensors that the engine sees."""
        return read_stored(bundle / FILE)


FORMAT = TfliteFormat()


class TfliteWriting:
    """A .tflite file being written."""

    def __init__(self, model: Model, path: Path, options: WriteOptions) -> None:
        self.options = options
        self._signatures = signatures(options.context)
        flatbuffer = Flatbuffer()
        self._store = Store(model.weights, flatbuffer)
        for signature in self._signatures:
            decode(
                _Recorder(model, Subgraph(flatbuffer, signature.name), self._store, signature, options),
                model.spec,
                model.weights,
            )
        self._file, self.slots = self._store.begin(path)

    slots: list[Slot]

    def finish(self) -> Written:
        """Close the file."""
        self._file.close()
        encodings = {part.weight: str(part.encoding) for part in self._store.parts}
        return Written(
            files=(FILE,),
            context_max=self.options.context,
            encodings=encodings,
            details={"signatures": [signature.name for signature in self._signatures]},
        )

    def abort(self) -> None:
        """Close the file."""
        self._file.close()


class _Recorder(Recorder):
    """`DecoderOperations` that record one signature."""

    def __init__(
        self, model: Model, graph: Subgraph, store: Store, signature: Signature, options: WriteOptions
    ) -> None:
        super().__init__(model.weights, graph, store, signature.tokens, options)
        self.signature = signature
        self.attention = AttentionNodes(
            self.nodes, store, model.spec, tokens=signature.tokens, span=signature.span, context=signature.context
        )

    def positions(self, table: str) -> Stream:
        return Stream(self.nodes.gather(self.graph.external(self._stack(table)), self.attention.input_pos))

    def attend(
        self,
        q: Stream,
        k: Stream,
        v: Stream,
        attention: Attention,
        layer: int,
        q_norm: str | None = None,
        k_norm: str | None = None,
    ) -> Stream:
        """The whole fused product where q, k and v are its parts."""
        fused = all(x.part is not None and x.value == q.value for x in (q, k, v))
        parts = [q.value] if fused else [self._use(x) for x in (q, k, v)]
        norms = [self._vector(name) for name in (q_norm, k_norm) if name is not None]
        return Stream(self.attention.attend(parts, attention, layer, norms))

    def select(self, x: Stream) -> Stream:
        """Nothing: a signature has logits of all its tokens or of none."""
        return x

    def output(self, name: str, x: Stream) -> None:
        """Prefill has no logits; what only they need is left out when the subgraph is packed."""
        if self.signature.kind != "prefill":
            value = self._use(x)
            self.graph.output(name, self.nodes.reshape(value, (1, *value.shape)))
