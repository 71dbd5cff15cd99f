"""onnxruntime-genai's own generator over a bundle: `genai.py BUNDLE CONTEXT THREADS`, in the environment `GENAI`."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
from serving import Answer, Watch, serve

os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def main(bundle: str, context: int, threads: int) -> None:
    import onnxruntime_genai as og

    config = og.Config(bundle)
    # Its default is half of the processors, which is one thread of two cores.
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = og.Model(config)
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=context, do_sample=False)
    generator = og.Generator(model, parameters)

    def turn(request: Answer) -> Answer:
        prompt = np.asarray(request["prompt"], np.int32)
        generator.rewind_to(0)
        watch = Watch()
        generator.append_tokens(prompt)
        generator.generate_next_token()  # takes the first token from logits that are there
        prefill = watch.stop()
        watch = Watch()
        for _ in range(request["steps"]):
            generator.generate_next_token()
        return {"prefill": prefill, "decode": watch.stop()}

    serve(turn)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
