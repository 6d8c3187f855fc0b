"""Winograd's weight gradient for single images: as `winograd_weight`, by squares of tiles.

    for each square and 16 channels:  its cells are turned, each once, so that lanes are channels;
        for each of its tiles:  V[ξ, tile, c] = Bᵀ x B,  Y[ξ, tile, k] = A g Aᵀ

A tile stands where an image stands there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.families import toomcook
from rot180.jit.families.winograd_tiles import first_of, square, squares
from rot180.jit.families.winograd_weight import Turned, WeightGrad

__all__ = ["WeightGradSquares"]


@dataclass(frozen=True)
class WeightGradSquares(WeightGrad):
    """`WeightGrad` for planes of single images.

    Attributes:
        lanes: numbers in a vector.
    """

    lanes: int = 16

    @property
    def tiles(self) -> tuple[int, int]:
        """Squares along both axes; a square is a tile to all that is inherited."""
        found = squares(self.tiling, self.g.sizes, self.lanes)
        assert found is not None
        return found

    def _turn(
        self, k: Emitter, array: str, planes: Planes, corner: int, matrix: toomcook.Matrix,
        place: tuple[Index, Index, Index], into: tuple[Any, Turned], scratch: Any,
    ) -> None:  # fmt: skip
        """Turn the cells of a square, transform its tiles, and write them one by one."""
        (block, number, j), (target, turned) = place, into
        m, size, points = self.tiling.outputs, len(matrix[0]), len(matrix)
        rows, columns = square(k.lanes)
        high, wide = ((tiles - 1) * m + size for tiles in (rows, columns))
        first = first_of(k, self.tiling, number, self.tiles[1])
        start = k.at((block, planes.stack), *zip(first, planes.steps, strict=True), corner)
        for c0, count in self._bundles(k, planes.channels):
            with c0 as c:
                source = k.at(start, (c, planes.plane))
                with k.loop(0, high) as row:
                    for b in range(0, wide, k.lanes):
                        cell = k.at(source, (row, planes.steps[0]), b)
                        found = [k.load(array, k.at(cell, i * planes.plane)) for i in range(count)]
                        found += [k.constant(0.0)] * (k.lanes - count)
                        for i, value in enumerate(k.transpose(found)[: wide - b]):
                            where = k.at((row, wide * k.lanes), (b + i) * k.lanes)
                            k.store(value, scratch, where)
                with k.loop(0, rows) as row, k.loop(0, columns) as column:
                    at = k.at((row, m * wide * k.lanes), (column, m * k.lanes))
                    cells = [
                        k.load(scratch, k.at(at, (a * wide + b) * k.lanes))
                        for a in range(size)
                        for b in range(size)
                    ]
                    lines = [toomcook.apply(k, matrix, cells[b::size]) for b in range(size)]
                    tile = k.at((j, k.lanes), (row, columns), column)
                    for a in range(points):
                        values = toomcook.apply(k, matrix, [lines[b][a] for b in range(size)])
                        for b, value in enumerate(values):
                            k.store(value, target, turned.place(k, a * points + b, tile, c))
