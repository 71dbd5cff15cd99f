"""Lazy weights: a `Rows` promises a tensor's rows and reads them only when a block of them is asked for.

Architectures compose them (slice, stack, take, transpose, map) to bring a checkpoint's tensors into the neutral form;
nothing larger than one row block is ever in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edgekit_exporters.quantization import Encoded, Encoding

Float32 = npt.NDArray[np.float32]

BLOCK_BYTES = 16 << 20
"""Float32 bytes of one row block: large enough for fast reads and numpy, small beside any model."""


@dataclass(frozen=True)
class Stored:
    """How a source holds a tensor's values."""

    bits: float = 32
    """Bits of a value, with its share of the scales."""
    encoding: Encoding | None = None
    """The encoding that holds the very same values, where there is one (see `Rows.encoded`)."""


class Rows(ABC):
    """A tensor of one or two dimensions, read by rows as float32. Of a vector, an element is a row."""

    shape: tuple[int, ...]

    @property
    def stored(self) -> Stored:
        """How the source holds the values."""
        return Stored()

    def encoded(self, encoding: Encoding, start: int, stop: int) -> Encoded | None:  # noqa: ARG002
        """Return rows start..stop as the source has them quantized, if an encoding holds exactly these values."""
        return None

    @abstractmethod
    def read(self, start: int, stop: int) -> Float32:
        """Return rows start..stop as a new float32 array [stop - start, *shape[1:]]."""

    def all(self) -> Float32:
        """Return the whole tensor."""
        return self.read(0, self.shape[0])

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
        """Yield (start, stop) of row blocks of about `block_bytes` as float32, at least one row each."""
        row_bytes = 4 * int(np.prod(self.shape[1:], dtype=np.int64))
        step = max(1, block_bytes // max(1, row_bytes))
        for start in range(0, self.shape[0], step):
            yield start, min(start + step, self.shape[0])


Weights = Mapping[str, Rows]
"""A model's weights under the neutral names of `decoder.py` or `encoder.py`."""


@dataclass(frozen=True, eq=False)
class Array(Rows):
    """Rows that are in memory already: constants, tests, what a format reads back."""

    values: Float32
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.values.shape))

    def read(self, start: int, stop: int) -> Float32:
        """Return a copy, as every source does."""
        return np.array(self.values[start:stop], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Slice(Rows):
    """Rows start..stop of another tensor, as one projection out of a fused one."""

    source: Rows
    start: int
    stop: int
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= self.source.shape[0]:
            raise ValueError(f"rows {self.start}..{self.stop} of a tensor with {self.source.shape[0]} rows")
        object.__setattr__(self, "shape", (self.stop - self.start, *self.source.shape[1:]))

    @property
    def stored(self) -> Stored:
        """As the source."""
        return self.source.stored

    def read(self, start: int, stop: int) -> Float32:
        """Read through to the source."""
        return self.source.read(self.start + start, self.start + stop)

    def encoded(self, encoding: Encoding, start: int, stop: int) -> Encoded | None:
        """Read through to the source."""
        return self.source.encoded(encoding, self.start + start, self.start + stop)


@dataclass(frozen=True, eq=False)
class Stack(Rows):
    """Tensors stacked by rows."""

    sources: Sequence[Rows]
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (sum(s.shape[0] for s in self.sources), *self.sources[0].shape[1:]))

    @property
    def stored(self) -> Stored:
        """As the source with the most bits."""
        all_of_them = [source.stored for source in self.sources]
        same = len({stored.encoding for stored in all_of_them}) == 1
        return Stored(max(stored.bits for stored in all_of_them), all_of_them[0].encoding if same else None)

    def read(self, start: int, stop: int) -> Float32:
        """Read the parts that the span touches."""
        parts = [source.read(low, high) for source, low, high in self._parts(start, stop)]
        return np.concatenate(parts) if parts else np.zeros((0, *self.shape[1:]), np.float32)

    def encoded(self, encoding: Encoding, start: int, stop: int) -> Encoded | None:
        """Stack the parts that the span touches, if all of them are in this encoding."""
        whole: Encoded | None = None
        for source, low, high in self._parts(start, stop):
            part = source.encoded(encoding, low, high)
            if part is None:
                return None
            whole = part if whole is None else whole.then(part)
        return whole

    def _parts(self, start: int, stop: int) -> Iterator[tuple[Rows, int, int]]:
        first = 0
        for source in self.sources:
            low, high = max(start - first, 0), min(stop - first, source.shape[0])
            if low < high:
                yield source, low, high
            first += source.shape[0]


