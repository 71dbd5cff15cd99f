"""EdgeKit's `onnx` runtime over a bundle, answering the requests of `speed.py`."""

from __future__ import annotations

import json
import sys
import time

import edgekit


def main(bundle: str, context: int, threads: int) -> None:
    with edgekit.load(bundle, runtime="onnx", context=context, threads=threads) as model:
        session, token = model.session, 0
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            if "prefill" in request:
                session.rewind(0)
                began = time.perf_counter(), time.process_time()
                token = int(session.forward(request["prefill"])[-1].argmax())
                steps = len(request["prefill"])
            else:
                began = time.perf_counter(), time.process_time()
                for _ in range(request["decode"]):
                    token = int(session.forward([token])[-1].argmax())
                steps = request["decode"]
            wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
            print(json.dumps({"wall": wall, "processor": processor, "steps": steps}), flush=True)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
