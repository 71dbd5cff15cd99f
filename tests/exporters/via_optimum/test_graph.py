from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import traced_models
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgekit.errors import UnsupportedError
from edgekit_exporters.via_optimum.graph import read_graph, write_graph
from edgekit_exporters.via_optimum.tasks import Task


def brought(tmp_path: Path, task: Task, model: onnx.ModelProto | None = None) -> onnx.ModelProto:
    onnx.save_model(model or traced_models.graph(task), str(tmp_path / "traced.onnx"))
    width = traced_models.WIDTH if task == "embed" else traced_models.LABELS
    return read_graph(tmp_path / "traced.onnx", task, width, "electra")


@pytest.mark.parametrize("task", ["embed", "classify", "tag"])
def test_a_graph_has_our_inputs_and_one_output(task: Task, tmp_path: Path) -> None:
    model = brought(tmp_path, task)
    write_graph(model, tmp_path)
    written = onnx.load_model(str(tmp_path / "onnx" / "model.onnx"))
    onnx.checker.check_model(written, full_check=True)
    assert [item.name for item in written.graph.input] == ["input_ids", "attention_mask"]
    assert len(written.graph.output) == 1
    ids = np.array([[7, 8, 9, 10], [11, 12, 0, 0]])
    found = ReferenceEvaluator(written).run(None, {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})[0]
    for row, own in zip(found, ([7, 8, 9, 10], [11, 12]), strict=True):
        truth = traced_models.compute(own, task)
        np.testing.assert_allclose(np.atleast_2d(row)[: len(truth)], truth, atol=1e-5)


def test_what_nobody_needs_is_left_out_and_weights_lie_beside_the_graph(tmp_path: Path) -> None:
    model = brought(tmp_path, "embed")
    assert not {tensor.name for tensor in model.graph.initializer} & {"unused", "head", "zero"}
    assert "pooler_output" not in {name for node in model.graph.node for name in node.output}
    write_graph(model, tmp_path)
    data = (tmp_path / "onnx" / "model.onnx.data").read_bytes()
    assert traced_models.TABLE.tobytes() in data
    assert (tmp_path / "onnx" / "model.onnx").stat().st_size < traced_models.TABLE.nbytes


def test_what_branches_need_is_kept(tmp_path: Path) -> None:
    model = traced_models.graph("tag")
    graph = model.graph
    (product,) = [node for node in graph.node if node.output[0] == "logits"]
    branches = {}
    for name in ("then_branch", "else_branch"):
        output = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)
        inner = [helper.make_node("MatMul", ["last_hidden_state", "head"], [f"{name}_out"])]
        branches[name] = helper.make_graph(inner, name, [], [output])
    graph.node.remove(product)
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "always"))
    graph.node.append(helper.make_node("If", ["always"], ["logits"], **branches))
    kept = brought(tmp_path, "tag", model)
    assert "head" in {tensor.name for tensor in kept.graph.initializer}
    assert "last_hidden_state" in {name for node in kept.graph.node for name in node.output}


def test_a_graph_without_a_mask_or_an_output_is_refused(tmp_path: Path) -> None:
    model = traced_models.graph("embed")
    del model.graph.input[1]
    with pytest.raises(UnsupportedError, match="has no attention_mask"):
        brought(tmp_path, "embed", model)
    with pytest.raises(UnsupportedError, match="has no output logits"):
        brought(tmp_path, "tag", traced_models.graph("embed"))
