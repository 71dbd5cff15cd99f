"""Vectors of texts by ONNX Runtime alone, as fastembed does it: `texts_onnxruntime.py GRAPH FOLDER CONTEXT THREADS`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from embedding import serve_texts

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from tokenizers import Tokenizer

BATCH = 256
"""fastembed's default."""


def main(graph: str, folder: str, context: int, threads: int) -> None:
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]"), pad_token="[PAD]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def embed(texts: list[str]) -> np.ndarray:
        return np.concatenate([batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)])

    def batch(texts: list[str]) -> np.ndarray:
        encodings = tokenizer.encode_batch(texts)
        ids = np.asarray([encoding.ids for encoding in encodings], np.int64)
        mask = np.asarray([encoding.attention_mask for encoding in encodings], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, feeds)[0]
        weights = mask[:, :, None].astype(np.float32)
        vectors = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    serve_texts(embed)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
