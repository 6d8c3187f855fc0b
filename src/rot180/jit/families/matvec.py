"""Linear layers for few images (B = 1): the weights are read once, at the speed of memory.

    z[n, k] = Σ_c w[k, c] · x[n, c]       for blocks of k, images: sums of vectors along c, then of
                                          lanes, several sums at a time
    dx[n, c] = Σ_k g[n, k] · w[k, c]      for eight k at a time: for c: for n: dx[n, c] += ...
    dw[k, c] = Σ_n g[n, k] · x[n, c]      for k: for c: a sum over n in registers

Lanes lie along c in all three, the order in which w is stored. The parts cut z and dw along k, dx
along c, so each weight is read by one part and each cell written by one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.rows import over
from rot180.jit.emission.target import Target

__all__ = ["MatVec", "MatVecInputGrad", "MatVecWeightGrad"]

ROWS = 8
"""So many rows of w are read side by side: enough streams to keep memory busy."""


def pieces(count: int, largest: int) -> list[tuple[int, int]]:
    """(start, size) of powers of two that make up a count, the largest first.

    >>> pieces(7, 4)
    [(0, 4), (4, 2), (6, 1)]
    """
    found, start, size = [], 0, largest
    while size:
        while count - start >= size:
            found.append((start, size))
            start += size
        size //= 2
    return found


@dataclass(frozen=True)
class MatVec:
    """z = x · wᵀ + bias.

    Attributes:
        images: N.
        channels, filters: C and K; w is (K, C), x (N, C) and z (N, K), in NumPy's order.
        bias: add a number for each filter.
        relu: keep the positive part only.
    """

    images: int
    channels: int
    filters: int
    bias: bool = False
    relu: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "w", *(("bias",) if self.bias else ()), "z")

    def emit(self, name: str, target: Target) -> Any:
        """The first law; a work unit is a block of rows of w."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        fours = self.images // 4 * 4
        if fours:
            with k.loop(0, fours, 4) as start:
                self._images(k, start, 4)
        for start, count in pieces(self.images - fours, 2):
            self._images(k, fours + start, count)
        return k.finish()

    def _images(self, k: Emitter, start: Index, count: int) -> None:
        """All filters of `count` images."""
        tall = min(ROWS, k.target.registers // 2 // count)
        whole, rest = divmod(self.filters, tall)
        first, after = k.share(whole + (rest > 0))
        with k.loop(first, k.minimum(after, whole)) as unit:
            self._block(k, start, count, k.at((unit, tall)), tall)
        if rest:
            with k.loop(k.maximum(first, whole), after):
                for o, size in pieces(rest, tall // 2):
                    self._block(k, start, count, whole * tall + o, size)

    def _block(self, k: Emitter, start: Index, count: int, o: Index, tall: int) -> None:
        """`tall` filters of `count` images."""
        lanes = vectors(self.channels, k.lanes, 1).lanes
        sums = [[k.variable(k.constant(0.0, lanes)) for _ in range(tall)] for _ in range(count)]
        add = functools.partial(self._add, k, start, o, sums)
        over(k, self.channels, 1, add, 2 if count * tall < 8 else 1)
        found = [one.get() for row in sums for one in row]
        total = k.joined(found) if lanes == 1 else k.totals(found)
        for n in range(count):
            value = total
            if count > 1:
                value = k.shuffle(total, total, range(n * tall, n * tall + tall))
            value = k.lane(value, 0) if tall == 1 else value
            value = k.add(value, k.load("bias", o, tall)) if self.bias else value
            value = k.relu(value) if self.relu else value
            k.store(value, "z", k.at((start, self.filters), n * self.filters, o))

    def _add(
        self, k: Emitter, start: Index, o: Index, sums: list[list[Any]],
        c: Index, lanes: int, new: Any, way: int,
    ) -> None:  # fmt: skip
        old = 0 if new is None else new[0]
        xs = [
            k.load("x", k.at((start, self.channels), n * self.channels, c), lanes)
            for n in range(len(sums))
        ]
        xs = [k.without(x, old) if old else x for x in xs]
        for r in range(len(sums[0])):
            w = k.load("w", k.at((o, self.channels), r * self.channels, c), lanes)
            w = k.without(w, old) if old else w
            for n, x in enumerate(xs):
                sums[n][r].set(k.fma(w, x, sums[n][r].get()))


@dataclass(frozen=True)
class MatVecInputGrad:
    """dx = g · w.

    Attributes:
        images: N.
        channels, filters: C and K.
        relu: x is the result of a ReLU, which dx goes through, too: 0 where x is not positive.
    """

    images: int
    channels: int
    filters: int
    relu: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("g", "w", *(("x",) if self.relu else ()), "dx")

    def emit(self, name: str, target: Target) -> Any:
        """The second law; a work unit is one vector of columns."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        whole, rest = divmod(self.channels, k.lanes)
        first, after = k.share(whole + (rest > 0))
        last = (self.filters - 1) // ROWS * ROWS
        self._rows(k, 0, min(ROWS, self.filters), first, after)
        if last > ROWS:
            with k.loop(ROWS, last, ROWS) as o:
                self._rows(k, o, ROWS, first, after)
        if last:
            self._rows(k, last, self.filters - last, first, after)
        return k.finish()

    def _rows(self, k: Emitter, o: Index, tall: int, first: Index, after: Index) -> None:
        """Add what `tall` rows of w give to the columns of this part."""
        whole, rest = divmod(self.channels, k.lanes)
        with k.loop(first, k.minimum(after, whole)) as unit:
            self._columns(k, o, tall, k.at((unit, k.lanes)), k.lanes)
        if rest:
            with k.loop(k.maximum(first, whole), after):
                for c, size in pieces(rest, k.lanes // 2):
                    self._columns(k, o, tall, whole * k.lanes + c, size)

    def _columns(self, k: Emitter, o: Index, tall: int, c: Index, lanes: int) -> None:
        ws = [
            k.load("w", k.at((o, self.channels), r * self.channels, c), lanes) for r in range(tall)
        ]
        known = isinstance(o, int)
        begins, ends = known and o == 0, known and o + tall == self.filters
        with k.loop(0, self.images) as n:
            where = k.at((n, self.channels), c)
            total = k.constant(0.0, lanes) if begins else k.load("dx", where, lanes)
            for r, w in enumerate(ws):
                g = k.load("g", k.at((n, self.filters), o, r), 1)
                total = k.fma(k.splat(g, lanes), w, total)
            if self.relu and ends:
                zero = k.constant(0.0, lanes)
                positive = k.builder.fcmp_ordered(">", k.load("x", where, lanes), zero)
                total = k.select(positive, total, zero)
            k.store(total, "dx", where)


@dataclass(frozen=True)
class MatVecWeightGrad:
    """dw = gᵀ · x, and db = Σ_n g.

    Attributes:
        images: N.
        channels, filters: C and K.
        bias: whether db is wanted, too.
    """

    images: int
    channels: int
    filters: int
    bias: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("g", "x", "dw", *(("db",) if self.bias else ()))

    def emit(self, name: str, target: Target) -> Any:
        """The third law; a work unit is one row of dw."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.filters)
        with k.loop(first, after) as o:
            gs = [k.load("g", k.at(n * self.filters, o), 1) for n in range(self.images)]
            over(k, self.channels, 1, functools.partial(self._columns, k, o, gs))
            if self.bias:
                k.store(functools.reduce(k.add, gs), "db", o)
        return k.finish()

    def _columns(
        self, k: Emitter, o: Index, gs: list[Any], c: Index, lanes: int, *_: object
    ) -> None:
        total = None
        for n, g in enumerate(gs):
            x = k.load("x", k.at(n * self.channels, c), lanes)
            one = k.splat(g, lanes)
            total = k.mul(one, x) if total is None else k.fma(one, x, total)
        k.store(total, "dw", k.at((o, self.channels), c))
