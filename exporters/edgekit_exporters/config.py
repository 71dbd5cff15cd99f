"""A checkpoint's config, read so that nothing in it is silently ignored: a switch nobody asked about is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit.spec import Activation, Norm

_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}

# What training, generation or bookkeeping needs and a forward pass does not.
_HARMLESS = frozenset(
    {
        "architectures",
        "auto_map",
        "cache_implementation",
        "dtype",
        "finetuning_task",
        "id2label",
        "initializer_range",
        "is_decoder",
        "is_llama_config",
        "label2id",
        "license",
        "model_type",
        "name_or_path",
        "pretraining_tp",
        "problem_type",
        "rope_interleaved",
        "task_specific_params",
        "tokenizer_class",
        "torch_dtype",
        "transformers.js_config",
        "transformers_version",
        "unsloth_fixed",
        "unsloth_version",
        "use_cache",
    }
)
_HARMLESS_ENDINGS = ("_dropout", "_pdrop", "_token_id", "_loss_coef", "dropout_p")

# Far above any model, far below what would exhaust memory before a shape shows the lie.
_LARGEST = {"num_hidden_layers": 1 << 12, "num_layers": 1 << 12, "n_layer": 1 << 12, "head_dim": 1 << 14}
_LARGEST |= {"hidden_size": 1 << 20, "n_embd": 1 << 20}


class Config:
    """One config.json. `get` and friends note what was asked for; `finish` refuses switches that were not."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self._seen: set[str] = set()

    def assume(self, **defaults: Any) -> None:  # noqa: ANN401 - a config holds any JSON value
        """Fill in the values that transformers' config class has for keys that are left out.

        A null is not left out: it says "none" (no window, no cap) and stays.
        """
        self.values = {**defaults, **self.values}

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - a config holds any JSON value
        """Return a value as it stands, or the default where it is absent or null."""
        self._seen.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def size(self, key: str, default: int | None = None) -> int:
        """Return a positive whole number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise CheckpointError(f"config.json: {key} is {value!r:.200}, not a positive whole number")
        if value > _LARGEST.get(key, 1 << 31):
            raise CheckpointError(f"config.json: {key} is {value}, more than any model has")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise CheckpointError(f"config.json: {key} is {value!r}, not a finite number")
        return float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        """Return a finite number above 0."""
        value = self.number(key, default)
        if value <= 0:
            raise CheckpointError(f"config.json: {key} is {value!r}, not above 0")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a truth value."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise CheckpointError(f"config.json: {key} is {value!r}, neither true nor false")
        return value

    def optional_size(self, key: str) -> int | None:
        """Return a positive whole number, or None where it is absent or null."""
        return None if self.get(key) is None else self.size(key)

    def optional_number(self, key: str) -> float | None:
        """Return a finite number, or None where it is absent or null."""
        return None if self.get(key) is None else self.number(key)

    def choices(self, key: str, count: int, *known: str) -> tuple[str, ...] | None:
        """Return a list of `count` words, each one of `known` (one per layer, say), or None where it is absent."""
        values = self.get(key)
        if values is None:
            return None
        if not isinstance(values, list) or len(values) != count:
            raise CheckpointError(f"config.json: {key} should list {count} values, not {values!r:.200}")
        for value in values:
            if value not in known:
                raise UnsupportedError(
                    f"config.json: {key} has {value!r}, which is not supported for {self.values.get('model_type')}",
                    f"supported: {', '.join(known)}",
                )
        return tuple(values)

    def section(self, key: str) -> Config:
        """Return the config within this one (a multimodal model's text part); its reader finishes it as well."""
        value = self.get(key)
        if not isinstance(value, Mapping):
            raise CheckpointError(f"config.json: {key} is {value!r:.200}, not an object")
        return Config(value)

    def require(self, key: str, value: object) -> None:
        """Refuse a checkpoint whose switch stands elsewhere than at the one position that is written."""
        found = self.get(key, value)
        if found != value:
            raise UnsupportedError(
                f"config.json: {key} is {found!r}; only {value!r} is supported for {self.values.get('model_type')}",
                "open an issue with the model's name",
            )

    def norm(self, key: str = "rms_norm_eps", kind: str = "rms") -> Norm:
        """Return the model's norm by the key of its epsilon."""
        return Norm(kind=cast(Any, kind), eps=self.number(key))

    def activation(self, key: str = "hidden_act", default: str = "silu") -> Activation:
        """Return the activation of the MLP."""
        name = self.get(key, default)
        if not isinstance(name, str) or name not in _ACTIVATIONS:
            raise UnsupportedError(f"config.json: {key} is {name!r:.200}", f"supported: {', '.join(_ACTIVATIONS)}")
        return _ACTIVATIONS[name]

    def ignore(self, *keys: str) -> None:
        """Say that these keys change nothing in the forward pass of this architecture."""
        self._seen.update(keys)

    def finish(self) -> None:
        """Refuse switches that are on and that nobody asked about.

        Raises:
            UnsupportedError: with the first such key and its value.
        """
        for key, value in self.values.items():
            known = key in self._seen or key in _HARMLESS or key.endswith(_HARMLESS_ENDINGS) or key.startswith("_")
            if not known and value not in (None, False, 0, [], {}, ""):
                raise UnsupportedError(
                    f"config.json: {key} = {value!r} is not handled for {self.values.get('model_type')}",
                    "if it changes nothing in the forward pass, open an issue with the model's name",
                )
