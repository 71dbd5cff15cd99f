"""A knowledge base: documents that are found by meaning and by words, and that a small model answers from."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.bundle import Bundle
from edgekit.bundle_names import MANIFEST
from edgekit.errors import KnowledgeError, UsageError
from edgekit.knowledge import answering
from edgekit.knowledge.adding import Added, Adder
from edgekit.knowledge.answering import Answer
from edgekit.knowledge.contents import Contents
from edgekit.knowledge.documents import Document, name_of
from edgekit.knowledge.nearest import Float32
from edgekit.knowledge.searching import Passage, find
from edgekit.knowledge.store import Base
from edgekit.loading import load
from edgekit.model import Model
from edgekit.progress import Progress, Silent
from edgekit.staging import LockedError, Staging, rename, sync_file, sync_folder

if TYPE_CHECKING:
    from edgekit.tokenizer import Tokenizer

ENCODER = "encoder"
"""The encoder's bundle within the folder: a knowledge base is all that a device needs."""
LONGEST = 200
"""Tokens of a chunk at most: longer ones are about several things, and vectors become vague."""
THRESHOLD = 0.49
"""Below this score `ask` declines. Chosen for all-MiniLM-L6-v2 with the questions in examples/faq/tuning: halfway
between the best score of a question from outside and the score that 95 of 100 questions from inside reach."""

Encoder = Model | str | os.PathLike[str]


class KnowledgeBase:
    """An open knowledge base. A context manager; several threads wait for each other, several processes too."""

    def __init__(self, contents: Contents, encoder: Model, *, owned: bool) -> None:
        self._contents, self._encoder, self._owned = contents, encoder, owned
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        encoder: Encoder,
        *,
        runtime: str = "auto",
        threads: int | None = None,
        memory_check: bool = True,
        progress: Progress | None = None,
    ) -> KnowledgeBase:
        """Make an empty knowledge base, whole or not at all, and open it.

        Args:
            folder: Where to make it; it must not exist, or be empty.
            encoder: A loaded `embed` bundle, or its path. It is copied into the folder.
            runtime: What executes the encoder, where a path is given.
            threads: Threads to compute with, where a path is given.
            memory_check: As of `load`.
            progress: Is told how far files are checked.

        Raises:
            UsageError: there is something in the folder.
            BundleError: the bundle does not embed, or is damaged.
            KnowledgeError: another process is making it.
        """
        output = Path(folder).resolve()
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise UsageError(f"{folder}: is there already", "open it, or choose another folder")
        model, owned = _loaded(encoder, runtime, threads, memory_check, progress)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            _write(output, model)
            return cls(Contents.open(output), model, owned=owned)
        except BaseException:
            if owned:
                model.close()
            raise

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        encoder: Encoder | None = None,
        *,
        runtime: str = "auto",
        threads: int | None = None,
        memory_check: bool = True,
        progress: Progress | None = None,
    ) -> KnowledgeBase:
        """Open a knowledge base and check that it is whole.

        Args:
            folder: Its folder.
            encoder: The encoder that made it, where it is loaded already; by default its own copy is loaded.
            runtime: What executes the encoder, where it is loaded here.
            threads: Threads to compute with, where it is loaded here.
            memory_check: As of `load`.
            progress: Is told how far files are checked, at the first open and whenever they changed.

        Raises:
            KnowledgeError: there is none, it is damaged, or it was made with another encoder.
            BundleError: the encoder is missing or damaged.
        """
        place = Path(folder)
        contents = Contents.open(place)
        try:
            contents.check(progress or Silent())
            bundle = encoder.bundle if isinstance(encoder, Model) else Bundle.open(encoder or place / ENCODER, progress)
            _check_encoder(contents, bundle)
            model, owned = _loaded(encoder or place / ENCODER, runtime, threads, memory_check, progress)
        except BaseException:
            contents.close()
            raise
        return cls(contents, model, owned=owned)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._contents.folder

    @property
    def encoder(self) -> Model:
        """What makes its vectors."""
        return self._encoder

    def documents(self) -> dict[str, int]:
        """Return the number of chunks of each document, by its name."""
        with self._contents.snapshot():
            return self._contents.store.chunk_counts()

    @property
    def chunks(self) -> int:
        """The number of chunks."""
        with self._contents.snapshot() as found:
            return found.chunks

    @property
    def indexed(self) -> bool:
        """Whether Faiss helps to search it."""
        with self._contents.snapshot() as found:
            return found.index is not None

    @property
    def threshold(self) -> float:
        """The score below which `ask` declines; kept in the knowledge base."""
        with self._contents.snapshot():
            return self._contents.store.base().threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._contents.set_threshold(answering.checked_threshold(value))

    def add(self, *paths: str | os.PathLike[str], progress: Progress | None = None) -> Added:
        """Add files: text, Markdown and HTML in UTF-8, by their suffix; of a folder, all that have such a suffix.

        A document is named by its path as given. One that is there and has not changed is not embedded again; one that
        has changed is replaced. Documents become visible a batch at a time, each as a whole; what was committed stays,
        whatever happens to the process.

        Returns:
            What became of each file; those that could not be read are among `refused`, and the rest goes on.

        Raises:
            KnowledgeError: another process writes for longer than the patience, or the files are damaged.
        """
        with self._lock:
            result = self._adder(progress).add_files(paths)
            self._index(progress or Silent())
        return result

    def add_text(self, name: str, text: str, form: str = "text") -> Added:
        """Add a document from memory; `form` is "text", "markdown" or "html".

        Raises:
            UsageError: a name that is none, or an unknown form.
            DocumentError: the text holds what no text has.
            KnowledgeError: as `add`.
        """
        if not name or name != name_of(name):
            raise UsageError(f"{name!r} is no name of a document", f"write it as {name_of(name)!r}")
        with self._lock:
            adder = self._adder(None)
            adder.add(Document.of(name, text.encode("utf-8", "surrogatepass"), form))
            adder.finish()
        return adder.result

    def remove(self, *names: str | os.PathLike[str]) -> list[str]:
        """Take documents out, all at once, and return the names of those that were there.

        Raises:
            KnowledgeError: as `add`.
        """
        return self._contents.remove([name_of(name) for name in names])

    def search(self, query: str, limit: int = 8) -> list[Passage]:
        """Return the passages that fit a query best, the best first.

        Raises:
            UsageError: an empty query, or a limit below 1.
        """
        if not isinstance(query, str) or not query.strip():
            raise UsageError("the question is empty", "give a text")
        if limit < 1:
            raise UsageError(f"limit is {limit}; it must be 1 or more")
        with self._lock:
            return find(self._contents, query, self._embed([query])[0], limit)

    def ask(
        self,
        question: str,
        model: Model,
        *,
        threshold: float | None = None,
        passages: int = answering.PASSAGES,
        max_tokens: int = answering.MAX_TOKENS,
        progress: Progress | None = None,
    ) -> Answer:
        """Answer a question from what is found, with the sources that this rests on, or say that nothing is known.

        Args:
            question: What is asked.
            model: A loaded `generate` bundle. It words the answer; whether there is one is not its to decide.
            threshold: The score that the best passage must have; by default that of the knowledge base.
            passages: Passages that the model is given at most; fewer where they are far behind the best, or do not fit.
            max_tokens: Tokens of the answer at most.
            progress: Is told of the prompt's tokens as they are computed.

        Raises:
            UsageError: an empty question, or an argument out of its range.
            ContextError: not even the best passage fits the model's context.
            BundleError: the model generates no text.
        """
        least = self.threshold if threshold is None else answering.checked_threshold(threshold)
        found = self.search(question)
        return answering.answer(
            question, found, model, threshold=least, passages=passages, max_tokens=max_tokens, progress=progress
        )

    def build_index(self) -> None:
        """Make the index of Faiss anew; `add` does so by itself where there are many chunks.

        Raises:
            MissingExtraError: Faiss is not installed.
        """
        self._contents.build_index()

    def check(self, progress: Progress | None = None) -> None:
        """Check all hashes, of the encoder too, whether files seem to have changed or not.

        Raises:
            KnowledgeError, BundleError: something is damaged.
        """
        self._contents.check(progress or Silent(), whatever=True)
        Bundle.open(self.folder / ENCODER).check_hashes(progress)

    def patience(self, seconds: float) -> None:
        """Wait so long for other processes that write; 30 s by default."""
        self._contents.store.patience(seconds)

    def close(self) -> None:
        """Close the files, and the encoder where it was loaded here. Closing twice does nothing."""
        self._contents.close()
        if self._owned:
            self._encoder.close()

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _adder(self, progress: Progress | None) -> Adder:
        tokenizer = self._encoder.tokenizer
        return Adder(self._contents, self._embed, lambda text: _count(tokenizer, text), progress or Silent())

    def _embed(self, texts: Sequence[str]) -> Float32:
        vectors = self._encoder.embed(texts)
        # Whatever the checkpoint says of it: cosines are compared.
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))

    def _index(self, progress: Progress) -> None:
        if self._contents.index_is_due():
            progress.start("Building the index", None, "chunks")
            try:
                self._contents.build_index()
            finally:
                progress.finish()


