"""TFLite on the CPU: ai-edge-litert's CompiledModel, or tflite-runtime's Interpreter for float bundles.

Packed weights are kept in a file of the user's cache folder, which several loads and processes share.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle import Bundle
from edgekit.decoder import Availability, Decoder, Encoder, KvPrecision, LoadOptions, find_engine, installed_version
from edgekit.errors import BundleError, RuntimeUnavailableError, UsageError, install_hint
from edgekit.machine import Processor, lacks, physical_cores
from edgekit.planning.footprint import Footprint, Use
from edgekit.planning.outline import FormatOutline
from edgekit_runtimes._tflite_decoder import Engine, EngineError, TfliteDecoder
from edgekit_runtimes._tflite_encoder import TfliteEncoder
from edgekit_runtimes._tflite_footprint import footprint
from edgekit_runtimes._tflite_weight_cache import WeightCache

if TYPE_CHECKING:
    from edgekit_runtimes._tflite_compiled import CompiledEngine

FILE = "tflite/model.tflite"
OLDEST = (2, 3)
"""Of ai-edge-litert: the first in which this was tried. Before, the cache could not be our own memory."""

LOG = logging.getLogger(__name__)


class TfliteRuntime:
    """The runtime, for the registry."""

    name = "tflite"
    format = "tflite"

    def available(self) -> Availability:
        """Say which engine is installed: ai-edge-litert, new enough, or else tflite-runtime."""
        found = find_engine("ai-edge-litert", OLDEST, "tflite")
        if not found.version and (old := installed_version("tflite-runtime")):
            return Availability(ok=True, version=f"tflite-runtime {old}", hint=found.hint)
        return found

    def footprint(self, outline: FormatOutline, use: Use) -> Footprint:
        """Say what memory a model takes (`_tflite_footprint`)."""
        _check_kv(use.kv)
        return footprint(outline, use)

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:  # noqa: ARG002
        """Nothing."""
        return ""

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> Decoder:
        """Load the model."""
        _check_kv(options.kv)
        path = bundle.file(FILE)
        threads = options.threads or physical_cores()
        version = installed_version("ai-edge-litert")
        if version is None:
            return TfliteDecoder(bundle, options, _open_interpreter(bundle, path, threads))
        return _open_compiled(bundle, path, options, threads, version)

    def open_encoder(self, bundle: Bundle, options: LoadOptions) -> Encoder:
        """Load an encoder."""
        path = bundle.file(FILE)
        threads = options.threads or physical_cores()
        version = installed_version("ai-edge-litert")
        if version is None:
            return TfliteEncoder(bundle, options, _open_interpreter(bundle, path, threads))
        return _open_compiled_encoder(bundle, path, options, threads, version)


RUNTIME = TfliteRuntime()


def _check_kv(kv: KvPrecision) -> None:
    if kv not in ("auto", "f32"):
        raise UsageError(f"the tflite runtime has no {kv} cache", 'use kv="auto" or kv="f32"')


def _open_compiled(bundle: Bundle, path: Path, options: LoadOptions, threads: int, version: str) -> Decoder:
    engine_class = _compiled_engine()
    try:
        with WeightCache(bundle.manifest.files[FILE], version) as packed:
            engine = engine_class(path, threads, packed)
            decoder = TfliteDecoder(bundle, options, engine)
            if not decoder.works_in_place():
                LOG.warning("ai-edge-litert %s does not update a cache in place; two are used instead", version)
                engine.use_two_buffers()
    except EngineError as error:
        raise _refused(path, version, error) from error
    return decoder


def _open_compiled_encoder(bundle: Bundle, path: Path, options: LoadOptions, threads: int, version: str) -> Encoder:
    engine_class = _compiled_engine()
    try:
        with WeightCache(bundle.manifest.files[FILE], version) as packed:
            return TfliteEncoder(bundle, options, engine_class(path, threads, packed))
    except EngineError as error:
        raise _refused(path, version, error) from error


def _refused(path: Path, version: str, error: Exception) -> BundleError:
    return BundleError(
        f"ai-edge-litert {version} cannot run {path}: {error}",
        f"bring it up to date with {install_hint('tflite')} --upgrade, or export the bundle again",
    )


def _compiled_engine() -> type[CompiledEngine]:
    """Import what drives CompiledModel, so that this processor survives it."""
    if lacks("atomics"):
        from edgekit_runtimes._tflite_without_gpu import leave_out_gpu

        leave_out_gpu()
    from edgekit_runtimes._tflite_compiled import CompiledEngine

    return CompiledEngine


def _open_interpreter(bundle: Bundle, path: Path, threads: int) -> Engine:
    from edgekit_runtimes._tflite_interpreter import InterpreterEngine

    instead = f"use ai-edge-litert instead: {install_hint('tflite')}"
    mode = bundle.manifest.quantization.get("mode")
    if mode not in (None, "none"):
        message = f"{bundle.path} is quantized ({mode}), which tflite-runtime computes wrongly"
        raise RuntimeUnavailableError(message, instead)
    try:
        return InterpreterEngine(path, threads)
    except EngineError as error:
        raise BundleError(f"tflite-runtime cannot load {path}: {error}", instead) from error
