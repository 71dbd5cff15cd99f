from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from manifests import FILES, manifest, write_bundle

from edgekit import choice, measured, registry
from edgekit.bundle import Bundle
from edgekit.choice import Question, ask, choose
from edgekit.decoder import Availability
from edgekit.errors import RuntimeUnavailableError, UsageError
from edgekit.loading import load
from edgekit.machine import Cpu, Processor
from edgekit.manifest import FormatEntry
from edgekit.measured import recall, remember
from edgekit.planning.outline import FormatOutline
from edgekit.speeds import CHAT, Measurement, Order, Table

SIZE = 1000
SPEEDS = {"reader": {"prefill": 512.0, "decode": 64.0}, "writer": {"prefill": 128.0, "decode": 256.0}}
TABLE = Table(
    measured=(
        Measurement(
            cpu="x86_64-vnni", task="generate", quantization="int4", size=SIZE, source="a test", workload=CHAT,
            speeds=SPEEDS,
        ),
        Measurement(
            cpu="x86_64-vnni", task="encode", quantization="int8", size=SIZE, source="a test",
            workload={"encode": 128}, speeds={"reader": {"encode": 10.0}, "writer": {"encode": 30.0}},
        ),
    ),
    unmeasured={
        "arm64": Order(runtimes=("writer", "reader"), reason="as somebody wrote"),
        "other": Order(runtimes=("reader",), reason="nobody knows"),
    },
)  # fmt: skip
VERSIONS = {"reader": "1", "writer": "2"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "read_table", lambda: TABLE)
    monkeypatch.setattr(choice, "this_cpu", lambda: "x86_64-vnni")
    return tmp_path / "cache"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "a.edge"))


def question(**changes: object) -> Question:
    fields = {"cpu": "x86_64-vnni", "task": "generate", "quantization": "int4", "size": SIZE, **changes}
    return Question(**fields)  # type: ignore[arg-type]


def test_the_table_decides_for_a_usual_chat_and_says_by_what() -> None:
    chosen = ask(TABLE, question(), VERSIONS)
    assert chosen.runtime == "reader"
    assert chosen.reason == ("measured on x86_64-vnni with int4 of 0 MB: reader 3 s, writer 4.5 s for 512 + 128 tokens")


def test_a_level_one_with_less_memory_is_taken_and_said_to_be() -> None:
    speeds = {"light": {"prefill": 100.0, "decode": 10.0}, "quick": {"prefill": 101.0, "decode": 10.0}}
    level = dataclasses.replace(TABLE.measured[0], speeds=speeds, memory={"light": 1, "quick": 2})
    chosen = ask(dataclasses.replace(TABLE, measured=(level,)), question(), ("light", "quick"))
    assert chosen.runtime == "light"
    assert chosen.reason.endswith("light 18 s, quick 18 s for 512 + 128 tokens, quick with more memory")


def test_prompts_that_are_known_to_be_short_or_long() -> None:
    assert ask(TABLE, question(prompt_tokens=16), VERSIONS).runtime == "writer"
    assert ask(TABLE, question(prompt_tokens=4000), VERSIONS).runtime == "reader"


def test_encoders_have_measurements_of_their_own() -> None:
    chosen = ask(TABLE, question(task="encode"), VERSIONS)
    assert chosen.runtime == "writer"
    assert "for 128 tokens" in chosen.reason


def test_an_engine_that_is_not_here_is_not_taken() -> None:
    assert ask(TABLE, question(), {"writer": "2"}).runtime == "writer"


def test_a_runtime_that_was_never_measured_comes_behind_those_that_were_but_is_better_than_none() -> None:
    assert ask(TABLE, question(), {"novel": "1", "writer": "2"}).runtime == "writer"
    assert ask(TABLE, question(), {"novel": "1"}).runtime == "novel"


def test_processors_on_which_nothing_was_measured() -> None:
    arm = ask(TABLE, question(cpu="arm64"), VERSIONS)
    assert (arm.runtime, arm.reason) == ("writer", "not measured on arm64; as somebody wrote")
    odd = ask(TABLE, question(cpu="riscv64"), ["writer", "novel"])
    assert (odd.runtime, odd.reason) == ("novel", "not measured on riscv64; nobody knows")


def test_what_was_measured_here_comes_before_the_table(bundle: Bundle) -> None:
    here = Measurement(
        cpu="x86_64-vnni", task="generate", quantization="int4", size=SIZE, source="a test",
        workload={"prefill": 8, "decode": 64}, speeds=SPEEDS,
    )  # fmt: skip
    assert choose(bundle, VERSIONS, SIZE).runtime == "reader"
    remember(bundle, VERSIONS, here)
    chosen = choose(bundle, VERSIONS, SIZE)
    assert chosen.runtime == "writer"
    assert chosen.reason == "measured here: writer 0.31 s, reader 1 s for 8 + 64 tokens"
    assert choose(bundle, VERSIONS, SIZE, prompt_tokens=4000).runtime == "reader"


