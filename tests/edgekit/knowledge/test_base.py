"""A knowledge base over a small real encoder: made, added to, searched, asked, and refused what does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_encoders
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit.errors import BundleError, ContextError, KnowledgeError, UsageError
from edgekit.knowledge import KnowledgeBase, Passage
from edgekit.knowledge.adding import Adder
from edgekit.knowledge.answering import UNKNOWN, answer
from edgekit.knowledge.documents import DocumentError
from edgekit.knowledge.searching import KEYWORD_WEIGHT
from edgekit.model import Model
from edgekit_exporters.export import export


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with edgekit.load(small_encoders.bundle("embed", tmp_path_factory.mktemp("encoder"))) as model:
        yield model


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A model that says noise."""
    folder = tmp_path_factory.mktemp("speaker")
    with edgekit.load(
        export(write_tiny_checkpoint(folder / "tiny"), to=("onnx",), output=folder / "tiny.edge")
    ) as model:
        yield model


@pytest.fixture
def base(encoder: Model, tmp_path: Path) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.create(tmp_path / "kb", encoder) as made:
        yield made


def write(folder: Path, **texts: str) -> list[Path]:
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return [folder / f"{name}.md" for name in texts]


FOX = "# Fox\n\nThe quick brown fox.\n\n## Dog\n\nThe lazy dog, 345 times.\n"


def test_files_are_found_with_their_source_and_line(base: KnowledgeBase, encoder: Model, tmp_path: Path) -> None:
    (path,) = write(tmp_path, fox=FOX)
    added = base.add(path)
    assert (added.added, added.chunks, base.documents()) == ([path.as_posix()], 2, {path.as_posix(): 2})
    found = base.search("345 lazy dog")
    assert [(each.line, each.headings, each.text) for each in found] == [
        (7, ("Fox", "Dog"), "The lazy dog, 345 times."), (3, ("Fox",), "The quick brown fox."),
    ]  # fmt: skip
    vectors = encoder.embed(["345 lazy dog", "Dog\nThe lazy dog, 345 times."])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert found[0].similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert found[0].score == pytest.approx(found[0].similarity + KEYWORD_WEIGHT * found[0].keywords)
    assert (found[0].keywords, found[1].keywords) == (pytest.approx(1.0, abs=0.2), 0.0)


