"""What runtimes say of their memory, held to what was measured: peaks of fresh processes with a full cache, in bytes.

Measured on Linux, x86-64 with AVX-512 VNNI, Python 3.11, ONNX Runtime 1.32, OpenVINO 2026.4 and LiteRT 2.3, by VmHWM
behind a prompt that fills the context. No engine is needed here, and none runs.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from manifests import write_bundle

from edgekit import registry
from edgekit.errors import UsageError
from edgekit.machine import Processor
from edgekit.planning.footprint import Footprint, Use
from edgekit.planning.outline import FormatOutline, cached
from edgekit.spec import Attention, DecoderSpec, GraphSpec, Norm

SERVER = Processor("x86_64", ("avx2", "avx512f", "avx512_vnni"))
PI = Processor("aarch64", ("asimd", "atomics", "asimdhp", "asimddp"))
SMOLLM2 = DecoderSpec(
    architecture="llama", vocab_size=49152, hidden_size=576, mlp_size=1536, context=8192, norm=Norm(), tied=True,
    layers=(Attention(heads=9, kv_heads=3, head_dim=64, scale=0.125),) * 30,
)  # fmt: skip
PHI3 = DecoderSpec(
    architecture="phi3", vocab_size=32064, hidden_size=3072, mlp_size=8192, context=4096, norm=Norm(),
    layers=(Attention(heads=32, kv_heads=32, head_dim=96, scale=0.1),) * 32,
)  # fmt: skip
SIGNATURES = tuple(map(str, range(10)))
FILES = {
    ("onnx", SMOLLM2, "int8"): 152_062_208, ("onnx", SMOLLM2, "int4"): 107_448_576,
    ("openvino", SMOLLM2, "int8"): 136_425_408, ("openvino", SMOLLM2, "int4"): 97_316_800,
    ("tflite", SMOLLM2, "int8"): 139_856_128, ("tflite", SMOLLM2, "int4"): 98_310_400,
    ("onnx", PHI3, "int4"): 2_544_758_784, ("openvino", PHI3, "int4"): 2_294_652_224,
    ("tflite", PHI3, "int4"): 2_240_155_648,
}  # fmt: skip
"""Bytes of the weights' file."""
PEAKS = {
    ("onnx", SMOLLM2, "int8", 640): 382e6, ("onnx", SMOLLM2, "int4", 640): 316e6,
    ("onnx", SMOLLM2, "int8", 2048): 427e6, ("onnx", PHI3, "int4", 518): 4192e6,
    ("openvino", SMOLLM2, "int8", 640): 417e6, ("openvino", SMOLLM2, "int4", 640): 353e6,
    ("openvino", SMOLLM2, "int8", 2048): 438e6, ("openvino", PHI3, "int4", 518): 5285e6,
    ("tflite", SMOLLM2, "int8", 640): 341e6, ("tflite", SMOLLM2, "int4", 640): 296e6,
    ("tflite", SMOLLM2, "int8", 2048): 429e6, ("tflite", PHI3, "int4", 518): 3039e6,
}  # fmt: skip
"""Of SmolLM2-135M and a model of Phi-3 Mini's shapes, by tokens of context."""


def outlined(runtime: str, spec: DecoderSpec, quantization: str) -> FormatOutline:
    files = {"weights": FILES[runtime, spec, quantization], "graph": 200_000}
    details = {"signatures": SIGNATURES} if runtime == "tflite" else {}
    return FormatOutline(spec=spec, quantization=quantization, files=files, context_max=2048, details=details)


def smollm2(runtime: str, quantization: str) -> FormatOutline:
    return outlined(runtime, SMOLLM2, quantization)


def footprint(runtime: str, outline: FormatOutline, context: int = 640, on: Processor = SERVER) -> Footprint:
    return registry.runtime(runtime).footprint(outline, Use(context=context, kv="auto", processor=on))


@pytest.mark.parametrize(("runtime", "spec", "quantization", "context"), PEAKS)
def test_what_was_measured(runtime: str, spec: DecoderSpec, quantization: str, context: int) -> None:
    found = footprint(runtime, outlined(runtime, spec, quantization), context)
    assert found.total == pytest.approx(PEAKS[runtime, spec, quantization, context], rel=0.1)


@pytest.mark.parametrize("runtime", registry.runtime_names())
def test_every_token_of_context_costs_its_cache(runtime: str) -> None:
    short, long = (footprint(runtime, smollm2(runtime, "int8"), context) for context in (1000, 2000))
    elements = 1000 * cached(SMOLLM2)
    assert long.cache - short.cache in (4 * elements, elements + 1000 * 2 * 30 * 3 * 8)
    assert (long.mapped, long.copies) == (short.mapped, short.copies)
    assert long.total >= short.total + long.cache - short.cache


def test_only_openvino_expands_four_bits_and_only_on_arm() -> None:
    for name in registry.runtime_names():
        runtime = registry.runtime(name)
        int4, int8 = smollm2(name, "int4"), smollm2(name, "int8")
        there, here = (footprint(name, int4, on=on) for on in (PI, SERVER))
        expands = name == "openvino"
        assert (there.copies > 1.9 * here.copies) == expands
        assert bool(runtime.advises_against(int4, PI)) == expands
        # What a GGUF file has kept of its 4 bits is no better.
        assert bool(runtime.advises_against(dataclasses.replace(int4, quantization="keep"), PI)) == expands
        for outline, on in ((int8, PI), (dataclasses.replace(int8, quantization="keep"), PI), (int4, SERVER)):
            assert runtime.advises_against(outline, on) == ""


def test_a_graph_of_another_exporter_has_a_footprint_too() -> None:
    spec = GraphSpec(architecture="deberta-v2", vocab_size=1000, hidden_size=64, context=512, parameters=264_000)
    outline = FormatOutline(spec=spec, quantization="none", files={"model": 1_056_000}, context_max=512)
    for name in registry.runtime_names():
        found = footprint(name, outline, 512)
        assert found.cache == 0
        assert 50e6 < found.total < 250e6
    assert (outline.tables, outline.matrices) == (256_000, 800_000)


def test_openvino_holds_a_float_cache_where_it_cannot_page() -> None:
    paged, stateful = (footprint("openvino", smollm2("openvino", "int8"), on=on).cache for on in (SERVER, PI))
    assert stateful == 4 * 640 * cached(SMOLLM2) > 3 * paged


@pytest.mark.parametrize("kv", ["f32", "f16", "int8"])
def test_the_precision_of_the_cache(kv: str) -> None:
    use = Use(context=100, kv=kv, processor=SERVER)  # type: ignore[arg-type]
    found = registry.runtime("onnx").footprint(smollm2("onnx", "int8"), use)
    assert found.cache == 100 * cached(SMOLLM2) * {"f32": 4, "f16": 2, "int8": 1}[kv]


def test_a_cache_that_a_runtime_does_not_have() -> None:
    use = Use(context=100, kv="int8", processor=SERVER)
    with pytest.raises(UsageError, match="the tflite runtime has no int8 cache"):
        registry.runtime("tflite").footprint(smollm2("tflite", "int8"), use)


def test_a_plan_is_made_without_the_engine(tmp_path: Path) -> None:
    engines = {"onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime"}
    code = f"""
import sys
for name in {engines!r}:
    sys.modules[name] = None
import edgekit
print([each.runtime for each in edgekit.plan(sys.argv[1], "pi5-8gb").runtimes])
"""
    bundle = str(write_bundle(tmp_path / "a.edge"))
    done = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['onnx']"
