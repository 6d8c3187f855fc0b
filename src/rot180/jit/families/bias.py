"""Bias gradient: db[c] = Σ over images and cells of g[n, c, cell].

    for channel in this part's share
        for block:  plane = Σ over its cells, in four vectors;  total += plane
        db[channel] = Σ over lanes of total

Sums of sums keep their error small. Images that only fill up the last block have g = 0.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import fresh, merged, outer, over, summed, sums
from rot180.jit.emission.target import Target

__all__ = ["BiasGrad"]


@dataclass(frozen=True)
class BiasGrad:
    """Sum of g for each channel.

    Attributes:
        g: where the upstream gradient lies.
    """

    g: Planes
    dtype: str = "float32"

    arrays = ("g", "db")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; rows (N, C) of single images are summed with lanes along C."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        (g,) = merged(self.g)
        if g.block == 1 and g.plane == 1:
            self._rows(k)
            return k.finish()
        first, after = k.share(g.channels)
        with k.loop(first, after) as c:
            total = k.variable(k.constant(0.0, g.block))
            with k.loop(0, g.blocks) as block:
                (plane,) = sums(k, g.sizes[-1], g.block, 1)
                with outer(k, g) as (row,):
                    row = k.at((block, g.stack), (c, g.plane), row)
                    add = functools.partial(self._add, k, row, plane)
                    over(k, g.sizes[-1], g.block, add, len(plane))
                total.set(k.add(total.get(), summed(k, plane, g.block)))
            k.store(k.total(total.get()), "db", c)
        return k.finish()

    def _add(
        self, k: Emitter, row: Index, plane: list[Any], q: Index, lanes: int, new: Any, way: int
    ) -> None:
        value = fresh(k, k.load("g", k.at(row, (q, self.g.block)), lanes), new)
        plane[way].set(k.add(plane[way].get(), value))

    def _rows(self, k: Emitter) -> None:
        first, after = k.share(1)
        with k.loop(first, after):
            over(k, self.g.channels, 1, functools.partial(self._column, k))

    def _column(self, k: Emitter, c: Index, lanes: int, *_: object) -> None:
        total = k.variable(k.constant(0.0, lanes))
        with k.loop(0, self.g.images) as n:
            total.set(k.add(total.get(), k.load("g", k.at((n, self.g.channels), c), lanes)))
        k.store(total.get(), "db", c)
