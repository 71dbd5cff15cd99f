"""LiteRT-LM's own benchmark over a .litertlm: `litert.py MODEL CONTEXT THREADS`, in the environment `LITERT_LM`.

`litert_lm.Benchmark.run` makes an engine, measures it once and throws it away. Here the same calls keep the engine,
which is then as warm as the others are. The prompt is its own: it pads a short text to the number of tokens asked for.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from typing import Any

from litert_lm import interfaces
from litert_lm._ffi import InputDataType, _get_lib
from serving import Answer, serve

PROMPT = b"How are you"


def main(model: str, context: int, threads: int, prompt_tokens: int, steps: int) -> None:
    lib = _get_lib()
    with tempfile.TemporaryDirectory() as cache:
        engine = _engine(lib, model, cache, context, threads, prompt_tokens, steps)
        serve(lambda request: _turn(lib, engine, request, prompt_tokens, steps))


def _turn(lib: Any, engine: Any, request: Answer, prompt_tokens: int, steps: int) -> Answer:  # noqa: ANN401 - C pointers
    assert (len(request["prompt"]), request["steps"]) == (prompt_tokens, steps), "the engine was made for others"
    session = lib.litert_lm_engine_create_session(engine, None)
    text = lib.litert_lm_input_data_create(InputDataType.TEXT, PROMPT, len(PROMPT))
    responses = lib.litert_lm_session_generate_content(session, (ctypes.c_void_p * 1)(text), 1)
    lib.litert_lm_responses_delete(responses)
    lib.litert_lm_input_data_delete(text)
    pointer = lib.litert_lm_session_get_benchmark_info(session)
    info = interfaces.create_benchmark_info(lib, pointer)
    lib.litert_lm_benchmark_info_delete(pointer)
    lib.litert_lm_session_delete(session)
    assert (info.last_prefill_token_count, info.last_decode_token_count) == (prompt_tokens, steps), info
    return {
        "prefill": {"wall": prompt_tokens / info.last_prefill_tokens_per_second},
        "decode": {"wall": steps / info.last_decode_tokens_per_second},
    }


def _engine(lib: Any, model: str, cache: str, *sizes: int) -> Any:  # noqa: ANN401
    context, threads, prompt_tokens, steps = sizes
    settings = lib.litert_lm_engine_settings_create(model, "cpu", None, None)
    lib.litert_lm_engine_settings_enable_benchmark(settings)
    lib.litert_lm_engine_settings_set_num_threads(settings, threads)
    lib.litert_lm_engine_settings_set_max_num_tokens(settings, context)
    lib.litert_lm_engine_settings_set_num_prefill_tokens(settings, prompt_tokens)
    lib.litert_lm_engine_settings_set_num_decode_tokens(settings, steps)
    lib.litert_lm_engine_settings_set_cache_dir(settings, cache)
    engine = lib.litert_lm_engine_create(settings)
    lib.litert_lm_engine_settings_delete(settings)
    if not engine:
        raise SystemExit(f"LiteRT-LM cannot open {model}")
    return engine


main(sys.argv[1], *map(int, sys.argv[2:]))
