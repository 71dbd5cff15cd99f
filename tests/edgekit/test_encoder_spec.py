from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from manifests import manifest

import edgekit
from edgekit.errors import BundleError
from edgekit.manifest import Manifest, Source
from edgekit.spec import Attention, EncoderSpec, GraphSpec, Head, Norm, Rope
from edgekit.spec_check import read_encoder_spec
from edgekit.strict_json import Reader

READER = Reader("tiny.edge/edgekit.json")
SCHEMA = json.loads((Path(edgekit.__file__).parent / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))


def encoder_spec() -> EncoderSpec:
    """A spec that uses every field."""
    rope = Rope(frequencies=(1.0, 0.1))
    full = Attention(heads=4, kv_heads=4, head_dim=4, scale=0.5, causal=False, rope=rope)
    return EncoderSpec(
        architecture="modernbert",
        vocab_size=97,
        hidden_size=16,
        mlp_size=24,
        context=64,
        layers=(full, dataclasses.replace(full, window=8), full),
        norm=Norm(kind="layer"),
        gated=True,
        pre_norm=True,
        learned_positions=False,
        relative_bias=True,
        head=Head(labels=2, pool="mean", activation="tanh", norm=Norm(kind="layer"), probabilities="sigmoid"),
        pooling="last",
        normalised=True,
    )


def classifier(**changes: Any) -> Manifest:
    valid = dataclasses.replace(
        manifest(), task="classify", architecture="modernbert", spec=encoder_spec(), labels=("no", "yes"),
        eos_ids=(), generation={},
    )  # fmt: skip
    return dataclasses.replace(valid, **changes)


def test_a_spec_round_trips() -> None:
    assert read_encoder_spec(READER, json.loads(json.dumps(encoder_spec().to_json()))) == encoder_spec()
    bare = dataclasses.replace(encoder_spec(), head=None)
    assert read_encoder_spec(READER, json.loads(json.dumps(bare.to_json()))) == bare


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.update(context=0), "spec.context is 0"),
        (lambda d: d.update(pooling="middle"), "spec.pooling is 'middle'"),
        (lambda d: d.update(residual="pre"), "spec.residual is an unknown key"),
        (lambda d: d.update(head=1), "spec.head is 1"),
        (lambda d: d["head"].update(labels=0), "spec.head.labels is 0"),
        (lambda d: d["head"].update(pool="last"), "spec.head.pool is 'last'"),
        (lambda d: d["head"].update(activation="swish"), "spec.head.activation is 'swish'"),
        (lambda d: d["head"]["norm"].update(eps=3), "spec.head.norm.eps is 3"),
        (lambda d: d["attention"][0].update(causal=True), r"layers\[0\] is an attention that only decoders have"),
        (lambda d: d["attention"][0].update(heads=3), "no multiple of the 4 kv_heads"),
        (lambda d: d.pop("norm"), "spec.norm is missing"),
    ],
)
def test_a_spec_that_no_model_can_have_is_refused(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    data = json.loads(json.dumps(encoder_spec().to_json()))
    spoil(data)
    with pytest.raises(BundleError, match=message):
        read_encoder_spec(READER, data)


def test_a_classifier_s_manifest_round_trips_and_fits_the_schema() -> None:
    data = json.loads(classifier().to_bytes())
    jsonschema.validate(data, SCHEMA, jsonschema.Draft202012Validator)
    assert Manifest.from_json(data, "here") == classifier()
    assert classifier().encoder_spec == encoder_spec()
    with pytest.raises(BundleError, match="task 'classify', which generates no text"):
        _ = classifier().decoder_spec
    with pytest.raises(BundleError, match="task 'generate', which has no encoder"):
        _ = manifest().encoder_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "embed"}, "task is 'embed', but the spec's head is one for 'classify'"),
        ({"task": "tag"}, "task is 'tag', but"),
        ({"labels": ("no",)}, "labels has 1 entries, the spec's head 2"),
        ({"task": "generate"}, "unknown key"),
        ({"spec": dataclasses.replace(encoder_spec(), head=None)}, "the spec's head is one for 'embed'"),
    ],
)
def test_a_head_that_does_not_fit_the_task_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(classifier(**changes).to_json(), "here")


def graph_manifest() -> Manifest:
    """A classifier whose graph another exporter made."""
    spec = GraphSpec(
        architecture="electra", vocab_size=97, hidden_size=16, context=64, parameters=5000,
        head=Head(labels=2, pool="other", probabilities="sigmoid"),
    )  # fmt: skip
    return classifier(architecture="electra", spec=spec, source=Source(id="someone/electra", via="optimum-onnx 0.1.0"))


def test_the_manifest_of_another_exporter_s_graph_round_trips_and_fits_the_schema() -> None:
    data = json.loads(graph_manifest().to_bytes())
    assert Manifest.from_json(data, "edgekit.json") == graph_manifest()
    jsonschema.Draft202012Validator(SCHEMA).validate(data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d["source"].pop("via"), "spec.attention is missing"),
        (lambda d: d["source"].update(via="\x1b[31m"), "source.via is .*control character"),
        (lambda d: d["spec"].pop("parameters"), "spec.parameters is missing"),
        (lambda d: d["spec"].update(parameters=0), "spec.parameters is 0"),
        (lambda d: d["spec"].update(layers=[0]), "spec.layers is an unknown key"),
        (lambda d: d["spec"].update(context=1 << 40), "spec.context is"),
        (lambda d: d["spec"].update(architecture=""), "spec.architecture is empty"),
        (lambda d: d["spec"]["head"].update(labels=1 << 30), "spec.head.labels is"),
        (lambda d: d["spec"]["head"].update(pool="max"), "spec.head.pool is 'max'"),
    ],
)
def test_a_graph_s_spec_that_cannot_be_is_refused(spoil: Callable[[dict[str, Any]], object], message: str) -> None:
    data = json.loads(graph_manifest().to_bytes())
    spoil(data)
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(data, "edgekit.json")
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


def test_only_graphs_of_other_exporters_make_one_result_of_a_text_in_their_own_way() -> None:
    data = json.loads(classifier().to_bytes())
    data["spec"]["head"]["pool"] = "other"
    with pytest.raises(BundleError, match=r"spec\.head\.pool is 'other'"):
        Manifest.from_json(data, "edgekit.json")
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(data)
