"""Plans: what fits, what `auto` would take there, and why not."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import write_bundle
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit import registry
from edgekit.bundle import Bundle
from edgekit.decoder import Availability
from edgekit.errors import UsageError
from edgekit.measured import remember
from edgekit.planning import devices
from edgekit.planning import plan as planning
from edgekit.planning.devices import THIS, Device, find_device
from edgekit.planning.footprint import ROOM, Footprint, fit, in_words, largest_context
from edgekit.planning.machine_speed import MachineSpeed
from edgekit.planning.plan import plan
from edgekit.speeds import CHAT, read_table

GB = 10**9


def footprint(**sizes: int) -> Footprint:
    return Footprint(**{"mapped": 0, "copies": 0, "cache": 0, "activations": 0, "program": 0, **sizes})


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend no time on measuring; tests of `machine_speed` do."""
    monkeypatch.setattr(devices, "measure", lambda threads: MachineSpeed(bandwidth=4e10, flops=2e11, noise=0.0))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the device that every name stands for."""

    def make(**changes: Any) -> None:
        made: Device = dataclasses.replace(find_device("pi5-8gb"), **changes)
        monkeypatch.setattr(planning, "find_device", lambda name: made)

    return make


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp("plan") / "tiny")
    for path in folder.glob("*.safetensors"):
        path.unlink()
    return folder


def test_a_checkpoint_without_weights_on_a_pi(checkpoint: Path) -> None:
    found = edgekit.plan(checkpoint, "pi5-8gb")
    assert (found.verdict, found.best, found.task) == ("yes", "tflite", "generate")
    assert found.name == "tiny"
    assert [each.runtime for each in found.runtimes] == ["tflite", "onnx", "openvino"]
    assert all(each.verdict == "fits" for each in found.runtimes)
    assert all(set(each.speeds) == {"prefill", "decode"} for each in found.runtimes)
    assert all(each.context_largest == found.context_max for each in found.runtimes)


def test_openvino_comes_last_on_arm_with_four_bits_however_fast_it_is(checkpoint: Path) -> None:
    found = plan(checkpoint, "pi5-8gb", quantize="int4")
    assert found.runtimes[-1].runtime == "openvino"
    assert "expands the weights to 16 bits" in found.runtimes[-1].reasons[0]
    alone = plan(checkpoint, "pi5-8gb", quantize="int4", runtime="openvino")
    assert alone.best == "openvino"
    assert any("expands" in reason for reason in alone.reasons)


def test_what_does_not_fit_says_what_would(checkpoint: Path, device: Callable[..., None]) -> None:
    device(free=1000)
    found = plan(checkpoint, "pi5-8gb", quantize="int8")
    assert (found.verdict, found.best) == ("no", None)
    assert "1000" not in found.reasons[0]
    assert found.reasons[-1] == "4 bits take about half the memory: --quantize int4"
    assert all((each.verdict, each.context_largest) == ("too large", 0) for each in found.runtimes)


def test_a_context_that_fits_is_named(checkpoint: Path, device: Callable[..., None]) -> None:
    roomy = plan(checkpoint, "pi5-8gb", runtime="onnx").runtimes[0].memory
    free = round((roomy.total - roomy.cache // 2) / ROOM)
    device(free=free)
    found = plan(checkpoint, "pi5-8gb", runtime="onnx")
    longest = found.runtimes[0].context_largest
    assert 1 < longest < found.context
    fitting = plan(checkpoint, "pi5-8gb", runtime="onnx", context=longest).runtimes[0]
    assert fitting.verdict == "fits"
    assert plan(checkpoint, "pi5-8gb", runtime="onnx", context=longest + 1).runtimes[0].verdict != "fits"


def test_a_slow_device_is_told_apart_from_one_that_is_too_small(checkpoint: Path, device: Callable[..., None]) -> None:
    device(bandwidth=1e4)
    found = plan(checkpoint, "pi5-8gb")
    assert found.verdict == "slow"
    assert "slower than people read" in found.reasons[-1]


def test_where_free_memory_is_not_known_nothing_is_too_large(checkpoint: Path, device: Callable[..., None]) -> None:
    device(free=None)
    found = plan(checkpoint, "pi5-8gb")
    assert found.verdict == "yes"
    assert "not known" in found.reasons[0]


def test_auto_gives_way_where_only_another_runtime_fits(tmp_path: Path, device: Callable[..., None]) -> None:
    """OpenVINO holds a cache in 8 bits, a quarter of LiteRT's, which is faster."""
    config = {
        "model_type": "llama", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
        "num_attention_heads": 32, "head_dim": 256, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    device(machine="x86_64", features=("avx512_vnni",))
    everywhere = plan(tmp_path, "pi5-8gb").runtimes
    needed = {each.runtime: each.memory.total for each in everywhere}
    assert everywhere[0].runtime == "tflite"
    assert min(needed, key=lambda name: needed[name]) == "openvino"
    device(machine="x86_64", features=("avx512_vnni",), free=round(needed["openvino"] / ROOM) + 1)
    found = plan(tmp_path, "pi5-8gb")
    assert found.best == "openvino"
    assert "tflite, which auto would prefer, is too large" in found.reasons


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["int4", "int8"])
@pytest.mark.parametrize(
    ("hidden", "mlp", "layers", "vocabulary"),
    [(896, 4864, 24, 151_936), (2048, 8192, 16, 128_256), (3072, 8192, 28, 128_256)],
)
def test_the_order_in_which_auto_takes_runtimes_is_that_of_the_speeds_that_are_shown(
    tmp_path: Path, quantize: str, hidden: int, mlp: int, layers: int, vocabulary: int
) -> None:
    """For models between those that were measured, of the shapes of Qwen 2.5 and Llama 3.2."""
    config = {
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": mlp,
        "num_hidden_layers": layers, "num_attention_heads": hidden // 64, "num_key_value_heads": 2,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = plan(tmp_path, "laptop-16gb", quantize=quantize, context=2048)
    seconds = [sum(tokens / each.speeds[part] for part, tokens in CHAT.items()) for each in found.runtimes]
    # Both are read off the same measurements, in two ways: near ties may fall either way.
    assert all(later > 0.97 * earlier for earlier, later in itertools.pairwise(seconds))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "a.edge")


