"""A classifier that is fitted on labelled texts: what is learned, what is written, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import small_encoders

import edgekit
from edgekit.bundle import Bundle
from edgekit.classification.linear_head import HEAD
from edgekit.errors import BundleError, UsageError
from edgekit.registry import runtime, runtime_names
from edgekit_exporters.export import export
from edgekit_exporters.verify import verify

SCHEMAS = Path(edgekit.__file__).parent / "schemas"
RUNTIMES = [name for name in runtime_names() if hasattr(runtime(name), "open_encoder") and runtime(name).available().ok]
ANIMALS = ["fox", "dog", "lazy dog", "quick brown fox", "the dog", "a fox", "brown dog", "the lazy fox"]
SPEECH = ["she said", "does it", "in all", "here", "they said", "and they", "it does", "gone"]
TEXTS = (ANIMALS + SPEECH) * 3
LABELS = (["animal"] * len(ANIMALS) + ["speech"] * len(SPEECH)) * 3
"""Each text is there three times, so any encoder that tells texts apart suffices: this one has random weights."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    return tmp_path_factory.mktemp("fitting")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Path:
    source = small_encoders.checkpoint("embed", folder)
    return export(source, to=("onnx", "openvino", "tflite"), quantize="none", output=folder / "embed.edge")


@pytest.fixture(scope="module")
def fitted(encoder: Path, folder: Path) -> Path:
    test = (["fox", "here", "naïve café"], ["animal", "speech", "coffee"])
    return edgekit.fit(encoder, TEXTS, LABELS, folder / "fitted.edge", test=test, accuracy=0.8)


