"""What a manifest says of a classifier that was fitted or calibrated on labelled texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from edgekit.strict_json import show

if TYPE_CHECKING:
    from edgekit.spec import DecoderSpec, EncoderSignature
    from edgekit.strict_json import Reader

Measured = Literal["cross_validation", "calibration", "test"]
"""The texts that figures are of: the training file, each text judged by a head that has not seen it; those that a
checkpoint's own head was calibrated on; or a file kept apart."""

ACCURACY = 0.97
"""How often the labels that are given should be right, where nobody says."""
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 1e-3, 1e3


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often texts of one label were taken for those of another, or rightly for their own."""

    label: str
    predicted: str
    """The likeliest label, whether the classifier gave it or abstained."""
    count: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How good a classifier was on some texts."""

    texts: int
    accuracy: float
    """The share of texts whose likeliest label is right."""
    calibration_error: float
    """How far probabilities are from what they promise, on average (`confidence.calibration_error`)."""
    answered: float
    """The share of texts that get a label; on the others it abstains."""
    answered_accuracy: float | None
    """The share of those that is right; None where there are none."""
    confusions: tuple[Confusion, ...]
    """Every pair that occurs, right ones among them: the confusion table without its zeros."""


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """How logits become labels; without it they are the checkpoint's own, and no label is withheld."""

    file: str | None = None
    """The fitted head (`linear_head`); None: the checkpoint's own, which was only calibrated."""
    temperature: float = 1.0
    """Divides the logits, so that probabilities come true."""
    threshold: float = 0.0
    """Below this probability there is no label."""
    strength: float | None = None
    """Of the regularisation that cross-validation chose (`softmax_regression`)."""
    figures: dict[str, Figures] = field(default_factory=dict)


def check_classifier(
    reader: Reader,
    entry: Classifier,
    spec: DecoderSpec | EncoderSignature,
    labels: Sequence[str],
    sizes: Mapping[str, int],
) -> None:
    """Refuse an entry whose numbers cannot be, or whose file has not the size that labels and width give.

    Raises:
        BundleError: the message names the field.
    """
    if not LOWEST_TEMPERATURE <= entry.temperature <= HIGHEST_TEMPERATURE:
        problem = f"is {entry.temperature}, expected {LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE}"
        reader.refuse("classifier.temperature", problem)
    _check_share(reader, entry.threshold, "classifier.threshold")
    if entry.strength is not None and entry.strength <= 0:
        reader.refuse("classifier.strength", f"is {entry.strength}, expected a number above 0")
    if entry.file is not None:
        if entry.file not in sizes:
            reader.refuse("classifier.file", f"is {show(entry.file)}, which is not listed in files")
        expected = 4 * len(labels) * (spec.hidden_size + 1)
        if sizes[entry.file] != expected:
            problem = f"has {sizes[entry.file]:,} bytes; {len(labels)} labels and a width of {spec.hidden_size} make"
            reader.refuse(f"classifier.file {show(entry.file)}", f"{problem} {expected:,}")
        if len(set(labels)) != len(labels) or len(labels) < 2:
            reader.refuse("labels", "are those of a fitted classifier, which has two or more that differ")
    for name, figures in entry.figures.items():
        if name not in get_args(Measured):
            reader.refuse(f"classifier.figures[{show(name)}]", f"is unknown, expected {', '.join(get_args(Measured))}")
        _check_figures(reader, figures, f"classifier.figures.{name}")


def _check_figures(reader: Reader, figures: Figures, at: str) -> None:
    if figures.texts < 1:
        reader.refuse(f"{at}.texts", f"is {show(figures.texts)}, expected 1 or more")
    for name in ("accuracy", "calibration_error", "answered", "answered_accuracy"):
        value = getattr(figures, name)
        if value is not None:
            _check_share(reader, value, f"{at}.{name}")
    for index, confusion in enumerate(figures.confusions):
        if confusion.count < 1:
            reader.refuse(f"{at}.confusions[{index}].count", f"is {show(confusion.count)}, expected 1 or more")


def _check_share(reader: Reader, value: float, at: str) -> None:
    if not 0 <= value <= 1:
        reader.refuse(at, f"is {value}, expected 0 to 1")
