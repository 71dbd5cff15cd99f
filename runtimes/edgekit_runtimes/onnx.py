"""ONNX Runtime on the CPU.

The cache is one preallocated array per layer and part, bound as input and as output of GroupQueryAttention, which
then writes new keys and values in place: nothing of it travels through Python.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Bundle
from edgekit.decoder import Availability, Decoder, Encoder, Float32, LoadOptions, Tokens, find_engine
from edgekit.errors import BundleError, UsageError
from edgekit.machine import Processor, physical_cores
from edgekit.planning.footprint import Footprint, Use
from edgekit.planning.outline import FormatOutline
from edgekit_runtimes._onnx_encoder import OnnxEncoder
from edgekit_runtimes._onnx_footprint import footprint
from edgekit_runtimes._saved_cache import copy_saved

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int8)": np.int8}

ALIGNMENT = 4096
"""A page: the engine reads keys and values by vectors, which should not straddle cache lines."""

GRAPHS = {"f32": "model.onnx", "f16": "model.kv_f16.onnx", "int8": "model.kv_int8.onnx"}
"""The graph for each precision of the cache; all read the same weights."""

OLDEST = (1, 24)
"""Before, a sliding window was one position too long."""


class OnnxRuntime:
    """The runtime, for the registry."""

    name = "onnx"
    format = "onnx"

    def available(self) -> Availability:
        """Say whether onnxruntime is installed and new enough."""
        return find_engine("onnxruntime", OLDEST, "onnx")

    def footprint(self, outline: FormatOutline, use: Use) -> Footprint:
        """Say what memory a model takes (`_onnx_footprint`)."""
        return footprint(outline, use)

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:  # noqa: ARG002
        """Nothing."""
        return ""

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> Decoder:
        """Load the model."""
        return OnnxDecoder(bundle, options)

    def open_encoder(self, bundle: Bundle, options: LoadOptions) -> Encoder:
        """Load an encoder."""
        return OnnxEncoder(_open(bundle, GRAPHS["f32"], options))


RUNTIME = OnnxRuntime()


class OnnxDecoder:
    """A model in an ONNX Runtime session, with its cache."""

    def __init__(self, bundle: Bundle, options: LoadOptions) -> None:
        precision = "f32" if options.kv == "auto" else options.kv
        offered = bundle.manifest.formats["onnx"].details.get("kv", ["f32"])
        if precision not in offered:
            raise UsageError(
                f"{bundle.path} has no onnx graph over an {precision} cache", f"it has: {', '.join(offered)}"
            )
        ort = _engine()
        self._ort = ort
        self.vocab_size = bundle.manifest.spec.vocab_size
        self.context = options.context
        path = bundle.file(f"onnx/{GRAPHS[precision]}")
        self._session = _open(bundle, GRAPHS[precision], options)
        self._check_logits(path)
        self._cache = self._allocate()
        self._binding = self._session.io_binding()
        for name, value in self._cache.items():
            self._binding.bind_ortvalue_input(f"past_key_values.{name}", value)
            self._binding.bind_ortvalue_output(f"present.{name}", value)
        # Steps write into these or bind slices of them: a token allocates its logits and nothing else.
        self._mask = np.ones((1, self.context), np.int64)
        self._rows = np.arange(-self.context, 0)
        self._token, self._last_row, self._reach = np.zeros((1, 1), np.int64), self._rows[-1:], np.zeros(1, np.int64)
        self._bound: dict[str, npt.NDArray[np.int64]] = {}
        if any(node.name == "reach" for node in self._session.get_overridable_initializers()):
            self._bind("reach", self._reach)

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        """Compute tokens over the cache."""
        # Where none is wanted one is computed: the graph's output for GenAI, `last_logits`, takes the last of them.
        n, rows = len(tokens), max(last, 1)
        ids = self._token if n == 1 else np.empty((1, n), np.int64)
        ids[0] = tokens
        self._reach[0] = reach
        self._bind("input_ids", ids)
        self._bind("attention_mask", self._mask[:, : start + n])
        self._bind("logit_rows", self._last_row if rows == 1 else self._rows[-rows:])
        logits = np.empty((1, rows, self.vocab_size), np.float32)
        self._binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        self._session.run_with_iobinding(self._binding)
        return logits[0, rows - last :]

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return [kv_heads, upto, head_dim] of each layer and part."""
        return {name: value.numpy()[0, :, :upto].copy() for name, value in self._cache.items()}

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        """Write into the arrays that the engine computes in."""
        copy_saved(state, {name: value.numpy()[0, :, :length] for name, value in self._cache.items()})

    def close(self) -> None:
        """Drop the session and the cache."""
        del self._binding, self._session, self._cache

    def _check_logits(self, path: Path) -> None:
        """Refuse a model that does not fit the manifest: it would write rows of another length."""
        found = [node.shape[-1] for node in self._session.get_outputs() if node.name == "logits"]
        if found != [self.vocab_size]:
            raise BundleError(
                f"{path} computes {found[0] if found else 'no'} logits, the manifest says {self.vocab_size}",
                "do not use this bundle: export the model again",
            )

    def _bind(self, name: str, array: npt.NDArray[np.int64]) -> None:
        """Bind an array as an input, unless it is bound, and keep it alive as long as it is."""
        if self._bound.get(name) is not array:
            # Not bind_cpu_input: it does not know inputs that have a default.
            self._binding.bind_ortvalue_input(name, self._ort.OrtValue.ortvalue_from_numpy(array))
            self._bound[name] = array

    def _allocate(self) -> dict[str, Any]:
        """Return the cache's arrays by their names, all in one block: large blocks get large pages."""
        past = [node for node in self._session.get_inputs() if node.name.startswith("past_key_values.")]
        sizes = [self._cache_size(node) for node in past]
        block = np.zeros(sum(sizes) + ALIGNMENT, np.uint8)
        position = -block.ctypes.data % ALIGNMENT
        cache = {}
        for node, size in zip(past, sizes, strict=True):
            _, kv_heads, _, head_dim = node.shape
            part = block[position : position + size].view(DTYPES[node.type])
            array = part[: kv_heads * self.context * head_dim].reshape(1, kv_heads, self.context, head_dim)
            cache[node.name.removeprefix("past_key_values.")] = self._ort.OrtValue.ortvalue_from_numpy(array)
            position += size
        return cache

    def _cache_size(self, node: Any) -> int:  # noqa: ANN401 - a NodeArg
        """Return the bytes of one array, up to the next page."""
        _, kv_heads, _, head_dim = node.shape
        size = kv_heads * self.context * head_dim * np.dtype(DTYPES[node.type]).itemsize
        return int(-(-size // ALIGNMENT) * ALIGNMENT)


def _open(bundle: Bundle, graph: str, options: LoadOptions) -> Any:  # noqa: ANN401 - an InferenceSession
    """Load one of a bundle's graphs."""
    ort = _engine()
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads or physical_cores()
    settings.log_severity_level = 3
    path = bundle.file(f"onnx/{graph}")
    bundle.file("onnx/model.onnx.data")
    try:
        return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(
            f"onnxruntime cannot load {path}: {_first_line(error)}", "export it again with this version of EdgeKit"
        ) from error


def _engine() -> Any:  # noqa: ANN401 - an untyped module
    """Import onnxruntime with its telemetry off: wheels from 1.29 on report by default, unless this is set before."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
