"""Mean pools: z[p] = d[p] · Σ_r x[S·p + r − A] with d the reciprocal divisors, and the whole plane.

    for (block, channel) in this part's share, for positions p that reach the same taps
        z[p] = d[p] · Σ_r x[S·p + r − A]

    for (block, channel) in this part's share, for tiles q
        for u in S:  dx[S·q + u − A] = Σ d[p] · g[p] over the windows p that reach the cell

The mean over a whole plane is one sum and one product for each channel; its gradient is one number,
written into every cell.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import cells_of, fresh, merged, outer, over, summed, sums
from rot180.jit.emission.target import Target
from rot180.jit.emission.windows import (
    Reach,
    all_reaches,
    all_tiles,
    choices,
    place,
    read_cells,
    walk,
    write_tile,
)
from rot180.window import Window

__all__ = ["GlobalMean", "GlobalMeanGrad", "MeanPool", "MeanPoolGrad"]


def _divisor(k: Emitter, z: Planes, p: list[Index], lanes: int) -> Any:
    """d[p] for one vector: a number for all images, or of neighbouring positions."""
    steps = Planes(1, 1, z.sizes, 1).steps
    at = k.at(*zip(p, steps, strict=True))
    return k.load("d", at, lanes) if z.block == 1 else k.splat(k.load("d", at, 1), lanes)


@dataclass(frozen=True)
class MeanPool(ByBlocks):
    """z from x and d, which is in row-major order of the positions.

    Attributes:
        window: the windows.
        x, z: where input and output lie.
    """

    window: Window
    x: Planes
    z: Planes
    dtype: str = "float32"

    arrays = ("x", "d", "z")

    def emit(self, name: str, target: Target) -> Any:
        """The first loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            body = functools.partial(self._window, k, unit)
            walk(k, all_reaches(self.window, self.x, self.z), self.x.block, body)
        return k.finish()

    def _window(
        self, k: Emitter, unit: Index, runs: tuple[Reach, ...], p: list[Index], lanes: int
    ) -> None:
        total = k.variable(k.constant(0.0, lanes))
        for taps in choices(k, [run.taps for run in runs]):
            shifts = [shift for _, shift in taps]
            value = read_cells(k, self.window, self.x, unit, runs, p, shifts, lanes)
            total.set(k.add(total.get(), value))
        value = k.mul(_divisor(k, self.z, p, lanes), total.get())
        k.store(value, "z", place(k, self.z, unit, p))


@dataclass(frozen=True)
class MeanPoolGrad(ByBlocks):
    """dx from g and d.

    Attributes:
        window: the windows.
        x, g: where dx and the upstream gradient lie.
    """

    window: Window
    x: Planes
    g: Planes
    dtype: str = "float32"

    arrays = ("g", "d", "dx")

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            given = functools.partial(self._given, k, unit)
            body = functools.partial(write_tile, k, self.window, self.x, unit, given)
            walk(k, all_tiles(self.window, self.x, self.g), self.x.block, body)
        return k.finish()

    def _given(self, k: Emitter, unit: Index, p: list[Index], _: object, lanes: int) -> Any:
        """d[p] · g[p], whatever the tap."""
        value = k.load("g", place(k, self.g, unit, p), lanes)
        return k.mul(_divisor(k, self.g, p, lanes), value)


@dataclass(frozen=True)
class GlobalMean(ByBlocks):
    """z[n, c] = mean of x[n, c] over all cells of the plane; z has no spatial axis."""

    x: Planes
    dtype: str = "float32"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        """One sum for each (block, channel) of this part's share."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        (x,) = merged(self.x)
        first, after = k.share(x.blocks * x.channels)
        with k.loop(first, after) as unit:
            (total,) = sums(k, x.sizes[-1], x.block, 1)
            with outer(k, x) as (row,):
                add = functools.partial(self._add, k, k.at((unit, x.plane), row), total)
                over(k, x.sizes[-1], x.block, add, len(total))
            lanes = x.block
            mean = k.mul(summed(k, total, x.block), k.constant(1.0 / cells_of(x), lanes))
            k.store(mean, "z", k.at((unit, x.block)))
        return k.finish()

    def _add(
        self, k: Emitter, row: Index, total: list[Any], q: Index, lanes: int, new: Any, way: int
    ) -> None:
        value = fresh(k, k.load("x", k.at(row, (q, self.x.block)), lanes), new)
        total[way].set(k.add(total[way].get(), value))


@dataclass(frozen=True)
class GlobalMeanGrad(ByBlocks):
    """dx[n, c, cell] = g[n, c] / cells; g has no spatial axis."""

    x: Planes
    dtype: str = "float32"

    arrays = ("g", "dx")

    def emit(self, name: str, target: Target) -> Any:
        """One number for each (block, channel) of this part's share, in every cell."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        (x,) = merged(self.x)
        first, after = k.share(x.blocks * x.channels)
        with k.loop(first, after) as unit:
            g = k.load("g", k.at((unit, x.block)), x.block)
            g = k.mul(g, k.constant(1.0 / cells_of(x), x.block))
            with outer(k, x) as (row,):
                write = functools.partial(self._write, k, k.at((unit, x.plane), row), g)
                over(k, x.sizes[-1], x.block, write)
        return k.finish()

    def _write(self, k: Emitter, row: Index, g: Any, q: Index, lanes: int, *_: object) -> None:
        value = g if self.x.block > 1 else k.splat(g, lanes)
        k.store(value, "dx", k.at(row, (q, self.x.block)))