def test_a_measurement_is_one_of_a_bundle_a_processor_and_engines(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = TABLE.measured[0]
    remember(bundle, VERSIONS, kept)
    assert recall(bundle, VERSIONS) == kept
    assert recall(bundle, {**VERSIONS, "writer": "3"}) is None
    assert recall(bundle, {"writer": "2"}) is None
    monkeypatch.setitem(FILES, "onnx/model.onnx", b"other weights")
    assert recall(Bundle.open(write_bundle(tmp_path / "b.edge")), VERSIONS) is None
    moved = tmp_path / "moved.edge"
    bundle.path.rename(moved)
    assert recall(Bundle.open(moved), VERSIONS) == kept, "the same bundle in another folder"
    other = Cpu(name="another", features=(), physical_cores=2, logical_cores=2)
    monkeypatch.setattr(measured, "read_cpu", lambda: other)
    assert recall(bundle, VERSIONS) is None


@pytest.mark.parametrize("damage", [b"", b"{", b'{"cpu": 1}', b"\xff" * 9, None])
def test_a_damaged_memory_is_ignored(bundle: Bundle, damage: bytes | None) -> None:
    path = remember(bundle, VERSIONS, TABLE.measured[0])
    if damage is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(damage)
    assert recall(bundle, VERSIONS) is None
    assert choose(bundle, VERSIONS, SIZE).runtime == "reader"


def test_a_memory_of_none_of_these_runtimes_is_ignored(bundle: Bundle) -> None:
    foreign = Measurement(
        cpu="x86_64", task="generate", quantization="int4", size=1, source="x", workload=CHAT,
        speeds={"foreign": {"prefill": 1.0, "decode": 1.0}},
    )  # fmt: skip
    remember(bundle, VERSIONS, foreign)
    assert choose(bundle, VERSIONS, SIZE).runtime == "reader"


def test_the_only_one_needs_no_reason(bundle: Bundle) -> None:
    assert choose(bundle, {"novel": "1"}, SIZE).runtime == "novel"


class Fake:
    def __init__(self, name: str, *, ok: bool = True) -> None:
        self.name, self.format, self._ok = name, "onnx", ok

    def available(self) -> Availability:
        return Availability(ok=self._ok, version="1", reason="not installed", hint=f"install {self.name}")

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:
        return f"it expands {outline.quantization}" if (self.name, processor.is_arm) == ("expander", True) else ""


def known(monkeypatch: pytest.MonkeyPatch, *runtimes: Fake) -> None:
    by_name = {fake.name: fake for fake in runtimes}
    monkeypatch.setattr(registry, "runtime_names", lambda: sorted(by_name))
    monkeypatch.setattr(registry, "runtime", by_name.__getitem__)


def test_the_registry_takes_what_is_here_and_has_a_format(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, Fake("reader"), Fake("writer"))
    assert registry.choose_runtime(bundle).name == "reader"
    assert registry.choose_runtime(bundle, prompt_tokens=4).name == "writer"
    assert registry.choose_runtime(bundle, "writer").name == "writer"
    known(monkeypatch, Fake("reader", ok=False), Fake("writer"))
    assert registry.explain_choice(bundle).reason == "the only runtime here that opens this bundle"


def test_none_is_an_error_with_every_reason(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Fake("other")
    other.format = "tflite"
    known(monkeypatch, other, Fake("reader", ok=False))
    with pytest.raises(RuntimeUnavailableError) as caught:
        registry.choose_runtime(bundle)
    assert caught.value.hint == "install reader"
    assert "other: the bundle has no tflite format; reader: not installed" in caught.value.message


def test_a_runtime_without_encoders_is_not_asked_for_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoder = Bundle(tmp_path, manifest(formats={"onnx": FormatEntry(files=())}))
    object.__setattr__(encoder.manifest, "task", "embed")
    known(monkeypatch, Fake("reader"))
    with pytest.raises(RuntimeUnavailableError, match="opens no encoders"):
        registry.choose_runtime(encoder, "reader")


@pytest.mark.parametrize("tokens", [0, -1, 2.5])
def test_a_length_of_prompts_that_is_none(bundle: Bundle, tokens: int) -> None:
    with pytest.raises(UsageError, match="prompt_tokens"):
        load(bundle.path, prompt_tokens=tokens)


@pytest.mark.parametrize(("machine", "chosen"), [("aarch64", "reader"), ("x86_64", "expander")])
def test_auto_does_not_take_what_advises_against_itself(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, machine: str, chosen: str
) -> None:
    """However fast it was: what it expands does not fit where the bundle was meant to."""
    versions = {"expander": "1", "reader": "1"}
    fast = {"expander": {"prefill": 9e9, "decode": 9e9}, "reader": {"prefill": 1.0, "decode": 1.0}}
    remember(bundle, versions, dataclasses.replace(TABLE.measured[0], speeds=fast))
    monkeypatch.setattr("edgekit.machine.this_processor", lambda: Processor(machine, ("asimd",)))
    known(monkeypatch, Fake("expander"), Fake("reader"))
    assert registry.choose_runtime(bundle).name == chosen
    assert registry.choose_runtime(bundle, "expander").name == "expander"
    known(monkeypatch, Fake("expander"))
    if machine == "aarch64":
        with pytest.raises(RuntimeUnavailableError, match="expander: it expands int4") as caught:
            registry.choose_runtime(bundle)
        assert caught.value.hint == "if you want it all the same: --runtime expander"
