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

__all__ = ["Clear", "InverseWeights", "WeightGrad"]


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
    def channels(self) -> int:
        """Channels of x in whole vectors."""
        return -(-self.x.channels // self.x.block) * self.x.block

    @property
    def filters(self) -> int:
        """Channels of g in whole vectors."""
        return -(-self.g.channels // self.x.block) * self.x.block

    def group(self, target: Target) -> int:
        """T."""
        channels = self.channels + self.filters
        return self.tiling.together(math.prod(self.tiles), channels, target, self.dtype, 5 / 8)

    def scratch(self, target: Target) -> int:
        """Elements of scratch that each worker needs: V, Y and one turned tile."""
        lanes = target.lanes(np.dtype(self.dtype))
        apart = sum(self._apart(target, width) for width in (self.channels, self.filters))
        return self.tiling.points * (apart + lanes * lanes)

    def _apart(self, target: Target, width: int) -> int:
        """Elements of V or Y from ξ to ξ."""
        lanes = target.lanes(np.dtype(self.dtype))
        return self.tiling.apart(self.group(target), width, lanes)

    @property
    def size(self) -> int:
        """Elements of one worker's dU."""
        return self.tiling.points * self.g.channels * self.channels

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; a work unit is a group of tiles of one block."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        at, _, bt = self.tiling.matrices
        group, (rows, columns) = self.group(target), self.tiles
        images = group * k.lanes
        v = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        y = k.pointer(v, self.tiling.points * self._apart(target, self.channels))
        turned = k.pointer(y, self.tiling.points * self._apart(target, self.filters))
        per_block = rows * columns // group
        first, after = k.share(self.x.blocks * per_block)
        with k.loop(first, after) as unit:
            block, start = k.divmod(unit, per_block)
            with k.loop(0, group) as j:
                tile = k.at((start, group), j)
                into = k.at((j, k.lanes))
                corner = self.x.origin(-self.before[0], -self.before[1])
                self._turn(k, "x", self.x, corner, bt, (block, tile, into), v, turned)
                a = toomcook.transpose(at)
                self._turn(k, "g", self.g, self.g.origin(), a, (block, tile, into), y, turned)
            self._multiply(k, v, y, images)
            if self.bias:
                self._add_bias(k, y, images)
        return k.finish()

    def _turn(
        self, k: Emitter, array: str, planes: Planes, corner: int, matrix: toomcook.Matrix,
        place: tuple[Index, Index, Index], into: Any, turned: Any,
    ) -> None:  # fmt: skip
        """One tile: turn images into lanes' place, transform, and write it image by image."""
        block, tile, first = place
        size, points = len(matrix[0]), len(matrix)
        down, right = self.tiling.steps(planes)
        output = self.tiling.first(k, tile, self.tiles[1])
        start = k.at((block, planes.stack), *zip(output, planes.steps, strict=True), corner)
        width = -(-planes.channels // k.lanes) * k.lanes
        apart = self._apart(k.target, width)
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
                            k.store(value, turned, where)
                with k.loop(0, k.lanes) as image:
                    at = k.at((image, size * size * k.lanes))
                    cells = [k.load(turned, k.at(at, i * k.lanes)) for i in range(size * size)]
                    lines = [toomcook.apply(k, matrix, cells[b::size]) for b in range(size)]
                    for a in range(points):
                        values = toomcook.apply(k, matrix, [lines[b][a] for b in range(size)])
                        for b, value in enumerate(values):
                            where = k.at(
                                (a * points + b) * apart, (first, width), (image, width), c
                            )
                            k.store(value, into, where)

    def _bundles(self, k: Emitter, channels: int) -> Iterator[tuple[Any, int]]:
        """(loop over the first channel, how many) of whole vectors of channels, and of the rest."""
        for start, stop, step in cut(channels, k.lanes):
            yield k.loop(start, stop, step), step

    def _multiply(self, k: Emitter, v: Any, y: Any, images: int) -> None:
        """dU[ξ] += Y[ξ]ᵀ · V[ξ], in register blocks of vectors of c by numbers of k."""
        width, filters, wide = self.channels, self.g.channels, self.filters
        columns, height = register_block(k.target.registers, width // k.lanes, filters)
        by_v, by_y = self._apart(k.target, width), self._apart(k.target, wide)
        mine = k.at((k.worker, self.size))
        with k.loop(0, self.tiling.points) as xi:
            for k0, k1, tall in cut(filters, height):
                for c0, c1, span in cut(width // k.lanes, columns):
                    with k.loop(k0, k1, tall) as o, k.loop(c0, c1, span) as c:
                        goal = k.at(mine, (xi, filters * width), (o, width), (c, k.lanes))
                        places = [
                            [k.at(goal, a * width + b * k.lanes) for b in range(span)]
                            for a in range(tall)
                        ]
                        sums = [[k.variable(k.constant(0.0)) for _ in line] for line in places]
                        with k.loop(0, images) as i:
                            left = k.at((xi, by_v), (i, width), (c, k.lanes))
                            right = k.at((xi, by_y), (i, wide), o)
                            xs = [k.load(v, k.at(left, b * k.lanes)) for b in range(span)]
                            for a in range(tall):
                                g = k.broadcast(y, k.at(right, a))
                                for b in range(span):
                                    sums[a][b].set(k.fma(g, xs[b], sums[a][b].get()))
                        for a in range(tall):
                            for b in range(span):
                                goal = places[a][b]
                                k.store(k.add(k.load("du", goal), sums[a][b].get()), "du", goal)

    def _add_bias(self, k: Emitter, y: Any, images: int) -> None:
        """Db += Σ Y at the point (1, 1), where A g Aᵀ is the sum of the tile."""
        point = self.tiling.cells + 1
        with k.loop(0, self.filters, k.lanes) as o:
            where = k.at((k.worker, self.filters), o)
            total = k.variable(k.constant(0.0))
            with k.loop(0, images) as i:
                value = k.load(
                    y, k.at(point * self._apart(k.target, self.filters), (i, self.filters), o)
                )
                total.set(k.add(total.get(), value))
            k.store(k.add(k.load("db", where), total.get()), "db", where)


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


@dataclass(frozen=True)
class InverseWeights:
    """dw[k, c] = Gᵀ (Σ_worker dU[worker, :, k, c]) G, and db[k] = Σ_worker db[worker, k].

    Attributes:
        tiling: m and r.
        channels, filters: C and K.
        workers: how many dU there are.
        bias: whether there is a db.
    """

    tiling: Tiling
    channels: int
    filters: int
    workers: int
    bias: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("du", "dw", *(("sums", "db") if self.bias else ()))

    def emit(self, name: str, target: Target) -> Any:
        """Lanes are channels; a work unit is a filter."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        width = -(-self.channels // k.lanes) * k.lanes
        first, after = k.share(self.filters)
        with k.loop(first, after) as o:
            for start, stop, step in cut(self.channels, k.lanes):
                with k.loop(start, stop, step) as c:
                    self._vector(k, o, c, width, step)
            if self.bias:
                total = k.constant(0.0, 1)
                for worker in range(self.workers):
                    padded = -(-self.filters // k.lanes) * k.lanes
                    total = k.add(total, k.load("sums", k.at(worker * padded, o), 1))
                k.store(total, "db", o)
        return k.finish()

    def _vector(self, k: Emitter, o: Index, c: Index, width: int, count: int) -> None:
        _, g, _ = self.tiling.matrices
        gt, t, taps = toomcook.transpose(g), self.tiling.cells, self.tiling.taps
        cells = []
        for xi in range(t * t):
            where = k.at(xi * self.filters * width, (o, width), c)
            value = k.load("du", where)
            for worker in range(1, self.workers):
                more = k.at(where, worker * t * t * self.filters * width)
                value = k.add(value, k.load("du", more))
            cells.append(value)
        lines = [toomcook.apply(k, gt, cells[b::t]) for b in range(t)]
        for r in range(taps):
            for s, value in enumerate(toomcook.apply(k, gt, [lines[b][r] for b in range(t)])):
                where = k.at((o, self.channels * taps**2), (c, taps**2), taps * r + s)
                for lane in range(count):
                    k.store(k.lane(value, lane), "dw", k.at(where, lane * taps**2))
