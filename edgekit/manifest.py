"""The manifest of a bundle, `edgekit.json`: what the bundle is, where it came from, and every file's size and hash.

A manifest is untrusted input. `schemas/manifest.schema.json` publishes its form; what is checked here is more.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from edgekit.bundle_names import collision, name_problem
from edgekit.classification.classifier import Classifier, check_classifier
from edgekit.errors import BundleError
from edgekit.spec import DecoderSpec, EncoderSignature, EncoderSpec, GraphSpec
from edgekit.spec_check import LIMITS, read_decoder_spec, read_encoder_spec, read_graph_spec
from edgekit.strict_json import Reader, parse, show

VERSION = 1
Task = Literal["generate", "embed", "classify", "tag"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z][a-z0-9_]{0,63}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What no text of a manifest may hold that is shown on terminals."""
_GENERATION: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 1e6),
    "top_k": (int, 0, LIMITS["vocab_size"]),
    "top_p": (float, 0, 1),
    "min_p": (float, 0, 1),
    "repetition_penalty": (float, 1e-6, 1e6),
    "do_sample": (bool, 0, 1),
    "max_tokens": (int, 1, LIMITS["context"]),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the checkpoint came from."""

    id: str
    revision: str | None = None
    licence: str | None = None
    adapter: str | None = None
    """The name of the adapter that was merged into it."""
    via: str | None = None
    """What made the graphs, with its version, where EdgeKit does not write the architecture itself."""


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle: its size in bytes and the SHA-256 of its content, 64 lower-case hex digits."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FormatEntry:
    """One format of the bundle."""

    files: tuple[str, ...]
    """Names in the manifest's `files`."""
    context_max: int | None = None
    """The longest context in tokens that it was written for."""
    details: dict[str, Any] = field(default_factory=dict)
    """What its runtime must know; only the format and its runtime read it."""
    quality: dict[str, Any] = field(default_factory=dict)
    """What `verify` measured."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `edgekit.json` says."""

    version: int = VERSION
    name: str
    task: Task
    architecture: str
    spec: DecoderSpec | EncoderSpec | GraphSpec
    """Of a decoder where the task is `generate`, otherwise of an encoder: of its graph alone where `source.via` is."""
    source: Source
    quantization: dict[str, str] = field(default_factory=dict)
    """Kind of tensor -> what was applied to it."""
    files: dict[str, FileEntry] = field(default_factory=dict)
    """By POSIX names relative to the bundle; `edgekit.json` itself and prefixes/ are not listed."""
    formats: dict[str, FormatEntry] = field(default_factory=dict)
    eos_ids: tuple[int, ...] = ()
    bos_token: str = ""
    eos_token: str = ""
    """The texts that the chat template wants, not ids."""
    generation: dict[str, float | int | bool] = field(default_factory=dict)
    """The checkpoint's defaults: temperature, top_k, top_p, min_p, repetition_penalty, do_sample, max_tokens."""
    labels: tuple[str, ...] = ()
    """What the rows of the classifier's results stand for; empty for `generate` and `embed`."""
    classifier: Classifier | None = None
    """How `classify` decides, where a head was fitted or the checkpoint's own was calibrated (`edgekit fit`)."""

    @property
    def fitted(self) -> bool:
        """Whether the labels come from a fitted head, beside an encoder that embeds."""
        return self.classifier is not None and self.classifier.file is not None

    @property
    def decoder_spec(self) -> DecoderSpec:
        """The spec of a `generate` bundle.

        Raises:
            BundleError: the bundle has another task.
        """
        if not isinstance(self.spec, DecoderSpec):
            raise BundleError(f"{self.name} is a bundle for the task {self.task!r}, which generates no text")
        return self.spec

    @property
    def encoder_spec(self) -> EncoderSignature:
        """The spec of an `embed`, `classify` or `tag` bundle, as far as it is needed to run it.

        Raises:
            BundleError: the bundle generates text.
        """
        if not isinstance(self.spec, EncoderSignature):
            raise BundleError(f"{self.name} is a bundle for the task {self.task!r}, which has no encoder")
        return self.spec

    def to_json(self) -> dict[str, Any]:
        """Return JSON values that `from_json` takes back."""
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        plain: dict[str, Any] = _plain({**fields, "spec": self.spec.to_json()})
        return plain

    def to_bytes(self) -> bytes:
        """Return the content of `edgekit.json`.

        Raises:
            BundleError: it holds what JSON or a reader would refuse, such as a figure that is not finite.
        """
        try:
            text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False, indent=1)
            raw = f"{text}\n".encode()
        except ValueError as error:
            raise BundleError(f"the manifest of {show(self.name)} cannot be written: {error}") from error
        self.from_bytes(raw, f"the new manifest of {show(self.name)}")
        return raw

    @classmethod
    def from_bytes(cls, raw: bytes, where: str) -> Manifest:
        """Rebuild a manifest from the content of `edgekit.json`; `where` names the file in messages.

        Raises:
            BundleError: it is no manifest, or hostile, or of a newer version.
        """
        return cls.from_json(parse(raw, where), where)

    @classmethod
    def from_json(cls, data: object, where: str) -> Manifest:
        """Rebuild a manifest from `to_json` and check everything that can be checked without the files.

        Raises:
            BundleError: the message names the file (`where`) and the field.
        """
        reader = Reader(where)
        values = reader.mapping(data, "the manifest")
        _check_version(reader, values)
        rest = reader.fields(cls, values, "", frozenset({"spec"}))
        for name in ("spec", "files", "formats"):
            if name not in values:
                reader.refuse(name, "is missing")
        manifest = cls(**rest, spec=_read_spec(reader, values["spec"], rest["task"], rest["source"]))
        _check_texts(reader, manifest)
        _check_files(reader, manifest)
        _check_head(reader, manifest)
        _check_formats(reader, manifest)
        _check_generation(reader, manifest)
        return manifest


