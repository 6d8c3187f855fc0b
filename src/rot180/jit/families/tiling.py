"""Tiling: planes cut into tiles of m × m outputs, for r × r taps that stand D cells apart.

With a dilation D the outputs p, p + D, p + 2·D, ... see the same cells as those of a convolution
without one, so a tile holds outputs that stand D apart, and D·D interleaved tiles fill a square:

    tile (i, j)  →  its first output  (i // D)·m·D + i % D   on the axis of i, and alike for j

The last tiles of an axis may overhang the plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.families import toomcook

__all__ = ["Tiling"]


@dataclass(frozen=True)
class Tiling:
    """F(m × m, r × r) over planes of two axes.

    Attributes:
        outputs: m, outputs of a tile along an axis.
        taps: r, taps along an axis.
        dilation: D of both axes.
    """

    outputs: int
    taps: int = 3
    dilation: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        return f"F({self.outputs}×{self.outputs}, {self.taps}×{self.taps})"

    @property
    def cells(self) -> int:
        """Inputs of a tile along an axis, and points where it is evaluated: t = m + r − 1."""
        return self.outputs + self.taps - 1

    @property
    def points(self) -> int:
        """ξ: t²."""
        return self.cells**2

    @property
    def matrices(self) -> tuple[toomcook.Matrix, toomcook.Matrix, toomcook.Matrix]:
        """Aᵀ, G and Bᵀ."""
        return toomcook.matrices(self.outputs, self.taps)

    def steps(self, planes: Planes) -> tuple[int, int]:
        """Elements from a cell of a tile to its neighbour below, and to the right."""
        down, right = (step * d for step, d in zip(planes.steps, self.dilation, strict=True))
        return down, right

    def counts(self, sizes: tuple[int, ...]) -> tuple[int, int]:
        """Tiles along both axes.

        >>> Tiling(4).counts((28, 9)), Tiling(4, dilation=(2, 1)).counts((28, 9))
        ((7, 3), (8, 3))
        """
        squares = ((size, self.outputs * d) for size, d in zip(sizes, self.dilation, strict=True))
        rows, columns = (-(-size // side) for size, side in squares)
        return rows * self.dilation[0], columns * self.dilation[1]

    def overhang(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """By how many cells the last tiles pass the end of each axis."""
        counts = self.counts(sizes)
        return tuple(n * self.outputs - size for n, size in zip(counts, sizes, strict=True))

    def first(self, k: Emitter, tile: Index, columns: int) -> list[Index]:
        """Row and column of the first output of a tile, by its number in row-major order."""
        found = []
        for place, d in zip(k.divmod(tile, columns), self.dilation, strict=True):
            whole, rest = k.divmod(place, d)
            found.append(k.at((whole, self.outputs * d), rest))
        return found

    def together(
        self, tiles: int, sides: tuple[int, int], target: Target, dtype: str, share: float
    ) -> int:
        """T: how many of a plane's tiles are transformed before they are multiplied.

        As many as a share of the second cache holds. But each group of tiles reads all transformed
        weights; T is not so small that these are more than what the tiles become.

        Args:
            tiles: of a plane.
            sides: channels of both sides.
            target: has the cache.
            dtype: the float type.
            share: of the cache.
        """
        lanes = target.lanes(np.dtype(dtype))
        one = self.points * sum(sides) * target.vector_bytes
        wanted = max(1, int(target.level2 * share) // one, math.prod(sides) // (lanes * sum(sides)))
        return max(d for d in range(1, tiles + 1) if tiles % d == 0 and d <= wanted)

    def pairs(self, filters: int, channels: int) -> int:
        """Elements from ξ to ξ in transformed weights and in their gradient: a cache line more than
        there are pairs, since those at a power of two would all fall into one set of it.
        """
        return filters * channels + 16

    def apart(self, tiles: int, channels: int, lanes: int) -> int:
        """Elements from ξ to ξ in what `tiles` tiles become: one vector more than they need, since
        36 writes whose distance is a power of two would all fall into one set of the first cache.
        """
        return (tiles * channels + 1) * lanes
