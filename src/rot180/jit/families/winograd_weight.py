"""Winograd weight gradient: r×r taps, stride 1; the same three matrices, read for w (and for b).

    for tiles in groups of T, of one block of images:
        for each of its tiles and 16 channels:  16 images × 16 channels are turned, so that lanes
            are channels now, and V[ξ, image, c] = Bᵀ x B,  Y[ξ, image, k] = A g Aᵀ
        for ξ:  dU[ξ, k, c] += Σ_image Y[ξ, image, k] · V[ξ, image, c]
    dw[k, c] = Gᵀ dU G          db[k] = Σ Y[(1, 1), image, k]: there A sums the tile

With lanes along channels the sum over images crosses no lanes. Each group of tiles is summed apart,
then added to dU: two short sums round less than a long one. Every thread adds to a dU of its own
(cleared first); `InverseWeights` adds them up, in the order of the threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import cut, register_block
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.families import toomcook
from rot180.jit.families.tiling import Tiling

__all__ = ["Clear", "Turned", "WeightGrad"]


@dataclass(frozen=True)
class Turned:
    """Where the values of turned tiles stand: [ξ][tile][image][channel].

    Attributes:
        tiling: m and r.
        width: channels in whole vectors.
        tiles, lanes: how many.
    """

    tiling: Tiling
    width: int
    tiles: int
    lanes: int

    @property
    def rows(self) -> int:
        """Images of all tiles."""
        return self.tiles * self.lanes

    @property
    def apart(self) -> int:
        """Elements from ξ to ξ."""
        return self.tiling.apart(self.tiles, self.width, self.lanes)

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.tiling.points * self.apart

    def place(self, k: Emitter, xi: Any, row: Any, channel: Any) -> Any:
        """Offset of a channel of an image of a tile."""
        return k.at((xi, self.apart), (row, self.width), channel)


@dataclass(frozen=True)
class WeightGrad(ByBlocks):
    """dU[worker, ξ, k, c] += from x and the upstream gradient g; C in whole vectors.

    Attributes:
        tiling: m, r and dilation.
        x: where the input lies; its halo covers the padding and the overhang of the last tiles.
        g: where the upstream gradient lies; its halo covers the overhang.
        before: padding before the first row and column.
        bias: whether the gradient of the bias is wanted, too: db[worker, k].
    """

    tiling: Tiling
    x: Planes
    g: Planes
    before: tuple[int, int]
    bias: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "g", "du", *(("db",) if self.bias else ()), "scratch")

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along both axes."""
        return self.tiling.counts(self.g.sizes)

    @property
    def lanes(self) -> int:
        """Numbers in a vector: images of a block."""
        return self.x.block

    @property
    def channels(self) -> int:
        """Channels of x in whole vectors."""
        return -(-self.x.channels // self.lanes) * self.lanes

    @property
    def filters(self) -> int:
        """Channels of g in whole vectors."""
        return -(-self.g.channels // self.lanes) * self.lanes

    def group(self, target: Target) -> int:
        """T."""
        sides = self.channels, self.filters
        return self.tiling.together(math.prod(self.tiles), sides, target, self.dtype, 5 / 8)

    def units(self, target: Target) -> int:
        """Groups of tiles."""
        return self.x.blocks * math.prod(self.tiles) // self.group(target)

    def places(self, tiles: int, lanes: int) -> tuple[Turned, Turned]:
        """V and Y of so many tiles."""
        return (
            Turned(self.tiling, self.channels, tiles, lanes),
            Turned(self.tiling, self.filters, tiles, lanes),
        )

    def scratch(self, target: Target) -> int:
        """Elements of scratch that each worker needs: V, Y and one turned tile."""
        lanes = target.lanes(np.dtype(self.dtype))
        v, y = self.places(self.group(target), lanes)
        return v.size + y.size + self.tiling.points * lanes**2

    @property
    def size(self) -> int:
        """Elements of one worker's dU."""
        return self.tiling.points * self.tiling.pairs(self.g.channels, self.channels)

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; a work unit is a group of tiles of one block."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        group = self.group(target)
        v, y = self.places(group, k.lanes)
        at_v = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        at_y = k.pointer(at_v, v.size)
        scratch = k.pointer(at_y, y.size)
        per_block = math.prod(self.tiles) // group
        first, after = k.share(self.units(target))
        with k.loop(first, after) as unit:
            block, number = k.divmod(unit, per_block)
            with k.loop(0, group) as j:
                tile = k.at((number, group), j)
                self.turn(k, (block, tile, j), (at_v, v), (at_y, y), scratch)
            with k.loop(0, self.tiling.points) as xi:
                self.multiply(k, xi, (at_v, v), (at_y, y), k.at((k.worker, self.size)), True)
            if self.bias:
                self.add_bias(k, (at_y, y), k.at((k.worker, self.filters)), True)
        return k.finish()

    def turn(
        self, k: Emitter, place: tuple[Index, Index, Index], v: tuple[Any, Turned],
        y: tuple[Any, Turned], scratch: Any,
    ) -> None:  # fmt: skip
        """V and Y of one tile; `place` is its block, its number in the plane, and that in V."""
        at, _, bt = self.tiling.matrices
        corner = self.x.origin(-self.before[0], -self.before[1])
        self._turn(k, "x", self.x, corner, bt, place, v, scratch)
        self._turn(k, "g", self.g, self.g.origin(), toomcook.transpose(at), place, y, scratch)

    def _turn(
        self, k: Emitter, array: str, planes: Planes, corner: int, matrix: toomcook.Matrix,
        place: tuple[Index, Index, Index], into: tuple[Any, Turned], scratch: Any,
    ) -> None:  # fmt: skip
        """One tile: turn images into lanes' place, transform, and write it image by image."""
        (block, tile, j), (target, turned) = place, into
        size, points = len(matrix[0]), len(matrix)
        down, right = self.tiling.steps(planes)
        output = self.tiling.first(k, tile, self.tiles[1])
        start = k.at((block, planes.stack), *zip(output, planes.steps, strict=True), corner)
        for c0, count in self._bundles(k, planes.channels):
            with c0 as c:
                source = k.at(start, (c, planes.plane))
                with k.loop(0, size) as a:
                    for b in range(size):
                        cell = k.at(source, (a, down), b * right)
                        found = [k.load(array, k.at(cell, i * planes.plane)) for i in range(count)]
                        found += [k.constant(0.0)] * (k.lanes - count)
                        for image, value in enumerate(k.transpose(found)):
                            where = k.at((a, size * k.lanes), (image * size * size + b) * k.lanes)
                            k.store(value, scratch, where)
                with k.loop(0, k.lanes) as image:
                    at = k.at((image, size * size * k.lanes))
                    cells = [k.load(scratch, k.at(at, i * k.lanes)) for i in range(size * size)]
                    lines = [toomcook.apply(k, matrix, cells[b::size]) for b in range(size)]
                    for a in range(points):
                        values = toomcook.apply(k, matrix, [lines[b][a] for b in range(size)])
                        for b, value in enumerate(values):
                            row = k.at((j, k.lanes), image)
                            k.store(value, target, turned.place(k, a * points + b, row, c))

    def _bundles(self, k: Emitter, channels: int) -> Iterator[tuple[Any, int]]:
        """(loop over the first channel, how many) of whole vectors of channels, and of the rest."""
        for start, stop, step in cut(channels, k.lanes):
            yield k.loop(start, stop, step), step

    def multiply(
        self, k: Emitter, xi: Any, v: tuple[Any, Turned], y: tuple[Any, Turned], du: Index,
        more: bool,
    ) -> None:  # fmt: skip
        """dU[ξ] = Y[ξ]ᵀ · V[ξ] in register blocks of vectors of c by numbers of k.

        Args:
            k: the kernel.
            xi: the point.
            v: array and places of V.
            y: array and places of Y.
            du: where dU begins.
            more: add to what stands in dU.
        """
        (at_v, left), (at_y, right) = v, y
        width, filters = self.channels, self.g.channels
        apart = self.tiling.pairs(filters, width)
        columns, height = register_block(k.target.registers, width // k.lanes, filters)
        for k0, k1, tall in cut(filters, height):
            for c0, c1, span in cut(width // k.lanes, columns):
                with k.loop(k0, k1, tall) as o, k.loop(c0, c1, span) as c:
                    goal = k.at(du, (xi, apart), (o, width), (c, k.lanes))
                    sums = [[k.variable(k.constant(0.0)) for _ in range(span)] for _ in range(tall)]
                    with k.loop(0, left.rows) as row:
                        base = left.place(k, xi, row, k.at((c, k.lanes)))
                        xs = [k.load(at_v, k.at(base, b * k.lanes)) for b in range(span)]
                        other = right.place(k, xi, row, o)
                        for a in range(tall):
                            g = k.broadcast(at_y, k.at(other, a))
                            for b in range(span):
                                sums[a][b].set(k.fma(g, xs[b], sums[a][b].get()))
                    for a in range(tall):
                        for b in range(span):
                            where = k.at(goal, a * width + b * k.lanes)
                            value = sums[a][b].get()
                            k.store(
                                k.add(k.load("du", where), value) if more else value, "du", where
                            )

    def add_bias(self, k: Emitter, y: tuple[Any, Turned], db: Index, more: bool) -> None:
        """Sums of Y at the point (1, 1), where A g Aᵀ is the sum of the tile: db."""
        at_y, turned = y
        with k.loop(0, self.filters, k.lanes) as o:
            total = k.variable(k.constant(0.0))
            with k.loop(0, turned.rows) as row:
                value = k.load(at_y, turned.place(k, self.tiling.cells + 1, row, o))
                total.set(k.add(total.get(), value))
            where, value = k.at(db, o), total.get()
            k.store(k.add(k.load("db", where), value) if more else value, "db", where)


@dataclass(frozen=True)
class Clear:
    """Zeros."""

    size: int
    dtype: str = "float32"

    arrays = ("z",)

    def emit(self, name: str, target: Target) -> Any:
        """One loop over whole vectors; the size is a multiple of the longest vector."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.size // k.lanes)
        with k.loop(first, after) as i:
            k.store(k.constant(0.0), "z", k.at((i, k.lanes)))
        return k.finish()
