"""Let torch export an encoder: `write_onnx.py FOLDER OUTPUT`, in the environment of sentence-transformers."""

from __future__ import annotations

import sys

import torch
from transformers import AutoModel

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


class Encoder(torch.nn.Module):
    """The model with its inputs in an order, and hidden states alone as output."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Compute hidden states [batch, n, width]."""
        return self.model(**dict(zip(INPUTS, inputs, strict=True))).last_hidden_state


def main(folder: str, output: str) -> None:
    ids, mask = torch.ones(2, 7, dtype=torch.long), torch.ones(2, 7, dtype=torch.long)
    mask[1, 5:] = 0
    axes = {0: "batch", 1: "n"}
    names = [*INPUTS, "last_hidden_state"]
    torch.onnx.export(
        Encoder(folder), (ids, mask, torch.zeros_like(ids)), output, input_names=INPUTS, output_names=names[-1:],
        dynamic_axes=dict.fromkeys(names, axes), opset_version=17, dynamo=False,
    )  # fmt: skip


main(*sys.argv[1:])
