"""Halo: the zeros around planes, written once before the first step (kernels leave them alone).

for plane in this part's share
    zeros before the first row; for rows: zeros before and after it; zeros after the last row
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target

__all__ = ["ClearHalo"]


@dataclass(frozen=True)
class ClearHalo(ByBlocks):
    """0 in every cell of the halo of x, the images that fill up the last block included."""

    x: Planes
    dtype: str = "float32"

    arrays = ("x",)

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; a work unit is a plane."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            self._clear(k, k.at((unit, self.x.plane)), 0)
        return k.finish()

    def _clear(self, k: Emitter, start: Index, axis: int) -> None:
        """The halo on this axis, and inside of it that on the axes behind it."""
        x = self.x
        if axis == len(x.sizes):
            return
        step = x.steps[axis]
        self._zeros(k, start, x.before[axis] * step)
        if any((*x.before[axis + 1 :], *x.after[axis + 1 :])):
            with k.loop(0, x.sizes[axis]) as i:
                self._clear(k, k.at(start, (i, step), x.before[axis] * step), axis + 1)
        self._zeros(k, k.at(start, (x.before[axis] + x.sizes[axis]) * step), x.after[axis] * step)

    def _zeros(self, k: Emitter, start: Index, count: int) -> None:
        if not count:
            return
        row = vectors(count, k.lanes, 1)
        zero = k.constant(0.0, row.lanes)
        if row.count - row.shifted:
            with k.loop(0, (row.count - row.shifted) * row.per, row.per) as i:
                k.store(zero, "x", k.at(start, i))
        if row.shifted:
            k.store(zero, "x", k.at(start, row.start(row.count - 1)))
