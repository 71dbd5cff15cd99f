"""A classifier of one's own: a softmax head on an encoder's vectors, fitted, calibrated, and written as a bundle.

Only the head is learned, so a minute is enough, on the device too. Cross-validation gives every text logits of a head
that has not seen it; they choose the strength of the regularisation, the temperature and the threshold.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import encoding
from edgekit.bundle import Bundle
from edgekit.bundle_writer import BundleWriter
from edgekit.classification import confidence, softmax_regression
from edgekit.classification.classifier import ACCURACY, Classifier, Figures
from edgekit.classification.linear_head import HEAD, LinearHead
from edgekit.errors import BundleError, UsageError
from edgekit.loading import load
from edgekit.manifest import CONTROL, Manifest
from edgekit.model import Model
from edgekit.progress import Progress, Silent
from edgekit.strict_json import show

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Labelled = tuple[Sequence[str], Sequence[str]]
"""Texts, and the label of each."""

FOLDS = 5
STRENGTHS = tuple(10 ** (-power / 2) for power in range(3, 15))
"""Tried from the strongest, 0.03, down to 1e-7, until the loss rises."""
CHUNK = 512
"""Texts computed between two words of progress."""
SEED = 0


def fit(
    bundle: str | os.PathLike[str],
    texts: Sequence[str],
    labels: Sequence[str],
    output: str | os.PathLike[str],
    *,
    test: Labelled | None = None,
    accuracy: float = ACCURACY,
    runtime: str = "auto",
    threads: int | None = None,
    name: str | None = None,
    force: bool = False,
    memory_check: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Fit a classifier of texts, write it as a bundle and return the bundle's folder.

    On a bundle that embeds texts, a softmax head is fitted on its vectors; the encoder stays as it is, so every format
    of the bundle has the classifier. On a bundle that classifies already, its own head stays and is calibrated.
    How good it is stands in the manifest's `classifier.figures`: by cross-validation, and on `test` if that is given.

    Args:
        bundle: The folder of a bundle that embeds or classifies texts.
        texts: What to learn from.
        labels: The label of each text; two or more different ones.
        output: The folder to make.
        test: Texts and labels to judge the result by. Labels that are not among the others count as errors.
        accuracy: How often the labels that it gives should be right. On texts of which it is less sure, it abstains.
        runtime: What computes the vectors; "auto" takes what is installed.
        threads: Threads to compute with; None leaves it to the runtime.
        name: The bundle's name; by default that of the output.
        force: Replace an output folder that exists.
        memory_check: As of `load`.
        progress: Is told of the work as it is done.

    Raises:
        UsageError: fewer than two labels, an empty or malformed one, lists of different lengths, a text without tokens,
            an output that exists; for a bundle with a head of its own, a label that it does not know.
        BundleError: the bundle cannot be read, or is for another task.
    """
    told = progress or Silent()
    _check(texts, labels, "text")
    if test is not None:
        _check(*test, "test text")
    if not 0 < accuracy < 1:
        raise UsageError(f"accuracy is {accuracy!r}; it must be between 0 and 1", "for example: 0.97")
    with (
        load(bundle, runtime=runtime, threads=threads, progress=progress, memory_check=memory_check) as model,
        BundleWriter(output, force) as writer,
    ):
        learn = _calibrated if _has_own_head(model.bundle) else _fitted
        learned = learn(model, texts, labels, accuracy, told)
        if test is not None:
            learned = learned.with_test(_logits_of(model, learned.head, test[0], told), test[1])
        _copy(model.bundle, writer.folder, told)
        if learned.head is not None:
            learned.head.write(writer.folder / HEAD)
        writer.write(learned.manifest(model.bundle.manifest, name or _stem(writer.output)), told)
    return writer.output


@dataclass(frozen=True)
class _Learned:
    """A classifier before it is written."""

    labels: tuple[str, ...]
    head: LinearHead | None
    """None: the checkpoint's own."""
    entry: Classifier

    def with_test(self, logits: Float32, truth: Sequence[str]) -> _Learned:
        """Return it with the figures of texts that were kept apart."""
        entry = self.entry
        found = confidence.figures_of(logits, self.labels, truth, entry.temperature, entry.threshold)
        return dataclasses.replace(self, entry=dataclasses.replace(entry, figures={**entry.figures, "test": found}))

    def manifest(self, source: Manifest, name: str) -> Manifest:
        """Return the manifest of a bundle whose encoder is that of another."""
        entry = dataclasses.replace(self.entry, file=HEAD if self.head is not None else None)
        return dataclasses.replace(source, name=name, task="classify", labels=self.labels, classifier=entry)


def _check(texts: Sequence[str], labels: Sequence[str], what: str) -> None:
    for given in (texts, labels):
        if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
            raise UsageError(f"lists of texts and labels are expected, not {type(given).__name__}")
    if len(texts) != len(labels):
        raise UsageError(f"there are {len(texts):,} {what}s and {len(labels):,} labels", "each text needs its label")
    if not texts:
        raise UsageError(f"there is no {what}", "give texts, each with its label")
    for number, label in enumerate(labels, 1):
        if not isinstance(label, str) or not label.strip() or CONTROL.search(label):
            raise UsageError(f"the label of {what} {number} is {show(label)}", "a label is a word or a line of text")


