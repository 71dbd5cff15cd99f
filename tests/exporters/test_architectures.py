"""What architectures refuse: nothing in a config or among the tensors is silently left out."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from decoder_cases import Case, decoder_cases

from edgekit.errors import CheckpointError, EdgekitError, UnsupportedError
from edgekit_exporters.architecture import Model, read_model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints import open_checkpoint
from edgekit_exporters.weights import Array, Rows

CASES = {str(case): case for case in decoder_cases()}


@pytest.fixture
def opened(shared: Path) -> Iterator[Callable[[str], Checkpoint]]:
    checkpoints: list[Checkpoint] = []

    def open_case(name: str) -> Checkpoint:
        checkpoints.append(open_checkpoint(CASES[name].path))
        return checkpoints[-1]

    yield open_case
    for checkpoint in checkpoints:
        checkpoint.close()


Opened = Callable[[str], Checkpoint]


def read(checkpoint: Checkpoint, **changes: Any) -> Model:
    checkpoint.config = {**checkpoint.config, **changes}
    return read_model(checkpoint)


@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_an_unknown_switch_is_refused_and_one_that_is_off_is_not(case: Case, opened: Opened) -> None:
    with pytest.raises(UnsupportedError, match="mystery = 'on' is not handled"):
        read(opened(str(case)), mystery="on")
    read(opened(str(case)), mystery=None)


@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_a_tensor_too_many_or_too_few_is_refused(case: Case, opened: Opened) -> None:
    checkpoint = opened(str(case))
    tensors: dict[str, Rows] = dict(checkpoint.tensors)
    some = next(iter(tensors.values()))
    checkpoint.tensors = {**tensors, "adapter.weight": some}
    with pytest.raises(UnsupportedError, match=r"does not use: adapter\.weight"):
        read_model(checkpoint)
    name = next(name for name in tensors if re.search(r"\.1\..*(down_proj|c_proj)\.weight", name))
    checkpoint.tensors = {other: rows for other, rows in tensors.items() if other != name}
    with pytest.raises(CheckpointError, match=f"no tensor {re.escape(name)}"):
        read_model(checkpoint)
    checkpoint.tensors = {**tensors, name: Array(tensors[name].all()[:-1])}
    with pytest.raises(CheckpointError):
        read_model(checkpoint)


TIED = ("cohere", "gemma", "gemma2", "gemma3", "gemma3_multimodal", "gpt2", "gpt_neo", "smollm3")
UNTIED = ("llama_gqa", "mistral_swa", "olmo2", "granite_bias", "phi3", "qwen2_window", "qwen3_yarn", "stablelm")


@pytest.mark.parametrize(("case", "tied"), [*((case, True) for case in TIED), *((case, False) for case in UNTIED)])
def test_a_config_may_leave_out_whether_the_head_is_tied(case: str, tied: bool, opened: Opened) -> None:
    """What is left out is what transformers' config class has by default, which differs between the families."""
    checkpoint = opened(case)
    checkpoint.config = {key: value for key, value in checkpoint.config.items() if key != "tie_word_embeddings"}
    assert read_model(checkpoint).spec.tied is tied


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("mistral_swa", {"layer_types": ["full_attention"] * 3}, "layer_types"),
        ("mistral_swa", {"attention_bias": True}, "attention_bias = True"),
        ("mistral_swa", {"sliding_window": -1}, "sliding_window is -1"),
        ("qwen2_window", {"layer_types": ["chunked_attention"] * 3}, "chunked_attention"),
        ("qwen2_window", {"layer_types": ["full_attention"]}, "should list 3 values"),
        ("qwen2_window", {"sliding_window": None, "layer_types": ["sliding_attention"] * 3}, "no sliding_window"),
        ("qwen3", {"use_sliding_window": "yes"}, "use_sliding_window is 'yes'"),
        ("qwen3", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4}}, "rope type 'dynamic'"),
        ("qwen3", {"rope_parameters": {"rope_type": "default", "mrope_section": [1]}}, "mrope_section"),
        ("qwen3", {"rope_parameters": {"rope_type": "linear"}}, "the rope's factor is None"),
        ("llama_gqa", {"partial_rotary_factor": 0.5}, "8 of a head's 16 elements are rotated"),
        ("gemma3", {"rope_parameters": {"full_attention": 5}}, "the rope parameters are 5"),
        ("phi3_longrope", {"original_max_position_embeddings": 1.5}, "original_max_position_embeddings is 1.5"),
        ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma", {"hidden_act": "xielu"}, "hidden_act is 'xielu'"),
        ("gemma2", {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar is 0"),
        ("gemma3", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping = 50.0"),
        ("gemma3_multimodal", {"text_config": []}, "text_config is"),
        ("gpt_neo", {"attention_types": [[["global"], 3]]}, "does not describe 4 layers"),
        ("gpt_neo", {"attention_types": [[["global"], 10**15]]}, "does not describe 4 layers"),
        ("gpt_neo", {"num_layers": 1 << 30}, "more than any model has"),
        ("gpt_neo", {"attention_types": 5}, "does not describe 4 layers"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is True"),
        ("gpt2", {"n_head": 5}, "cannot be cut into 5 heads"),
        ("smollm3", {"no_rope_layers": [1, 0]}, "should list 0 or 1 for 4 layers"),
        ("granite", {"logits_scaling": 0}, "logits_scaling is 0"),
        ("stablelm", {"partial_rotary_factor": 0.2}, "cannot be rotated in pairs"),
        ("cohere", {"num_key_value_heads": 3}, "4 heads cannot share 3"),
        ("olmo2", {"vocab_size": True}, "vocab_size is True"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(
    case: str, changes: dict[str, Any], message: str, opened: Opened
) -> None:
    with pytest.raises((CheckpointError, UnsupportedError), match=re.escape(message)):
        read(opened(case), **changes)


NOISE: tuple[Any, ...] = (None, [], {}, "x", -1, 0, 1.5, True, [1], {"a": 1}, float("inf"), 10**30)
EXTRA_KEYS = ("rope_scaling", "rope_parameters", "layer_types", "partial_rotary_factor", "head_dim", "rope_theta")


@pytest.mark.parametrize("case", decoder_cases(), ids=str)
def test_no_value_of_a_config_breaks_the_reader(case: Case, opened: Opened) -> None:
    """Whatever stands in config.json, the model is read or refused in words."""
    checkpoint = opened(str(case))
    config = checkpoint.config
    ropes = [key for key, value in config.items() if key.startswith("rope_") and isinstance(value, dict)]
    spoiled = [{**config, key: value} for key in (*config, *EXTRA_KEYS) for value in NOISE]
    spoiled += [{**config, key: {**config[key], i: value}} for key in ropes for i in config[key] for value in NOISE]
    for values in spoiled:
        checkpoint.config = values
        with contextlib.suppress(EdgekitError):
            read_model(checkpoint)


def test_a_null_window_is_none_and_an_absent_one_is_the_default(opened: Opened) -> None:
    assert {layer.window for layer in read(opened("mistral_swa"), sliding_window=None).spec.layers} == {None}
    checkpoint = opened("mistral_swa")
    checkpoint.config = {k: v for k, v in checkpoint.config.items() if k != "sliding_window"}
    # 4096 by default, which at a context of 256 hides nothing.
    assert {layer.window for layer in read_model(checkpoint).spec.layers} == {None}
    longer = {"max_position_embeddings": 8192}
    checkpoint.config |= longer
    assert {layer.window for layer in read_model(checkpoint).spec.layers} == {4096}


def test_gemma_knows_the_activation_that_its_first_checkpoints_misname(opened: Opened) -> None:
    assert read(opened("gemma"), hidden_act="gelu").spec.activation == "gelu_tanh"
    assert read(opened("gemma"), hidden_activation="gelu").spec.activation == "gelu_tanh"


def test_the_multimodal_gemma3_may_leave_out_its_sizes(opened: Opened) -> None:
    """gemma-3-4b's text_config has five keys; the rest are its class's defaults."""
    checkpoint = opened("gemma3_multimodal")
    text = json.loads(json.dumps(checkpoint.config["text_config"]))
    for key in ("head_dim", "rms_norm_eps", "tie_word_embeddings", "query_pre_attn_scalar"):
        text.pop(key, None)
    checkpoint.config["text_config"] = text
    with pytest.raises(CheckpointError, match=r"\[1024, 32\]"):  # head_dim 256 does not fit these weights
        read_model(checkpoint)
    text["head_dim"] = 16
    spec = read_model(checkpoint).spec
    assert (spec.layers[0].scale, spec.norm.eps, spec.tied) == (256**-0.5, 1e-6, True)
