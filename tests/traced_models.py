"""What optimum would have left of a small model that reads texts: a graph as tracers write it, its results in numpy.

Each hidden state is a dense layer over its token's row of a table plus the mean of the whole text: it depends on all of
a text, and on no padding where the mask is heeded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import small_encoders
from onnx import TensorProto, helper, numpy_helper

from edgekit_exporters.via_optimum.tasks import Task

VOCABULARY, WIDTH, LABELS, CONTEXT = 140, 16, 3, 48
CLASSES = {"embed": "Model", "classify": "ForSequenceClassification", "tag": "ForTokenClassification"}
Float32 = npt.NDArray[np.float32]

_RNG = np.random.default_rng(7)
TABLE = _RNG.standard_normal((VOCABULARY, WIDTH)).astype(np.float32)
TYPES = _RNG.standard_normal((2, WIDTH)).astype(np.float32)
DENSE = (_RNG.standard_normal((WIDTH, WIDTH)) / 4).astype(np.float32)
TABLE[:, 0] = TYPES[:, 0] = 0
LOUD = DENSE.copy()
LOUD[0] = 1e4
"""As good as `DENSE`, whose first row meets nothing but zeros; but rounded to int8, nothing else is left."""
HEAD = _RNG.standard_normal((WIDTH, LABELS)).astype(np.float32)


def compute(ids: list[int], task: Task) -> Float32:
    """Return the rows of one text: hidden states or logits [n, width], or logits [1, labels]."""
    rows = TABLE[ids] + TYPES[0]
    hidden = (rows + rows.mean(axis=0)) @ DENSE
    if task == "embed":
        return hidden
    return (hidden[:1] if task == "classify" else hidden) @ HEAD


def graph(
    task: Task, *, extra_input: str = "", heeds_mask: bool = True, loud: bool = False, traced_length: int = 0
) -> onnx.ModelProto:
    """Return the graph, with an output and a weight that nobody needs; `traced_length` is the only one it can take."""
    node = helper.make_node
    axes = numpy_helper.from_array(np.array([2]), "axes")
    nodes = [
        node("Gather", ["table", "input_ids"], ["words"]),
        node("Gather", ["types", "token_type_ids"], ["typed"]),
        node("Add", ["words", "typed"], ["rows"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["mask", "axes"], ["weights"]),
        node("Mul", ["rows", "weights"], ["kept"]),
        node("ReduceSum", ["kept", "sequence"], ["total"], keepdims=1),
        node("ReduceSum", ["weights", "sequence"], ["count"], keepdims=1),
        node("Div", ["total", "count"], ["mean"]) if heeds_mask else node("ReduceMean", ["rows", "sequence"], ["mean"]),
        node("Add", ["rows", "mean"], ["sum"]),
        *([node("Reshape", ["sum", "shape"], ["sum_shaped"])] if traced_length else []),
        node("MatMul", ["sum_shaped" if traced_length else "sum", "dense"], ["last_hidden_state"]),
        node("MatMul", ["last_hidden_state", "unused"], ["pooler_output"]),
    ]
    if task == "classify":
        nodes.append(node("Gather", ["last_hidden_state", "zero"], ["first"], axis=1))
    if task != "embed":
        nodes.append(node("MatMul", ["first" if task == "classify" else "last_hidden_state", "head"], ["logits"]))
    shape: list[int | str] = ["batch_size", "sequence_length"]
    names = ["input_ids", "attention_mask", "token_type_ids", *filter(None, [extra_input])]
    output = "last_hidden_state" if task == "embed" else "logits"
    weights = {
        "table": TABLE, "types": TYPES, "dense": LOUD if loud else DENSE, "head": HEAD,
        "unused": np.ones((WIDTH, WIDTH), np.float32), "sequence": np.array([1]), "zero": np.array(0),
        "shape": np.array([0, traced_length, WIDTH]),
    }  # fmt: skip
    made = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (output, "pooler_output")],
        initializer=[axes, *(numpy_helper.from_array(value, name) for name, value in weights.items())],
        value_info=[helper.make_tensor_value_info("rows", TensorProto.FLOAT, [2, 16, WIDTH])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def leave(folder: Path, request: dict[str, Any], **differences: Any) -> dict[str, Any]:
    """Leave in `folder` what the process of `trace.py` leaves, and return its result."""
    task: Task = request["task"]
    onnx.save_model(graph(task, **differences), str(folder / "model.onnx"))
    context = min(request["context"] or CONTEXT, CONTEXT)
    texts = [text[:context] for text in request["texts"]]
    np.save(folder / "outputs.npy", np.concatenate([compute(text, task) for text in texts]))
    return {
        "context": context, "texts": texts, "vocab_size": VOCABULARY, "hidden_size": WIDTH,
        "parameters": TABLE.size, "versions": {"optimum-onnx": "0.1.0", "torch": "2"},
    }  # fmt: skip


def checkpoint(folder: Path, task: Task, **config: Any) -> Path:
    """Write a checkpoint of that model, as far as it is read without torch."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    values = {"model_type": "electra", "architectures": [f"Electra{CLASSES[task]}"], "vocab_size": VOCABULARY}
    if task != "embed":
        values["id2label"] = {"0": "O", "1": "B-CITY", "2": "I-CITY"}
    (folder / "config.json").write_text(json.dumps(values | config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(small_encoders.word_piece(), encoding="utf-8")
    return folder
