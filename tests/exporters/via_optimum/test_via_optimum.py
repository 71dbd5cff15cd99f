"""The whole way but torch: what optimum would leave is made here. `tests/test_optimum.py` has torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import traced_models
from refusals import refusal, replace_file
from small_tokenizers import TEXTS
from tiny_checkpoint import write_tiny_checkpoint

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, UnsupportedError, UsageError
from edgekit.kvfile import write_state
from edgekit.spec import GraphSpec
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.export import export
from edgekit_exporters.recorded import FILE, read_recorded
from edgekit_exporters.via_optimum import export as via_optimum
from edgekit_exporters.via_optimum import tracing
from edgekit_exporters.via_optimum.tasks import Task

SCHEMAS = Path(edgekit.__file__).parent / "schemas"
Trace = Callable[..., None]


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    """Say how the graph that optimum leaves differs from a right one."""

    def use(**differences: Any) -> None:
        monkeypatch.setattr(
            tracing, "run", lambda _, __, request, folder, ___: traced_models.leave(folder, request, **differences)
        )
        monkeypatch.setattr(via_optimum, "version", lambda package: "1")

    use()
    return use


def expected_vectors(texts: list[str], tokenizer: edgekit.Tokenizer) -> traced_models.Float32:
    return np.stack([traced_models.compute(tokenizer.encode(text), "embed").mean(axis=0) for text in texts])


def test_an_embedder_is_a_bundle_like_any_other(
    trace: Trace, tmp_path: Path, run_json: Callable[..., dict[str, Any]]
) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    path = tmp_path / "a.edge"
    written = run_json("export", source, "--via", "optimum", "--quantize", "none", "-o", path)
    assert written["source"]["via"] == "optimum-onnx 0.1.0, torch 2"
    assert "layers" not in written
    bundle = Bundle.open(path)
    assert isinstance(bundle.manifest.spec, GraphSpec)
    schema = json.loads((SCHEMAS / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(bundle.manifest.to_json())
    assert bundle.manifest.formats["onnx"].quality["reference"] == "recorded"
    with edgekit.load(path) as model:
        texts = [text[:60] for text in TEXTS[:7]] + ["a"]
        np.testing.assert_allclose(model.embed(texts), expected_vectors(texts, model.tokenizer), atol=1e-5)
        assert model.encoder.context == traced_models.CONTEXT
    assert run_json("inspect", path)["source"]["via"] is not None
    verified = run_json("verify", path)
    assert verified["passed"]
    assert verified["formats"]["onnx"]["fidelity"]["max_error"] < 1e-5
    assert not list(tmp_path.glob("**/.optimum-*"))


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_labels_come_along(task: Task, trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", task)
    bundle = Bundle.open(export(source, output=tmp_path / "a.edge", via="optimum", quantize="none"))
    assert bundle.manifest.labels == ("O", "B-CITY", "I-CITY")
    with edgekit.load(bundle.path) as model:
        ids = model.tokenizer.encode(TEXTS[0][:50])
        batch = np.zeros((2, len(ids) + 5), np.int64)
        batch[0, : len(ids)], batch[1] = ids, np.resize(ids, len(ids) + 5)
        found = model.encoder.encode(batch, (batch > 0).astype(np.int64))[0]
        truth = traced_models.compute(ids, task)
        np.testing.assert_allclose(np.atleast_2d(found)[: len(truth)], truth, atol=1e-5)


def test_several_labels_at_once(trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "classify", problem_type="multi_label_classification")
    with edgekit.load(export(source, output=tmp_path / "a.edge", via="optimum", quantize="none")) as model:
        found = model.classify(["a text"])[0]
        logits = traced_models.compute(model.tokenizer.encode("a text"), "classify")[0]
        np.testing.assert_allclose(list(found.probabilities.values()), 1 / (1 + np.exp(-logits)), atol=1e-5)


@pytest.mark.parametrize("task", ["embed", "classify", "tag"])
def test_int8_is_near_and_no_text_depends_on_another(task: Task, trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", task)
    bundle = Bundle.open(export(source, output=tmp_path / "a.edge", via="optimum"))
    assert bundle.manifest.quantization == {
        "mode": "int8",
        "onnx.linear": "int8 per row symmetric within -63..63",
        "onnx.embed": "int8 per row symmetric",
        "onnx.rest": "float32",
    }
    data = (bundle.path / "onnx" / "model.onnx.data").read_bytes()
    assert traced_models.TABLE.tobytes() not in data
    assert (traced_models.HEAD.tobytes() in (bundle.path / "onnx" / "model.onnx").read_bytes()) == (task != "embed")
    with edgekit.load(bundle.path) as model:
        ids = np.arange(5, 25)[None]
        alone = model.encoder.encode(ids, np.ones_like(ids))[0]
        truth = traced_models.compute(ids[0].tolist(), task)
        assert cosine(np.atleast_2d(alone), truth).min() > 0.995
        batch = np.full((3, 40), 9)
        batch[1, :20] = ids
        mask = np.ones_like(batch)
        mask[1, 20:] = 0
        beside = model.encoder.encode(batch, mask)[1]
        np.testing.assert_allclose(np.atleast_2d(beside)[: len(truth)], np.atleast_2d(alone), atol=1e-5)


def cosine(a: Any, b: Any) -> Any:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_int8_that_loses_too_much_is_refused(trace: Trace, tmp_path: Path) -> None:
    trace(loud=True)
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    with pytest.raises(
        UnsupportedError, match=r"as onnx, electra loses too much at int8: .* 0.98 is demanded"
    ) as caught:
        export(source, output=tmp_path / "a.edge", via="optimum")
    assert caught.value.hint.startswith("take --quantize none")
    assert export(source, output=tmp_path / "a.edge", via="optimum", quantize="none").is_dir()


def test_a_shorter_context_and_no_tokenizer(trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    (source / "tokenizer.json").unlink()
    bundle = Bundle.open(export(source, output=tmp_path / "a.edge", via="optimum", quantize="none", context=20))
    assert (bundle.manifest.formats["onnx"].context_max, bundle.manifest.spec.context) == (20, traced_models.CONTEXT)
    assert read_recorded(bundle).mask.sum(axis=1).max() == 20


@pytest.mark.slow
@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-5), ("int8", 0.1)])
def test_openvino_runs_what_its_converter_makes(quantize: str, tolerance: float, trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    path = export(source, to="openvino", output=tmp_path / "a.edge", via="optimum", quantize=quantize)
    assert sorted(item.name for item in path.iterdir() if item.is_dir()) == ["openvino"]
    for _ in range(2):
        with edgekit.load(path, runtime="openvino") as model:
            texts = [text[:60] for text in TEXTS[:7]]
            np.testing.assert_allclose(model.embed(texts), expected_vectors(texts, model.tokenizer), atol=tolerance)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        (
            {"heeds_mask": False},
            "as onnx, electra computes something else than transformers of each text",
        ),
        ({"traced_length": 16}, "as onnx, electra cannot be computed: .*Reshape"),
        ({"extra_input": "bbox"}, "the graph that optimum makes of electra also wants bbox"),
    ],
)
def test_a_graph_that_is_not_the_model_is_refused(
    differences: dict[str, Any], message: str, trace: Trace, tmp_path: Path
) -> None:
    trace(**differences)
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    with pytest.raises(UnsupportedError, match=message):
        # At int8: rounding must not hide it.
        export(source, output=tmp_path / "made" / "a.edge", via="optimum", quantize="int8")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("options", "config", "code", "said"),
    [
        ([], {"architectures": ["BloomForCausalLM"], "model_type": "bloom"}, 1, "BloomForCausalLM generates text: the"),
        ([], {"architectures": ["T5ForConditionalGeneration"]}, 1, "T5ForConditionalGeneration generates text"),
        ([], {"architectures": ["ElectraForQuestionAnswering"]}, 1, "ElectraForQuestionAnswering is neither"),
        (["--to", "tflite"], {}, 2, "--via optimum does not write tflite"),
        (["--quantize", "int4"], {}, 1, "--via optimum does not write int4"),
        (["--context", "49"], {}, 2, "--context 49 is not within 1..48"),
    ],
)
def test_what_cannot_be_done_is_said(
    options: list[str], config: dict[str, Any], code: int, said: str, trace: Trace, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = traced_models.checkpoint(tmp_path / "source", "embed", **config)
    arguments = ("export", source, "--via", "optimum", "-o", tmp_path / "a.edge", *options)
    assert said in refusal(capsys, *arguments, code=code)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["source"]


def test_another_exporter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    with pytest.raises(UsageError, match="unknown exporter 'magic'"):
        edgekit.export(source, output=tmp_path / "a.edge", via="magic")
    said = refusal(capsys, "export", source, "-o", tmp_path / "a.edge")
    assert "the architecture 'electra' is not supported" in said
    assert "--via optimum" in said


def test_a_decoder_that_edgekit_writes_needs_no_via(
    trace: Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_tiny_checkpoint(tmp_path / "llama")
    said = refusal(capsys, "export", source, "--via", "optimum", "-o", tmp_path / "a.edge")
    assert "EdgeKit writes llama itself: leave out --via" in said


@pytest.mark.parametrize(
    ("missing", "to", "command"),
    [
        ("optimum-onnx", "onnx", 'pip install "edgekit-sdk[optimum]"'),
        ("torch", "onnx", 'pip install "edgekit-sdk[optimum]"'),
        ("openvino", "onnx,openvino", 'pip install "edgekit-sdk[openvino]"'),
    ],
)
def test_what_is_not_installed_is_named_with_the_command(
    missing: str, to: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def version(package: str) -> str:
        if package == missing:
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(via_optimum, "version", version)
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    said = refusal(capsys, "export", source, "--via", "optimum", "--to", to, "-o", tmp_path / "a.edge")
    assert f"--via optimum needs the package {missing}, which is not installed" in said
    assert command in said


def test_a_gguf_file_is_refused(trace: Trace, tmp_path: Path) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "embed")
    with open_checkpoint(source) as checkpoint:
        checkpoint.folder = None
        with pytest.raises(UnsupportedError, match="not GGUF files"):
            via_optimum.check_request(checkpoint, ["onnx"], "auto")


def test_inspect_says_who_may_take_it(tmp_path: Path, run_json: Callable[..., dict[str, Any]]) -> None:
    source = traced_models.checkpoint(tmp_path / "source", "tag")
    assert (run_json("inspect", source)["supported"], run_json("inspect", source)["via"]) == (False, "optimum")
    decoder = traced_models.checkpoint(
        tmp_path / "decoder", "embed", architectures=["BloomForCausalLM"], model_type="bloom"
    )
    assert run_json("inspect", decoder)["via"] is None
    assert run_json("inspect", write_tiny_checkpoint(tmp_path / "llama"))["via"] is None


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that may only be read."""
    folder = tmp_path_factory.mktemp("embedder")
    source = traced_models.checkpoint(folder / "source", "embed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(via_optimum, "version", lambda package: "1")
        patch.setattr(tracing, "run", lambda _, __, request, place, ___: traced_models.leave(place, request))
        return export(source, output=folder / "a.edge", via="optimum")


def test_verify_against_the_source_is_refused_with_the_reason(
    embedder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = embedder.parent / "source"
    assert "leave out --against" in refusal(capsys, "verify", embedder, "--against", source, code=2)


ROWS = np.ones((2, traced_models.WIDTH), np.float32)


@pytest.mark.parametrize(
    ("mask", "rows", "tokens"),
    [
        (np.ones((2, 3), np.uint8), ROWS, [5] * 5),
        (np.ones((2, 3), np.uint8), np.ones((3, traced_models.WIDTH), np.float32), [5] * 6),
        (np.ones((2, 3), np.uint8), np.full((2, traced_models.WIDTH), np.nan, np.float32), [5] * 6),
        (np.ones((2, 3), np.uint8), ROWS, [5] * 5 + [10**30]),
        (np.ones((2, 3), np.uint8), ROWS, [5] * 5 + [-1]),
        (np.array([[2, 1], [1, 1]], np.uint8), ROWS, [5] * 5),
        (np.ones(6, np.uint8), ROWS, [5] * 6),
        (np.ones((0, 3), np.uint8), ROWS[:0], []),
        (np.ones((2, 3), np.uint8), ROWS.astype(np.float16), [5] * 6),
    ],
)
def test_recorded_results_that_do_not_fit_are_refused(
    mask: Any, rows: Any, tokens: list[int], embedder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.edge"
    shutil.copytree(embedder, path)
    write_state(tmp_path / "state", "what the checkpoint computed", tokens, {"mask": mask, "rows": rows})
    replace_file(path, FILE, (tmp_path / "state").read_bytes())
    with pytest.raises(BundleError, match=r"do not belong together|holds no texts and results"):
        read_recorded(Bundle.open(path))


def test_a_damaged_record_is_refused(embedder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.edge"
    shutil.copytree(embedder, path)
    replace_file(path, FILE, b"EDGEKV01 and nothing else")
    with pytest.raises(BundleError, match="or is damaged"):
        read_recorded(Bundle.open(path))