def _has_own_head(bundle: Bundle) -> bool:
    """Say whether the labels are a checkpoint's own; refuse a bundle that has no use for any."""
    manifest = bundle.manifest
    if manifest.task == "embed" or manifest.fitted:
        return False
    if manifest.task != "classify":
        message = f"{bundle.path} is a bundle for the task {manifest.task!r}, on which no classifier can be fitted"
        raise BundleError(message, "take one that embeds texts: export an encoder such as all-MiniLM-L6-v2")
    head = manifest.encoder_spec.head
    if head is not None and head.probabilities == "sigmoid":
        raise BundleError(
            f"the labels of {bundle.path} do not exclude each other, so one label for a text cannot calibrate them",
            "use it as it is, or fit a classifier on a bundle that embeds texts",
        )
    return True


def _fitted(model: Model, texts: Sequence[str], labels: Sequence[str], accuracy: float, progress: Progress) -> _Learned:
    """Fit a head on the model's vectors."""
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise UsageError(f"all texts have the label {names[0]!r}", "a classifier needs texts of two labels or more")
    indices = {name: index for index, name in enumerate(names)}
    targets = np.asarray([indices[label] for label in labels])
    vectors = np.concatenate([model.embed(chunk) for chunk in _chunks(texts, "Embedding texts", progress)])
    strength, logits = _cross_validate(vectors, targets, len(names), progress)
    entry = _entry(logits, targets, names, accuracy, "cross_validation")
    *_, head = softmax_regression.path(vectors, targets, len(names), [s for s in STRENGTHS if s >= strength])
    return _Learned(names, head, dataclasses.replace(entry, strength=strength))


def _calibrated(
    model: Model, texts: Sequence[str], labels: Sequence[str], accuracy: float, progress: Progress
) -> _Learned:
    """Keep the checkpoint's head and learn the temperature and the threshold that suit it."""
    names = model.bundle.manifest.labels
    indices = {name: index for index, name in enumerate(names)}
    for number, label in enumerate(labels, 1):
        if label not in indices:
            known = ", ".join(names[:10])
            raise UsageError(
                f"text {number} has the label {label!r}, which the model does not know", f"it has: {known}"
            )
    targets = np.asarray([indices[label] for label in labels])
    entry = _entry(_logits_of(model, None, texts, progress), targets, names, accuracy, "calibration")
    return _Learned(names, None, entry)


def _entry(logits: Float32, targets: Int64, names: Sequence[str], accuracy: float, measured: str) -> Classifier:
    temperature = confidence.fit_temperature(logits, targets)
    probabilities = np.exp(confidence.log_probabilities(logits, temperature))
    right = probabilities.argmax(axis=1) == targets
    threshold = confidence.fit_threshold(probabilities.max(axis=1), right, accuracy)
    truth = [names[target] for target in targets]
    figures: dict[str, Figures] = {measured: confidence.figures_of(logits, names, truth, temperature, threshold)}
    return Classifier(temperature=temperature, threshold=threshold, figures=figures)


def _cross_validate(vectors: Float32, targets: Int64, labels: int, progress: Progress) -> tuple[float, Float32]:
    """Return the best strength, and logits [n, labels] that heads of that strength give to texts they have not seen."""
    folds = _folds(targets)
    parts = [np.flatnonzero(folds == fold) for fold in range(FOLDS)]
    paths = [
        softmax_regression.path(vectors[folds != fold], targets[folds != fold], labels, STRENGTHS)
        for fold in range(FOLDS)
        if len(parts[fold])
    ]
    best_loss, best_strength, best = np.inf, STRENGTHS[0], np.zeros((0, 0), np.float32)
    progress.start("Fitting heads", None, "heads")
    try:
        for strength in STRENGTHS:
            logits = np.zeros((len(targets), labels), np.float32)
            for part, path in zip(filter(len, parts), paths, strict=True):
                logits[part] = next(path).logits(vectors[part])
                progress.advance(1)
            # As it will be used: calibrated.
            found = confidence.loss(logits, targets, confidence.fit_temperature(logits, targets))
            if found >= best_loss:
                break
            best_loss, best_strength, best = found, strength, logits
    finally:
        progress.finish()
    return best_strength, best


def _folds(targets: Int64) -> Int64:
    """Deal the texts of each label out to folds by turns, in an order that chance fixed once and for all."""
    order = np.random.default_rng(SEED).permutation(len(targets))
    by_label = order[np.argsort(targets[order], kind="stable")]
    folds = np.empty(len(targets), np.int64)
    folds[by_label] = np.arange(len(targets)) % FOLDS
    return folds


def _logits_of(model: Model, head: LinearHead | None, texts: Sequence[str], progress: Progress) -> Float32:
    spec = model.bundle.manifest.encoder_spec
    rows = [
        encoding.logits(model.encoder, model.tokenizer, spec, head, chunk)
        for chunk in _chunks(texts, "Judging texts", progress)
    ]
    return np.concatenate(rows)


def _chunks(texts: Sequence[str], title: str, progress: Progress) -> Iterable[Sequence[str]]:
    """Yield the texts in parts, telling how far they are done."""
    progress.start(title, len(texts), "texts")
    try:
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            yield chunk
            progress.advance(len(chunk))
    finally:
        progress.finish()


def _copy(bundle: Bundle, folder: Path, progress: Progress) -> None:
    """Copy the files of a bundle but for a head that was fitted before."""
    names = [name for name in bundle.manifest.files if name != HEAD]
    progress.start("Copying files", sum(bundle.manifest.files[name].size for name in names))
    try:
        for name in names:
            target = folder.joinpath(*name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.file(name), target)
            progress.advance(bundle.manifest.files[name].size)
    finally:
        progress.finish()


def _stem(output: Path) -> str:
    return output.resolve().name.removesuffix(".edge") or "classifier"
