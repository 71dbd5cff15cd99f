"""The tensors of a checkpoint of which only the config is there: every name that is asked for, no values.

An architecture reads them as it reads real ones. Sizes it meets are open: equal to whatever they are compared with.
What it yields says which weights the model has, and the spec what their shapes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from edgekit.errors import CheckpointError
from edgekit_exporters.weights import Float32, Rows, Weights

LABELS = 2
"""Those of a classifier whose config names none (transformers, PretrainedConfig)."""


class OpenSize(int):
    """A size that nothing has fixed yet."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, int)

    def __le__(self, other: int) -> bool:
        return True

    def __ge__(self, other: int) -> bool:
        return True

    __hash__ = int.__hash__


def _open(name: str) -> Callable[[OpenSize, int], OpenSize]:
    def operation(self: OpenSize, other: int) -> OpenSize:
        return OpenSize(getattr(int, name)(self, other))

    return operation


for _name in ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__"):
    setattr(OpenSize, _name, _open(_name))


@dataclass(frozen=True, eq=False)
class Unread(Rows):
    """A tensor without values."""

    shape: tuple[int, ...]

    def read(self, start: int, stop: int) -> Float32:  # noqa: ARG002
        """Refuse."""
        _refuse()


class Imagined(Mapping[str, Rows]):
    """Every tensor there might be; none of them is left over."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        named = config.get("id2label")
        labels = len(named) if isinstance(named, Mapping) and named else config.get("num_labels", LABELS)
        self._labels = labels if isinstance(labels, int) and labels > 0 else LABELS

    def __getitem__(self, name: str) -> Rows:
        # The rows of a classifier are the one size that architectures ask the checkpoint for.
        return Unread((self._labels if "classifier" in name else OpenSize(), OpenSize()))

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def shaped(shapes: Mapping[str, tuple[int, ...]], weights: Weights) -> Weights:
    """Return the weights that an architecture took from imagined tensors, in the shapes that its spec gives them."""
    biases = {name: shapes[_weight(name)][:1] for name in weights if name.endswith(".bias")}
    return {name: Unread({**shapes, **biases}[name]) for name in weights}


def _weight(bias: str) -> str:
    return f"{bias.removesuffix('.bias')}.weight"


def _refuse() -> NoReturn:
    raise CheckpointError("only the config of this checkpoint is here, not its weights", "fetch the weights too")
