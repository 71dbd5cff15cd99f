"""The paged form: the cache is blocks of tokens in arrays of ours, and going back is a smaller `past_lens`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.decoder import Float32, Tokens
from edgekit_runtimes._openvino_graph import REACH, ROWS
from edgekit_runtimes._saved_cache import copy_saved

CACHES = ("key_cache.", "value_cache.")


class PagedDecoder:
    """A compiled model whose attention is paged, with its blocks."""

    form = "paged"

    def __init__(self, ov: Any, compiled: Any, vocab_size: int, context: int) -> None:  # noqa: ANN401
        self._ov, self._compiled = ov, compiled
        self.vocab_size, self.context = vocab_size, context
        self._request = compiled.create_infer_request()
        inputs = {name: node for node in compiled.inputs for name in node.get_names()}
        self._reach = REACH in inputs
        self._cache: dict[str, npt.NDArray[Any]] = {}
        for name, node in inputs.items():
            if name.startswith(CACHES):
                self._allocate(name, node)
        self._blocks = np.arange(-(-context // self._block_size), dtype=np.int32)

    def step(self, tokens: Tokens, start: int, last: int, reach: int = 0) -> Float32:
        """Compute tokens over the cache."""
        n, stop = len(tokens), start + len(tokens)
        blocks = self._blocks[: -(-stop // self._block_size)]
        feeds: dict[str, npt.NDArray[Any]] = {
            "input_ids": np.ascontiguousarray(tokens, np.int64),
            "position_ids": np.arange(start, stop, dtype=np.int64),
            "past_lens": np.array([start], np.int32),
            "subsequence_begins": np.array([0, n], np.int32),
            "block_indices": blocks,
            "block_indices_begins": np.array([0, len(blocks)], np.int32),
            "max_context_len": np.array(stop, np.int32),
            ROWS: np.arange(n - last, n, dtype=np.int64),
        }
        if self._reach:
            feeds[REACH] = np.array(max(reach, stop), np.int64)
        for name, array in feeds.items():
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))
        self._request.infer()
        logits: Float32 = self._request.get_tensor("logits").data.reshape(last, self.vocab_size).copy()
        return logits

    def read_cache(self, upto: int) -> Mapping[str, npt.NDArray[Any]]:
        """Return [blocks, kv_heads, block size, head size and scales] of each layer and part."""
        blocks, within = -(-upto // self._block_size), upto % self._block_size
        state = {name: array[:blocks].copy() for name, array in self._cache.items()}
        if within:
            # What was forgotten is no part of the state.
            for array in state.values():
                array[-1, :, within:] = 0
        return state

    def write_cache(self, state: Mapping[str, npt.NDArray[Any]], length: int) -> None:
        """Write into the blocks that the engine computes in."""
        blocks = -(-length // self._block_size)
        copy_saved(state, {name: array[:blocks] for name, array in self._cache.items()})

    def close(self) -> None:
        """Drop the model and the cache."""
        del self._request, self._compiled, self._cache

    def _allocate(self, name: str, node: Any) -> None:  # noqa: ANN401
        """Make one cache of the type and shape that the engine wants, and hand it over once."""
        _, kv_heads, block_size, width = (size.get_length() if k else 0 for k, size in enumerate(node.partial_shape))
        self._block_size = block_size
        blocks = -(-self.context // block_size)
        # bfloat16, which numpy does not have, is kept as the float16 of the same bits.
        array = np.zeros((blocks, kv_heads, block_size, width), node.element_type.to_dtype())
        self._cache[name] = array
        self._request.set_tensor(name, self._ov.Tensor(array, self._ov.Shape(array.shape), node.element_type))
