"""A child for `edgekit_exporters.via_optimum.process`: does what its request says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from edgekit.errors import UnsupportedError
from edgekit_exporters.via_optimum.process import Tell, serve


def main(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    print("noise on standard output")
    tell("first step")
    tell("second step")
    match request["do"]:
        case "answer":
            return {"twice": 2 * request["number"], "torch": os.environ["HF_HUB_OFFLINE"], "folder": str(Path.cwd())}
        case "refuse":
            raise UnsupportedError("the fish is not supported", "give a bird")
        case "fail":
            raise ValueError("a tensor of\n  the wrong shape")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sleep":
            Path(request["note"]).write_text(str(os.getpid()), encoding="utf-8")
            time.sleep(60)
    raise AssertionError("unknown request")


if __name__ == "__main__":
    serve(main)
