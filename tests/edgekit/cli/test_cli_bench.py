from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_encoders
from echo_decoder import EchoDecoder

from edgekit import energy, registry
from edgekit.bundle import Bundle
from edgekit.cli import comparing, main, measuring
from edgekit.errors import EdgekitError, EnergyError, RuntimeUnavailableError
from edgekit.pass_costs import PassCosts
from edgekit.planning.machine_speed import MachineSpeed
from edgekit.progress import Silent
from edgekit.session import DecoderSession


class CountingSession:
    """A session that records what it is asked."""

    vocab_size = 50

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.rewinds = 0

    def rewind(self, length: int) -> None:
        assert length == 0
        self.rewinds += 1

    def forward(self, tokens: Any, last: int = 1, progress: Any = None) -> np.ndarray:
        self.calls.append(len(tokens))
        return np.eye(1, self.vocab_size, dtype=np.float32)


def test_rounds_interleave_prefill_and_decode_after_one_that_is_not_counted() -> None:
    session: Any = CountingSession()
    found = measuring.measure_decoder(session, 7, 3, 4, Silent())
    assert session.calls == [7, 1, 1] * 5
    assert session.rewinds == 5
    assert all(value.rounds == 4 and value.low <= value.median <= value.high for value in found.values())


def test_what_passes_cost_is_measured_behind_the_same_tokens_alone_and_by_turns() -> None:
    """With a clock that only the session moves: a token takes 1, a pass 10, and one of another size 5 more."""
    now, before, sizes = 0.0, 0, []

    class Clocked(EchoDecoder):
        def step(self, tokens: Any, start: int, last: int, reach: int = 0) -> Any:
            nonlocal now, before
            assert start in (0, 9)
            sizes.append((len(tokens), last))
            now += 10 + len(tokens) + 5 * (len(tokens) != before)
            before = len(tokens)
            return super().step(tokens, start, last, reach)

    session = DecoderSession(Clocked(context=64))
    found = measuring.measure_passes(session, 9, 3, Silent(), lambda: now)
    assert {name: value.median for name, value in found.items()} == pytest.approx(
        {"2": 12 / 11, "4": 14 / 11, "8": 18 / 11, "16": 26 / 11, "change": 5 / 11}
    )
    assert all(tokens == last for tokens, last in sizes[1:])
    assert measuring.measure_passes(DecoderSession(EchoDecoder(context=2)), 9, 3, Silent()) == {}


def test_a_bundle_as_json(bundle: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("bench", bundle, "--prompt-tokens", 32, "--new-tokens", 4, "--rounds", 3)
    assert data["runtime"] == "onnx"
    assert data["decode_tokens_per_second"]["median"] > 0
    assert list(data["passes"]) == [*map(str, measuring.PASSES), "change"]


def test_a_bundle_as_a_table(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle), "--prompt-tokens", "32", "--new-tokens", "4", "--rounds", "3"]) == 0
    shown = capsys.readouterr().out
    speeds = ("prefill of 32", "decode of 4", "time to first token", "a pass over 8 tokens")
    for row in ("size", "load time", "peak memory", *speeds):
        assert row in shown


def test_more_than_the_context_is_wrong_usage(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle), "--prompt-tokens", "500", "--new-tokens", "100"]) == 2
    assert "500 prompt tokens and 100 new ones do not fit the context of 512" in capsys.readouterr().err


class CountingEncoder:
    vocab_size = 50

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, ids: Any, mask: Any) -> None:
        assert ids.shape == mask.shape
        self.shapes.append(ids.shape)


def test_an_encoder_is_measured_with_one_text_and_many_by_turns() -> None:
    session: Any = CountingEncoder()
    found = measuring.measure_encoder(session, 9, 3, Silent())
    assert session.shapes == [(1, 9), (measuring.BATCH, 9)] * 4
    assert set(found) == {"text_seconds", "encode_tokens_per_second"}