def _read_spec(reader: Reader, data: object, task: Task, source: Source) -> DecoderSpec | EncoderSpec | GraphSpec:
    if task == "generate":
        return read_decoder_spec(reader, data)
    return read_encoder_spec(reader, data) if source.via is None else read_graph_spec(reader, data)


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _check_version(reader: Reader, values: dict[str, Any]) -> None:
    version = values.get("version")
    if type(version) is int and version > VERSION:
        problem = f"is {show(version)}, and this EdgeKit reads up to {VERSION}: the bundle needs a newer EdgeKit"
        reader.refuse("version", problem, "pip install -U edgekit-sdk")
    if type(version) is not int or version != VERSION:
        problem = "is missing" if "version" not in values else f"is {show(version)}, expected {VERSION}"
        reader.refuse("version", problem)


def _check_head(reader: Reader, manifest: Manifest) -> None:
    """Refuse a task that the head does not do, or labels that do not fit it."""
    entry, spec = manifest.classifier, manifest.spec
    if entry is not None and manifest.task != "classify":
        reader.refuse("classifier", f"is given, but the task is {manifest.task!r}")
    if isinstance(spec, DecoderSpec):
        return
    head = spec.head
    if manifest.fitted and head is not None:
        reader.refuse("classifier.file", "is given, but the spec has a head of its own")
    found = "embed" if head is None else "tag" if head.pool is None else "classify"
    if found != manifest.task and not manifest.fitted:
        reader.refuse("task", f"is {manifest.task!r}, but the spec's head is one for {found!r}")
    labels = 0 if head is None else head.labels
    if len(manifest.labels) != labels and not manifest.fitted:
        reader.refuse("labels", f"has {len(manifest.labels)} entries, the spec's head {labels}")
    if entry is not None:
        sizes = {name: file.size for name, file in manifest.files.items()}
        check_classifier(reader, entry, spec, manifest.labels, sizes)


def _check_texts(reader: Reader, manifest: Manifest) -> None:
    """Refuse control characters in what is shown on terminals."""
    texts = {"name": manifest.name, "architecture": manifest.architecture, "source.id": manifest.source.id}
    for at, text in texts.items():
        if not text:
            reader.refuse(at, "is empty")
    texts["spec.architecture"] = manifest.spec.architecture
    texts["source.revision"] = manifest.source.revision or ""
    texts["source.licence"] = manifest.source.licence or ""
    texts["source.via"] = manifest.source.via or ""
    for key, text in manifest.quantization.items():
        texts[f"quantization[{show(key)}]"] = f"{key}{text}"
    texts.update({f"labels[{index}]": label for index, label in enumerate(manifest.labels)})
    for name, figures in (manifest.classifier.figures if manifest.classifier else {}).items():
        for index, pair in enumerate(figures.confusions):
            texts[f"classifier.figures.{name}.confusions[{index}]"] = f"{pair.label}{pair.predicted}"
    for at, text in texts.items():
        if CONTROL.search(text):
            reader.refuse(at, f"is {show(text)}, which holds a control character")


def _check_files(reader: Reader, manifest: Manifest) -> None:
    for name, entry in manifest.files.items():
        if problem := name_problem(name):
            reader.refuse(f"the file name {show(name)}", problem, "do not use this bundle: export the model again")
        at = f"files[{show(name)}]"
        if not 0 <= entry.size < 1 << 63:
            reader.refuse(f"{at}.size", f"is {show(entry.size)}, expected a size in bytes")
        if not _SHA256.fullmatch(entry.sha256):
            reader.refuse(f"{at}.sha256", f"is {show(entry.sha256)}, expected 64 lower-case hex digits")
    if same := collision(manifest.files):
        reader.refuse("files", f"holds {show(same[0])} and {show(same[1])}, which cannot both be files everywhere")


def _check_formats(reader: Reader, manifest: Manifest) -> None:
    for name, entry in manifest.formats.items():
        at = f"formats[{show(name)}]"
        if not _FORMAT.fullmatch(name):
            reader.refuse(at, "is no name of a format")
        for listed in entry.files:
            if listed not in manifest.files:
                reader.refuse(f"{at}.files", f"names {show(listed)}, which is not listed in files")
        if entry.context_max is not None and not 0 < entry.context_max <= LIMITS["context"]:
            reader.refuse(f"{at}.context_max", f"is {show(entry.context_max)}, expected 1 to {LIMITS['context']}")


def _check_generation(reader: Reader, manifest: Manifest) -> None:
    for index, token in enumerate(manifest.eos_ids):
        if not 0 <= token < manifest.spec.vocab_size:
            problem = f"is {show(token)}, outside of the vocabulary of {manifest.spec.vocab_size}"
            reader.refuse(f"eos_ids[{index}]", problem)
    for key, value in manifest.generation.items():
        if key not in _GENERATION:
            reader.refuse(f"generation[{show(key)}]", f"is unknown, expected one of {', '.join(_GENERATION)}")
        kind, low, high = _GENERATION[key]
        reader.build(kind, value, f"generation.{key}")
        if not low <= value <= high:
            reader.refuse(f"generation.{key}", f"is {show(value)}, expected {low} to {high}")
