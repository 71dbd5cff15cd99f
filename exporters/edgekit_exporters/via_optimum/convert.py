"""The process that has OpenVINO convert an ONNX graph to its IR."""

from __future__ import annotations

import sys
from typing import Any

from edgekit_exporters.via_optimum.process import Tell, serve


def main(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Convert the graph at `onnx` to `xml` and the weights beside it."""
    tell("convert with OpenVINO")
    # `import openvino` reports to a collector, unless this package cannot be imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what makes an import fail
    import openvino

    model = openvino.convert_model(request["onnx"])
    # Where the runtime looks for it, to compute floats as floats.
    model.set_rt_info("none", ["quantization"])
    openvino.save_model(model, request["xml"], compress_to_fp16=False)
    return {"version": openvino.__version__.split("-")[0]}


if __name__ == "__main__":
    serve(main)
