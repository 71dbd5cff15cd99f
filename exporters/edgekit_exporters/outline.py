"""What an export would write, without weights: every format records its graph, and nothing fills it.

The sizes of the files are those of an export to the byte, since the same code reserves their room.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.errors import EdgekitError, MissingExtraError, UnsupportedError
from edgekit.planning.outline import FormatOutline, Outline
from edgekit.progress import Progress, Silent
from edgekit.spec import DecoderSpec
from edgekit_exporters.architecture import AnyModel, EncoderModel, read_model
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.export import write_options
from edgekit_exporters.format import Format, WriteOptions, begin, find_format, format_names
from edgekit_exporters.weights import Float32


def outline(
    source: str | Path,
    to: Sequence[str] = (),
    quantize: str = "auto",
    context: int | None = None,
    progress: Progress | None = None,
) -> Outline:
    """Return the outline of a checkpoint as `export` would write it; nothing stays on the disk.

    Args:
        source: As in `export`; its config is enough.
        to: The formats, all if there are none; those that cannot be written are left out, unless none remains.
        quantize: As in `export`.
        context: As in `export`.
        progress: Is told of downloads and formats.

    Raises:
        EdgekitError: the checkpoint cannot be read, is not supported, or no format can hold it.
    """
    progress = progress or Silent()
    with open_checkpoint(source, config_only=True, progress=progress) as checkpoint:
        model = read_model(checkpoint)
        options = write_options(quantize, context, model, checkpoint)
        name = checkpoint.name
        found: dict[str, FormatOutline] = {}
        problems: dict[str, EdgekitError] = {}
        for wanted in to or format_names():
            try:
                found[wanted] = _measure(find_format(wanted), model, options)
            except (MissingExtraError, UnsupportedError) as error:
                problems[wanted] = error
    if not found:
        raise next(iter(problems.values()))
    return Outline(
        name=name,
        task=model.task if isinstance(model, EncoderModel) else "generate",
        formats=found,
        left_out={wanted: f"{error.message}; {error.hint}".rstrip("; ") for wanted, error in problems.items()},
    )


def _measure(chosen: Format, model: AnyModel, options: WriteOptions) -> FormatOutline:
    """Write a format without weights, whose room stays a hole in the file, and return the sizes."""
    if options.quantization != "none" and isinstance(model.spec, DecoderSpec):
        options = dataclasses.replace(options, cached=_calibrated(model.spec))
    with tempfile.TemporaryDirectory(prefix="edgekit-plan-") as folder:
        writing = begin(chosen, model, Path(folder), options)
        try:
            written = writing.finish()
        finally:
            writing.abort()
        files = {name: (Path(folder) / name).stat().st_size for name in written.files}
    return FormatOutline(
        spec=model.spec,
        quantization=str(options.quantization),
        files=files,
        context_max=written.context_max,
        details=written.details,
    )


def _calibrated(spec: DecoderSpec) -> dict[str, Float32]:
    """Return magnitudes of a cache, none like another, as a calibration would find them."""
    rng = np.random.default_rng(0)
    sizes = {f"{i}.{part}": layer.kv_size for i, layer in enumerate(spec.layers) for part in ("key", "value")}
    return {name: rng.uniform(1, 2, size).astype(np.float32) for name, size in sizes.items()}
