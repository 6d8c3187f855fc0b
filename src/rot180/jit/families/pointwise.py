"""Pointwise: scalar expressions over one shape, written out.

    for the farthest loops (shared by the parts):
        for the nearest loop:  z[i], ... = f(x[i], ...), ...      one vector a round

An input may lack loops (a row, a vector of channels, a number in memory).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.core.expression import Expression
from rot180.jit.emission.access import Access, Phase, merged, phases
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.scalars import evaluate, loaded, store
from rot180.jit.emission.target import Target

__all__ = ["Pointwise"]

CHUNK = 2048
"""Rounds of the nearest loop that are one piece of work."""


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

    @property
    def by_blocks(self) -> int:
        """Blocks of images that the work units are ordered by, 0 where they are not."""
        image, block = self.writes[0].image, self.writes[0].block
        if block == 1:
            return 0
        for a in (*self.reads, *self.writes):
            if (a.image, a.block) != (image, block) and (a.block > 1 or a.strides[image]):
                return 0
        return -(-self.extents[image] // block)

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
        values = loaded(k, phase, count, indices)
        made = evaluate(k, self.bodies, values, phase.lanes)
        for a, step, value in zip(phase.accesses[:count], phase.steps, made, strict=False):
            store(k, value, a, a.offset(k, indices), step)