def test_a_bundle_is_planned_by_its_files(bundle: Path) -> None:
    found = plan(bundle, "pi5-8gb")
    assert [each.format for each in found.runtimes] == ["onnx"]
    assert {"openvino", "tflite"} == set(found.left_out)
    with pytest.raises(UsageError, match="the bundle has no tflite format; it has: onnx"):
        plan(bundle, "pi5-8gb", to="tflite")


def test_what_bench_measured_of_a_bundle_here_is_believed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    opened = Bundle.open(bundle)
    versions = {found.name: each.version for found, each in registry.openers(opened).items() if each.ok}
    speeds = {"onnx": {"prefill": 123.0, "decode": 45.0}}
    kept = dataclasses.replace(read_table().measured[-1], speeds=speeds, source="a test")
    remember(opened, versions, kept)
    found = plan(bundle)
    assert found.runtimes[0].speeds == speeds["onnx"]
    assert found.speeds_from == "measured here (a test)"
    assert plan(bundle, "pi5-8gb").runtimes[0].speeds != speeds["onnx"]


def test_a_context_that_a_bundle_was_not_written_for(bundle: Path) -> None:
    longest = plan(bundle, "pi5-8gb").context_max
    with pytest.raises(UsageError, match=rf"a context of {longest + 1} tokens was asked for"):
        plan(bundle, "pi5-8gb", context=longest + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "toaster"}, "unknown device 'toaster'"), ({"runtime": "abacus"}, "unknown runtime 'abacus'"),
        ({"to": "gguf"}, "unknown format 'gguf'"), ({"quantize": "int3"}, "unknown quantization 'int3'"),
        ({"kv": "int2"}, "kv is 'int2'"), ({"context": 0}, "not within 1"),
    ],
)  # fmt: skip
def test_wrong_usage(checkpoint: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(checkpoint, **{"device": "pi5-8gb", **options})


def test_a_runtime_without_the_wanted_cache_is_left_out(checkpoint: Path) -> None:
    found = plan(checkpoint, "pi5-8gb", kv="int8")
    assert "no int8 cache" in found.left_out["tflite"]


def test_a_runtime_that_is_not_here_comes_last_and_says_how_to_get_it(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: object) -> Availability:
        return Availability(ok=False, reason="ai-edge-litert is not installed", hint="pip install it")

    monkeypatch.setattr(type(registry.runtime("tflite")), "available", missing)
    here, there = plan(checkpoint, THIS), plan(checkpoint, "laptop-8gb")
    assert here.runtimes[-1].runtime == "tflite"
    assert here.runtimes[-1].reasons == ("ai-edge-litert is not installed: pip install it",)
    assert there.runtimes[0].runtime == "tflite"


def test_a_runtime_and_a_format_that_do_not_go_together(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="the runtime onnx executes none of tflite"):
        plan(checkpoint, "pi5-8gb", runtime="onnx", to="tflite")


def test_this_machine(checkpoint: Path) -> None:
    found = plan(checkpoint, THIS, runtime="onnx")
    assert found.on.bandwidth > 0
    assert found.verdict in ("yes", "slow")
    assert registry.runtime("onnx").name == found.best


@given(
    sizes=st.fixed_dictionaries(dict.fromkeys(("mapped", "copies", "cache", "program"), st.integers(0, 10 * GB))),
    free=st.integers(1, 40 * GB),
)
def test_what_fits_leaves_room(sizes: dict[str, int], free: int) -> None:
    memory = footprint(**sizes)
    verdict, reason = fit(memory, free)
    assert (verdict == "fits") == (memory.total <= ROOM * free) == (reason == "")
    assert (verdict == "too large") == (memory.total > free)
    assert memory.total == sum(sizes.values()) == memory.own + memory.mapped


def test_mapped_weights_that_do_not_fit_beside_the_rest_are_named_as_such() -> None:
    verdict, reason = fit(footprint(mapped=3 * GB, cache=GB), 3 * GB)
    assert verdict == "too large"
    assert reason == (
        "1.00 GB of its own fit in the 3.00 GB that are free, 3.00 GB of mapped weights do not: "
        "1.00 GB and more would be read from the disk for every token"
    )
    assert fit(footprint(mapped=3 * GB, cache=4 * GB), 3 * GB)[1] == "it needs 7.00 GB, and 3.00 GB are free"


@given(limit=st.integers(0, 5000), most=st.integers(1, 4096))
def test_the_largest_context(limit: int, most: int) -> None:
    assert largest_context(lambda context: context <= limit, most) == min(limit, most)


def test_sizes_in_words() -> None:
    assert (in_words(4_000_000), in_words(999_000_000), in_words(12_340_000_000)) == ("4 MB", "1.00 GB", "12.34 GB")
