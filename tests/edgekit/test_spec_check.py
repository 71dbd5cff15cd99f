from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from manifests import decoder_spec

from edgekit.errors import BundleError
from edgekit.spec_check import read_decoder_spec
from edgekit.strict_json import Reader

READER = Reader("tiny.edge/edgekit.json")


def plain() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(decoder_spec().to_json()))
    return data


def test_a_spec_round_trips() -> None:
    assert read_decoder_spec(READER, plain()) == decoder_spec()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.update(vocab_size=0), "spec.vocab_size is 0"),
        (lambda d: d.update(vocab_size=-5), "spec.vocab_size is -5"),
        (lambda d: d.update(vocab_size=1 << 40), "spec.vocab_size is 1099511627776, expected 1 to 16777216"),
        (lambda d: d.update(hidden_size=32.0), "spec.hidden_size is 32.0, expected an integer"),
        (lambda d: d.update(context=True), "spec.context is True"),
        (lambda d: d.update(activation="swish"), "spec.activation is 'swish', expected one of silu"),
        (lambda d: d.update(activation=["silu"]), "spec.activation is"),
        (lambda d: d.update(residual=1), "spec.residual is 1"),
        (lambda d: d.update(gated="yes"), "spec.gated is 'yes'"),
        (lambda d: d.update(logit_scale=0), "spec.logit_scale is 0"),
        (lambda d: d.update(logit_scale=10**400), "expected a finite number"),
        (lambda d: d.update(logit_softcap=-1.0), "spec.logit_softcap is -1.0"),
        (lambda d: d.update(embedding_scale=float("inf")), "spec.embedding_scale is inf"),
        (lambda d: d.update(mystery=1), "spec.mystery is an unknown key"),
        (lambda d: d.pop("mlp_size"), "spec.mlp_size is missing"),
        (lambda d: d.pop("attention"), "spec.attention is missing"),
        (lambda d: d.pop("layers"), "spec.layers is missing"),
        (lambda d: d.update(layers=[]), "spec.layers has 0 entries"),
        (lambda d: d.update(layers=[0] * 5000), "spec.layers has 5000 entries"),
        (lambda d: d.update(layers=[0, 2]), r"spec.layers\[1\] is 2, but there are 2 kinds"),
        (lambda d: d.update(layers=[-1]), r"spec.layers\[0\] is -1"),
        (lambda d: d.update(norm=None), "spec.norm is None"),
        (lambda d: d["norm"].update(kind="batch"), "spec.norm.kind is 'batch'"),
        (lambda d: d["norm"].update(eps=-1e-5), "spec.norm.eps is -1e-05"),
        (lambda d: d["attention"][0].update(heads=3), r"attention\[0\].heads is 3, no multiple of the 2 kv_heads"),
        (lambda d: d["attention"][0].update(kv_heads=0), r"attention\[0\].kv_heads is 0"),
        (lambda d: d["attention"][0].update(head_dim=10), "has 4 entries, expected head_dim / 2 = 5"),
        (lambda d: d["attention"][0].update(head_dim=9), "turns pairs, but head_dim is 9"),
        (lambda d: d["attention"][0].update(scale=0.0), r"attention\[0\].scale is 0.0"),
        (lambda d: d["attention"][1].update(window=0), r"attention\[1\].window is 0"),
        (lambda d: d["attention"][1].update(softcap=0), r"attention\[1\].softcap is 0"),
        (lambda d: d["attention"][1]["qk_norm"].update(eps=2), r"attention\[1\].qk_norm.eps is 2"),
        (lambda d: d["attention"][0]["rope"].update(frequencies=[1.0]), "frequencies has 1 entries"),
        (lambda d: d["attention"][0]["rope"].update(frequencies=[1, 1, 1, -1]), "frequencies holds -1"),
        (lambda d: d["attention"][0]["rope"].update(frequencies=[1, 1, 1, "a"]), r"frequencies\[3\] is 'a'"),
        (lambda d: d["attention"][0]["rope"].update(long_frequencies=None), "belong together"),
        (lambda d: d["attention"][0]["rope"].update(long_frequencies=[1.0]), "long_frequencies has 1 entries"),
        (lambda d: d["attention"][0]["rope"].update(border=-1), "rope.border is -1"),
        (lambda d: d["attention"][0]["rope"].update(scale=0), "rope.scale is 0"),
    ],
)
def test_a_spec_that_no_model_can_have_is_refused(spoil: Callable[[dict[str, Any]], object], message: str) -> None:
    data = plain()
    spoil(data)
    with pytest.raises(BundleError, match=message) as caught:
        read_decoder_spec(READER, data)
    assert caught.value.message.startswith("tiny.edge/edgekit.json: spec")
