"""What is compared with what: engines, the groups of them that run in the same rounds, and the ratios asked of them."""

from __future__ import annotations

from dataclasses import dataclass

from bundles import CONTEXT, bundle
from environments import GENAI, LITERT_LM, LLAMA_CPP, OPENVINO_GENAI
from peer_models import llama_cpp_gguf, optimum_intel_ir
from worker import Engine


def _ours(runtime: str) -> Engine:
    return Engine(
        name=runtime,
        worker="ours.py",
        arguments=lambda s: [bundle(s.model, s.quantize, s.context), runtime, s.context, s.threads],
    )


OURS = {runtime: _ours(runtime) for runtime in ("onnx", "openvino", "tflite")}
ONNX, OPENVINO, TFLITE = OURS.values()
ONNXRUNTIME_GENAI = Engine(
    name="onnxruntime-genai",
    worker="genai.py",
    environment=GENAI,
    arguments=lambda s: [bundle(s.model, s.quantize, s.context), s.context, s.threads],
)
OPTIMUM = Engine(
    name="optimum-intel in openvino-genai",
    worker="llm_pipeline.py",
    environment=OPENVINO_GENAI,
    arguments=lambda s: [optimum_intel_ir(s.model, s.quantize), s.context, s.threads],
    clocks=("wall",),
)
OPENVINO_ELSEWHERE = Engine(
    name="our IR in openvino-genai",
    worker="llm_pipeline.py",
    environment=OPENVINO_GENAI,
    arguments=lambda s: [bundle(s.model, s.quantize, s.context) / "openvino", s.context, s.threads],
    clocks=("wall",),
)
LITERT = Engine(
    name="LiteRT-LM",
    worker="litert.py",
    environment=LITERT_LM,
    arguments=lambda s: [
        bundle(s.model, s.quantize, s.context) / "tflite" / "model.litertlm",
        *(s.context, s.threads, s.prompt_tokens, s.new_tokens),
    ],
    clocks=("wall",),
)
LLAMA = Engine(
    name="llama.cpp Q4_0",
    worker="llama.py",
    environment=LLAMA_CPP,
    arguments=lambda s: [llama_cpp_gguf(s.model, s.quantize), s.context, s.threads],
)


@dataclass(frozen=True)
class Pair:
    """A ratio of speeds, ours over a peer's (or another of ours), and what is asked of it; None: it is only shown."""

    ours: Engine
    peer: Engine
    prefill: float | None
    decode: float | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """A model, and what a round of it is."""

    model: str
    prompt_tokens: int
    new_tokens: int
    context: int


@dataclass(frozen=True)
class Group:
    """Engines that take turns in the same rounds: all fit into the memory of a machine with 24 GB at once."""

    work: Work
    quantize: str
    pairs: tuple[Pair, ...]
    beside: tuple[Engine, ...] = ()
    """Engines that are only shown."""

    @property
    def engines(self) -> list[Engine]:
        """Every engine once."""
        named = [engine for pair in self.pairs for engine in (pair.ours, pair.peer)]
        return list({engine.name: engine for engine in (*named, *self.beside)}.values())


SMALL = Work(model="smollm2", prompt_tokens=512, new_tokens=128, context=1024)
LARGE = Work(model="phi3", prompt_tokens=256, new_tokens=32, context=CONTEXT)

GROUPS = (
    Group(
        SMALL,
        "int8",
        (
            Pair(OPENVINO, OPTIMUM, 1.0, 1.0),
            Pair(OPENVINO, ONNX, 1.3, None),
            Pair(TFLITE, LITERT, 1.0, 1.0),
        ),
        beside=(OPENVINO_ELSEWHERE,),
    ),
    Group(
        SMALL,
        "int4",
        (
            Pair(ONNX, ONNXRUNTIME_GENAI, 0.95, 0.95),
            Pair(OPENVINO, OPTIMUM, 1.0, 1.0),
            Pair(OPENVINO, ONNX, 1.3, None),
            Pair(TFLITE, LITERT, 1.0, 1.0),
        ),
        beside=(OPENVINO_ELSEWHERE,),
    ),
    Group(LARGE, "int4", (Pair(ONNX, ONNXRUNTIME_GENAI, 0.95, 0.95),)),
    Group(LARGE, "int4", (Pair(OPENVINO, OPTIMUM, 1.0, 1.0), Pair(OPENVINO, ONNX, 1.3, None))),
    Group(LARGE, "int4", (Pair(TFLITE, LLAMA, 1.6, 0.95),), beside=(ONNX, OPENVINO)),
)
