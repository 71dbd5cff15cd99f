"""What a format is to the exporter: it begins a file set by recording the graph, is filled, and ends it.

A format is a module `formats/NAME.py` with one object, `FORMAT`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from edgekit.errors import UnsupportedError, UsageError
from edgekit_exporters import formats
from edgekit_exporters.architecture import AnyModel, EncoderModel, Model
from edgekit_exporters.quantization import Encoding, Mode, Quantization, precision, stored_precision
from edgekit_exporters.stream import Slot
from edgekit_exporters.weights import Float32, Stored, Weights

DEFAULT_CONTEXT = 4096
"""A cache for more is seldom wanted on a device, and every token of it costs memory."""


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a model is written."""

    quantization: Mode
    stored: Mapping[str, Stored] = field(default_factory=dict)
    """How the source holds each weight, where that is to be kept."""
    sensitive: frozenset[str] = frozenset()
    """Weights that stay at 8 bits where the others get 4."""
    context: int
    """Tokens that the written format can hold: its `context_max`."""
    cached: Mapping[str, Float32] = field(default_factory=dict)
    """The largest magnitudes of what a cache will hold, as `calibration.Calibration` has them; perhaps empty."""
    eos_ids: tuple[int, ...] = ()
    bos_id: int | None = None
    pad_id: int | None = None
    """Token ids for files that other people's tools read beside the model."""

    def precision(self, weight: str, shape: Sequence[int]) -> Quantization:
        """Return the precision of one weight."""
        if self.quantization == "keep":
            return stored_precision(weight, shape, self.stored.get(weight, Stored()))
        return precision(weight, shape, self.quantization, self.sensitive)

    def own(self, weight: str) -> Encoding | None:
        """Return the encoding in which the source's own values can be carried over; a format may cut its blocks."""
        return self.stored[weight].encoding if weight in self.stored else None


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a format has written, for the manifest. Files are relative to the bundle."""

    files: tuple[str, ...]
    context_max: int
    encodings: dict[str, str]
    """Each weight's encoding in words."""
    details: dict[str, Any] = field(default_factory=dict)


class Writing(Protocol):
    """A format being written."""

    @property
    def slots(self) -> list[Slot]:
        """The weights to be filled in."""

    def finish(self) -> Written:
        """Write what is left once all slots are filled, and close the files."""

    def abort(self) -> None:
        """Close the files after an error; the folder is removed by whoever made it."""


AnyWriting = TypeVar("AnyWriting", bound=Writing)


class Format(Protocol):
    """One format."""

    name: str

    def begin(self, model: Model, bundle: Path, options: WriteOptions) -> Writing:
        """Record the graph and reserve its files in a folder below `bundle`.

        Raises:
            UnsupportedError: the model has something that this format cannot hold.
        """

    def read_weights(self, bundle: Path) -> Weights:
        """Return the weights of a written bundle, dequantized, under the neutral names."""


class EncoderFormat(Format, Protocol):
    """A format that holds encoders as well."""

    def begin_encoder(self, model: EncoderModel, bundle: Path, options: WriteOptions) -> Writing:
        """Record the graph of an encoder, as `begin` does that of a decoder."""


def recorded(writing: AnyWriting, record: Callable[[AnyWriting], None]) -> AnyWriting:
    """Return a writing once its graph is recorded; where that fails its files are closed."""
    try:
        record(writing)
    except BaseException:
        writing.abort()
        raise
    return writing


def begin(chosen: Format, model: AnyModel, bundle: Path, options: WriteOptions) -> Writing:
    """Begin to write a model, whichever it is.

    Raises:
        UnsupportedError: the format cannot hold it.
    """
    if not isinstance(model, EncoderModel):
        return chosen.begin(model, bundle, options)
    if not hasattr(chosen, "begin_encoder"):
        raise UnsupportedError(
            f"the format {chosen.name} does not hold encoders, and {model.spec.architecture} is one", "try --to onnx"
        )
    return cast(EncoderFormat, chosen).begin_encoder(model, bundle, options)


def format_names() -> list[str]:
    """Return the names of all formats."""
    return sorted(m.name for m in pkgutil.iter_modules(formats.__path__) if not m.ispkg and not m.name.startswith("_"))


def find_format(name: str) -> Format:
    """Return a format by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in format_names():
        raise UsageError(f"unknown format {name!r}", f"choose from: {', '.join(format_names())}")
    return cast(Format, importlib.import_module(f"{formats.__name__}.{name}").FORMAT)
