"""The process that loads a checkpoint with transformers, notes what it computes, and has optimum trace it.

Leaves `model.onnx` (perhaps with data beside it) and `outputs.npy`, rows of float32: of each text in turn its hidden
states or its tokens' logits [n, width], or its logits [1, labels].
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from optimum.exporters.onnx import export
from optimum.exporters.tasks import TasksManager

from edgekit.errors import UnsupportedError
from edgekit_exporters.via_optimum.process import Tell, serve

CLASSES = {
    "embed": ("feature-extraction", transformers.AutoModel),
    "classify": ("text-classification", transformers.AutoModelForSequenceClassification),
    "tag": ("token-classification", transformers.AutoModelForTokenClassification),
}

OPSET = 18
"""One for all: optimum's own choice differs from model to model, and so would the nodes that are added later."""

UNLIMITED = 512
"""Tokens of a text where the config names no limit: what such models were trained with."""


def main(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Trace the checkpoint in `folder` for a `task`.

    Of `texts`, token ids of each, is computed what fits; `context` bounds their length, null leaves it to the model.

    Raises:
        UnsupportedError: optimum does not know the architecture, or the checkpoint is not whole.
    """
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    task, loader = CLASSES[request["task"]]
    config = transformers.AutoConfig.from_pretrained(request["folder"], local_files_only=True)
    _check_known(config.model_type, task)
    tell("load with transformers")
    model = _load(loader, request["folder"], request["task"])
    context = _context(model, request["context"])
    tell("compute some texts with transformers")
    texts = [text[:context] for text in request["texts"]]
    outputs = [_compute(model, text) for text in texts]
    np.save("outputs.npy", np.concatenate(outputs))
    tell("trace with optimum")
    constructor = TasksManager.get_exporter_config_constructor(
        "onnx", model=model, task=task, library_name="transformers"
    )
    export(model, constructor(model.config), Path("model.onnx"), opset=OPSET, disable_dynamic_axes_fix=True)
    return {
        "context": context,
        "texts": texts,
        "vocab_size": model.get_input_embeddings().weight.shape[0],
        "hidden_size": getattr(model.config, "hidden_size", model.get_input_embeddings().weight.shape[1]),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {name: version(name) for name in ("optimum-onnx", "transformers", "torch")},
    }


def _check_known(model_type: str, task: str) -> None:
    """Refuse an architecture that optimum does not export for a task, before it is loaded."""
    known = TasksManager.get_supported_model_type_for_task(task, exporter="onnx")
    if model_type.replace("_", "-") not in {name.replace("_", "-") for name in known}:
        # The list of those that compute hidden states has images and sounds in it.
        taggers = TasksManager.get_supported_model_type_for_task("token-classification", exporter="onnx")
        raise UnsupportedError(
            f"optimum-onnx {version('optimum-onnx')} does not export the architecture {model_type!r} for {task}",
            f"of those that read texts it exports: {', '.join(sorted(taggers))}",
        )


def _load(loader: Any, folder: str, task: str) -> Any:  # noqa: ANN401 - an Auto class and its model
    """Load in float32, and refuse a checkpoint whose weights are not all there: transformers would draw some."""
    model, found = loader.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    # What a text's classifier needed in pretraining is no part of the hidden states.
    missing = sorted(name for name in found["missing_keys"] if task != "embed" or not name.startswith("pooler."))
    if missing:
        raise UnsupportedError(
            f"the checkpoint has no weights for {', '.join(missing[:3])}" + (", ..." if len(missing) > 3 else ""),
            "is it complete, and of the class that its config.json names?",
        )
    return model.eval()


def _context(model: Any, limit: int | None) -> int:  # noqa: ANN401
    """Return the longest text that the model takes; some tables of positions begin with rows for padding."""
    rows = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(rows, int) or rows < 1:
        return limit or UNLIMITED
    if limit is not None and limit < rows:
        rows = limit
    for length in (rows, rows - 1 - (model.config.pad_token_id or 0)):
        try:
            _compute(model, [model.config.vocab_size - 1] * length)
        except (IndexError, RuntimeError):
            continue
        return length
    raise UnsupportedError(f"the model computes no text of {rows} tokens, as its config says", "try --context 128")


def _compute(model: Any, ids: list[int]) -> Any:  # noqa: ANN401 - float32 [n or 1, width]
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.int64))
    result = out.logits if "logits" in out else out.last_hidden_state
    return result.float().numpy().reshape(-1, result.shape[-1])


if __name__ == "__main__":
    serve(main)
