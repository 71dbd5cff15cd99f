"""onnxruntime-genai's own generator over a bundle's folder, answering the requests of `speed.py`.

It runs in an environment of its own (`peer.py`), so it imports nothing of EdgeKit.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

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
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        began = time.perf_counter(), time.process_time()
        if "prefill" in request:
            generator.rewind_to(0)
            began = time.perf_counter(), time.process_time()
            generator.append_tokens(np.asarray(request["prefill"], np.int32))
            generator.generate_next_token()  # takes the first token from logits that are there
            steps = len(request["prefill"])
        else:
            steps = 0
            while steps < request["decode"] and not generator.is_done():
                generator.generate_next_token()
                steps += 1
        wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
        print(json.dumps({"wall": wall, "processor": processor, "steps": steps}), flush=True)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
