from __future__ import annotations

from typing import Any

import pytest

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.config import Config


def config(**values: Any) -> Config:
    return Config({"model_type": "llama", **values})


def test_what_was_asked_for_is_no_question_any_more() -> None:
    read = config(hidden_size=64, use_cache=True, attention_dropout=0.1, bos_token_id=1, _name_or_path="x")
    assert read.size("hidden_size") == 64
    read.ignore("model_type")
    read.finish()


@pytest.mark.parametrize("value", [1, 0.5, "yes", True, [1], {"a": 1}])
def test_a_switch_that_is_on_and_that_nobody_asked_about_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedError, match=r"new_switch = .* is not handled for llama"):
        config(new_switch=value).finish()


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}])
def test_a_switch_that_is_off_changes_nothing(value: object) -> None:
    config(new_switch=value).finish()


@pytest.mark.parametrize("value", [None, 0, -1, 1.5, "64", True, [64]])
def test_sizes(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"hidden_size is .*, not a positive whole number"):
        config(hidden_size=value).size("hidden_size")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "1", True, [1.0]])
def test_numbers(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"eps is .*, not a finite number"):
        config(eps=value).number("eps")
    assert config(eps=0).number("eps") == 0.0


def test_positive_numbers() -> None:
    assert config(scale=2).positive("scale") == 2.0
    for value in (0, -0.5):
        with pytest.raises(CheckpointError, match="not above 0"):
            config(scale=value).positive("scale")


@pytest.mark.parametrize("value", [1, 0, "true", []])
def test_flags(value: object) -> None:
    with pytest.raises(CheckpointError, match="neither true nor false"):
        config(bias=value).flag("bias")
    assert not config(bias=None).flag("bias")
    assert config().flag("bias", default=True)


def test_what_may_be_absent() -> None:
    assert config().optional_size("window") is None
    assert config(window=None).optional_size("window") is None
    assert config(window=7).optional_size("window") == 7
    assert config().optional_number("cap") is None
    assert config(cap=30).optional_number("cap") == 30.0
    with pytest.raises(CheckpointError):
        config(window=-7).optional_size("window")


def test_defaults_fill_what_is_left_out_but_a_null_says_none() -> None:
    read = config(window=None)
    read.assume(window=4096, heads=8)
    assert read.optional_size("window") is None
    assert read.size("heads") == 8


def test_choices() -> None:
    kinds = ("full", "local")
    assert config(kinds=["full", "local"]).choices("kinds", 2, *kinds) == ("full", "local")
    assert config().choices("kinds", 2, *kinds) is None
    wrong: tuple[Any, ...] = (["full"], "full", {"full": 1})
    for value in wrong:
        with pytest.raises(CheckpointError, match="should list 2 values"):
            config(kinds=value).choices("kinds", 2, *kinds)
    with pytest.raises(UnsupportedError, match="'ring', which is not supported") as caught:
        config(kinds=["full", "ring"]).choices("kinds", 2, *kinds)
    assert "full, local" in caught.value.hint


def test_sections() -> None:
    assert config(text_config={"hidden_size": 8}).section("text_config").size("hidden_size") == 8
    wrong: tuple[Any, ...] = (None, [], "x")
    for value in wrong:
        with pytest.raises(CheckpointError, match="not an object"):
            config(text_config=value).section("text_config")


def test_a_switch_at_another_position_is_refused() -> None:
    config(mlp_bias=False).require("mlp_bias", False)
    config().require("mlp_bias", False)
    with pytest.raises(UnsupportedError, match="mlp_bias is True; only False is supported for llama"):
        config(mlp_bias=True).require("mlp_bias", False)


def test_activations() -> None:
    assert config(hidden_act="swish").activation() == "silu"
    assert config(hidden_act="gelu_new").activation() == "gelu_tanh"
    assert config().activation() == "silu"
    wrong: tuple[Any, ...] = ("geglu9", 3, ["silu"])
    for value in wrong:
        with pytest.raises(UnsupportedError) as caught:
            config(hidden_act=value).activation()
        assert "gelu_pytorch_tanh" in caught.value.hint


def test_a_size_beyond_reason() -> None:
    with pytest.raises(CheckpointError, match="hidden_size is"):
        config(hidden_size=1 << 40).size("hidden_size")
