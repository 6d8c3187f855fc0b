"""Winograd for single images: as `winograd`, but lanes are tiles of one plane.

A vector holds a square of tiles, R rows of four. Rows of cells are read whole and dealt out to the
tiles that they pass; outputs are put together to rows again before they are written:

    x[row of tile, 4·m cells]  →  V[ξ, c, lane = (row of tiles, tile)]   for each row of a tile
    M[ξ, k, lane]  →  z[row of tile, 4·m cells]

Squares fill the plane; the last ones may overhang it below, and one that is alone to the right.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.target import Target
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd import Correlate

__all__ = ["CorrelateSquares", "first_of", "square", "squares"]

COLUMNS = 4
"""Tiles in a row of a square: with m = 4, a row of 16 cells."""


def square(lanes: int) -> tuple[int, int]:
    """Rows and columns of the tiles in one vector.

    >>> square(16), square(4)
    ((4, 4), (1, 4))
    """
    return lanes // COLUMNS, COLUMNS


def squares(tiling: Tiling, sizes: tuple[int, ...], lanes: int) -> tuple[int, int] | None:
    """How many squares there are along both axes; None where they do not fit the plane.

    >>> squares(Tiling(4), (14, 14), 16), squares(Tiling(4), (30, 32), 8)
    ((1, 1), (4, 2))
    >>> squares(Tiling(4), (28, 28), 16), squares(Tiling(2), (7, 7), 2)
    (None, None)
    """
    if lanes < COLUMNS or tiling.dilation != (1, 1):
        return None
    rows, columns = tiling.counts(sizes)
    by_rows, by_columns = square(lanes)
    wide = columns > by_columns and tiling.overhang(sizes)[1]
    if rows % by_rows or columns % by_columns or wide:
        return None
    return rows // by_rows, columns // by_columns


def first_of(k: Emitter, tiling: Tiling, number: Index, columns: int) -> list[Index]:
    """Row and column of the first output of a square, by its number in row-major order."""
    places = zip(k.divmod(number, columns), square(k.lanes), strict=True)
    return [k.at((place, tiles * tiling.outputs)) for place, tiles in places]


@dataclass(frozen=True)
class CorrelateSquares(Correlate):
    """`Correlate` for planes of single images.

    Attributes:
        lanes: numbers in a vector.
    """

    lanes: int = 16

    @property
    def tiles(self) -> tuple[int, int]:
        """Squares along both axes; a square is a tile to all that is inherited."""
        found = squares(self.tiling, self.z.sizes, self.lanes)
        assert found is not None
        return found

    def shares(self, target: Target) -> int:
        """The register blocks of a group's outputs: parts that share a group make its V each."""
        _, height = self.blocks(target, self.group(target))
        return -(-self.z.channels // height)

    def units(self, target: Target) -> int:
        """Groups of squares, by what is shared of them."""
        return super().units(target) * self.shares(target)

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest of `Correlate`; one work unit is a register block of a group's outputs."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        group, shares = self.group(target), self.shares(target)
        _, height = self.blocks(target, group)
        v, m = self.places(group, k.lanes)
        at_v = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        at_m = k.pointer(at_v, v.size)
        first, after = k.share(self.units(target))
        begin, _ = k.divmod(first, shares)
        with k.loop(begin, k.ceiling(after, shares)) as unit:
            block, number = k.divmod(unit, math.prod(self.tiles) // group)
            low, high = (k.at((n, height), (unit, -shares * height)) for n in (first, after))
            made = k.maximum(low, 0), k.minimum(high, self.z.channels)
            with k.loop(0, group) as j:
                self.transform(k, block, k.at((number, group), j), (at_v, v, j))
            with k.loop(0, self.tiling.points) as xi:
                self.multiply(k, xi, (at_v, v), (at_m, m), made)
            with k.loop(0, group) as j:
                self.inverse(k, block, k.at((number, group), j), (at_m, m, j), made)
        return k.finish()

    def _first(self, k: Emitter, tile: Any) -> list[Any]:
        return first_of(k, self.tiling, tile, self.tiles[1])

    def _cells(self, k: Emitter, corner: Any) -> list[list[Any]]:
        m, t = self.tiling.outputs, self.tiling.cells
        rows, columns = square(self.lanes)
        width, down = columns * m, self.x.steps[0]
        lanes = min(width, self.lanes)
        found: list[list[Any]] = []
        for a in range(t):
            found.append([])
            for b in range(0, t, m):
                read = [
                    k.load("x", k.at(corner, (row * m + a) * down + b + at), lanes)
                    for row in range(rows)
                    for at in range(0, width, lanes)
                ]
                for cell in range(min(m, t - b)):
                    tiles = [r * width + c * m + cell for r in range(rows) for c in range(columns)]
                    found[-1].append(k.picked(read, tiles))
        return found

    def _put(
        self, k: Emitter, values: list[list[Any]], first: list[Any], corners: dict[str, Any], o: Any
    ) -> None:
        m = self.tiling.outputs
        rows, columns = square(self.lanes)
        height, width = self.z.sizes
        over, _ = self.tiling.overhang(self.z.sizes)
        for row, (a, line) in itertools.product(range(rows), enumerate(values)):
            down = row * m + a
            outside = rows * m - down <= over  # in the last square of a column
            if self.tiles[0] == 1 and outside:
                continue
            tiles = range(row * columns, row * columns + columns)
            value = k.picked(line, [b * self.lanes + i for i in tiles for b in range(m)])
            with k.all_below([(first[0], height - down)] if outside else []):
                self._write(k, value, corners, o, down, 0, min(columns * m, width))
