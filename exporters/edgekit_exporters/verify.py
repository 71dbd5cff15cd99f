"""`edgekit verify`: is a bundle right, and what did quantization cost?

Two losses, measured apart. Fidelity: the engine's logits against `reference.py` computing with the very weights that
were written. Quantization loss: the same logits against the unquantized checkpoint. Where another exporter made the
graph, no reference computes it: fidelity is then against what the checkpoint's own code computed when it was exported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit import registry
from edgekit.bundle import Bundle
from edgekit.bundle_writer import replace_manifest
from edgekit.chat import render_chat
from edgekit.decoder import LoadOptions
from edgekit.encoder_session import open_encoder_session
from edgekit.errors import BundleError, RuntimeUnavailableError, UsageError
from edgekit.manifest import Manifest
from edgekit.progress import Progress, Silent
from edgekit.session import open_session
from edgekit.spec import DecoderSpec, EncoderSpec, GraphSpec
from edgekit.tokenizer import Tokenizer
from edgekit_exporters import verify_encoder
from edgekit_exporters.architecture import read_model, weight_shapes
from edgekit_exporters.calibration import sample_text
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.checkpoints.adapter import merge_adapter
from edgekit_exporters.figures import Fidelity, Loss, fidelity, loss
from edgekit_exporters.format import find_format
from edgekit_exporters.recorded import read_recorded
from edgekit_exporters.reference import Reference
from edgekit_exporters.verify_encoder import EncoderFidelity, EncoderLoss, Sample, sample
from edgekit_exporters.weights import Float32, Weights

TOKENS = 384
"""Positions that are compared: enough for the figures, few enough for numpy at 4 B parameters."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FormatVerdict:
    """What was measured of one format, and with which engine."""

    runtime: str
    engine: str
    fidelity: Fidelity | EncoderFidelity
    loss: Loss | EncoderLoss | None = None
    reference: Literal["computed", "recorded"] = "computed"
    """Whether the truth was computed here with the written weights, or by the checkpoint's own code at export."""

    @property
    def passed(self) -> bool:
        """Whether the format is within its thresholds. A loss has none: it is the price that was asked for."""
        return self.fidelity.passed

    def to_json(self) -> dict[str, Any]:
        """Return the figures as the manifest keeps them."""
        quality: dict[str, Any] = {"runtime": self.runtime, "engine": self.engine, "passed": self.passed}
        quality |= {"reference": self.reference, "fidelity": dataclasses.asdict(self.fidelity)}
        if self.loss is not None:
            quality["loss"] = dataclasses.asdict(self.loss)
        return quality


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The result for a whole bundle."""

    path: Path
    formats: Mapping[str, FormatVerdict]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Formats that no engine here can run, each with the reason."""
    tokenizer_agrees: bool | None = None
    """Whether token ids equal those of the checkpoint's own tokenizer; None: not compared."""
    template_agrees: bool | None = None
    """Whether the chat template renders as the checkpoint's own; None: not compared."""

    @property
    def passed(self) -> bool:
        """Whether everything that was compared holds, and every format was."""
        agree = self.tokenizer_agrees is not False and self.template_agrees is not False
        return agree and not self.unmeasured and all(verdict.passed for verdict in self.formats.values())

    def to_json(self) -> dict[str, Any]:
        """Return the object that `verify --json` prints."""
        return {
            "path": str(self.path),
            "passed": self.passed,
            "formats": {name: verdict.to_json() for name, verdict in self.formats.items()},
            "unmeasured": dict(self.unmeasured),
            "tokenizer_agrees": self.tokenizer_agrees,
            "template_agrees": self.template_agrees,
        }


