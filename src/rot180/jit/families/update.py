"""Update: all parameters of a model move in one kernel, by the laws of their optimiser.

    for each parameter:  for cells in this part's share:  p, states = law(p, g, states, numbers)

Each part takes an equal share of every parameter: the same cells at every step, which are then in
its own cache, and mostly those whose gradient it made itself. The last cells of a parameter are
vectors of fewer lanes. Arrays are read and written once, in place. Numbers such as the learning
rate are read at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.core.expression import Expression
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.scalars import evaluate
from rot180.jit.emission.target import Target
from rot180.jit.families.matvec import pieces

__all__ = ["Moved", "Update"]

WAYS = 2
"""Vectors of one parameter in each round of a loop."""


@dataclass(frozen=True)
class Moved:
    """One parameter, and how it moves.

    Attributes:
        size: its cells.
        moves: pairs (name, expression), carried out in order; a name that stands for no array lives
            to the end of the step.
        cells: pairs (name in the expressions, name in the kernel's table) of arrays.
        numbers: the same for arrays of one number, which no move changes.
    """

    size: int
    moves: tuple[tuple[str, Expression], ...]
    cells: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Update:
    """New values of all arrays that a move names, in place."""

    parameters: tuple[Moved, ...]
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        names = (name for p in self.parameters for _, name in (*p.cells, *p.numbers))
        return tuple(dict.fromkeys(names))

    @property
    def writes(self) -> tuple[str, ...]:
        """Names of the arrays that are written."""
        moved = ((p, {name for name, _ in p.moves}) for p in self.parameters)
        return tuple(array for p, named in moved for name, array in p.cells if name in named)

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; a work unit is one vector of one parameter."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        known = {array: k.load(array, 0, 1) for p in self.parameters for _, array in p.numbers}
        for p in self.parameters:
            start, stop = k.share(-(-p.size // k.lanes))
            with k.when(start, "<", stop):
                numbers = {name: known[array] for name, array in p.numbers}
                self._parameter(k, p, numbers, start, stop)
        return k.finish()

    def _parameter(
        self, k: Emitter, p: Moved, numbers: Mapping[str, Any], start: Index, stop: Index
    ) -> None:
        """Vectors from `start` to `stop`, as far as there are any."""
        whole, rest = divmod(p.size, k.lanes)
        full = k.minimum(stop, whole)
        _, left = k.divmod(k.maximum(k.at(full, (start, -1)), 0), WAYS)
        even = k.at(full, (left, -1))
        with k.loop(start, even, WAYS) as unit:
            for way in range(WAYS):
                self._cells(k, p, numbers, k.at((unit, k.lanes), way * k.lanes), k.lanes)
        with k.loop(k.maximum(start, even), full) as unit:
            self._cells(k, p, numbers, k.at((unit, k.lanes)), k.lanes)
        if rest:
            with k.loop(k.maximum(start, whole), k.minimum(stop, whole + 1)):
                for i, lanes in pieces(rest, k.lanes // 2):
                    self._cells(k, p, numbers, whole * k.lanes + i, lanes)

    def _cells(
        self, k: Emitter, p: Moved, numbers: Mapping[str, Any], at: Index, lanes: int
    ) -> None:
        values = {name: k.load(array, at, lanes) for name, array in p.cells}
        values |= {name: k.splat(number, lanes) for name, number in numbers.items()}
        for name, body in p.moves:
            values[name] = evaluate(k, [body], values, lanes)[0]
        moved = {name for name, _ in p.moves}
        for name, array in p.cells:
            if name in moved:
                k.store(values[name], array, at)
