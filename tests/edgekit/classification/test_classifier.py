"""What a manifest may say of a classifier: the reader and the published schema agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import edgekit
from edgekit.classification.classifier import Classifier, Confusion, Figures
from edgekit.errors import BundleError
from edgekit.manifest import FileEntry, Manifest, Source
from edgekit.spec import Attention, EncoderSpec, Head, Norm

SCHEMA = json.loads((Path(edgekit.__file__).parent / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
Spoil = Callable[[dict[str, Any]], object]


def manifest(head: Head | None = None, file: str | None = "classifier.f32") -> Manifest:
    spec = EncoderSpec(
        architecture="bert", vocab_size=50, hidden_size=8, mlp_size=16, context=32, norm=Norm(kind="layer"), head=head,
        layers=(Attention(heads=2, kv_heads=2, head_dim=4, scale=0.5, causal=False),),
    )  # fmt: skip
    pairs = (Confusion(label="a", predicted="a", count=2), Confusion(label="c", predicted="b", count=1))
    figures = Figures(
        texts=3, accuracy=0.5, calibration_error=0.1, answered=1.0, answered_accuracy=None, confusions=pairs
    )
    return Manifest(
        name="tickets", task="classify", architecture="bert", spec=spec, source=Source(id="x"), labels=("a", "b"),
        files={"classifier.f32": FileEntry(size=72, sha256="0" * 64)},
        classifier=Classifier(file=file, temperature=0.7, threshold=0.4, strength=1e-5, figures={"test": figures}),
    )  # fmt: skip


@pytest.mark.parametrize("valid", [manifest(), manifest(Head(labels=2), None)])
def test_round_trip(valid: Manifest) -> None:
    assert Manifest.from_bytes(valid.to_bytes(), "edgekit.json") == valid
    VALIDATOR.validate(valid.to_json())


# The schema refuses them as well, unless marked: it cannot compare one part of the manifest with another.
SPOILED: list[tuple[Spoil, str, bool]] = [
    (lambda d: d["classifier"].update(temperature=0), "classifier.temperature is 0", True),
    (lambda d: d["classifier"].update(temperature=1e9), "classifier.temperature is 1000000000", True),
    (lambda d: d["classifier"].update(threshold=1.5), "classifier.threshold is 1.5", True),
    (lambda d: d["classifier"].update(strength=-1), "classifier.strength is -1", True),
    (lambda d: d["classifier"].update(extra=1), "classifier.extra is an unknown key", True),
    (lambda d: d["classifier"].update(file="other"), "classifier.file is 'other', which is not listed", False),
    (lambda d: d["files"]["classifier.f32"].update(size=73), "has 73 bytes; 2 labels and a width of 8 make 72", False),
    (lambda d: d.update(labels=["a", "a"]), "labels are those of a fitted classifier", False),
    (lambda d: d.update(task="embed"), "classifier is given, but the task is 'embed'", False),
    (lambda d: d["spec"].update(head={"labels": 2}), "the spec has a head of its own", False),
    (lambda d: d["classifier"]["figures"].update(guess=d["classifier"]["figures"]["test"]), "guess'. is unknown", True),
    (lambda d: d["classifier"]["figures"]["test"].update(texts=0), "figures.test.texts is 0", True),
    (lambda d: d["classifier"]["figures"]["test"].update(accuracy=1.1), "figures.test.accuracy is 1.1", True),
    (
        lambda d: d["classifier"]["figures"]["test"]["confusions"][1].update(count=0),
        r"confusions\[1\].count is 0",
        True,
    ),
    (lambda d: d["classifier"]["figures"]["test"]["confusions"][1].update(label="\x1b"), "control character", True),
]


@pytest.mark.parametrize(("spoil", "words", "in_schema"), SPOILED)
def test_what_cannot_be_is_refused(spoil: Spoil, words: str, in_schema: bool) -> None:
    data = manifest().to_json()
    spoil(data)
    with pytest.raises(BundleError, match=words):
        Manifest.from_json(data, "edgekit.json")
    assert VALIDATOR.is_valid(data) != in_schema
