"""llama.cpp over a GGUF file: `llama.py MODEL CONTEXT THREADS`, in the environment `LLAMA_CPP`.

The C interface is called without the Python class around it, which would copy logits.
"""

from __future__ import annotations

import sys
from typing import Any

import llama_cpp
import numpy as np
from serving import Answer, Watch, serve


def main(path: str, context_tokens: int, threads: int) -> None:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = context_tokens
    settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def turn(request: Answer) -> Answer:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        watch = Watch()
        token = _forward(context, request["prompt"], vocabulary)
        prefill = watch.stop()
        watch = Watch()
        for _ in range(request["steps"]):
            token = _forward(context, [token], vocabulary)
        return {"prefill": prefill, "decode": watch.stop()}

    serve(turn)


def _forward(context: Any, tokens: list[int], vocabulary: int) -> int:  # noqa: ANN401 - a C pointer
    """Compute tokens and return the likeliest next one."""
    ids = (llama_cpp.llama_token * len(tokens))(*tokens)
    if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(tokens))):
        raise SystemExit("llama.cpp cannot compute")
    logits = llama_cpp.llama_get_logits_ith(context, -1)
    return int(np.ctypeslib.as_array(logits, shape=(vocabulary,)).argmax())


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