def verify(
    bundle_path: str | Path,
    against: str | Path | None = None,
    adapter: str | Path | None = None,
    *,
    progress: Progress | None = None,
) -> Verification:
    """Measure every format of a bundle and write the figures into its manifest.

    Args:
        bundle_path: The bundle's folder.
        against: The checkpoint it was made from, for the quantization loss and the agreement of texts.
        adapter: The LoRA adapter that was merged into it.
        progress: Who is told.

    Raises:
        EdgekitError: the bundle or the checkpoint cannot be read, or does not belong to the other.
    """
    progress = progress or Silent()
    bundle = Bundle.open(bundle_path)
    if not bundle.manifest.formats:
        raise BundleError(f"{bundle.path} has no format that could be measured", "export the model again")
    if against is not None and bundle.manifest.source.via is not None:
        raise UsageError(
            f"{bundle.path} was made by {bundle.manifest.source.via}, whose source --against cannot compute",
            "leave out --against: the bundle brings along what its checkpoint computed, and is compared with that",
        )
    bundle.check_hashes(progress)
    ids = _sample(bundle)
    checkpoint = open_checkpoint(against, progress=progress) if against is not None else None
    try:
        if checkpoint is not None:
            _merge(checkpoint, bundle, adapter)
        truth = _unquantized(bundle, checkpoint, ids, progress) if checkpoint is not None else None
        verdicts, unmeasured = {}, {}
        for name in bundle.manifest.formats:
            try:
                verdicts[name] = _measure(bundle, name, ids, truth, progress)
            except RuntimeUnavailableError as error:
                unmeasured[name] = error.message
        _keep(bundle, verdicts)
        return Verification(
            path=bundle.path,
            formats=verdicts,
            unmeasured=unmeasured,
            tokenizer_agrees=None if checkpoint is None else _tokenizer_agrees(bundle, checkpoint),
            template_agrees=None if checkpoint is None else _template_agrees(bundle, checkpoint),
        )
    finally:
        if checkpoint is not None:
            checkpoint.close()


def _sample(bundle: Bundle) -> Ids | Sample:
    if bundle.manifest.task == "generate":
        return sample_ids(bundle)
    return read_recorded(bundle) if isinstance(bundle.manifest.spec, GraphSpec) else sample(bundle)


def sample_ids(bundle: Bundle) -> Ids:
    """Return the token ids that are compared: a text of our own, or seeded random ids where there is no tokenizer."""
    manifest = bundle.manifest
    limits = [entry.context_max for entry in manifest.formats.values() if entry.context_max is not None]
    length = min(TOKENS, manifest.spec.context, *limits)
    if bundle.tokenizer_path() is None:
        return np.random.default_rng(0).integers(0, manifest.spec.vocab_size, length)
    ids = Tokenizer.open(bundle).encode(sample_text("verification"))
    return np.asarray(ids[:length], np.int64)


def _measure(bundle: Bundle, name: str, ids: Ids | Sample, truth: Float32 | None, progress: Progress) -> FormatVerdict:
    if isinstance(ids, Sample):
        return measure_encoder(bundle, name, ids, truth, progress)
    runtime = _runtime_for(bundle, name)
    options = LoadOptions(context=len(ids))
    progress.start(f"{name}: compute with {runtime.name}", len(ids), "tokens")
    try:
        with open_session(bundle, runtime.name, options) as session:
            measured = session.forward(ids, last=len(ids), progress=progress)
    finally:
        progress.finish()
    progress.start(f"{name}: compute the reference", None, "tokens")
    try:
        spec = bundle.manifest.decoder_spec
        reference = Reference(spec, _written_weights(bundle, name, spec)).logits(ids)
    finally:
        progress.finish()
    return FormatVerdict(
        runtime=runtime.name,
        engine=runtime.available().version,
        fidelity=fidelity(measured, reference, exact=bundle.manifest.quantization.get("mode") == "none"),
        loss=None if truth is None else loss(measured, truth, ids),
    )


def measure_encoder(
    bundle: Bundle, name: str, texts: Sample, truth: Float32 | None, progress: Progress
) -> FormatVerdict:
    """Measure one format of a bundle of an encoder.

    Raises:
        EdgekitError: nothing here runs the format, or it cannot be loaded.
    """
    runtime, spec = _runtime_for(bundle, name), bundle.manifest.encoder_spec
    options = LoadOptions(context=bundle.manifest.formats[name].context_max or spec.context)
    progress.start(f"{name}: compute with {runtime.name}", texts.ids.size, "tokens")
    try:
        with open_encoder_session(bundle, runtime.name, options) as session:
            measured = texts.rows(session.encode, spec)
    finally:
        progress.finish()
    expected = _expected(bundle, name, texts, progress) if texts.expected is None else texts.expected
    exact = bundle.manifest.quantization.get("mode") == "none"
    return FormatVerdict(
        runtime=runtime.name,
        engine=runtime.available().version,
        fidelity=verify_encoder.fidelity(measured, expected, spec, exact=exact),
        loss=None if truth is None else verify_encoder.loss(measured, truth, spec),
        reference="computed" if texts.expected is None else "recorded",
    )


def _expected(bundle: Bundle, name: str, texts: Sample, progress: Progress) -> Float32:
    """Return what the reference computes with the weights that a format holds."""
    spec = bundle.manifest.spec
    assert isinstance(spec, EncoderSpec)
    progress.start(f"{name}: compute the reference", None, "tokens")
    try:
        return texts.rows(Reference(spec, _written_weights(bundle, name, spec)).encode, spec)
    finally:
        progress.finish()