def test_the_manifest_says_how_good_it_is(fitted: Path) -> None:
    manifest = Bundle.open(fitted).manifest
    assert (manifest.name, manifest.task, manifest.labels) == ("fitted", "classify", ("animal", "speech"))
    assert manifest.classifier is not None
    found = manifest.classifier.figures
    assert found["cross_validation"].texts == len(TEXTS)
    assert found["cross_validation"].accuracy > 0.8
    assert sum(pair.count for pair in found["cross_validation"].confusions) == len(TEXTS)
    # A label that training did not have counts as an error.
    assert {pair.label for pair in found["test"].confusions} == {"animal", "speech", "coffee"}
    assert found["test"].accuracy <= 2 / 3 + 1e-9
    schema = json.loads((SCHEMAS / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(manifest.to_json())


@pytest.mark.parametrize("name", RUNTIMES)
def test_it_runs_in_every_format_and_its_head_is_what_it_says(fitted: Path, encoder: Path, name: str) -> None:
    with edgekit.load(encoder, runtime=name) as model:
        vectors = model.embed(TEXTS)
    manifest = Bundle.open(fitted).manifest
    assert manifest.classifier is not None
    rows = np.fromfile(fitted / HEAD, "<f4").reshape(2, -1).astype(np.float64)
    scores = (vectors @ rows[:, :-1].T + rows[:, -1]) / manifest.classifier.temperature
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    with edgekit.load(fitted, runtime=name) as model:
        found = model.classify(TEXTS)
        np.testing.assert_allclose(model.embed(TEXTS), vectors, atol=1e-6)
    np.testing.assert_allclose([list(each.probabilities.values()) for each in found], expected, atol=1e-4)
    for each, row in zip(found, expected, strict=True):
        sure = row.max() >= manifest.classifier.threshold
        assert each.label == (manifest.labels[int(row.argmax())] if sure else None)
        assert each.probability == pytest.approx(row.max(), abs=1e-4)
    assert np.mean([each.label == label for each, label in zip(found, LABELS, strict=True)]) > 0.8


def test_files_of_the_encoder_are_copied_as_they_are(fitted: Path, encoder: Path) -> None:
    ours, theirs = (Bundle.open(path).manifest.files for path in (fitted, encoder))
    assert {name: entry for name, entry in ours.items() if name != HEAD} == theirs
    assert verify(fitted).passed
    assert Bundle.open(fitted).manifest.classifier is not None


def test_it_abstains_below_its_threshold(fitted: Path, tmp_path: Path) -> None:
    def classifier(threshold: float) -> Any:
        data = json.loads((fitted / "edgekit.json").read_text(encoding="utf-8"))
        data["classifier"]["threshold"] = threshold
        return data["classifier"]

    copy = edgekit.fit(fitted, TEXTS, LABELS, tmp_path / "copy.edge")
    for threshold, labelled in ((0.0, True), (1.0, False)):
        data = json.loads((copy / "edgekit.json").read_text(encoding="utf-8")) | {"classifier": classifier(threshold)}
        (copy / "edgekit.json").write_text(json.dumps(data), encoding="utf-8")
        with edgekit.load(copy) as model:
            (found,) = model.classify(["naïve café"])
        assert (found.label is not None) == labelled
        assert found.probability == max(found.probabilities.values()) < 1


def test_a_fitted_bundle_can_be_fitted_anew(fitted: Path, encoder: Path, tmp_path: Path) -> None:
    labels = ["other" if text == "gone" else label for text, label in zip(TEXTS, LABELS, strict=True)]
    again = edgekit.fit(fitted, TEXTS, labels, tmp_path / "a.edge", name="mine")
    fresh = edgekit.fit(encoder, TEXTS, labels, tmp_path / "b.edge", name="mine")
    # What `verify` found of the first one is carried along.
    ours, theirs = (dataclasses.replace(Bundle.open(path).manifest, formats={}) for path in (again, fresh))
    assert ours == theirs
    assert ours.labels == ("animal", "other", "speech")


def test_a_checkpoints_own_head_is_calibrated(folder: Path, tmp_path: Path) -> None:
    names = {"0": "a", "1": "b", "2": "c"}
    source = small_encoders.bundle("classify", folder, id2label=names)
    with edgekit.load(source) as model:
        before = model.classify(TEXTS)
    # What it says, but with every fourth text another label: it is sure of too much.
    truth = [str(each.label) if number % 4 else "b" for number, each in enumerate(before)]
    made = edgekit.fit(source, TEXTS, truth, tmp_path / "own.edge", accuracy=0.5)
    manifest = Bundle.open(made).manifest
    assert manifest.classifier is not None
    assert (manifest.classifier.file, list(manifest.classifier.figures)) == (None, ["calibration"])
    with edgekit.load(made) as model:
        after = model.classify(TEXTS)
    right = [max(each.probabilities, key=lambda label: each.probabilities[label]) for each in after]
    assert right == [each.label for each in before]
    chosen = [
        np.log([each.probabilities[name] for each, name in zip(found, truth, strict=True)]).mean()
        for found in (before, after)
    ]
    assert chosen[1] > chosen[0]


def spoiled_head(path: Path, spoil: str) -> None:
    head, manifest = path / HEAD, path / "edgekit.json"
    raw, data = head.read_bytes(), json.loads(manifest.read_text(encoding="utf-8"))
    if spoil == "missing":
        head.unlink()
    elif spoil == "cut":
        head.write_bytes(raw[:-4])
    elif spoil == "changed":
        head.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    elif spoil == "labels":
        data["labels"].append("third")
    elif spoil == "unlisted":
        data["classifier"]["file"] = "../head.f32"
    else:
        raw = np.full(len(raw) // 4, np.nan, "<f4").tobytes()
        head.write_bytes(raw)
        data["files"][HEAD]["sha256"] = hashlib.sha256(raw).hexdigest()
    manifest.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("missing", "classifier.f32: the file is missing"),
        ("cut", "classifier.f32: .* bytes, the manifest says"),
        ("changed", "classifier.f32: its SHA-256 is"),
        ("labels", "classifier.file 'classifier.f32' has .* bytes; 3 labels and a width of 64 make"),
        ("unlisted", "classifier.file is '../head.f32', which is not listed in files"),
        ("nan", "classifier.f32: holds values that are no finite numbers"),
    ],
)
def test_a_damaged_head_is_refused(fitted: Path, tmp_path: Path, spoil: str, words: str) -> None:
    copy = tmp_path / "copy.edge"
    shutil.copytree(fitted, copy)
    spoiled_head(copy, spoil)
    with pytest.raises(BundleError, match=words), edgekit.load(copy, runtime="onnx") as model:
        model.classify(["dog"])


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        (["a", "b"], ["x", "x"], "all texts have the label 'x'"),
        ([], [], "there is no text"),
        (["a", "b"], ["x"], "there are 2 texts and 1 labels"),
        (["a", "b"], ["x", " "], "the label of text 2 is ' '"),
        (["a", "b"], ["x", "y\x1b[31m"], "the label of text 2 is"),
        (["a", "b"], ["x", 3], "the label of text 2 is 3"),
        (["a", "\ud800"], ["x", "y"], "no valid Unicode"),
        ("ab", ["x", "y"], "lists of texts and labels are expected, not str"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    encoder: Path, tmp_path: Path, texts: Any, labels: Any, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        edgekit.fit(encoder, texts, labels, tmp_path / "a.edge")
    assert list(tmp_path.iterdir()) == []


def test_bundles_that_no_classifier_suits_are_refused(folder: Path, tmp_path: Path) -> None:
    tagger = small_encoders.bundle("tag", folder)
    with pytest.raises(BundleError, match="task 'tag', on which no classifier can be fitted"):
        edgekit.fit(tagger, TEXTS, LABELS, tmp_path / "a.edge")
    several = small_encoders.bundle("multi_label", folder)
    with pytest.raises(BundleError, match="do not exclude each other"):
        edgekit.fit(several, TEXTS, LABELS, tmp_path / "a.edge")
    own = small_encoders.bundle("classify", tmp_path)
    with pytest.raises(UsageError, match="text 1 has the label 'animal', which the model does not know"):
        edgekit.fit(own, TEXTS, LABELS, tmp_path / "a.edge")


@pytest.fixture(scope="module")
def two(encoder: Path, folder: Path) -> Path:
    """The least that can be learned from."""
    return edgekit.fit(encoder, ["fox", "here"], ["animal", "speech"], folder / "two.edge")


def test_two_texts_make_a_classifier_that_promises_nothing(two: Path) -> None:
    entry = Bundle.open(two).manifest.classifier
    assert entry is not None
    # Without the other text each fold knows one label only, and is wrong.
    assert entry.figures["cross_validation"].accuracy == 0.0
    assert dataclasses.asdict(entry)["file"] == HEAD
