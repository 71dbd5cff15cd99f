from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.cli import bench, main
from edgekit.progress import Silent


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
    found = bench.measure(session, 7, 3, 4, Silent())
    assert session.calls == [7, 1, 1] * 5
    assert session.rewinds == 5
    assert all(value.rounds == 4 and value.low <= value.median <= value.high for value in found.values())


def test_a_bundle_as_json(bundle: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    data = run_json("bench", bundle, "--prompt-tokens", 32, "--new-tokens", 4, "--rounds", 3)
    assert data["runtime"] == "onnx"
    assert data["decode_tokens_per_second"]["median"] > 0


def test_a_bundle_as_a_table(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle), "--prompt-tokens", "32", "--new-tokens", "4", "--rounds", "3"]) == 0
    shown = capsys.readouterr().out
    for row in ("size", "load time", "peak memory", "prefill of 32", "decode of 4", "time to first token"):
        assert row in shown


def test_more_than_the_context_is_wrong_usage(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(bundle), "--prompt-tokens", "500", "--new-tokens", "100"]) == 2
    assert "500 prompt tokens and 100 new ones do not fit the context of 512" in capsys.readouterr().err
