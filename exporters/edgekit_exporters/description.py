"""What goes around the weights: the manifest and the text files, from what the checkpoint says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import CheckpointError
from edgekit.manifest import FormatEntry, Manifest, Source
from edgekit_exporters.architecture import AnyModel, EncoderModel
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.format import WriteOptions, Written

_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "do_sample")


def write_text_files(checkpoint: Checkpoint, folder: Path) -> None:
    """Write what the device needs to turn text into tokens; the config is for other people's tools."""
    if checkpoint.tokenizer_json is not None:
        _write_text(folder / "tokenizer.json", checkpoint.tokenizer_json)
        _write_text(folder / "tokenizer_config.json", json.dumps(checkpoint.tokenizer_config, indent=1))
    if checkpoint.chat_template is not None:
        _write_text(folder / "chat_template.jinja", checkpoint.chat_template)


def _write_text(path: Path, text: str) -> None:
    # As bytes: a text file's line ends would become the writing platform's.
    path.write_bytes(text.encode())


def describe(
    name: str, checkpoint: Checkpoint, model: AnyModel, options: WriteOptions, written: dict[str, Written]
) -> Manifest:
    """Return the manifest of a bundle with these formats; its files are filled in when it is written."""
    quantization = {"mode": str(options.quantization)}
    for format_name, result in written.items():
        quantization |= {f"{format_name}.{kind}": words for kind, words in _applied(result).items()}
    source = checkpoint.source
    return Manifest(
        name=name,
        task=model.task if isinstance(model, EncoderModel) else "generate",
        architecture=model.spec.architecture,
        spec=model.spec,
        source=Source(id=source.id, revision=source.revision, licence=source.licence, adapter=source.adapter),
        quantization=quantization,
        formats={
            format_name: FormatEntry(files=result.files, context_max=result.context_max, details=result.details)
            for format_name, result in written.items()
        },
        eos_ids=options.eos_ids,
        bos_token=token_text(checkpoint, "bos_token"),
        eos_token=token_text(checkpoint, "eos_token"),
        generation={} if isinstance(model, EncoderModel) else generation_defaults(checkpoint),
        labels=model.labels if isinstance(model, EncoderModel) else (),
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


def eos_ids(checkpoint: Checkpoint, vocab_size: int) -> tuple[int, ...]:
    """Return every id that ends a reply: generation_config.json knows more of them than config.json."""
    found: list[Any] = []
    for config in (checkpoint.generation_config, checkpoint.config):
        value = config.get("eos_token_id")
        found += value if isinstance(value, list) else [] if value is None else [value]
    for token in found:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocab_size:
            raise CheckpointError(f"eos_token_id {token!r} is not within the vocabulary 0..{vocab_size - 1}")
    return tuple(dict.fromkeys(found))


def token_id(checkpoint: Checkpoint, key: str) -> int | None:
    """Return a special token's id by its key in the config, or None."""
    value = checkpoint.config.get(key, checkpoint.generation_config.get(key))
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def token_text(checkpoint: Checkpoint, key: str) -> str:
    """Return a special token's text by its key in tokenizer_config.json, "" where it has none."""
    value = checkpoint.tokenizer_config.get(key)
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


def generation_defaults(checkpoint: Checkpoint) -> dict[str, float | int | bool]:
    """Return how the checkpoint's makers sample."""
    config = checkpoint.generation_config
    values = {key: config[key] for key in _SAMPLING if config.get(key) is not None}
    if values.get("do_sample"):
        # Transformers' own default, which a publisher who samples need not write down.
        values.setdefault("temperature", 1.0)
    return {key: float(value) if key in ("temperature", "top_p", "min_p") else value for key, value in values.items()}
