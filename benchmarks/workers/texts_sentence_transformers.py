"""Vectors of texts by sentence-transformers: `texts_sentence_transformers.py FOLDER CONTEXT THREADS`."""

from __future__ import annotations

import sys

import torch
from embedding import serve_texts
from sentence_transformers import SentenceTransformer

folder, context, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
model = SentenceTransformer(folder, device="cpu")
model.max_seq_length = int(context)
serve_texts(lambda texts: model.encode(texts, show_progress_bar=False))
