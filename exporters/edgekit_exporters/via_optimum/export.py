"""From a checkpoint to a bundle through optimum: trace, bring into form, convert, compare, write."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import onnx

from edgekit.bundle import Bundle
from edgekit.bundle_writer import BundleWriter, draft
from edgekit.errors import MissingExtraError, RuntimeUnavailableError, UnsupportedError, UsageError
from edgekit.manifest import FormatEntry, Manifest, Source
from edgekit.progress import Progress
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.description import token_text, write_text_files
from edgekit_exporters.recorded import write_recorded
from edgekit_exporters.verify import measure_encoder
from edgekit_exporters.verify_encoder import QUANTIZED_COSINE, EncoderFidelity, Sample, padded
from edgekit_exporters.via_optimum.graph import GRAPH_FILE, read_graph, write_graph
from edgekit_exporters.via_optimum.int8 import quantize_graph
from edgekit_exporters.via_optimum.process import run
from edgekit_exporters.via_optimum.tasks import Task, task_of
from edgekit_exporters.via_optimum.tracing import Traced, trace_checkpoint

FORMATS = ("onnx", "openvino")
MODES = {"auto": "int8", "int8": "int8", "none": "none", "keep": "none"}
"""What `--quantize` means for encoders, which are small."""
PACKAGES = ("optimum-onnx", "transformers", "torch", "onnxruntime")
"""What the extra `[optimum]` brings."""
OPENVINO_FILES = ("openvino/openvino_model.xml", "openvino/openvino_model.bin")
UNFAITHFUL = "optimum does not export this model faithfully: EdgeKit cannot take it"
EXACT = "float32"
CONVERT = "edgekit_exporters.via_optimum.convert"


@dataclass(frozen=True, kw_only=True)
class ViaOptions:
    """How a bundle is written."""

    name: str
    quantize: str
    context: int | None
    """Tokens that the formats can hold, None: what the model takes."""


@dataclass(frozen=True)
class Written:
    """What was written: the files of each format, and what was applied to its weights, as the manifest has it."""

    files: dict[str, tuple[str, ...]]
    quantization: dict[str, str]


def export_via_optimum(
    checkpoint: Checkpoint, formats: Sequence[str], options: ViaOptions, output: BundleWriter, progress: Progress
) -> None:
    """Write a bundle.

    Raises:
        UsageError, MissingExtraError: the request cannot be fulfilled; said before anything heavy begins.
        UnsupportedError: optimum cannot export the model, or what it makes computes something else.
    """
    task, mode = check_request(checkpoint, formats, options.quantize), MODES[options.quantize]
    with output as writer:
        write_text_files(checkpoint, writer.folder)
        with tempfile.TemporaryDirectory(prefix=".optimum-", dir=writer.folder) as temporary:
            folder = Path(temporary)
            path = writer.folder / "tokenizer.json"
            tokenizer = Tokenizer.open(path) if checkpoint.tokenizer_json is not None else None
            traced = trace_checkpoint(checkpoint, task, options.context, tokenizer, folder, progress)
            # First in float32 by itself: rounding must not hide that something else is computed.
            (folder / EXACT).mkdir()
            exact = Written({"onnx": write_graph(_graph(traced), folder / EXACT)}, {"mode": "none"})
            _measured(draft(folder / EXACT, _manifest(checkpoint, options.name, traced, exact)), traced, progress)
            written = _write_formats(traced, formats, mode, writer.folder, folder, progress)
        write_recorded(writer.folder, traced.texts, traced.rows)
        manifest = _manifest(checkpoint, options.name, traced, written)
        writer.write(_measured(draft(writer.folder, manifest, progress), traced, progress), progress)


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
    if quantize not in MODES:
        raise UnsupportedError(
            f"--via optimum does not write {quantize}", "encoders are small: take --quantize int8 or none"
        )
    for package in (*PACKAGES, *(["openvino"] if "openvino" in formats else [])):
        try:
            version(package)
        except PackageNotFoundError as error:
            extra = "openvino" if package == "openvino" else "optimum"
            raise MissingExtraError(package, "--via optimum", extra) from error
    return task


def _graph(traced: Traced) -> onnx.ModelProto:
    spec = traced.spec
    width = spec.hidden_size if spec.head is None else spec.head.labels
    return read_graph(traced.graph, traced.task, width, spec.architecture)


def _write_formats(
    traced: Traced, formats: Sequence[str], mode: str, bundle: Path, folder: Path, progress: Progress
) -> Written:
    """Write each format, quantized to `mode`; below `folder` lies the graph in float32."""
    files, quantization = {}, {"mode": mode}
    for name in formats:
        if name == "onnx":
            graph = _graph(traced)
            applied = quantize_graph(graph, traced.spec.architecture) if mode == "int8" else {}
            files[name] = write_graph(graph, bundle)
        else:
            xml = bundle / OPENVINO_FILES[0]
            xml.parent.mkdir()
            places = {"onnx": str((folder / EXACT / GRAPH_FILE).resolve()), "xml": str(xml.resolve())}
            applied = run(CONVERT, "start OpenVINO", {**places, "quantization": mode}, folder, progress)["applied"]
            files[name] = OPENVINO_FILES
        quantization |= {f"{name}.{kind}": words for kind, words in applied.items()}
    return Written(files, quantization)


def _manifest(checkpoint: Checkpoint, name: str, traced: Traced, written: Written) -> Manifest:
    source = checkpoint.source
    return Manifest(
        name=name,
        task=traced.task,
        architecture=traced.spec.architecture,
        spec=traced.spec,
        source=Source(id=source.id, revision=source.revision, licence=source.licence, via=traced.via),
        quantization=written.quantization,
        formats={each: FormatEntry(files=names, context_max=traced.reach) for each, names in written.files.items()},
        bos_token=token_text(checkpoint, "bos_token"),
        eos_token=token_text(checkpoint, "eos_token"),
        labels=traced.labels,
    )


def _measured(bundle: Bundle, traced: Traced, progress: Progress) -> Manifest:
    """Return the manifest with what was measured of each format.

    Raises:
        UnsupportedError: a format computes something else than the checkpoint.
    """
    texts, formats = Sample(*padded(traced.texts), traced.rows), {}
    for name, entry in bundle.manifest.formats.items():
        try:
            verdict = measure_encoder(bundle, name, texts, None, progress)
        except RuntimeUnavailableError:
            raise
        except Exception as error:
            # Engines raise types of their own, some not before they see a text of another length.
            said = " ".join(str(getattr(error, "message", error)).replace(f"{bundle.path}/", "").split())
            raise UnsupportedError(
                f"as {name}, {traced.spec.architecture} cannot be computed: {said:.300}", UNFAITHFUL
            ) from error
        assert isinstance(verdict.fidelity, EncoderFidelity)
        if not verdict.passed:
            exact = bundle.manifest.quantization["mode"] == "none"
            raise _refusal(f"as {name}, {traced.spec.architecture}", verdict.fidelity, exact)
        formats[name] = dataclasses.replace(entry, quality=verdict.to_json())
    return dataclasses.replace(bundle.manifest, formats=formats)


def _refusal(what: str, found: EncoderFidelity, exact: bool) -> UnsupportedError:
    if exact:
        return UnsupportedError(
            f"{what} computes something else than transformers of each text alone: "
            f"the largest difference is {found.max_error:.2g} of the largest value",
            UNFAITHFUL,
        )
    return UnsupportedError(
        f"{what} loses too much at int8: a cosine of {found.cosine:.3f} to what transformers computes, "
        f"{QUANTIZED_COSINE} is demanded",
        "take --quantize none",
    )
