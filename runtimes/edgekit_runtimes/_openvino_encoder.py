"""An encoder in OpenVINO."""

from __future__ import annotations

from typing import Any

from edgekit.decoder import Float32, Tokens


class OpenvinoEncoder:
    """A compiled model of free lengths, run on a batch at a time."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401 - a CompiledModel of an untyped module
        self._compiled = compiled
        self._request = compiled.create_infer_request()

    def encode(self, ids: Tokens, mask: Tokens) -> Float32:
        """Run the model, which has one output."""
        self._request.infer({"input_ids": ids, "attention_mask": mask}, share_inputs=True)
        out: Float32 = self._request.get_output_tensor(0).data.copy()
        return out

    def close(self) -> None:
        """Drop the model."""
        del self._request, self._compiled
