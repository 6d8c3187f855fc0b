"""Reduce: scalar expressions over one shape, summed over axes.

    for kept cells (shared by the parts):
        for summed loops: for the nearest, four at a time:  Σ f(x[i], ...)
        z = factor · Σ

An input may lack loops. Sums of each loop are complete before they go into the next outer one, and
long loops are cut: float32 loses little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.core.expression import Expression, variable
from rot180.jit.emission.access import Access, Phase, access, merged, phases
from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.layout import plain
from rot180.jit.emission.scalars import as_float, as_integer, evaluate, loaded, store
from rot180.jit.emission.target import Target

__all__ = ["Reduce"]

SPANS = (1 << 14, 1 << 8)
"""Rounds of the nearest loop whose sum is complete before it goes into a larger one."""
WAYS = 4
"""Sums of the nearest loop that run side by side."""

Values = list[Any]
Sums = list[Variable]


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

    @property
    def whole(self) -> bool:
        """Whether everything is an integer or a truth: sums are then exact."""
        return not any(a.dtype.startswith("float") for a in (*self.reads, *self.writes))

    def split(self, cells: int = 8, least: int = 1 << 15) -> tuple[Reduce, Reduce] | None:
        """The same sums in two steps, where there are too few of them for several parts.

        Args:
            cells: so many outputs are enough to share.
            least: so many terms are too few to share.

        Returns:
            Partial sums "partial0", ... of every output, in row-major order with the piece first,
            and their sums; None where one step does it, or no loop can be cut evenly.
        """
        terms = math.prod(self.extents)
        count = math.prod(self.extents[loop] for loop in self.kept)
        images = {a.image for a in (*self.reads, *self.writes) if a.block > 1}
        summed = {*range(len(self.extents))} - {*self.kept} - images
        cuts = [(p, -loop) for loop in summed for p in (8, 4, 2) if self.extents[loop] % p == 0]
        blocked = any(a.block > 1 for a in self.writes)
        if self.whole or blocked or not cuts or count >= cells or terms < least:
            return None
        pieces, loop = max(cuts)
        loop = -loop
        short = self.extents[loop] // pieces
        extents = (pieces, *self.extents[:loop], short, *self.extents[loop + 1 :])
        reads = tuple(
            replace(a, strides=(short * a.strides[loop], *a.strides), image=a.image + 1)
            for a in self.reads
        )
        shape = (pieces, *(self.extents[i] for i in self.kept))
        kept = (0, *(i + 1 for i in self.kept))
        names = [f"partial{i}" for i in range(len(self.writes))]
        first = tuple(access(n, plain(shape), kept, len(extents), self.dtype) for n in names)
        loops = tuple(range(len(shape)))
        partial = tuple(access(n, plain(shape), loops, len(shape), self.dtype) for n in names)
        writes = tuple(
            replace(a, strides=(0, *(a.strides[i] for i in self.kept))) for a in self.writes
        )
        return (
            Reduce(extents, reads, first, self.bodies, kept, 1.0, self.dtype),
            Reduce(
                shape, partial, writes, tuple(map(variable, names)), loops[1:], self.factor,
                self.dtype,
            ),
        )  # fmt: skip

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest of the module."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        if not math.prod(self.extents[loop] for loop in self.kept):
            return k.finish()
        extents, accesses, kept = merged(self.extents, (*self.writes, *self.reads), self.kept)
        found = phases(extents, accesses, k.lanes, ())
        if not math.prod(extents):  # sums of nothing: one round of the kept loops
            extents = tuple(n if loop in kept else 1 for loop, n in enumerate(extents))
            found = phases(extents, accesses, k.lanes, ())
        if found[0].loop < 0 or found[0].loop in kept:
            for phase in found:
                self._cells(k, [phase], kept)
        else:
            self._cells(k, found, kept)
        return k.finish()

    def _cells(self, k: Emitter, found: list[Phase], kept: list[int]) -> None:
        """All cells of one phase; where lanes are summed, of all phases together."""
        phase = found[0]
        outer = phase.order(kept)
        sizes = [phase.extents[loop] for loop in outer]
        across = phase.loop >= 0 and phase.loop not in kept
        first, after = k.share(math.prod(sizes))
        with k.loop(first, after) as unit:
            indices: list[Index] = [0] * len(phase.extents)
            for loop, i in zip(outer, k.unravel(unit, sizes), strict=True):
                indices[loop] = i
            totals = self._zeros(k, 1 if across else phase.lanes)
            if math.prod(self.extents):
                for p in found:
                    sums = self._nest(k, p, _summed(p, kept), indices)
                    self._add(k, totals, [_total(k, v) for v in sums] if across else sums)
            for a, step, total in zip(phase.accesses, phase.steps, totals, strict=False):
                value = total.get()
                if self.factor != 1.0:
                    value = as_float(k, value)
                    value = k.mul(value, k.constant(self.factor, getattr(value.type, "count", 1)))
                store(k, value, a, a.offset(k, indices), step)

    def _nest(self, k: Emitter, phase: Phase, loops: list[int], indices: list[Index]) -> Values:
        """Σ over the loops, the first one outermost; lanes of images that are not there count 0."""
        if not loops:
            return self._terms(k, phase, indices)
        loop, extent = loops[0], phase.extents[loops[0]]
        masked = loop == phase.loop and phase.last < phase.lanes
        total = self._zeros(k, phase.lanes)
        whole = extent - masked
        if len(loops) > 1:
            if whole:
                with k.loop(0, whole) as i:
                    self._add(k, total, self._nest(k, phase, loops[1:], _at(indices, loop, i)))
            even = whole
        else:
            even = whole // WAYS * WAYS
            if even:
                spans = tuple(span for span in SPANS if span < even)
                self._add(k, total, self._pieces(k, phase, loop, (0, even), spans, indices))
        for i in range(even, extent):
            last = self._nest(k, phase, loops[1:], _at(indices, loop, i))
            if masked and i == extent - 1:
                last = [_live(k, v, phase.last) for v in last]
            self._add(k, total, last)
        return [v.get() for v in total]

    def _pieces(
        self,
        k: Emitter,
        phase: Phase,
        loop: int,
        between: tuple[Index, Index],
        spans: tuple[int, ...],
        indices: list[Index],
    ) -> Values:
        """Σ over rounds of the nearest loop, in pieces of pieces: no sum has many terms."""
        start, stop = between
        if not spans:
            ways = [self._zeros(k, phase.lanes) for _ in range(WAYS)]
            with k.loop(start, stop, WAYS) as i:
                for way, sums in enumerate(ways):
                    self._add(k, sums, self._terms(k, phase, _at(indices, loop, k.at(i, way))))
            while len(ways) > 1:
                for a, b in zip(ways[::2], ways[1::2], strict=True):
                    self._add(k, a, [v.get() for v in b])
                ways = ways[::2]
            return [v.get() for v in ways[0]]
        span, *smaller = spans
        total = self._zeros(k, phase.lanes)
        with k.loop(start, stop, span) as i:
            end = k.minimum(k.at(i, span), stop)
            self._add(k, total, self._pieces(k, phase, loop, (i, end), tuple(smaller), indices))
        return [v.get() for v in total]

    def _terms(self, k: Emitter, phase: Phase, indices: list[Index]) -> Values:
        values = loaded(k, phase, len(self.writes), indices)
        made = evaluate(k, self.bodies, values, phase.lanes)
        return [as_integer(k, v) if self.whole else as_float(k, v) for v in made]

    def _zeros(self, k: Emitter, lanes: int) -> Sums:
        zero = k.whole(0, lanes, 64) if self.whole else k.constant(0.0, lanes)
        return [k.variable(zero) for _ in self.writes]

    def _add(self, k: Emitter, sums: Sums, values: Values) -> None:
        add = k.builder.add if self.whole else k.add
        for total, v in zip(sums, values, strict=True):
            total.set(add(total.get(), v))


def _summed(phase: Phase, kept: list[int]) -> list[int]:
    """The summed loops of more than one round, and that of images if some are not there."""
    loops = [loop for loop in range(len(phase.extents)) if loop not in kept]
    found = phase.order(loops)
    if phase.loop in loops and phase.loop not in found and phase.last < phase.lanes:
        found.insert(0, phase.loop)
    return found


def _at(indices: list[Index], loop: int, i: Index) -> list[Index]:
    return [*indices[:loop], i, *indices[loop + 1 :]]


def _live(k: Emitter, v: Any, live: int) -> Any:
    """The value in the lanes of images that there are, 0 in the others."""
    lanes = v.type.count
    return k.shuffle(v, ir.Constant(v.type, None), [i if i < live else lanes for i in range(lanes)])


def _total(k: Emitter, v: Any) -> Any:
    """The sum of the lanes."""
    if not isinstance(v.type, ir.VectorType):
        return v
    if isinstance(v.type.element, ir.IntType):
        return k.intrinsic("vector.reduce.add", v)
    return k.total(v)
