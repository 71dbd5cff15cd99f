"""From a checkpoint to a bundle through optimum: trace, bring into form, convert, compare, write."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.bundle_writer import BundleWriter
from edgekit.encoding import pool
from edgekit.errors import BundleError, MissingExtraError, UnsupportedError, UsageError
from edgekit.manifest import FormatEntry, Manifest, Source
from edgekit.progress import Progress
from edgekit.spec import GraphSpec, Head
from edgekit.spec_check import LIMITS
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.bert_like import probabilities, read_labels
from edgekit_exporters.calibration import sample_text
from edgekit_exporters.checkpoint import Checkpoint, Sentence
from edgekit_exporters.config import Config
from edgekit_exporters.description import token_text, write_text_files
from edgekit_exporters.format import DEFAULT_CONTEXT
from edgekit_exporters.recorded import write_recorded
from edgekit_exporters.verify import measure_encoder
from edgekit_exporters.verify_encoder import Sample, padded, sample_texts
from edgekit_exporters.via_optimum.graph import MODEL_FILE, read_graph, write_graph
from edgekit_exporters.via_optimum.process import run
from edgekit_exporters.via_optimum.tasks import Task, task_of
from edgekit_exporters.weights import Float32

FORMATS = ("onnx", "openvino")
PACKAGES = {"optimum-onnx": "optimum", "transformers": "optimum", "torch": "optimum", "onnxruntime": "onnx"}
"""What is needed, and the extra that brings it."""
OPENVINO_FILES = ("openvino/openvino_model.xml", "openvino/openvino_model.bin")
TRACE, CONVERT = (f"edgekit_exporters.via_optimum.{name}" for name in ("trace", "convert"))
OUTPUTS_FILE = "outputs.npy"

LONGEST = 512
"""Tokens of the longest text that is compared; beyond, attention takes long."""


@dataclass(frozen=True, kw_only=True)
class ViaOptions:
    """How a bundle is written."""

    name: str
    quantize: str
    context: int | None
    """Tokens that the formats can hold, None: what the model takes."""


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What optimum made of a checkpoint: its graph, and the texts with what the checkpoint computed of them."""

    graph: Path
    spec: GraphSpec
    task: Task
    labels: tuple[str, ...]
    reach: int
    """Tokens that the formats hold."""
    texts: list[list[int]]
    rows: Float32
    """As `Sample.expected`."""
    via: str


def export_via_optimum(
    checkpoint: Checkpoint, formats: Sequence[str], options: ViaOptions, output: BundleWriter, progress: Progress
) -> None:
    """Write a bundle.

    Raises:
        UsageError, MissingExtraError: the request cannot be fulfilled; said before anything heavy begins.
        UnsupportedError: optimum cannot export the model, or what it makes computes something else.
    """
    task = check_request(checkpoint, formats, options.quantize)
    with output as writer:
        write_text_files(checkpoint, writer.folder)
        with tempfile.TemporaryDirectory(prefix=".optimum-", dir=writer.folder) as temporary:
            traced = _trace(checkpoint, task, options, writer.folder, Path(temporary), progress)
            files = _write_formats(traced, formats, writer.folder, Path(temporary), progress)
        write_recorded(writer.folder, traced.texts, traced.rows)
        manifest = _manifest(checkpoint, options.name, traced, files)
        writer.write(_measured(writer.draft(manifest, progress), traced, progress), progress)


def check_request(checkpoint: Checkpoint, formats: Sequence[str], quantize: str) -> Task:
    """Return what the bundle will do.

    Raises:
        EdgekitError: a request that cannot be fulfilled.
    """
    task = task_of(checkpoint.config)
    if checkpoint.folder is None:
        raise UnsupportedError(
            "--via optimum reads checkpoints as hubs have them, not GGUF files", "give the folder with its config.json"
        )
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--via optimum does not write {name}", f"it writes: {', '.join(FORMATS)}")
    if quantize not in ("auto", "none", "keep"):
        raise UnsupportedError(
            f"--via optimum does not write {quantize}", "leave out --quantize: the weights stay float32"
        )
    needed = PACKAGES | ({"openvino": "openvino"} if "openvino" in formats else {})
    for package, extra in needed.items():
        try:
            version(package)
        except PackageNotFoundError as error:
            raise MissingExtraError(package, "--via optimum", extra) from error
    return task