def test_only_what_is_new_is_embedded(base: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = write(tmp_path, a="The quick dog.", b="A lazy fox.")
    base.add(first, second)
    embedded: list[str] = []
    embed = base.encoder.embed
    monkeypatch.setattr(base.encoder, "embed", lambda texts: embedded.extend(texts) or embed(texts))
    again = base.add(first, second)
    assert (again.unchanged, again.chunks, embedded) == ([first.as_posix(), second.as_posix()], 0, [])
    first.write_text("She said: jump.", encoding="utf-8")
    changed = base.add(tmp_path / "a.md", second)
    assert (changed.replaced, changed.unchanged, embedded) == (
        [first.as_posix()],
        [second.as_posix()],
        ["She said: jump."],
    )
    assert {each.text for each in base.search("dog")} == {"She said: jump.", "A lazy fox."}
    assert base.remove(first, "none") == [first.as_posix()]
    assert [each.text for each in base.search("dog")] == ["A lazy fox."]


def test_bad_files_are_told_and_the_rest_goes_on(base: KnowledgeBase, tmp_path: Path) -> None:
    good, empty = write(tmp_path, good="The dog.", empty=" \n\n")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\x00\xff")
    added = base.add(tmp_path / "binary.txt", empty, tmp_path / "none.md", good)
    assert added.added == [good.as_posix()]
    assert [each.problem.partition(": ")[2] for each in added.refused] == [
        "is a binary file: byte 0xFF at offset 5", "has no text", "cannot be read: No such file or directory",
    ]  # fmt: skip
    good.write_text("", encoding="utf-8")
    assert [each.name for each in base.add(good).refused] == [good.as_posix()]
    assert base.documents() == {}


def test_a_file_that_became_unreadable_stays_as_it_was(base: KnowledgeBase, tmp_path: Path) -> None:
    (path,) = write(tmp_path, a="The dog.")
    base.add(path)
    path.write_bytes(b"\x00\x01\xff")
    assert base.add(path).refused
    assert base.documents() == {path.as_posix(): 1}


def test_texts_from_memory(base: KnowledgeBase) -> None:
    assert base.add_text("notes/1", "<p>The fox.", "html").added == ["notes/1"]
    assert base.add_text("notes/1", "<p>The dog.", "html").replaced == ["notes/1"]
    assert [each.text for each in base.search("fox")] == ["The dog."]
    for name in ("", "a//b", "./a"):
        with pytest.raises(UsageError, match="is no name of a document"):
            base.add_text(name, "x")
    with pytest.raises(DocumentError, match="is not UTF-8"):
        base.add_text("a", "\ud800")


def test_it_is_all_that_is_needed(encoder: Model, tmp_path: Path) -> None:
    """It is moved, and opened without the encoder that made it."""
    with KnowledgeBase.create(tmp_path / "made", encoder.bundle.path) as made:
        made.add_text("a", "The fox.")
        made.threshold = 0.25
    shutil.move(tmp_path / "made", tmp_path / "moved")
    with KnowledgeBase.open(tmp_path / "moved") as moved:
        assert [each.text for each in moved.search("fox")] == ["The fox."]
        assert moved.threshold == 0.25
        moved.check()
    listed = {
        path.relative_to(tmp_path / "moved" / "encoder").as_posix()
        for path in (tmp_path / "moved" / "encoder").rglob("*")
        if path.is_file()
    }
    assert listed == {*encoder.bundle.manifest.files, "edgekit.json"}


def test_another_encoder_is_refused(base: KnowledgeBase, encoder: Model, tmp_path: Path) -> None:
    other = small_encoders.bundle("embed", tmp_path, "int8")
    with pytest.raises(KnowledgeError, match="was made with another encoder"):
        KnowledgeBase.open(base.folder, other)
    with edgekit.load(other) as model, pytest.raises(KnowledgeError, match="was made with another encoder"):
        KnowledgeBase.open(base.folder, model)
    shutil.rmtree(base.folder / "encoder")
    shutil.copytree(other, base.folder / "encoder")
    with pytest.raises(KnowledgeError, match="was made with another encoder"):
        KnowledgeBase.open(base.folder)
    with KnowledgeBase.open(base.folder, encoder.bundle.path) as opened:
        assert opened.chunks == 0


def test_what_does_not_embed_is_refused(speaker: Model, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model in it embeds texts"):
        KnowledgeBase.create(tmp_path / "kb", speaker)
    assert not (tmp_path / "kb").exists()


def test_a_folder_with_something_in_it_is_not_taken(encoder: Model, tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "mine").touch()
    with pytest.raises(UsageError, match="is there already"):
        KnowledgeBase.create(tmp_path / "kb", encoder)
    (tmp_path / "kb" / "mine").unlink()
    KnowledgeBase.create(tmp_path / "kb", encoder).close()
    with pytest.raises(UsageError, match="is there already"):
        KnowledgeBase.create(tmp_path / "kb", encoder)


def test_creating_is_whole_or_not_at_all(encoder: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgekit.knowledge.base.Contents.create", fail)
    with pytest.raises(OSError, match="No space"):
        KnowledgeBase.create(tmp_path / "kb", encoder)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_one_says_so(encoder: Model, tmp_path: Path) -> None:
    base = KnowledgeBase.create(tmp_path / "kb", encoder)
    base.close()
    base.close()
    for use in (lambda: base.search("fox"), lambda: base.add_text("a", "x"), lambda: base.remove("a"), base.documents):
        with pytest.raises(KnowledgeError, match="the knowledge base is closed"):
            use()


def test_a_damaged_vector_file_is_told(base: KnowledgeBase, encoder: Model) -> None:
    base.add_text("a", "The fox.")
    (path,) = base.folder.glob("vectors-*.f32")
    raw = bytearray(path.read_bytes())
    raw[3] ^= 0x40
    path.write_bytes(raw)
    with pytest.raises(KnowledgeError, match="rows 0 to 1,023 do not match their SHA-256"):
        KnowledgeBase.open(base.folder, encoder)


@pytest.mark.parametrize("query", ["", "  \n", None])
def test_an_empty_query_is_refused(query: str, base: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="the question is empty"):
        base.search(query)
    with pytest.raises(UsageError, match="limit is 0"):
        base.search("fox", 0)


def test_many_documents_are_committed_in_batches(base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.knowledge.adding.BATCH", 3)
    commits: list[int] = []
    finish = Adder.finish
    monkeypatch.setattr(Adder, "finish", lambda self: commits.append(len(self._waiting)) or finish(self))
    folder = base.folder.parent
    base.add(*write(folder, **{f"d{number}": f"The dog {number}." for number in range(7)}))
    assert commits == [3, 3, 1]
    assert base.chunks == 7


def test_faiss_takes_over_where_there_are_many(
    base: KnowledgeBase, encoder: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss", reason="faiss-cpu (extra [rag]) is not installed: the index is NOT tested")
    monkeypatch.setattr("edgekit.knowledge.faiss_index.LARGE", 40)
    words = ("quick", "brown", "fox", "jump", "lazy", "dog", "times", "said")
    texts = {f"d{n}": f"The {words[n % 8]} {words[n // 8 % 8]} {n}." for n in range(64)}
    paths = write(base.folder.parent, **texts)
    assert not base.indexed
    exact = [[each.source for each in base.search(f"lazy dog {n}", 5)] for n in range(5)]
    base.add(*paths)
    assert base.indexed
    with_faiss = [[each.source for each in base.search(f"lazy dog {n}", 5)] for n in range(5)]
    monkeypatch.setattr("edgekit.knowledge.faiss_index.LARGE", 1000)
    with KnowledgeBase.open(base.folder, encoder) as plain:
        assert not plain.indexed
        exact = [[each.source for each in plain.search(f"lazy dog {n}", 5)] for n in range(5)]
    assert with_faiss == exact
    base.remove(exact[0][0])
    assert exact[0][0] not in [each.source for each in base.search("lazy dog 0", 5)]


def passage(text: str, score: float, source: str = "a.md") -> Passage:
    return Passage(source, 1, ("Heading",), text, score, score, 0.0)


def test_what_is_too_far_is_declined_without_asking_the_model(base: KnowledgeBase, speaker: Model) -> None:
    declined = base.ask("Where is the fox?", speaker)
    assert (declined.text, declined.declined, declined.sources, declined.reply) == (UNKNOWN, True, (), None)
    base.add_text("a", "The fox.")
    declined = base.ask("Where is the fox?", speaker, threshold=1.9)
    assert (declined.declined, declined.reply, declined.threshold) == (True, None, 1.9)
    for value in (3, float("nan"), True, "high"):
        with pytest.raises(UsageError, match="the threshold is"):
            base.ask("fox", speaker, threshold=value)  # type: ignore[arg-type]


def test_noise_is_not_passed_on_and_the_passage_is_quoted(base: KnowledgeBase, speaker: Model) -> None:
    base.add_text("a", "The quick brown fox.")
    answered = base.ask("Where is the fox?", speaker, threshold=-1, max_tokens=5)
    assert (answered.text, answered.wording) == ("The quick brown fox.", "quoted")
    assert [(each.source, each.line) for each in answered.sources] == [("a", 1)]
    assert answered.reply is not None
    assert len(answered.reply.tokens) <= 5


def test_the_least_relevant_passages_are_dropped_until_the_prompt_fits(
    speaker: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokenizer has a token for each byte, so a passage of 100 letters has 100."""
    found = [passage(letter * 100, score) for letter, score in (("x", 0.9), ("y", 0.89), ("z", 0.88), ("far", 0.5))]
    asked: list[str] = []
    generate = speaker.generate

    def spy(ids: list[int], **settings: object) -> object:
        asked.append(speaker.tokenizer.decode(ids))
        return generate(ids, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(speaker, "generate", spy)
    for max_tokens, letters in ((8, "xyz"), (130, "xy"), (250, "x")):
        answer("What?", found, speaker, threshold=0.1, passages=4, max_tokens=max_tokens)
        assert {letter for letter in "xyz" if letter * 100 in asked[-1]} == set(letters)
        assert "far" not in asked[-1]
    with pytest.raises(ContextError, match="model's context is 512"):
        answer("What?", [passage("x" * 600, 0.9)], speaker, threshold=0.1, passages=4, max_tokens=8)
    with pytest.raises(UsageError, match="passages is 0"):
        answer("What?", found, speaker, threshold=0.1, passages=0, max_tokens=8)
