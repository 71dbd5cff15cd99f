"""The stateful form, for models that the engine's paged attention cannot hold (a softcap on the scores).

The engine keeps the cache in variables; going back means setting them anew, which costs a copy of what stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Float32, Tokens
from edgekit_runtimes._openvino_graph import REACH, ROWS
from edgekit_runtimes._saved_cache import check_saved


class StatefulDecoder:
    """A compiled model with its variables, each float32 [1, kv_heads, length, head_dim]."""

    form = "stateful"

    def __init__(self, ov: Any, compiled: Any, vocab_size: int, context: int) -> None:  # noqa: ANN401
        self._ov, self._compiled = ov, compiled
        self.vocab_size, self.context = vocab_size, context
        self._request = compiled.create_infer_request()
        self._reach = any(REACH in node.get_names() for node in compiled.inputs)
        self._length = 0

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        """Compute tokens over the cache, first cut to `start` where it is longer."""
        n, stop = len(tokens), start + len(tokens)
        if start != self._length:
            self._set(self._get(start))
        feeds: dict[str, npt.NDArray[Any]] = {
            "input_ids": np.ascontiguousarray(tokens, np.int64).reshape(1, n),
            "attention_mask": np.ones((1, stop), np.int64),
            "position_ids": np.arange(start, stop, dtype=np.int64).reshape(1, n),
            "beam_idx": np.zeros(1, np.int32),
            ROWS: np.arange(n - last, n, dtype=np.int64),
        }
        if self._reach:
            feeds[REACH] = np.array(max(reach, stop), np.int64)
        for name, array in feeds.items():
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))
        # Should it fail half-way, the length fits nothing, and the next step sets the variables.
        self._length = -1
        self._request.infer()
        self._length = stop
        logits: Float32 = self._request.get_tensor("logits").data.reshape(last, self.vocab_size).copy()
        return logits

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return [kv_heads, upto, head_dim] of each variable."""
        return {name: array[0] for name, array in self._get(upto).items()}

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        """Set the variables."""
        states = {variable.name: variable for variable in self._request.query_state()}
        shapes = {name: variable.state.shape for name, variable in states.items()}
        check_saved(state, {name: (np.float32, (shape[1], length, shape[3])) for name, shape in shapes.items()})
        self._set({name: array[None] for name, array in state.items()})

    def close(self) -> None:
        """Drop the model and the cache."""
        del self._request, self._compiled

    def _get(self, upto: int) -> dict[str, npt.NDArray[Any]]:
        """Copy the first positions of every variable; a slice of the engine's own memory must not be given back."""
        if upto == 0:
            return {}
        return {variable.name: variable.state.data[:, :, :upto].copy() for variable in self._request.query_state()}

    def _set(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self._request.reset_state()
        for variable in self._request.query_state():
            if variable.name in state:
                variable.state = self._ov.Tensor(np.ascontiguousarray(state[variable.name]))
        self._length = next((array.shape[2] for array in state.values()), 0)
