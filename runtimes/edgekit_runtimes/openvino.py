"""OpenVINO on the CPU, through its paged attention; through the file's own stateful form where that cannot hold it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle
from edgekit.decoder import Availability, Decoder, Encoder, LoadOptions, find_engine
from edgekit.errors import UsageError
from edgekit.machine import Processor, this_processor
from edgekit.planning.footprint import Footprint, Use
from edgekit.planning.outline import FormatOutline
from edgekit.spec import DecoderSpec, GraphSpec
from edgekit_runtimes._openvino_cache import ModelCache
from edgekit_runtimes._openvino_encoder import OpenvinoEncoder
from edgekit_runtimes._openvino_engine import check_places, engine, load_error, noted, read_model, settings
from edgekit_runtimes._openvino_footprint import EXPANDS, expands, footprint
from edgekit_runtimes._openvino_graph import Hooks, can_be_paged, make_paged
from edgekit_runtimes._openvino_paged import PagedDecoder
from edgekit_runtimes._openvino_stateful import StatefulDecoder
from edgekit_runtimes._openvino_stored import export_settings

OLDEST = (2026, 0)
"""The oldest version whose paged attention has the inputs that are driven here."""

FILES = ("openvino/openvino_model.xml", "openvino/openvino_model.bin")


class OpenvinoRuntime:
    """The runtime, for the registry."""

    name = "openvino"
    format = "openvino"

    def available(self) -> Availability:
        """Say whether openvino is installed and new enough."""
        return find_engine("openvino", OLDEST, "openvino")

    def footprint(self, outline: FormatOutline, use: Use) -> Footprint:
        """Say what memory a model takes (`_openvino_footprint`)."""
        spec = outline.spec
        paged = isinstance(spec, DecoderSpec) and _is_paged(spec, use.processor)
        return footprint(outline, use, paged=paged)

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:
        """4 bits on Arm: there are no kernels for them."""
        return EXPANDS if expands(outline, processor) else ""

    def form(self, bundle: Bundle) -> str:
        """Say whether a decoder's cache is paged or the engine's own state."""
        return "paged" if _is_paged(bundle.manifest.decoder_spec, this_processor()) else "stateful"

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> Decoder:
        """Load the model."""
        xml, weights = (bundle.file(name) for name in FILES)
        return open_model(xml, weights, bundle, options)

    def open_encoder(self, bundle: Bundle, options: LoadOptions) -> Encoder:
        """Load an encoder."""
        xml, weights = (bundle.file(name) for name in FILES)
        return open_encoder(xml, weights, bundle, options)


RUNTIME = OpenvinoRuntime()


def _is_paged(spec: DecoderSpec, processor: Processor) -> bool:
    # On Arm, paged attention is written for SVE alone.
    return can_be_paged(spec) and not processor.lacks("sve")


def open_model(xml: Path, weights: Path, bundle: Bundle, options: LoadOptions) -> PagedDecoder | StatefulDecoder:
    """Take the compiled model from the cache, or read, change and compile it: paged where that is possible."""
    ov, spec = engine(), bundle.manifest.decoder_spec
    core = ov.Core()
    chosen = settings(core, options, noted(xml, "quantization"), spec.hidden_size)
    if _is_paged(spec, this_processor()):
        compiled = _take(ov, core, bundle, chosen, "paged", lambda: _paged(ov, core, xml, weights, spec))
        if compiled is not None:
            return PagedDecoder(ov, compiled, spec.vocab_size, options.context)
    if options.kv not in ("auto", "f32"):
        message = f"the openvino runtime has no {options.kv} cache for this model on this processor"
        raise UsageError(message, 'use kv="auto" or kv="f32"')
    # Variables go through float32 when they are read and set: only such a cache comes back as it was.
    chosen = {**chosen, "KV_CACHE_PRECISION": "f32"}
    compiled = _take(ov, core, bundle, chosen, "stateful", lambda: _stateful(ov, core, xml, weights))
    return StatefulDecoder(ov, compiled, spec.vocab_size, options.context)


def open_encoder(xml: Path, weights: Path, bundle: Bundle, options: LoadOptions) -> OpenvinoEncoder:
    """Take the compiled encoder from the cache, or read and compile it."""
    ov, spec = engine(), bundle.manifest.encoder_spec
    core = ov.Core()
    chosen = settings(core, options, noted(xml, "quantization"), spec.hidden_size)

    def read() -> Any:  # noqa: ANN401
        return read_model(core, xml, weights)

    if isinstance(spec, GraphSpec):
        # OpenVINO 2026.4 takes some graphs of other exporters back (DeBERTa's) and then cannot compute them.
        return OpenvinoEncoder(_compile(core, xml, weights, chosen, read))
    return OpenvinoEncoder(_take(ov, core, bundle, chosen, "encoder", read))


def _take(ov: Any, core: Any, bundle: Bundle, chosen: dict[str, str], form: str, read: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Take the compiled model from the cache, or compile what `read` gives and keep it; None where it gives nothing."""
    xml, weights = (bundle.file(name) for name in FILES)
    cache = ModelCache(
        {
            "files": [bundle.manifest.files[name].sha256 for name in FILES],
            "spec": bundle.manifest.spec.to_json(),
            "settings": chosen,
            "form": form,
            "engine": ov.__version__,
            "cpu": [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")],
        }
    )
    compiled = cache.load(ov, chosen, weights)
    if compiled is None:
        compiled = _compile(core, xml, weights, {**chosen, **export_settings()}, read)
        if compiled is not None:
            cache.store(compiled)
    return compiled


def _compile(core: Any, xml: Path, weights: Path, chosen: dict[str, str], read: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Compile what `read` gives; None where it gives nothing."""
    check_places(xml, weights)
    model = read()
    if model is None:
        return None
    try:
        return core.compile_model(model, "CPU", chosen)
    except Exception as error:
        raise load_error(xml, error) from error


def _paged(ov: Any, core: Any, xml: Path, weights: Path, spec: DecoderSpec) -> Any:  # noqa: ANN401
    """Read a model and bring it into the paged form; None where this engine cannot."""
    model = read_model(core, xml, weights)
    hooks = Hooks(model)
    try:
        paged = make_paged(ov, model, spec)
    except Exception:  # noqa: BLE001 - the engine raises types of its own: what it cannot transform is run as it is
        return None
    if not paged:
        return None
    # A token is a row of a batch here, of a sequence in the other form.
    hooks.install(ov, axis=0)
    return model


def _stateful(ov: Any, core: Any, xml: Path, weights: Path) -> Any:  # noqa: ANN401
    """Read a model as it is."""
    model = read_model(core, xml, weights)
    Hooks(model).install(ov, axis=1)
    return model
