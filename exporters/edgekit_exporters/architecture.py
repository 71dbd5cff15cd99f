"""From a checkpoint to the neutral description: finds the architecture by `model_type` and holds it to its word.

An architecture is a module `architectures/MODEL_TYPE.py` (hyphens are underscores) with one function,
`read(config, tensors)`, which returns a `Model`, or an `EncoderModel`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit.spec import DecoderSpec, EncoderSpec
from edgekit_exporters import decoder, encoder
from edgekit_exporters.checkpoint import Checkpoint, Sentence
from edgekit_exporters.config import Config
from edgekit_exporters.imagined import Imagined, shaped
from edgekit_exporters.weights import Rows, Weights

ARCHITECTURES = "edgekit_exporters.architectures"
"""Reached by name: formats import this module, and must not import architectures through it."""


@dataclass(frozen=True)
class Model:
    """A decoder, described once: what every format is written from."""

    spec: DecoderSpec
    weights: Weights


@dataclass(frozen=True)
class EncoderModel:
    """An encoder, likewise."""

    spec: EncoderSpec
    weights: Weights
    labels: tuple[str, ...] = ()
    """What the rows of the classifier stand for."""
    max_length: int | None = None
    """Tokens that its publisher cuts texts to, where these are fewer than the model takes."""

    @property
    def task(self) -> Literal["embed", "classify", "tag"]:
        """What it does."""
        if self.spec.head is None:
            return "embed"
        return "tag" if self.spec.head.pool is None else "classify"


AnyModel = Model | EncoderModel


class Tensors:
    """A checkpoint's tensors as an architecture asks for them; what nobody asked for is found at the end."""

    def __init__(self, tensors: Mapping[str, Rows]) -> None:
        self._tensors = tensors
        self._seen: set[str] = set()

    def __call__(self, name: str) -> Rows:
        """Return a tensor.

        Raises:
            CheckpointError: there is none of that name.
        """
        if name not in self._tensors:
            raise CheckpointError(f"the checkpoint has no tensor {name}", "is it complete, and of this architecture?")
        self._seen.add(name)
        return self._tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def prefix(self, probe: str, *prefixes: str) -> str:
        """Return the first of `prefixes` under which the tensor `probe` is found: checkpoints differ in their root."""
        for prefix in prefixes:
            if f"{prefix}{probe}" in self._tensors:
                return prefix
        raise CheckpointError(f"the checkpoint has no tensor {prefixes[0]}{probe}", "is it complete?")

    def ignore(self, *endings: str) -> None:
        """Say that tensors with these endings are buffers that a forward pass computes itself."""
        self._seen.update(name for name in self._tensors if name.endswith(endings))

    def ignore_below(self, *prefixes: str) -> None:
        """Say that tensors with these prefixes are parts of the checkpoint that the written model leaves out."""
        self._seen.update(name for name in self._tensors if name.startswith(prefixes))

    def finish(self) -> None:
        """Refuse tensors that nobody asked for: a part of the model would be left out.

        Raises:
            UnsupportedError: with their names.
        """
        rest = sorted(set(self._tensors) - self._seen)
        if rest:
            more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
            raise UnsupportedError(
                f"the checkpoint has tensors that its architecture does not use: {', '.join(rest[:3])}{more}",
                "its config or its model_type does not fit its weights",
            )


def supported() -> list[str]:
    """Return the names of all architectures."""
    package = importlib.import_module(ARCHITECTURES)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def read_model(checkpoint: Checkpoint) -> AnyModel:
    """Return the spec and the weights of a checkpoint, checked against each other.

    Where only its config is there, the weights have shapes and no values.

    Raises:
        UnsupportedError: an architecture, a switch or a tensor that is not handled.
        CheckpointError: something is missing or of a shape that contradicts the config.
    """
    name = checkpoint.config.get("model_type")
    module = str(name).replace("-", "_")
    if module not in supported():
        raise UnsupportedError(
            f"the architecture {name!r} is not supported",
            f"supported: {', '.join(supported())}; try --via optimum for another encoder or classifier",
        )
    config, tensors = Config(checkpoint.config), Tensors(checkpoint.tensors)
    model: AnyModel = importlib.import_module(f"{ARCHITECTURES}.{module}").read(config, tensors)
    config.finish()
    tensors.ignore("rotary_emb.inv_freq")
    tensors.finish()
    if isinstance(checkpoint.tensors, Imagined):
        model = replace(model, weights=shaped(weight_shapes(model.spec), model.weights))
    _check_shapes(model)
    return model if isinstance(model, Model) else _with_pooling(model, checkpoint)


def _with_pooling(model: EncoderModel, checkpoint: Checkpoint) -> EncoderModel:
    """Return an encoder with what its checkpoint says about pooling and the length of texts."""
    sentence = checkpoint.sentence or Sentence()
    limits = [sentence.max_length, checkpoint.tokenizer_config.get("model_max_length"), model.spec.context]
    # Tokenizers without a limit write 10^30.
    length = min(limit for limit in limits if isinstance(limit, int) and limit > 0)
    spec = model.spec
    if spec.head is None:
        spec = replace(spec, pooling=sentence.pooling, normalised=sentence.normalised)
    return replace(model, spec=spec, max_length=length)


def weight_shapes(spec: DecoderSpec | EncoderSpec) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight that a spec asks for, without biases."""
    return decoder.weight_shapes(spec) if isinstance(spec, DecoderSpec) else encoder.weight_shapes(spec)


def _check_shapes(model: AnyModel) -> None:
    expected = weight_shapes(model.spec)
    for name in model.weights:
        if name.endswith(".bias"):
            expected[name] = expected[f"{name.removesuffix('.bias')}.weight"][:1]
        if name not in expected:
            raise AssertionError(f"{name} is no name of decoder.py or encoder.py")
    for name, shape in expected.items():
        if name not in model.weights:
            raise CheckpointError(f"the checkpoint has no weights for {name}")
        if model.weights[name].shape != shape:
            raise CheckpointError(
                f"{name} has the shape {list(model.weights[name].shape)}; the config makes it {list(shape)}",
                "config.json does not belong to these weights",
            )
