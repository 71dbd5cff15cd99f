from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.cli import answering, main
from edgekit.cli.chat import Talk
from edgekit.progress import Silent

RunJson = Callable[..., dict[str, Any]]


def give(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


def test_each_line_is_a_turn_and_the_cache_is_used_again(
    bundle: Path, run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"hello\n\nand then?\n/exit\nnever\n")
    turns = run_json("chat", bundle, "--max-tokens", 8)["turns"]
    assert [turn["prompt"] for turn in turns] == ["hello", "and then?"]
    assert turns[0]["timings"]["reused_tokens"] == 0
    assert turns[1]["timings"]["reused_tokens"] > 0


def test_a_line_that_begins_like_a_command_is_a_turn(
    bundle: Path, run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"/saved by the bell\n")
    (turn,) = run_json("chat", bundle, "--max-tokens", 2)["turns"]
    assert turn["prompt"] == "/saved by the bell"


def test_reset_forgets(bundle: Path, run_json: RunJson, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, b"hello\n/reset\nhello\n")
    first, second = run_json("chat", bundle, "--max-tokens", 8)["turns"]
    assert first["tokens"] == second["tokens"]


def test_a_kept_conversation_goes_on(
    bundle: Path, run_json: RunJson, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "talk.kv"
    give(monkeypatch, b"hello\nand then?\n")
    whole = run_json("chat", bundle, "--max-tokens", 8, "--system", "Be brief.")["turns"]
    give(monkeypatch, f"hello\n/save {file}\n".encode())
    assert len(run_json("chat", bundle, "--max-tokens", 8, "--system", "Be brief.")["turns"]) == 1
    give(monkeypatch, b"and then?\n")
    (turn,) = run_json("chat", bundle, "--max-tokens", 8, "--resume", file, "--save", tmp_path / "later.kv")["turns"]
    assert turn["tokens"] == whole[1]["tokens"]
    assert turn["timings"]["reused_tokens"] == whole[1]["timings"]["reused_tokens"]
    assert (tmp_path / "later.kv").exists()


@pytest.mark.parametrize(
    ("lines", "options", "complaint"),
    [
        (b"/save\n", [], "/save needs the name of a file"),
        (b"/save talk.kv\n", [], "has no turns yet"),
        (b"hello\n", ["--system", "a", "--resume", "b"], "--resume brings the system message"),
        (b"hello\n", ["--resume", "none.kv"], "cannot read none.kv"),
        (b"hello\n", ["--overflow", "spill"], "--overflow"),
        (b"hello\n", ["--draft", "no.edge"], "no.edge"),
    ],
)
def test_conversations_that_cannot_be_kept_or_taken_up(
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: bytes,
    options: list[str],
    complaint: str,
) -> None:
    give(monkeypatch, lines)
    assert main(["chat", str(bundle), "--max-tokens", "2", *options]) in (1, 2)
    assert complaint in capsys.readouterr().err


def test_the_answers_of_piped_lines_are_printed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, b"/help\nhello\n")
    assert main(["chat", str(bundle), "--max-tokens", "8"]) == 0
    captured = capsys.readouterr()
    assert "/reset" in captured.err
    assert captured.out.endswith("\n")
    assert ">" not in captured.out.splitlines()[0][:2]


def test_a_piped_line_that_is_no_text_is_wrong_usage(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, b"hello\n\xff\n")
    assert main(["chat", str(bundle), "--max-tokens", "2"]) == 2
    assert "line 2 of standard input is not UTF-8" in capsys.readouterr().err


def test_a_person_may_go_on_after_a_line_that_is_too_long(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with edgekit.load(bundle, context=96) as model:
        chat = Talk(model.chat(max_tokens=4), progress=Silent(), silent=True)
        chat.talk(iter(["a" * 200, "b\udcff", "hello"]), patient=True)
        assert [turn["prompt"] for turn in chat.turns] == ["hello"]
    assert capsys.readouterr().err.count("error: ") == 2


def test_a_person_may_go_on_after_an_answer_that_overflows(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with edgekit.load(bundle, context=40) as model:
        conversation = model.chat(overflow="error")
        Talk(conversation, progress=Silent(), silent=True).talk(iter(["hello"]), patient=True)
        assert "fills the context of 40 tokens" in capsys.readouterr().err


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Impatient(io.StringIO):
        """Stands for a terminal whose user presses Ctrl-C at the second piece."""

        pieces = 0

        def write(self, text: str) -> int:
            self.pieces += 1
            if self.pieces == 2:
                raise KeyboardInterrupt
            return super().write(text)

    shown = Impatient()
    monkeypatch.setattr(sys, "stdout", shown)
    with edgekit.load(bundle) as model:
        conversation, replies = model.chat(max_tokens=20), []
        chat = Talk(conversation, progress=Silent(), silent=False)
        monkeypatch.setattr(answering, "show", lambda *args, show=answering.show, **options: replies.append(
            reply := show(*args, **options)) or reply)  # fmt: skip
        chat.talk(iter(["hello", "again"]), patient=False)
        stopped, second = replies
    assert stopped.finish_reason == "cancelled"
    assert len(stopped.tokens) < 20
    assert second.finish_reason in ("length", "stop")
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"] * 2
    assert chat.turns == [], "what was shown is not kept: a chat may go on for days"


def test_ctrl_d_and_ctrl_c_at_the_prompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from edgekit.cli.chat import _typed_lines

    events = iter(["one", KeyboardInterrupt(), "two", EOFError()])

    def ask(_: str) -> str:
        event = next(events)
        if isinstance(event, BaseException):
            raise event
        return event

    monkeypatch.setattr("builtins.input", ask)
    assert [line for line in _typed_lines() if line] == ["one", "two"]
    assert "Ctrl-D" in capsys.readouterr().err
