"""Pointwise and Reduce: scalar expressions over one shape, written out or summed over axes.

    for the farthest loops (shared by the parts):         Pointwise
        for the nearest loop:  z[i], ... = f(x[i], ...), ...      one vector a round

    for kept cells (shared by the parts):                 Reduce
        for summed loops: for the nearest, four at a time:  Σ f(x[i], ...)
        z = factor · Σ

An input may lack loops (a row, a vector of channels, a number in memory). Sums of each loop are
complete before they go into the next outer one, and long loops are cut, so that float32 loses little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.core.expression import Expression, variable
from rot180.jit.access import Access, Phase, merged, phases
from rot180.jit.emit import Emitter, Index
from rot180.jit.scalars import as_float, evaluate, load, store
from rot180.jit.target import Target

__all__ = ["Pointwise", "Reduce"]

CHUNK = 2048
"""Rounds of the nearest loop that are one piece of work, or one sum of its own."""
WAYS = 4
"""Sums of the nearest loop that run side by side."""

Values = list[Any]


@dataclass(frozen=True)
class Pointwise:
    """z[i] = f(x[i], y[i], ...) for one or several z.

    Attributes:
        extents: the shape of the loops.
        reads: the inputs; their names are the variables of the expressions.
        writes: the outputs. One with the name of an input is written over it: it must have the
            same strides.
        bodies: an expression for each output.
        dtype: the float type that is computed in.
    """

    extents: tuple[int, ...]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    bodies: tuple[Expression, ...]
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Inputs, then the outputs that are not written over one."""
        return tuple(dict.fromkeys(a.name for a in (*self.writes, *self.reads)))

    def emit(self, name: str, target: Target) -> Any:
        """The first loop nest of the module."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        if math.prod(self.extents):
            loops = range(len(self.extents))
            extents, accesses, kept = merged(self.extents, (*self.writes, *self.reads), loops)
            for phase in phases(extents, accesses, k.lanes, range(len(self.writes))):
                self._phase(k, phase, kept)
        return k.finish()

    def _phase(self, k: Emitter, phase: Phase, loops: list[int]) -> None:
        *outer, inner = phase.order(loops) or [-1]
        rounds = phase.extents[inner] if inner >= 0 else 1
        sizes = [phase.extents[loop] for loop in outer]
        pieces = -(-rounds // CHUNK)
        first, after = k.share(math.prod(sizes) * pieces)
        with k.loop(first, after) as unit:
            row, piece = k.divmod(unit, pieces)
            indices: list[Index] = [0] * len(phase.extents)
            for loop, i in zip(outer, k.unravel(row, sizes), strict=True):
                indices[loop] = i
            start = k.at((piece, CHUNK))
            stop = rounds if pieces == 1 else k.minimum(k.at(start, CHUNK), rounds)
            with k.loop(start if pieces > 1 else 0, stop) as i:
                if inner >= 0:
                    indices[inner] = i
                self._cell(k, phase, indices)

    def _cell(self, k: Emitter, phase: Phase, indices: list[Index]) -> None:
        count = len(self.writes)
        values = _loaded(k, phase, count, indices)
        made = evaluate(k, self.bodies, values, phase.lanes)
        for a, step, value in zip(phase.accesses[:count], phase.steps, made, strict=False):
            store(k, value, a, a.offset(k, indices), step)


def _loaded(k: Emitter, phase: Phase, skip: int, indices: Sequence[Index]) -> dict[str, Any]:
    inputs = list(zip(phase.accesses, phase.steps, strict=True))[skip:]
    return {
        a.name: load(k, a, a.offset(k, indices), step, phase.lanes) for a, step in inputs
    }


@dataclass(frozen=True)
class Reduce:
    """z[i] = factor · Σ_j f(x[i, j], ...): the loops with stride 0 in every output are summed.

    Attributes:
        extents, reads, writes, bodies, dtype: as of `Pointwise`; all outputs have the same loops.
        kept: the loops that are not summed.
        factor: of every sum.
    """

    extents: tuple[int, ...]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    bodies: tuple[Expression, ...]
    kept: tuple[int, ...]
    factor: float = 1.0
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Outputs, then inputs."""
        return tuple(a.name for a in (*self.writes, *self.reads))

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest of the module."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        accesses = (*self.writes, *self.reads)
        if not math.prod(self.extents[loop] for loop in self.kept):
            return k.finish()
        extents, accesses, kept = merged(self.extents, accesses, self.kept)
        if not math.prod(extents):
            # A sum of nothing is 0: one round of every summed loop, of which nothing is read.
            extents = tuple(n if loop in kept else 1 for loop, n in enumerate(extents))
            nothing = replace(self, reads=(), bodies=(Expression("constant", (), 0.0),) * len(self.bodies))
            nothing._parts(k, phases(extents, accesses[: len(self.writes)], k.lanes, [0]), kept)
            return k.finish()
        self._parts(k, phases(extents, accesses, k.lanes, []), kept)
        return k.finish()

    def _parts(self, k: Emitter, found: list[Phase], kept: list[int]) -> None:
        if found[0].loop < 0 or found[0].loop in kept:
            for phase in found:
                self._cells(k, [phase], kept)
        else:
            self._cells(k, found, kept)

    def _cells(self, k: Emitter, found: list[Phase], kept: list[int]) -> None:
        """All cells of these phases; with several, or with lanes that are summed, one cell each."""
        phase = found[0]
        outer = phase.order(kept)
        sizes = [phase.extents[loop] for loop in outer]
        across = phase.loop >= 0 and phase.loop not in kept
        first, after = k.share(math.prod(sizes))
        with k.loop(first, after) as unit:
            indices: list[Index] = [0] * len(phase.extents)
            for loop, i in zip(outer, k.unravel(unit, sizes), strict=True):
                indices[loop] = i
            totals: Values | None = None
            for p in found:
                sums = self._nest(k, p, _summed(p, kept), indices, len(self.writes))
                if across:
                    sums = [_total(k, v) for v in sums]
                totals = sums if totals is None else [_add(k, a, b) for a, b in zip(totals, sums, strict=True)]
            assert totals is not None
            for a, step, value in zip(phase.accesses, phase.steps, totals, strict=False):
                if self.factor != 1.0:
                    value = as_float(k, value)
                    value = k.mul(value, k.constant(self.factor, getattr(value.type, "count", 1)))
                store(k, value, a, a.offset(k, indices), step)

    def _nest(
        self, k: Emitter, phase: Phase, loops: list[int], indices: list[Index], skip: int
    ) -> Values:
        """Σ over the loops, the first one outermost."""
        if not loops:
            return self._terms(k, phase, indices, skip, None)
        loop, extent = loops[0], phase.extents[loops[0]]
        masked = loop == phase.loop and phase.last < phase.lanes
        if len(loops) > 1:
            total: _Sums = _Sums(k)
            with k.loop(0, extent - masked) as i:
                total.add(self._nest(k, phase, loops[1:], _at(indices, loop, i), skip))
            if masked:
                at = _at(indices, loop, extent - 1)
                last = self._nest(k, phase, loops[1:], at, skip)
                total.add([_live(k, v, phase.last) for v in last])
            return total.values()
        whole = extent - masked
        even = whole // WAYS * WAYS
        total = _Sums(k)
        with k.loop(0, even, CHUNK * WAYS) as start:
            stop = even if even <= CHUNK * WAYS else k.minimum(k.at(start, CHUNK * WAYS), even)
            ways = [_Sums(k) for _ in range(WAYS)]
            if even:
                with k.loop(start, stop, WAYS) as i:
                    for way, sums in enumerate(ways):
                        at = _at(indices, loop, k.at(i, way))
                        sums.add(self._terms(k, phase, at, skip, None))
                pairs = [sums.values() for sums in ways]
                halves = [
                    [_add(k, a, b) for a, b in zip(pairs[i], pairs[i + 1], strict=True)]
                    for i in (0, 2)
                ]
                total.add([_add(k, a, b) for a, b in zip(*halves, strict=True)])
        for i in range(even, extent):
            live = phase.last if masked and i == extent - 1 else None
            total.add(self._terms(k, phase, _at(indices, loop, i), skip, live))
        return total.values()

    def _terms(
        self, k: Emitter, phase: Phase, indices: list[Index], skip: int, live: int | None
    ) -> Values:
        values = _loaded(k, phase, skip, indices)
        made = evaluate(k, self.bodies, values, phase.lanes)
        made = [_countable(k, v) for v in made]
        return made if live is None else [_live(k, v, live) for v in made]