def _written_weights(bundle: Bundle, name: str, spec: DecoderSpec | EncoderSpec) -> Weights:
    """Return the weights that a format holds, which must be those that the manifest's spec asks for."""
    weights = find_format(name).read_weights(bundle.path)
    for weight, shape in weight_shapes(spec).items():
        found = weights[weight].shape if weight in weights else None
        if found != shape:
            has = "has no weights for" if found is None else f"has the shape {list(found)} for"
            raise BundleError(
                f"{bundle.path}: the format {name} {has} {weight}; the manifest makes it {list(shape)}",
                "do not use this bundle: export the model again",
            )
    return weights


def _runtime_for(bundle: Bundle, format_name: str) -> Any:  # noqa: ANN401 - a Runtime
    """Return a runtime that executes this very format."""
    reasons = []
    for candidate in map(registry.runtime, registry.runtime_names()):
        if candidate.format == format_name:
            if candidate.available().ok:
                return candidate
            reasons.append(f"{candidate.name}: {candidate.available().reason}")
    raise RuntimeUnavailableError(f"{bundle.path}: nothing here runs {format_name}: {'; '.join(reasons)}")


def _unquantized(bundle: Bundle, checkpoint: Checkpoint, ids: Ids | Sample, progress: Progress) -> Float32:
    progress.start("compute the unquantized checkpoint", None, "tokens")
    try:
        model = read_model(checkpoint)
        _check_same(bundle, model.spec)
        reference = Reference(model.spec, model.weights)
        if isinstance(ids, Sample):
            return ids.rows(reference.encode, bundle.manifest.encoder_spec)
        return reference.logits(ids)
    finally:
        progress.finish()


def _merge(checkpoint: Checkpoint, bundle: Bundle, adapter: str | Path | None) -> None:
    """Merge the adapter that the bundle has in it; without it, its weights would count as lost."""
    ours = bundle.manifest.source.adapter
    if adapter is not None:
        merge_adapter(checkpoint, adapter)
    if (ours is None) != (adapter is None):
        has = "no adapter" if ours is None else f"the adapter {ours}"
        raise UsageError(f"{bundle.path} has {has} in it", "give --adapter just where one was given to export")


def _check_same(bundle: Bundle, spec: DecoderSpec | EncoderSpec) -> None:
    """Refuse a checkpoint of another model. Another publication of the same one, such as a GGUF of it, will do."""
    ours = bundle.manifest.spec
    assert not isinstance(ours, GraphSpec), "refused before"
    for what in ("architecture", "vocab_size", "hidden_size", "mlp_size"):
        if getattr(ours, what) != getattr(spec, what):
            raise UsageError(
                f"{bundle.path} was not made from this checkpoint: its {what} is {getattr(ours, what)}, "
                f"the checkpoint's {getattr(spec, what)}",
                f"give the checkpoint that it was made from: {bundle.manifest.source.id}",
            )


def _keep(bundle: Bundle, verdicts: Mapping[str, FormatVerdict]) -> None:
    """Write the figures into the manifest; a loss that was not measured this time is kept from before."""
    manifest: Manifest = bundle.manifest
    formats = {}
    for name, entry in manifest.formats.items():
        quality = {**entry.quality, **verdicts[name].to_json()} if name in verdicts else entry.quality
        formats[name] = dataclasses.replace(entry, quality=quality)
    replace_manifest(bundle, dataclasses.replace(manifest, formats=formats))


def _tokenizer_agrees(bundle: Bundle, checkpoint: Checkpoint) -> bool | None:
    path = bundle.tokenizer_path()
    if path is None or checkpoint.tokenizer_json is None:
        return None if checkpoint.tokenizer_json is None and path is None else False
    return path.read_bytes() == checkpoint.tokenizer_json.encode()


def _template_agrees(bundle: Bundle, checkpoint: Checkpoint) -> bool | None:
    ours, theirs = bundle.chat_template(), checkpoint.chat_template
    if ours is None or theirs is None:
        return None if ours is theirs else False
    messages = [{"role": "user", "content": "Turn the AC down."}]
    bos, eos = bundle.manifest.bos_token, bundle.manifest.eos_token
    rendered = (render_chat(template, messages, bos_token=bos, eos_token=eos) for template in (ours, theirs))
    return len(set(rendered)) == 1