@dataclass(frozen=True, eq=False)
class Take(Rows):
    """Rows of another tensor in another order, as `numpy.take`: puts permuted heads right.

    A block reads the span of source rows between its smallest and largest index, so an order that stays within heads
    costs no more than reading straight.
    """

    source: Rows
    order: npt.NDArray[np.int64]
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (len(self.order), *self.source.shape[1:]))

    @property
    def stored(self) -> Stored:
        """As the source."""
        return self.source.stored

    def read(self, start: int, stop: int) -> Float32:
        """Read one span of the source and pick from it."""
        wanted = self.order[start:stop]
        if not len(wanted):
            return np.zeros((0, *self.shape[1:]), np.float32)
        low = int(wanted.min())
        return self.source.read(low, int(wanted.max()) + 1)[wanted - low]

    def encoded(self, encoding: Encoding, start: int, stop: int) -> Encoded | None:
        """Read one span of the source and pick from it."""
        wanted = self.order[start:stop]
        if not len(wanted):
            return None
        low = int(wanted.min())
        found = self.source.encoded(encoding, low, int(wanted.max()) + 1)
        return None if found is None else found.take(wanted - low)


@dataclass(frozen=True, eq=False)
class Transpose(Rows):
    """Columns of another tensor as rows (GPT-2 stores its linear layers [in, out]). A block reads it whole."""

    source: Rows
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (self.source.shape[1], self.source.shape[0]))

    @property
    def stored(self) -> Stored:
        """The source's bits, in no encoding."""
        return Stored(self.source.stored.bits)

    def read(self, start: int, stop: int) -> Float32:
        """Gather the columns start..stop over row blocks of the source."""
        out = np.empty((stop - start, self.shape[1]), np.float32)
        for low, high in self.source.blocks():
            out[:, low:high] = self.source.read(low, high)[:, start:stop].T
        return out


def transpose(source: Rows) -> Rows:
    """Return a matrix transposed; one that is a `Transpose` already is taken back, which costs nothing."""
    return source.source if isinstance(source, Transpose) else Transpose(source)


@dataclass(frozen=True, eq=False)
class Flat(Rows):
    """A matrix as one long vector (Cohere's norm weights, one row per head)."""

    source: Rows
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (self.source.shape[0] * self.source.shape[1],))

    @property
    def stored(self) -> Stored:
        """The source's bits, in no encoding."""
        return Stored(self.source.stored.bits)

    def read(self, start: int, stop: int) -> Float32:
        """Read the rows that the span touches and cut it out."""
        width = self.source.shape[1]
        low, high = start // width, -(-stop // width)
        return self.source.read(low, high).reshape(-1)[start - low * width : stop - low * width].copy()


@dataclass(frozen=True, eq=False)
class Map(Rows):
    """Another tensor with a function applied to its values, element by element (Gemma's 1 + w, Granite's factors)."""

    source: Rows
    function: Callable[[Float32], Float32]
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.source.shape)

    @property
    def stored(self) -> Stored:
        """The source's bits, in no encoding."""
        return Stored(self.source.stored.bits)

    def read(self, start: int, stop: int) -> Float32:
        """Apply the function to what the source gives."""
        return self.function(self.source.read(start, stop))


@dataclass(frozen=True, eq=False)
class Scaled(Rows):
    """Another tensor with each row (axis 0) or each column (axis 1) multiplied by a factor."""

    source: Rows
    factor: Float32
    axis: int
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.factor.shape != (self.source.shape[self.axis],):
            raise ValueError(f"{self.factor.shape[0]} factors for axis {self.axis} of {list(self.source.shape)}")
        object.__setattr__(self, "shape", self.source.shape)

    @property
    def stored(self) -> Stored:
        """The source's bits, in no encoding."""
        return Stored(self.source.stored.bits)

    def read(self, start: int, stop: int) -> Float32:
        """Multiply what the source gives."""
        block = self.source.read(start, stop)
        if self.axis == 1:
            return block * self.factor
        return block * self.factor[start:stop].reshape(-1, *(1,) * (block.ndim - 1))


@dataclass(frozen=True, eq=False)
class LowRank(Rows):
    """A matrix with the product of two thin ones added to it: source + scale * left right (LoRA)."""

    source: Rows
    left: Rows
    """[rows, rank]."""
    right: Rows
    """[rank, columns]; read whole with every block, since it is thin."""
    scale: float
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.source.shape)

    def read(self, start: int, stop: int) -> Float32:
        """Add the product's rows to the source's."""
        change = self.left.read(start, stop) @ self.right.all()
        return self.source.read(start, stop) + np.float32(self.scale) * change
