"""Conversion between NumPy's order and blocks of images: the two edges of a compiled step.

    for (block, channel) in this part's share, for rows, for w neighbouring cells
        B vectors of w cells, one for each image  ⇄  w vectors of B images, one for each cell

The matrix of B × w numbers is transposed in registers, so both sides are read and written in whole
vectors. Images that only fill up the last block are 0 in the planes; the halo is not touched.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import fresh, merged, outer, over, shares
from rot180.jit.emission.target import Target

__all__ = ["Pack", "Unpack"]


def _rows(planes: Planes, by_channel: bool) -> tuple[Planes, Planes]:
    """NumPy's order and the planes, with rows as long as both allow."""
    p = planes
    if not by_channel:  # channels as one more axis, which joins the others where there is no halo
        p = Planes(p.images, 1, (p.channels, *p.sizes), p.block, (0, *p.before), (0, *p.after))
    plain, p = merged(Planes(p.images, p.channels, p.sizes, 1), p)
    return plain, p


@dataclass(frozen=True)
class Pack:
    """Planes from an array in NumPy's order: z = x, or z = scale[c] · x + shift[c].

    Attributes:
        z: where the images go.
        affine: whether there are scale and shift.
    """

    z: Planes
    affine: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", *(("scale", "shift") if self.affine else ()), "z")

    @property
    def by_blocks(self) -> int:
        """Its work units are ordered by blocks of images: how many there are."""
        return self.z.blocks

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above, from left to right."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        x, z = _rows(self.z, self.affine)
        for first, after, live in shares(k, z, z.channels):
            with k.loop(first, after) as unit:
                block, c = k.divmod(unit, z.channels)
                with outer(k, x, z) as (source, goal):
                    source = k.at(source, (block, z.block * x.stack), (c, x.plane))
                    goal = k.at(goal, (block, z.stack), (c, z.plane))
                    move = functools.partial(self._move, k, source, goal, c, live, x.stack)
                    over(k, z.sizes[-1], 1, move, 1)
        return k.finish()

    def _move(
        self, k: Emitter, source: Index, goal: Index, c: Index, live: int, stack: int,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        rows = [k.load("x", k.at(source, q, n * stack), lanes) for n in range(live)]
        rows += [k.constant(0.0, lanes)] * (self.z.block - live)
        cells = k.transpose(rows) if self.z.block > 1 else rows
        wide = max(self.z.block, lanes // len(cells))
        if self.affine:
            scale, shift = (k.splat(k.load(a, c, 1), wide) for a in ("scale", "shift"))
            shift = fresh(k, shift, range(live)) if live < self.z.block else shift
            cells = [k.fma(cell, scale, shift) for cell in cells]
        for i, cell in enumerate(cells):
            k.store(cell, "z", k.at(goal, (q, self.z.block), i * self.z.block))


@dataclass(frozen=True)
class Unpack:
    """An array in NumPy's order from planes, without the images that only fill up the last block.

    Attributes:
        x: where the images are.
    """

    x: Planes
    dtype: str = "float32"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above, from right to left."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        z, x = _rows(self.x, False)
        for first, after, live in shares(k, x, 1):
            with k.loop(first, after) as block, outer(k, x, z) as (source, goal):
                source = k.at(source, (block, x.stack))
                goal = k.at(goal, (block, x.block * z.stack))
                move = functools.partial(self._move, k, source, goal, live, z.stack)
                over(k, x.sizes[-1], 1, move, 1)
        return k.finish()

    def _move(
        self, k: Emitter, source: Index, goal: Index, live: int, stack: int,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        block = self.x.block
        if block == 1:
            k.store(k.load("x", k.at(source, q), lanes), "z", k.at(goal, q))
            return
        cells = [k.load("x", k.at(source, (q, block), i * block), block) for i in range(lanes)]
        for n, row in enumerate(k.transpose(cells)[:live]):
            k.store(row, "z", k.at(goal, q, n * stack))
