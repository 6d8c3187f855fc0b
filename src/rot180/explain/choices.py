"""What a select chose, one cell at a time: who was chosen, who gives back, who was there.

The record of a choice is what the forward pass left; these functions read it in both directions.
`chosen` and `givers` are adjoint: (cell, share) is in `chosen(p)` exactly where (p, share) is in
`givers(cell)`.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from rot180.core import Along, Array, Cells, Choice, Rows, Windows

__all__ = ["candidates", "chosen", "givers", "reaching"]

Cell = tuple[int, ...]
Shares = list[tuple[Cell, float]]


@functools.singledispatch
def chosen(choice: Choice, record: Array, cell: Cell) -> Shares:
    """The cells of the source that one cell of the result was taken from, with their shares."""
    raise NotImplementedError(type(choice).__name__)


@functools.singledispatch
def givers(choice: Choice, record: Array, cell: Cell) -> Shares:
    """The cells of the result that were taken from one cell of the source, with their shares."""
    raise NotImplementedError(type(choice).__name__)


@functools.singledispatch
def candidates(choice: Choice, cell: Cell) -> list[Cell]:
    """The cells of the source among which the choice was made, for one cell of the result."""
    raise NotImplementedError(type(choice).__name__)


def _index(array: Any) -> Cell:
    return tuple(int(i) for i in array)


@chosen.register
def _(choice: Cells, record: Array, cell: Cell) -> Shares:
    return [(_index(np.unravel_index(int(record[cell]), choice.shape)), 1)]


@givers.register
def _(choice: Cells, record: Array, cell: Cell) -> Shares:
    flat = int(np.ravel_multi_index(cell, choice.shape)) if choice.shape else 0
    total = math.prod(choice.shape)
    return [(_index(p), 1) for p in np.argwhere(record % max(total, 1) == flat)]


@chosen.register
def _(choice: Rows, record: Array, cell: Cell) -> Shares:
    a = choice.axis
    row = int(record[cell[a : a + record.ndim]]) % choice.shape[a]
    return [((*cell[:a], row, *cell[a + record.ndim :]), 1)]


@givers.register
def _(choice: Rows, record: Array, cell: Cell) -> Shares:
    a = choice.axis
    places = np.argwhere(record % choice.shape[a] == cell[a])
    return [((*cell[:a], *_index(p), *cell[a + 1 :]), 1) for p in places]


def _with(cell: Cell, axis: int, position: int) -> Cell:
    return (*cell[:axis], position, *cell[axis + 1 :])


@chosen.register
def _(choice: Along, record: Array, cell: Cell) -> Shares:
    a = choice.axis
    if choice.ties == "first":
        return [(_with(cell, a, int(record[cell]) % choice.shape[a]), 1)]
    tied = [(_with(cell, a, i), float(record[_with(cell, a, i)])) for i in range(choice.shape[a])]
    return [(c, share) for c, share in tied if share]


@givers.register
def _(choice: Along, record: Array, cell: Cell) -> Shares:
    a = choice.axis
    if choice.ties == "first":
        places = [_with(cell, a, i) for i in range(record.shape[a])]
        return [(p, 1) for p in places if int(record[p]) % choice.shape[a] == cell[a]]
    share = float(record[cell])
    return [(_with(cell, a, 0), share)] if share else []


@candidates.register
def _(choice: Along, cell: Cell) -> list[Cell]:
    return [_with(cell, choice.axis, i) for i in range(choice.shape[choice.axis])]


# Windows: h = S·p + D·r − A, solved for (p, r) or evaluated


def _taps(choice: Windows, cell: Cell) -> list[tuple[int, Cell]]:
    """(number of the tap, cell of the source) of every tap of one window that is inside."""
    axes = choice.window.axes
    lead, p = cell[: -len(axes)], cell[-len(axes) :]
    sizes = choice.shape[-len(axes) :]
    found = []
    for tap, taps in enumerate(itertools.product(*(range(axis.kernel) for axis in axes))):
        h = tuple(axis.position(i, r) for axis, i, r in zip(axes, p, taps, strict=True))
        if all(0 <= i < size for i, size in zip(h, sizes, strict=True)):
            found.append((tap, (*lead, *h)))
    return found


def _share(choice: Windows, record: Array, cell: Cell, tap: int) -> float:
    if choice.ties == "first":
        return float(int(record[cell]) == tap)
    place = (tap, *cell)
    return float(record[place])


@chosen.register
def _(choice: Windows, record: Array, cell: Cell) -> Shares:
    shares = [(source, _share(choice, record, cell, tap)) for tap, source in _taps(choice, cell)]
    return [(source, share) for source, share in shares if share]


@givers.register
def _(choice: Windows, record: Array, cell: Cell) -> Shares:
    shares = [(p, _share(choice, record, p, tap)) for p, tap in _windows_with(choice, cell)]
    return [(p, share) for p, share in shares if share]


def reaching(choice: Windows, cell: Cell) -> list[Cell]:
    """The windows that see one cell of the source, whether they chose it or not."""
    return [p for p, _ in _windows_with(choice, cell)]


def _windows_with(choice: Windows, cell: Cell) -> list[tuple[Cell, int]]:
    """(window, tap) of every window that sees a cell."""
    axes = choice.window.axes
    lead, h = cell[: -len(axes)], cell[-len(axes) :]
    outputs = choice.window.output_size(choice.shape[-len(axes) :])
    pairs = []
    for axis, i, count in zip(axes, h, outputs, strict=True):
        solved = [(divmod(i + axis.before - axis.dilation * r, axis.stride), r)
                  for r in range(axis.kernel)]  # fmt: skip
        pairs.append(sorted((p, r) for (p, rest), r in solved if rest == 0 and 0 <= p < count))
    found = []
    kernel = choice.window.kernel
    for combination in itertools.product(*pairs):
        output = (*lead, *(p for p, _ in combination))
        tap = int(np.ravel_multi_index(tuple(r for _, r in combination), kernel))
        found.append((output, tap))
    return found


@candidates.register
def _(choice: Windows, cell: Cell) -> list[Cell]:
    return [source for _, source in _taps(choice, cell)]
