"""openvino_genai's LLMPipeline over an IR: `llm_pipeline.py MODEL CONTEXT THREADS`, in `OPENVINO_GENAI`.

Its own figures are taken: the time to the first token, and the times at which the others came.
"""

from __future__ import annotations

import sys

import numpy as np
import openvino as ov
import openvino_genai
from serving import Answer, serve


def main(model: str, context: int, threads: int) -> None:
    del context  # its cache grows
    pipeline = openvino_genai.LLMPipeline(model, "CPU", INFERENCE_NUM_THREADS=threads)

    def turn(request: Answer) -> Answer:
        prompt = ov.Tensor(np.asarray([request["prompt"]], np.int64))
        found = pipeline.generate(
            prompt,
            max_new_tokens=request["steps"] + 1,
            ignore_eos=True,
            eos_token_id=0,  # ignored as well, but it insists that there are some
            stop_token_ids={0},
            do_sample=False,
            apply_chat_template=False,
        )
        raw = found.perf_metrics.raw_metrics
        times = raw.m_new_token_times  # when each token was there, in milliseconds
        first = raw.m_times_to_first_token[0] / 1e6
        return {"prefill": {"wall": first}, "decode": {"wall": (times[-1] - times[0]) / 1e3}}

    serve(turn)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
