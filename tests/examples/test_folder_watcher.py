from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edgekit

WATCH = "folder_watcher/watch.py"
TEXT = "The bridge is closed until May. Buses stop at the library instead. The shops stay open as usual."
Steps = Callable[[], Iterator[None]]


@pytest.fixture
def watch(
    run: Callable[..., object], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Steps], Path]:
    """Run the watcher; `steps` does something to the inbox before each further look, and then Ctrl-C ends it."""
    inbox, summaries = tmp_path / "inbox", tmp_path / "summaries"
    inbox.mkdir()

    def start(steps: Steps) -> Path:
        left = steps()

        def sleep(seconds: float) -> None:
            try:
                next(left)
            except StopIteration:
                raise KeyboardInterrupt from None

        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", sleep)
            assert run(WATCH, model, inbox, summaries) is None
        return summaries

    return start


def test_a_text_is_summarised_in_its_own_sentences(watch: Callable[[Steps], Path], tmp_path: Path) -> None:
    def steps() -> Iterator[None]:
        (tmp_path / "inbox/a.txt").write_text(TEXT, encoding="utf-8")
        yield from [None] * 3

    (summary,) = watch(steps).iterdir()
    assert summary.name == "a.txt.summary"
    lines = summary.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(line in TEXT for line in lines)
    assert abs(summary.stat().st_mtime - (tmp_path / "inbox/a.txt").stat().st_mtime) < 0.01


def test_a_text_that_grows_is_waited_for(
    watch: Callable[[Steps], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, summaries = tmp_path / "inbox/a.md", tmp_path / "summaries"

    def steps() -> Iterator[None]:
        for words in range(1, 5):
            path.write_text(TEXT[: 20 * words], encoding="utf-8")
            yield
            assert not list(summaries.iterdir())
        yield
        yield

    watch(steps)
    assert capsys.readouterr().out.count("a.md:") == 1


def test_nothing_is_done_twice_but_a_change(
    watch: Callable[[Steps], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "inbox/a.txt"
    path.write_text(TEXT, encoding="utf-8")

    def wait() -> Iterator[None]:
        yield from [None] * 4

    def change() -> Iterator[None]:
        path.write_text("It was opened again today at noon.", encoding="utf-8")
        os.utime(path, (path.stat().st_mtime + 60,) * 2)
        yield from [None] * 4

    watch(wait)
    assert capsys.readouterr().out.count("a.txt:") == 1
    watch(wait)  # started again
    assert "a.txt:" not in capsys.readouterr().out
    summaries = watch(change)
    assert capsys.readouterr().out.count("a.txt:") == 1
    assert (summaries / "a.txt.summary").read_text(encoding="utf-8") == "It was opened again today at noon.\n"


def test_what_cannot_be_read_is_said_once_and_the_rest_goes_on(
    watch: Callable[[Steps], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inbox/folder.txt").mkdir()
    (tmp_path / "inbox/picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "inbox/a.txt").write_bytes("Café de Paris".encode("latin-1"))
    (tmp_path / "inbox/b.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "inbox/gone.txt").write_text(TEXT, encoding="utf-8")

    def steps() -> Iterator[None]:
        (tmp_path / "inbox/gone.txt").unlink()
        yield from [None] * 4

    summaries = watch(steps)
    said = capsys.readouterr().out
    assert said.count("a.txt is left out: 'utf-8' codec can't decode") == 1
    assert [path.name for path in summaries.iterdir()] == ["b.txt.summary"]
    assert said.endswith("stopped\n")


def test_a_model_that_fails_on_a_text_does_not_end_it(
    watch: Callable[[Steps], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.model import Model

    def fail(*_: object, **__: object) -> object:
        raise edgekit.EdgekitError("too long", "cut it")

    monkeypatch.setattr(Model, "generate", fail)
    (tmp_path / "inbox/a.txt").write_text(TEXT, encoding="utf-8")
    summaries = watch(lambda: iter([None] * 3))
    assert not list(summaries.iterdir())
    assert "a.txt is left out: too long" in capsys.readouterr().out


def test_without_arguments_it_says_how_to_call_it(run: Callable[..., object]) -> None:
    assert "python watch.py smollm2.edge inbox summaries" in str(run(WATCH))


@pytest.mark.slow
def test_a_long_text_and_the_samples(
    run: Callable[..., object], examples: Path, smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, summaries = tmp_path / "inbox", tmp_path / "summaries"
    inbox.mkdir()
    texts = [*(examples / "folder_watcher" / "samples").iterdir(), examples / "faq" / "library.md"]
    for path in texts:
        (inbox / path.name).write_bytes(path.read_bytes())
    looks = iter([None, None])

    def sleep(seconds: float) -> None:
        if next(looks, "end") == "end":
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert run(WATCH, smollm2, inbox, summaries) is None
    for path in texts:
        lines = (summaries / f"{path.name}.summary").read_text(encoding="utf-8").splitlines()
        whole = " ".join(path.read_text(encoding="utf-8").split())
        assert 2 <= len(lines) <= 10
        assert all(line in whole for line in lines)
    assert "rust" in (summaries / "notice.md.summary").read_text(encoding="utf-8")
    assert "pump" in (summaries / "minutes.txt.summary").read_text(encoding="utf-8")
