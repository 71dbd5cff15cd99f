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
from edgekit.errors import BundleError, install_hint


class InterpreterEngine:
    """A loaded model; `cache` is what its signatures read and write, by their inputs' names."""

    def __init__(self, path: Path, threads: int) -> None:
        from tflite_runtime.interpreter import Interpreter

        try:
            self._interpreter: Any = Interpreter(str(path), num_threads=threads)
        except (ValueError, RuntimeError) as error:
            words = str(error).strip().splitlines()[0][:300]
            raise BundleError(
                f"tflite-runtime cannot load {path}: {words}", f"use ai-edge-litert instead: {install_hint('tflite')}"
            ) from error
        self._runners: dict[str, Any] = {}
        self.inputs: dict[str, dict[str, tuple[int, ...]]] = {}
        for key in self._interpreter.get_signature_list():
            details = self._runner(key).get_input_details()
            self.inputs[key] = {name: tuple(map(int, entry["shape"])) for name, entry in details.items()}
        self.cache: dict[str, Float32] = {
            name: np.zeros(shape, np.float32)
            for name, shape in self.inputs.get("decode", {}).items()  # an encoder has no cache
            if name.startswith("kv_cache_")
        }

    def run(self, key: str, feeds: Mapping[str, npt.NDArray[Any]]) -> Float32 | None:
        """Run a signature and return its logits [n, vocab], if it has some."""
        inputs = {name: array for name, array in feeds.items() if name in self.inputs[key]}
        results = self._runner(key)(**inputs, **self.cache)
        for name in self.cache:
            self.cache[name] = results[name]
        logits: Float32 | None = results.get("logits")
        return None if logits is None else logits[0]

    def close(self) -> None:
        """Free everything."""
        self._runners.clear()
        self.cache.clear()
        self._interpreter = None

    def _runner(self, key: str) -> Any:  # noqa: ANN401 - untyped
        if key not in self._runners:
            self._runners[key] = self._interpreter.get_signature_runner(key)
        return self._runners[key]
