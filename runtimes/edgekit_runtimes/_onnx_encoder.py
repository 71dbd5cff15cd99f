"""An encoder in ONNX Runtime."""

from __future__ import annotations

from typing import Any

from edgekit.decoder import Float32, Tokens


class OnnxEncoder:
    """One graph, run on a batch at a time."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - an InferenceSession of an untyped module
        self._session = session

    def encode(self, ids: Tokens, mask: Tokens) -> Float32:
        """Run the graph, which has one output."""
        out: Float32 = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return out

    def close(self) -> None:
        """Drop the session."""
        del self._session