def _trace(
    checkpoint: Checkpoint, task: Task, options: ViaOptions, bundle: Path, folder: Path, progress: Progress
) -> Traced:
    assert checkpoint.folder is not None
    sentence = checkpoint.sentence or Sentence()
    limits = [sentence.max_length, checkpoint.tokenizer_config.get("model_max_length")]
    # Tokenizers without a limit write 10^30.
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit <= LIMITS["context"]]
    request = {
        "folder": str(checkpoint.folder.resolve()),
        "task": task,
        "texts": _texts(checkpoint, bundle, min(LONGEST, options.context or LONGEST)),
        "context": min(known, default=None),
    }
    found = run(TRACE, "start transformers", request, folder, progress)
    longest = found["context"]
    if options.context is not None and options.context > longest:
        raise UsageError(f"--context {options.context} is not within 1..{longest}, the model's longest sequence")
    outputs: Float32 = np.load(folder / OUTPUTS_FILE, allow_pickle=False)
    config = Config(dict(checkpoint.config))
    labels = () if task == "embed" else read_labels(config, outputs.shape[1])
    spec = GraphSpec(
        architecture=str(config.get("model_type")),
        vocab_size=found["vocab_size"],
        hidden_size=outputs.shape[1] if task == "embed" else found["hidden_size"],
        context=longest,
        head=_head(config, task, len(labels)),
        pooling=sentence.pooling,
        normalised=sentence.normalised and task == "embed",
        parameters=found["parameters"],
    )
    return Traced(
        graph=folder / MODEL_FILE,
        spec=spec,
        task=task,
        labels=labels,
        reach=options.context or min(longest, DEFAULT_CONTEXT),
        texts=found["texts"],
        rows=_pooled(found["texts"], outputs, spec) if task == "embed" else outputs,
        via=", ".join(f"{package} {number}" for package, number in found["versions"].items()),
    )


def _texts(checkpoint: Checkpoint, bundle: Path, longest: int) -> list[list[int]]:
    """Return the texts to compare: sentences, one of a single token, and one as long as may be."""
    if checkpoint.tokenizer_json is None:
        vocab_size = Config(dict(checkpoint.config)).size("vocab_size")
        return sample_texts(None, vocab_size, longest)
    tokenizer = Tokenizer.open(bundle / "tokenizer.json")
    texts = sample_texts(tokenizer, 0, longest)
    return [*texts, texts[0][:1], *tokenizer.encode_batch([sample_text("verification")], longest)]


def _head(config: Config, task: Task, labels: int) -> Head | None:
    if task == "embed":
        return None
    if task == "tag":
        return Head(labels=labels, pool=None)
    return Head(labels=labels, pool="other", probabilities=probabilities(config, labels))


def _pooled(texts: Sequence[Sequence[int]], hidden: Float32, spec: GraphSpec) -> Float32:
    """Return the vector of each text from the hidden states of all, one behind the other."""
    ends = np.cumsum([len(text) for text in texts])
    parts = np.split(hidden, ends[:-1])
    return np.concatenate([pool(part[None], np.ones((1, len(part)), np.int64), spec.pooling) for part in parts])


def _write_formats(
    traced: Traced, formats: Sequence[str], bundle: Path, folder: Path, progress: Progress
) -> dict[str, tuple[str, ...]]:
    """Write each format and return the names of its files."""
    spec = traced.spec
    width = spec.hidden_size if spec.head is None else spec.head.labels
    graph = read_graph(traced.graph, traced.task, width, spec.architecture)
    # What is converted to another format alone does not stay.
    place = bundle / "onnx" if "onnx" in formats else folder / "graph"
    files = {"onnx": tuple(f"onnx/{name}" for name in write_graph(graph, place))}
    if "openvino" in formats:
        (bundle / "openvino").mkdir()
        request = {"onnx": str((place / MODEL_FILE).resolve()), "xml": str((bundle / OPENVINO_FILES[0]).resolve())}
        run(CONVERT, "start OpenVINO", request, folder, progress)
        files["openvino"] = OPENVINO_FILES
    return {name: files[name] for name in formats}


def _manifest(checkpoint: Checkpoint, name: str, traced: Traced, files: Mapping[str, tuple[str, ...]]) -> Manifest:
    source = checkpoint.source
    return Manifest(
        name=name,
        task=traced.task,
        architecture=traced.spec.architecture,
        spec=traced.spec,
        source=Source(id=source.id, revision=source.revision, licence=source.licence, via=traced.via),
        quantization={"mode": "none"},
        formats={each: FormatEntry(files=names, context_max=traced.reach) for each, names in files.items()},
        bos_token=token_text(checkpoint, "bos_token"),
        eos_token=token_text(checkpoint, "eos_token"),
        labels=traced.labels,
    )


def _measured(draft: Bundle, traced: Traced, progress: Progress) -> Manifest:
    """Return the manifest with what was measured of each format.

    Raises:
        UnsupportedError: a format computes something else than the checkpoint.
    """
    texts, formats = Sample(*padded(traced.texts), traced.rows), {}
    hint = "optimum does not export this model faithfully: EdgeKit cannot take it"
    for name, entry in draft.manifest.formats.items():
        try:
            verdict = measure_encoder(draft, name, texts, None, progress)
        except BundleError as error:
            raise UnsupportedError(error.message.replace(f"{draft.path}/", ""), hint) from error
        found = verdict.fidelity
        if not found.passed:
            raise UnsupportedError(
                f"as {name}, {traced.spec.architecture} computes something else than transformers: the largest "
                f"difference is {found.max_error:.2g} of the largest value",
                hint,
            )
        formats[name] = dataclasses.replace(entry, quality=verdict.to_json())
    return dataclasses.replace(draft.manifest, formats=formats)
