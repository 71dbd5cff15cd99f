"""A .tflite in tflite-runtime's Interpreter, for float models where nothing newer can be installed.

It copies the cache in and out at every step. Quantized models it would compute wrongly, or corrupt its memory over;
their operators bear version numbers that it does not know, so it refuses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Float32
from edgekit_runtimes._tflite_decoder import EngineError
from edgekit_runtimes._tflite_silence import Silence


class InterpreterEngine:
    """A loaded model; `cache` is what its signatures read and write, by their inputs' names."""

    def __init__(self, path: Path, threads: int) -> None:
        self._runners: dict[str, Any] = {}
        self.inputs: dict[str, dict[str, tuple[int, ...]]] = {}
        with Silence():
            from tflite_runtime.interpreter import Interpreter

            try:
                self._interpreter: Any = Interpreter(str(path), num_threads=threads)
                for key in self._interpreter.get_signature_list():
                    details = self._runner(key).get_input_details()
                    self.inputs[key] = {name: tuple(map(int, entry["shape"])) for name, entry in details.items()}
            except (ValueError, RuntimeError) as error:
                raise EngineError(str(error).strip().splitlines()[0][:300]) from error
        self.cache: dict[str, Float32] = {
            name: np.zeros(shape, np.float32)
            for name, shape in self.inputs.get("decode", {}).items()  # an encoder has no cache
            if name.startswith("kv_cache_")
        }

    def run(self, key: str, feeds: Mapping[str, npt.NDArray[Any]]) -> Float32 | None:
        """Run a signature and return its logits [n, vocab], if it has some."""
        shapes = self.inputs[key]
        inputs = {name: array for name, array in feeds.items() if name in shapes}
        seen = {name: array[: shapes[name][0]] for name, array in self.cache.items()}
        results = self._runner(key)(**inputs, **seen)
        for name, array in seen.items():
            array[:] = results[name]
        logits: Float32 | None = results.get("logits")
        return None if logits is None else logits.reshape(logits.shape[-2:])

    def close(self) -> None:
        """Free everything."""
        self._runners.clear()
        self.cache.clear()
        self._interpreter = None

    def _runner(self, key: str) -> Any:  # noqa: ANN401 - untyped
        if key not in self._runners:
            self._runners[key] = self._interpreter.get_signature_runner(key)
        return self._runners[key]
