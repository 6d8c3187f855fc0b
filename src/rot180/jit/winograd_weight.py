"""Winograd weight gradient: 3×3 taps, stride 1; the same three matrices, read for w.

    for each of the t rows a of the tile (t = m + 2), for tiles in groups of T:
        V[b,c,tile] = (Bᵀ x B)[a,b]        Y[b,k,tile] = (A g Aᵀ)[a,b]
        dU[a,b,c,k] += Σ_tile Σ_lane V · Y
    dw[k,c] = Gᵀ dU G

Lanes are images, so a sum ends in a sum over lanes: sixteen sums at a time, after T tiles. One row
of the tile at a time lets T be six times as large in the same cache. A work unit is a row (and a
segment of the images, where there are more threads than rows), so no two threads add to one cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit import toomcook
from rot180.jit.emit import Emitter
from rot180.jit.layout import Planes
from rot180.jit.target import Target

__all__ = ["InverseWeights", "WeightGrad"]

EDGE = 4
"""Channels and filters come in blocks of 4 × 4 sums."""


def padded(channels: int) -> int:
    """Channels in whole blocks."""
    return -(-channels // EDGE) * EDGE


@dataclass(frozen=True)
class WeightGrad:
    """dU[segment, ξ, c / 4, k / 4, 4, 4] from x and the upstream gradient g.

    Attributes:
        tile: m.
        x: where the input lies; its halo covers the padding and the overhang of the last tiles.
        g: where the upstream gradient lies; its halo covers the overhang.
        before: padding before the first row and column.
        segments: into how many parts the images are cut.
    """

    tile: int
    x: Planes
    g: Planes
    before: tuple[int, int]
    segments: int = 1
    dtype: str = "float32"

    arrays = ("x", "g", "du", "scratch")

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along both axes."""
        return -(-self.g.sizes[0] // self.tile), -(-self.g.sizes[1] // self.tile)

    def group(self, target: Target) -> int:
        """T: as many tiles as the second cache holds one row of V and Y of."""
        t = self.tile + 2
        one = t * (padded(self.x.channels) + padded(self.g.channels)) * target.vector_bytes
        rows, columns = self.tiles
        return max(1, min(rows * columns * self.x.blocks, target.level2 // one))

    def scratch(self, target: Target) -> int:
        """Elements of scratch that each part needs."""
        channels = padded(self.x.channels) + padded(self.g.channels)
        return (self.tile + 2) * channels * self.group(target) * target.lanes(np.dtype(self.dtype))

    @property
    def size(self) -> int:
        """Elements of dU."""
        cells = padded(self.x.channels) * padded(self.g.channels)
        return self.segments * (self.tile + 2) ** 2 * cells

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        t, group = self.tile + 2, self.group(target)
        at, _, bt = toomcook.matrices(self.tile, 3)
        a_rows = toomcook.transpose(at)
        v = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        y = k.pointer(v, t * padded(self.x.channels) * group * k.lanes)
        rows, columns = self.tiles
        total = rows * columns * self.x.blocks
        first, after = k.share(t * self.segments)
        with k.loop(first, after) as unit:
            segment, row = k.divmod(unit, t)
            start = k.divmod(k.at((segment, total)), self.segments)[0]
            stop = k.divmod(k.at((segment, total), total), self.segments)[0]
            self._clear(k, unit)
            with k.loop(start, stop, group) as begin:
                count = k.minimum(k.at(stop, k.negative(begin)), group)
                for a in range(t):
                    with k.when(row, "==", a):
                        for array, planes, into, matrix, origin in (
                            ("x", self.x, v, bt, self.x.origin(-self.before[0], -self.before[1])),
                            ("g", self.g, y, a_rows, self.g.origin()),
                        ):
                            self._transform(k, array, planes, into, matrix, a, origin, begin, count)
                self._accumulate(k, unit, count, v, y)
        return k.finish()

    def _clear(self, k: Emitter, unit: Any) -> None:
        cells = (self.tile + 2) * padded(self.x.channels) * padded(self.g.channels)
        with k.loop(0, cells, EDGE * EDGE) as i:
            k.store(k.constant(0.0, EDGE * EDGE), "du", k.at((unit, cells), i))

    def _transform(
        self, k: Emitter, array: str, planes: Planes, into: Any, matrix: toomcook.Matrix, a: int,
        origin: int, begin: Any, count: Any,
    ) -> None:  # fmt: skip
        """Row a of matrix · tile · matrixᵀ, for every tile of the group and every channel."""
        group, size = self.group(k.target), len(matrix[0])
        rows, columns = self.tiles
        with k.loop(0, count) as j:
            block, place = k.divmod(k.at(begin, j), rows * columns)
            row, column = k.divmod(place, columns)
            corner = k.at(
                (block, planes.stack),
                (row, self.tile * planes.steps[0]),
                (column, self.tile * planes.steps[1]),
                origin,
            )
            with k.loop(0, planes.channels) as c:
                at = k.at(corner, (c, planes.plane))
                line = []
                for b in range(size):
                    cells = [
                        k.load(array, k.at(at, i * planes.steps[0] + b * planes.steps[1]))
                        if matrix[a][i]
                        else None
                        for i in range(size)
                    ]
                    line.append(toomcook.apply(k, (matrix[a],), cells)[0])
                for b, value in enumerate(toomcook.apply(k, matrix, line)):
                    where = k.at(
                        b * padded(planes.channels) * group * k.lanes,
                        (c, group * k.lanes),
                        (j, k.lanes),
                    )
                    k.store(value, into, where)

    def _accumulate(self, k: Emitter, unit: Any, count: Any, v: Any, y: Any) -> None:
        """dU[b] += V[b] · Y[b]ᵀ over the tiles of the group, in blocks of 4 × 4 sums."""
        group = self.group(k.target)
        channels, filters = padded(self.x.channels), padded(self.g.channels)
        t = self.tile + 2
        with (
            k.loop(0, t) as b,
            k.loop(0, channels // EDGE) as c,
            k.loop(0, filters // EDGE) as o,
        ):
            sums = [[k.variable(k.constant(0.0)) for _ in range(EDGE)] for _ in range(EDGE)]
            with k.loop(0, count) as j:
                left = k.at(
                    (b, channels * group * k.lanes), (c, EDGE * group * k.lanes), (j, k.lanes)
                )
                right = k.at(
                    (b, filters * group * k.lanes), (o, EDGE * group * k.lanes), (j, k.lanes)
                )
                xs = [k.load(v, k.at(left, i * group * k.lanes)) for i in range(EDGE)]
                for n in range(EDGE):
                    g = k.load(y, k.at(right, n * group * k.lanes))
                    for i in range(EDGE):
                        sums[i][n].set(k.fma(xs[i], g, sums[i][n].get()))
            total = k.totals([sums[i][n].get() for i in range(EDGE) for n in range(EDGE)])
            where = k.at(
                (unit, t * channels * filters),
                (b, channels * filters),
                (c, EDGE * filters),
                (o, EDGE * EDGE),
            )
            k.store(k.add(k.load("du", where, EDGE * EDGE), total), "du", where)


@dataclass(frozen=True)
class InverseWeights:
    """dw[k, c] = Gᵀ (Σ_segment dU[segment, :, c, k]) G."""

    tile: int
    channels: int
    filters: int
    segments: int = 1
    dtype: str = "float32"

    arrays = ("du", "dw")

    def emit(self, name: str, target: Target) -> Any:
        """Lanes are the 4 × 4 pairs of one block; a work unit is a block."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        _, g, _ = toomcook.matrices(self.tile, 3)
        gt = toomcook.transpose(g)
        t = self.tile + 2
        channels, filters = padded(self.channels), padded(self.filters)
        first, after = k.share(channels // EDGE * (filters // EDGE))
        with k.loop(first, after) as unit:
            c, o = k.divmod(unit, filters // EDGE)
            cells = []
            for xi in range(t * t):
                where = k.at(xi * channels * filters, (c, EDGE * filters), (o, EDGE * EDGE))
                value = k.load("du", where, EDGE * EDGE)
                for segment in range(1, self.segments):
                    more = k.at(where, segment * t * t * channels * filters)
                    value = k.add(value, k.load("du", more, EDGE * EDGE))
                cells.append(value)
            lines = [toomcook.apply(k, gt, cells[b::t]) for b in range(t)]
            for r in range(3):
                for s, value in enumerate(toomcook.apply(k, gt, [lines[b][r] for b in range(t)])):
                    self._scatter(k, value, c, o, 3 * r + s)
        return k.finish()

    def _scatter(self, k: Emitter, value: Any, c: Any, o: Any, tap: int) -> None:
        for i in range(EDGE):
            for n in range(EDGE):
                bounds = []
                if self.channels % EDGE and i >= self.channels % EDGE:
                    bounds.append((c, padded(self.channels) // EDGE - 1))
                if self.filters % EDGE and n >= self.filters % EDGE:
                    bounds.append((o, padded(self.filters) // EDGE - 1))
                with k.all_below(bounds):
                    where = k.at(
                        (o, EDGE * self.channels * 9),
                        (c, EDGE * 9),
                        (n * self.channels + i) * 9 + tap,
                    )
                    k.store(k.lane(value, EDGE * i + n), "dw", where)
