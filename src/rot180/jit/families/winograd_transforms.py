"""Winograd's transforms of weights: to the points once a step, and the gradient back from there.

    U[ξ, k, c] = (G w[k, c] Gᵀ)[ξ]          dw[k, c] = Gᵀ dU[:, k, c] G

Lanes are channels in both. The r² numbers of a kernel lie together in w, so vectors are combed into
taps when they are read, and woven when they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import cut
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.target import Target
from rot180.jit.families import toomcook
from rot180.jit.families.matvec import pieces
from rot180.jit.families.tiling import Tiling

__all__ = ["InverseWeights", "TransformWeights"]


@dataclass(frozen=True)
class TransformWeights:
    """U[ξ, k, c] = (G w Gᵀ)[ξ] for every filter k and channel c, in the order of w.

    Attributes:
        tiling: m and r.
        filters, channels: K and C.
        turned: read each kernel from its end (the input gradient does).
    """

    tiling: Tiling
    filters: int
    channels: int
    turned: bool
    dtype: str = "float32"

    arrays = ("w", "u")

    def emit(self, name: str, target: Target) -> Any:
        """Lanes are channels: their kernels lie one behind the other, r² numbers each."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        whole = self.channels // k.lanes * k.lanes
        first, after = k.share(self.filters)
        with k.loop(first, after) as o:
            if whole:
                with k.loop(0, whole, k.lanes) as c:
                    self._cell(k, o, c, k.lanes)
            for c, lanes in pieces(self.channels - whole, k.lanes // 2):
                self._cell(k, o, whole + c, lanes)
        return k.finish()

    def _cell(self, k: Emitter, o: Any, c: Any, lanes: int) -> None:
        """Two small matrix products."""
        _, g, _ = self.tiling.matrices
        t, r = self.tiling.cells, self.tiling.taps
        corner = k.at((o, self.channels * r * r), (c, r * r))
        taps = k.combed([k.load("w", k.at(corner, i * lanes), lanes) for i in range(r * r)])
        taps = taps[::-1] if self.turned else taps
        columns = [toomcook.apply(k, g, taps[s::r]) for s in range(r)]
        for a in range(t):
            row = toomcook.apply(k, g, [columns[s][a] for s in range(r)])
            for b, value in enumerate(row):
                xi = (a * t + b) * self.tiling.pairs(self.filters, self.channels)
                k.store(value, "u", k.at(xi, (o, self.channels), c))


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
        cells, apart = [], self.tiling.pairs(self.filters, width)
        for xi in range(t * t):
            where = k.at(xi * apart, (o, width), c)
            value = k.load("du", where)
            for worker in range(1, self.workers):
                more = k.at(where, worker * t * t * apart)
                value = k.add(value, k.load("du", more))
            cells.append(value)
        lines = [toomcook.apply(k, gt, cells[b::t]) for b in range(t)]
        rows = [toomcook.apply(k, gt, [lines[b][r] for b in range(t)]) for r in range(taps)]
        where = k.at((o, self.channels * taps**2), (c, taps**2))
        for i, value in enumerate(k.woven([tap for row in rows for tap in row])):
            live = min(k.lanes, count * taps**2 - i * k.lanes)
            if live > 0:
                k.store(value, "dw", k.at(where, i * k.lanes), live)
