"""A .tflite in ai-edge-litert's CompiledModel: the cache is our own memory, read and written in place."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.environment import Environment
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import CpuOptions, Options
from ai_edge_litert.tensor_buffer import TensorBuffer

from edgekit.decoder import Float32
from edgekit_runtimes._tflite_decoder import EngineError
from edgekit_runtimes._tflite_silence import Silence


class CompiledEngine:
    """A loaded model; `cache` is what its signatures read and write, by their inputs' names."""

    def __init__(self, path: Path, threads: int, weight_cache: str) -> None:
        cpu = CpuOptions(num_threads=threads, xnnpack_weight_cache_path=weight_cache)
        options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)
        with Silence() as silence:
            try:
                self._model: Any = CompiledModel.from_file(str(path), environment=_environment(), options=options)
                keys = self._model.get_signature_list()
                self.inputs = {key: _shapes(self._model.get_input_tensor_details(key)) for key in keys}
            except (RuntimeError, ValueError) as error:
                raise _refusal(error, silence) from error
        self._outputs: dict[str, dict[str, tuple[int, ...]]] = {}
        self._ports: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        cached = self.inputs.get("decode", {})  # an encoder has no cache
        sizes = {name: shape[0] for name, shape in cached.items() if name.startswith("kv_cache_")}
        self._sides = [_Side(sizes)]

    @property
    def cache(self) -> dict[str, Float32]:
        """The cache as the next run will read it: float32 vectors."""
        return self._sides[0].arrays

    @property
    def in_place(self) -> bool:
        """Whether one buffer is input and output of the cache."""
        return len(self._sides) == 1

    def use_two_buffers(self) -> None:
        """From now on, read one cache and write another, in turn: what every engine must be able to do."""
        if self.in_place:
            self._sides.append(_Side({name: len(array) for name, array in self.cache.items()}))

    def run(self, key: str, feeds: Mapping[str, npt.NDArray[Any]]) -> Float32 | None:
        """Run a signature and return its logits [n, vocab], if it has some."""
        if key not in self._ports:
            # The first run prepares the signature, and talks.
            with Silence() as silence:
                try:
                    self._ports[key] = self._create(key)
                    self._run(key, feeds)
                except (RuntimeError, ValueError) as error:
                    raise _refusal(error, silence) from error
        else:
            self._run(key, feeds)
        self._sides.reverse()
        outputs = self._ports[key][1]
        if "logits" not in outputs:
            return None
        shape = self._outputs[key]["logits"]
        logits: Float32 = outputs["logits"].read(int(np.prod(shape)), np.float32).reshape(shape[-2:])
        return logits

    def close(self) -> None:
        """Free everything."""
        with Silence():
            self._ports.clear()
            self._sides.clear()
            self._model = None

    def _run(self, key: str, feeds: Mapping[str, npt.NDArray[Any]]) -> None:
        inputs, outputs = self._ports[key]
        for name, array in feeds.items():
            if name in inputs:
                inputs[name].write(array)
        read, written = (side.seen_by(key, self.inputs[key]) for side in (self._sides[0], self._sides[-1]))
        self._model.run_by_name(key, {**inputs, **read}, {**outputs, **written})

    def _create(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        create = self._model.create_input_buffer_by_name
        inputs = {name: create(key, name) for name in self.inputs[key] if not name.startswith("kv_cache_")}
        # Asking for outputs allocates a signature's memory, the larger the longer its span: not before it is run.
        self._outputs[key] = _shapes(self._model.get_output_tensor_details(key))
        create = self._model.create_output_buffer_by_name
        outputs = {name: create(key, name) for name in self._outputs[key] if not name.startswith("kv_cache_")}
        return inputs, outputs


def _shapes(details: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(int(size) for size in entry["shape"]) for name, entry in details.items()}


class _Side:
    """Memory for a cache. Fresh pages cost nothing before they are written, and the engine takes what begins at one."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.arrays = {name: _pages(size) for name, size in sizes.items()}
        self._buffers: dict[str, dict[str, Any]] = {}

    def seen_by(self, key: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return the cache as a signature takes it: from its beginning on, as far as the signature's inputs reach."""
        if key not in self._buffers:
            create = TensorBuffer.create_from_host_memory
            self._buffers[key] = {name: create(array[: shapes[name][0]]) for name, array in self.arrays.items()}
        return self._buffers[key]


def _pages(size: int) -> Float32:
    """Return zeros that begin at a page; numpy's own may be huge pages, 2 MB for each array that holds one token."""
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    return np.frombuffer(mmap.mmap(-1, 4 * size, **private), np.float32)


def _environment() -> Any:  # noqa: ANN401 - untyped
    """Return an environment for the CPU alone; left to itself, the engine loads every accelerator that it finds."""
    nowhere = str(Path(__file__).parent)
    return Environment.create(runtime_path=nowhere, compiler_plugin_path=nowhere, dispatch_library_path=nowhere)


def _refusal(error: Exception, silence: Silence) -> EngineError:
    """Return the engine's own words: the first error it reported is the cause; the exception often has none."""
    errors = silence.errors()
    words = errors[0] if errors else str(error).strip().splitlines()[0]
    return EngineError(words[:300])