def _count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False))


def _loaded(
    encoder: Encoder, runtime: str, threads: int | None, memory_check: bool, progress: Progress | None
) -> tuple[Model, bool]:
    """Return the encoder, loaded, and whether it was loaded here."""
    if isinstance(encoder, Model):
        model, owned = encoder, False
    else:
        model, owned = load(encoder, runtime, threads, progress=progress, memory_check=memory_check), True
    try:
        model.require("embed")
        _ = model.tokenizer
    except BaseException:
        if owned:
            model.close()
        raise
    return model, owned


def _write(output: Path, model: Model) -> None:
    special = len(model.tokenizer.encode(""))
    base = Base(
        identity=uuid.uuid4().hex,
        encoder=model.bundle.content_hash(),
        width=model.bundle.manifest.encoder_spec.hidden_size,
        longest=max(8, min(LONGEST, model.encoder.context - special)),
        threshold=THRESHOLD,
    )
    staging = Staging(output)
    try:
        staging.open()
    except LockedError as error:
        raise KnowledgeError(f"{output}: another process is making it", "try again when it has ended") from error
    try:
        _copy(model.bundle, staging.new / ENCODER)
        Contents.create(staging.new, base)
        sync_folder(staging.new)
        if output.exists():
            output.rmdir()  # it is empty; Windows renames nothing onto a folder
        rename(staging.new, output)
        sync_folder(output.parent)
    finally:
        staging.close()


def _copy(bundle: Bundle, folder: Path) -> None:
    """Copy what the manifest lists, and nothing else that lies about."""
    for name in (*bundle.manifest.files, MANIFEST):
        source = bundle.path / MANIFEST if name == MANIFEST else bundle.file(name)
        target = folder.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        sync_file(target)


def _check_encoder(contents: Contents, bundle: Bundle) -> None:
    found = bundle.content_hash()
    if found != contents.base.encoder:
        raise KnowledgeError(
            f"{contents.folder}: was made with another encoder than {bundle.path} "
            f"(content {contents.base.encoder[:12]}, this one {found[:12]})",
            "give the encoder that made it, or make it again with this one",
        )
