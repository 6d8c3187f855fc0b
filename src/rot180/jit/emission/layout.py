"""Layout: where a cell of a value stands in memory.

    [N / B] [C] [before + H + after] [before + W + after] [B]

B images lie side by side, so that one vector holds the same cell of B images: every operation on
images becomes an operation on whole vectors, whatever C, H and W are, and a weight is one number
in every lane. B = 1 is NumPy's own order; then lanes are neighbours in a row. Around each plane
stands a halo of zeros as wide as the widest window that reads it, so no kernel asks whether a cell
is inside. Values that are no images (parameters, scalars) stay in row-major order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rot180.jit.emission.target import Target

__all__ = ["Cells", "Columns", "Layout", "Planes", "is_far", "plain"]


@dataclass(frozen=True)
class Layout:
    """Any value: offset of cell i = origin + Σ strides · i, with axis 0 in blocks.

    Attributes:
        shape: the logical shape.
        strides: elements from an index to the next, of each axis; of axis 0 from block to block.
        block: cells of axis 0 that lie side by side (1: all of axis 0 by its stride).
        origin: offset of the cell (0, 0, ...).
        size: elements in all, halo and filled-up last block included.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    block: int
    origin: int
    size: int


def plain(shape: tuple[int, ...]) -> Layout:
    """NumPy's row-major order."""
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return Layout(shape, strides, 1, 0, math.prod(shape))


@dataclass(frozen=True)
class Planes:
    """Images in blocks: a value of shape (N, C, spatial...), with no spatial axis or several.

    Attributes:
        images, channels: N and C.
        sizes: of the spatial axes.
        block: B, how many images lie side by side.
        before, after: widths of the halo on the spatial axes.
    """

    images: int
    channels: int
    sizes: tuple[int, ...]
    block: int
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        none = (0,) * len(self.sizes)
        object.__setattr__(self, "before", self.before or none)
        object.__setattr__(self, "after", self.after or none)

    @property
    def blocks(self) -> int:
        """How many blocks of images there are; the last may hold images that do not count."""
        return -(-self.images // self.block)

    @property
    def extents(self) -> tuple[int, ...]:
        """Sizes of the spatial axes with their halo."""
        axes = zip(self.before, self.sizes, self.after, strict=True)
        return tuple(before + size + after for before, size, after in axes)

    @property
    def steps(self) -> tuple[int, ...]:
        """Elements from a cell to its neighbour along each spatial axis."""
        extents = self.extents
        return tuple(math.prod(extents[axis + 1 :]) * self.block for axis in range(len(extents)))

    @property
    def plane(self) -> int:
        """Elements from a channel to the next."""
        return math.prod(self.extents) * self.block

    @property
    def stack(self) -> int:
        """Elements from a block of images to the next."""
        return self.channels * self.plane

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.blocks * self.stack

    def origin(self, *cell: int) -> int:
        """Offset of a cell in its plane, of the first one by default; it may be in the halo."""
        at = cell or (0,) * len(self.sizes)
        return sum((b + i) * s for b, i, s in zip(self.before, at, self.steps, strict=True))

    @property
    def layout(self) -> Layout:
        """The same places, for kernels that know no images."""
        return Layout(
            (self.images, self.channels, *self.sizes),
            (self.stack, self.plane, *self.steps),
            self.block,
            self.origin(),
            self.size,
        )


@dataclass(frozen=True)
class Columns:
    """Vectors of features, (N, C) in blocks, seen as images of one row: a block is a column.

    A linear layer is then a convolution with one tap, and its register blocks span several blocks
    of images. The members are those of `Planes`.
    """

    features: Planes

    @property
    def channels(self) -> int:
        """Features."""
        return self.features.channels

    @property
    def block(self) -> int:
        """Images of one column."""
        return self.features.block

    blocks = 1
    stack = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """One row, as long as there are blocks."""
        return (self.features.blocks,)

    @property
    def extents(self) -> tuple[int, ...]:
        """No halo."""
        return self.sizes

    @property
    def steps(self) -> tuple[int, ...]:
        """Elements from a block to the next."""
        return (self.features.stack,)

    @property
    def plane(self) -> int:
        """Elements from a feature to the next."""
        return self.features.block

    def origin(self, *cell: int) -> int:
        """Offset of a column."""
        return sum(i * s for i, s in zip(cell, self.steps, strict=False))


Cells = Planes | Columns
"""What a convolution goes over: cells of images, or columns of features."""


def is_far(cells: Cells, target: Target, dtype: str) -> bool:
    """Whether no cache holds a block of images, each cell of which is a cache line."""
    size = np.dtype(dtype).itemsize
    return cells.block * size == 64 and cells.stack * size > 16 * target.level2
