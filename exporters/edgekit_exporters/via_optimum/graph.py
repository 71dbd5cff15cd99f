"""Brings a traced ONNX graph into the form that our runtimes run.

In: `input_ids` and `attention_mask`, int64 [batch, n]. Out: one float32 output, `last_hidden_state` or `logits`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import UnsupportedError
from edgekit_exporters.packed import PackedFile
from edgekit_exporters.via_optimum.tasks import Task

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
OUTPUTS: dict[Task, tuple[str, tuple[str, ...]]] = {
    "embed": ("last_hidden_state", ("batch", "n")),
    "classify": ("logits", ("batch",)),
    "tag": ("logits", ("batch", "n")),
}
FOLDER, DATA_FILE = "onnx", "model.onnx.data"
GRAPH_FILE = f"{FOLDER}/model.onnx"

EXTERNAL = 1024
"""Bytes from which a tensor goes into the data file; what shapes are computed with must stay in the graph."""


def read_graph(path: Path, task: Task, width: int, architecture: str) -> onnx.ModelProto:
    """Read what optimum has written and bring its inputs and outputs into our form.

    Args:
        path: The graph, perhaps with data beside it.
        task: Decides which output is kept.
        width: Of the last axis of that output: of the hidden states, or how many labels there are.
        architecture: For messages.

    Raises:
        UnsupportedError: it wants an input that a text alone does not give, or lacks one that it must have.
    """
    model = onnx.load_model(str(path))
    graph = model.graph
    found = {item.name for item in graph.input} - {item.name for item in graph.initializer}
    strange = sorted(found - {IDS, MASK, TYPES})
    if strange:
        raise UnsupportedError(
            f"the graph that optimum makes of {architecture} also wants {', '.join(strange)}",
            "only models that read a text's tokens, and nothing else, can be taken",
        )
    if missing := {IDS, MASK} - found:
        raise UnsupportedError(
            f"the graph that optimum makes of {architecture} has no {', '.join(sorted(missing))}",
            "texts of different lengths could not be computed together",
        )
    if TYPES in found:
        _add_token_types(graph)
    del graph.input[:]
    graph.input.extend(helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "n"]) for name in (IDS, MASK))
    name, axes = OUTPUTS[task]
    if name not in {item.name for item in graph.output}:
        raise UnsupportedError(f"the graph that optimum makes of {architecture} has no output {name}")
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes, width]))
    # What the tracer noted of sizes in between holds for the texts that it was shown.
    del graph.value_info[:]
    drop_unused(graph)
    model.producer_name = "edgekit"
    return model


def write_graph(model: onnx.ModelProto, bundle: Path) -> tuple[str, ...]:
    """Write the graph with its weights beside it, as our own format has them, and return the names of the files."""
    (bundle / FOLDER).mkdir()
    data = PackedFile(bundle / FOLDER / DATA_FILE)
    try:
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.nbytes < EXTERNAL:
                continue
            position = data.reserve(array.nbytes)
            data.write(position, array)
            kept = TensorProto(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=TensorProto.EXTERNAL
            )
            for key, value in (("location", DATA_FILE), ("offset", position), ("length", array.nbytes)):
                kept.external_data.add(key=key, value=str(value))
            tensor.CopyFrom(kept)
    finally:
        data.close()
    (bundle / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))
    return GRAPH_FILE, f"{FOLDER}/{DATA_FILE}"


def _add_token_types(graph: onnx.GraphProto) -> None:
    """Make the token types inside: a single text has type 0 throughout."""
    zero = numpy_helper.from_array(np.zeros(1, np.int64))
    nodes = [
        helper.make_node("Shape", [IDS], ["edgekit/shape"], name="edgekit/shape"),
        helper.make_node("ConstantOfShape", ["edgekit/shape"], [TYPES], name="edgekit/types", value=zero),
    ]
    for node in reversed(nodes):
        graph.node.insert(0, node)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove the nodes and weights that the output does not depend on; nodes are in the order of computation."""
    used = {item.name for item in graph.output}
    kept = []
    for node in reversed(graph.node):
        if used & set(node.output):
            kept.append(node)
            used |= set(node.input)
            used |= {name for attribute in node.attribute for name in _names_inside(attribute)}
    kept.reverse()
    kept_nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(kept_nodes)
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(weights) < len(graph.initializer):
        copies = [TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
        del graph.initializer[:]
        graph.initializer.extend(copies)


def _names_inside(attribute: onnx.AttributeProto) -> set[str]:
    """Return every value that the sub-graphs of an If or a Loop use."""
    graphs = [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    return {
        name
        for graph in graphs
        for node in graph.node
        for name in (*node.input, *(inner for own in node.attribute for inner in _names_inside(own)))
    } | {item.name for graph in graphs for item in graph.output}