FEW = ("--prompt-tokens", 8, "--new-tokens", 2, "--rounds", 3)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
def test_every_runtime_is_measured_and_the_best_remembered(
    checkpoint: Path, tmp_path: Path, cache: Path, run_json: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "all.edge"
    assert main(["export", str(checkpoint), "-o", str(path), "--to", "onnx,openvino,tflite"]) == 0
    data = run_json("bench", path, "--runtime", "all", *FEW)
    assert {result["runtime"] for result in data["runtimes"]} == set(registry.runtime_names())
    assert (data["left_out"], data["remembered"], data["problem"]) == ({}, True, None)
    bundle = Bundle.open(path)
    assert registry.choose_runtime(bundle).name == data["fastest"]
    assert registry.explain_choice(bundle).reason.startswith("measured here")
    inspected = run_json("inspect", path)
    assert inspected["auto"]["runtime"] == data["fastest"]
    # Threads that no other command takes say nothing about them.
    data = run_json("bench", path, "--runtime", "all", *FEW, "--threads", 1)
    assert (data["remembered"], "--threads" in data["problem"]) == (False, True)
    capsys.readouterr()


def fake_results(monkeypatch: pytest.MonkeyPatch, **decode: float | str) -> None:
    """Let each runtime come out with a speed of its decoding, or fail with words."""

    def measured(path: Path, runtime: str, options: Any) -> dict[str, Any]:
        found = decode[runtime]
        if isinstance(found, str):
            raise RuntimeUnavailableError(found)
        value = {"median": found, "low": found, "high": found, "rounds": 3}
        return {
            "name": "tiny", "runtime": runtime, "prompt_tokens": 8, "new_tokens": 2, "rounds": 3, "size": 1,
            "load_seconds": 0.1, "peak_memory": 1_000_000, "first_token_seconds": value,
            "prefill_tokens_per_second": value, "decode_tokens_per_second": value,
            "passes": {"2": value | {"median": 1.5}, "change": value | {"median": 0.25}},
        }  # fmt: skip

    monkeypatch.setattr(comparing, "_measured", measured)
    speed = MachineSpeed(bandwidth=4e10, flops=2e11, noise=0.0)
    monkeypatch.setattr("edgekit.planning.machine_speed.measure", lambda threads: speed)
    openers = {registry.runtime(name): registry.runtime(name).available() for name in decode}
    monkeypatch.setattr(registry, "openers", lambda bundle, name="auto": openers)


def test_one_that_fails_is_told_and_the_best_of_the_others_taken(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_results(monkeypatch, onnx=10.0, tflite="it is too old")
    assert main(["bench", str(bundle), "--runtime", "all"]) == 0
    shown = capsys.readouterr().out
    assert "8 + 2 tokens" in shown
    assert "tflite was left out: it is too old" in shown
    assert "onnx; remembered" in shown
    opened = Bundle.open(bundle)
    assert registry.explain_choice(opened).reason.startswith("measured here: onnx 1 s")
    # Guessing ahead goes by it as well.
    assert registry.pass_costs(opened, registry.runtime("onnx"), lambda: None) == PassCosts(((1, 1.0), (2, 1.5)), 0.25)


def test_a_memory_that_cannot_be_kept_is_told(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, run_json: Callable[..., dict[str, Any]]
) -> None:
    cache.write_text("in the way", encoding="utf-8")
    fake_results(monkeypatch, onnx=10.0)
    data = run_json("bench", bundle, "--runtime", "all")
    assert data["remembered"] is False
    assert "cannot be written" in data["problem"]


def test_where_all_fail_it_is_an_error(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_results(monkeypatch, onnx="no", tflite="neither")
    assert main(["bench", str(bundle), "--runtime", "all"]) == 1
    assert "none of onnx, tflite could run" in capsys.readouterr().err


def test_a_process_that_fails_says_why_in_its_own_words(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EdgekitError, match="do not fit the context of 512"):
        comparing._measured(bundle, "onnx", {"prompt-tokens": 9999})
    assert "hint: choose fewer" in capsys.readouterr().err


SMALL = ("--prompt-tokens", 32, "--new-tokens", 4, "--rounds", 3)


class Told:
    """A source that tells these joules, one part of the work after another, each of which is done once."""

    name, covers, interval, lag, window = "rapl", "a test", 3600.0, 0.0, 0.0

    def __init__(self, *steps: float | EnergyError) -> None:
        self.steps = list(steps)

    def start(self) -> None:
        pass

    def advance(self) -> float:
        step = self.steps.pop(0)
        if isinstance(step, EnergyError):
            raise step
        return step


@pytest.fixture
def joules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tell(*steps: float | EnergyError) -> None:
        monkeypatch.setattr(energy, "find", lambda: Told(*steps))

    return tell


def test_energy_of_tokens_and_of_a_task(
    bundle: Path, run_json: Callable[..., dict[str, Any]], joules: Callable[..., None]
) -> None:
    joules(1e-6, 16.0, 6.0)  # idle, a prompt of 32 tokens, an answer of 4
    data = run_json("bench", bundle, "--energy", *SMALL)["energy"]
    assert data["source"] == "rapl"
    assert data["parts"]["prefill"]["joules_per_token"] == pytest.approx(0.5)
    assert data["parts"]["decode"]["joules_per_token"] == pytest.approx(1.5)
    assert [data["parts"][part]["tokens"] for part in ("prefill", "decode")] == [32, 4]
    assert data["task"]["joules"] == pytest.approx(22.0)
    for part in data["parts"].values():
        idle = data["idle_watts"] * part["seconds"] / part["tokens"]
        assert part["joules_above_idle_per_token"] == pytest.approx(part["joules_per_token"] - idle)


def test_energy_of_an_encoder_is_that_of_a_text(
    tmp_path: Path, run_json: Callable[..., dict[str, Any]], joules: Callable[..., None]
) -> None:
    joules(1e-6, 2.0, 16.0)
    path = small_encoders.bundle("embed", tmp_path)
    data = run_json("bench", path, "--energy", "--prompt-tokens", 8, "--rounds", 3)["energy"]
    assert data["parts"]["text"]["joules_per_token"] == pytest.approx(0.25)
    assert data["parts"]["batch"]["joules_per_token"] == pytest.approx(0.125)
    assert data["task"]["joules"] == pytest.approx(2.0)


def test_energy_as_a_table(bundle: Path, joules: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    joules(1e-6, 16.0, 6.0)
    assert main(["bench", str(bundle), "--energy", *map(str, SMALL)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"a token of the prompt +500 mJ +500 mJ", shown)
    assert re.search(r"a token of the answer +1\.50 J +1\.50 J", shown)
    assert re.search(r"a task of 32 \+ 4 tokens +22\.0 J", shown)
    assert "By rapl: a test; " in shown


@pytest.mark.parametrize("steps", [(EnergyError("it is gone"),), (4.0, 16.0, EnergyError("it is gone"))])
def test_energy_readings_that_vanish_leave_no_number(
    bundle: Path, run_json: Callable[..., dict[str, Any]], joules: Callable[..., None], steps: tuple[Any, ...]
) -> None:
    joules(*steps)
    data = run_json("bench", bundle, "--energy", *SMALL)
    assert data["energy"]["measurable"] is False
    assert re.fullmatch(r"rapl: the readings ended after \d\.\d s: it is gone", data["energy"]["reason"])
    assert data["decode_tokens_per_second"]["median"] > 0


def test_where_nothing_tells_energy_it_is_said(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing() -> energy.Source:
        raise EnergyError("rapl: only root may read it; battery: none", "use sudo")

    monkeypatch.setattr(energy, "find", nothing)
    assert main(["bench", str(bundle), "--energy", *map(str, SMALL)]) == 0
    shown = capsys.readouterr().out
    assert "Energy: not measurable here: rapl: only root may read it; battery: none\n(use sudo)" in shown


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"measurable": True, "task": {"joules": 12.5}}, r"onnx .* 12\.5 J *\n"),
        ({"measurable": False, "reason": "it is gone"}, r"The energy of onnx is not measurable here: it is gone"),
    ],
)
def test_energy_beside_the_speeds_of_runtimes(
    bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    told: dict[str, Any], shown: str,
) -> None:  # fmt: skip
    fake_results(monkeypatch, onnx=10.0)
    one = comparing._measured

    def measured(path: Path, runtime: str, options: Any) -> dict[str, Any]:
        assert options["energy"] is True
        return {**one(path, runtime, options), "energy": told}

    monkeypatch.setattr(comparing, "_measured", measured)
    assert main(["bench", str(bundle), "--runtime", "all", "--energy"]) == 0
    assert re.search(shown, capsys.readouterr().out)


def test_a_process_of_its_own_is_asked_for_the_energy(bundle: Path) -> None:
    found = comparing._measured(bundle, "onnx", {"prompt-tokens": 8, "new-tokens": 2, "rounds": 3, "energy": True})
    assert "measurable" in found["energy"]
