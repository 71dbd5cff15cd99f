"""Vectors of texts by a runtime of EdgeKit: `texts_ours.py BUNDLE RUNTIME CONTEXT THREADS`.

A request has texts, and how many of them are computed one by one first.
"""

from __future__ import annotations

import sys

from embedding import serve_texts

import edgekit

bundle, runtime, context, threads = sys.argv[1:]
with edgekit.load(bundle, runtime=runtime, context=int(context), threads=int(threads)) as model:
    serve_texts(model.embed)