def _summed(phase: Phase, kept: list[int]) -> list[int]:
    """The summed loops, the one of the lanes at its place; loops of one round are left out."""
    loops = [loop for loop in range(len(phase.extents)) if loop not in kept]
    found = phase.order(loops)
    if phase.loop in loops and phase.loop not in found and phase.last < phase.lanes:
        found.insert(0, phase.loop)
    return found


def _at(indices: list[Index], loop: int, i: Index) -> list[Index]:
    return [*indices[:loop], i, *indices[loop + 1 :]]


def _countable(k: Emitter, v: Any) -> Any:
    """Truths are counted as integers."""
    if str(getattr(v.type, "element", v.type)) != "i1":
        return v
    lanes = getattr(v.type, "count", 1)
    whole = ir.IntType(64)
    return k.builder.zext(v, whole if lanes == 1 else ir.VectorType(whole, lanes))


def _add(k: Emitter, a: Any, b: Any) -> Any:
    whole = isinstance(getattr(a.type, "element", a.type), ir.IntType)
    return k.builder.add(a, b) if whole else k.add(a, b)


def _live(k: Emitter, v: Any, live: int) -> Any:
    """The value in the lanes of images that there are, 0 in the others."""
    lanes = v.type.count
    return k.shuffle(v, ir.Constant(v.type, None), [i if i < live else lanes for i in range(lanes)])


def _total(k: Emitter, v: Any) -> Any:
    """The sum of the lanes."""
    if not isinstance(v.type, ir.VectorType):
        return v
    if isinstance(v.type.element, ir.IntType):
        total = k.lane(v, 0)
        for lane in range(1, v.type.count):
            total = k.builder.add(total, k.lane(v, lane))
        return total
    return k.total(v)


class _Sums:
    """Sums that grow inside loops, made when their types are known."""

    def __init__(self, k: Emitter) -> None:
        self._k = k
        self._variables: list[Any] | None = None

    def add(self, values: Values) -> None:
        """Add a value to each."""
        k = self._k
        if self._variables is None:
            self._variables = []
            self._block = k.builder.block
            for v in values:
                variable = k.variable_of(v.type)
                self._variables.append(variable)
        for total, v in zip(self._variables, values, strict=True):
            total.set(_add(k, total.get(), v))
