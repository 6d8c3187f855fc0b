"""Any select: choose, take and give for every choice.

    choose    for cells of z:      for the cells it is chosen from: the best so far, and its number
    take      for cells of z:      x where the record points
    give      for cells of z:      Σ of the windows that chose it, or of the cells on the axis
              for values in order: add it, by the part that the destination belongs to

so no two parts write one cell, and values that meet in one cell are added in one order.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.core.kinds import Along, Cells, Give, Rows, Select, Take, Windows
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Layout
from rot180.jit.emission.target import Target
from rot180.jit.families.choosing import Cell, Writer
from rot180.jit.families.choosing_windows import choose_windows, give_windows, take_windows

__all__ = ["Chosen"]


@dataclass(frozen=True)
class Chosen:
    """A select, take or give, by the loop nests of the module.

    Attributes:
        kind: what is done.
        layouts: of the arrays, in order: (x, z, record) of a select, (x, record, z) of a take,
            (g, record, z) of a give.
        dtypes: likewise.
        dtype: the float type of the values.
    """

    kind: Select | Take | Give
    layouts: tuple[Layout, ...]
    dtypes: tuple[str, ...]
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names, in the order of the layouts."""
        return ("x", "z", "record") if isinstance(self.kind, Select) else ("x", "record", "z")

    def emit(self, name: str, target: Target) -> Any:
        """Write the nest."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        layouts = dict(zip(self.arrays, self.layouts, strict=True))
        dtypes = dict(zip(self.arrays, self.dtypes, strict=True))
        w = Writer(k, layouts, dtypes, getattr(self.kind, "largest", True))
        writers: dict[tuple[type, type], Callable[[Writer, Any], None]] = {
            (Select, Along): _choose_along, (Select, Windows): choose_windows,
            (Take, Cells): _take_cells, (Take, Rows): _take_rows,
            (Take, Along): _take_along, (Take, Windows): take_windows,
            (Give, Cells): _give_cells, (Give, Rows): _give_rows,
            (Give, Along): _give_along, (Give, Windows): give_windows,
        }  # fmt: skip
        writers[type(self.kind), type(self.kind.choice)](w, self.kind.choice)
        return k.finish()


def _put(cell: Sequence[Index], axis: int, i: Index) -> Cell:
    return [*cell[:axis], i, *cell[axis + 1 :]]


# Along an axis


def _others(choice: Along) -> list[int]:
    return [1 if axis == choice.axis else size for axis, size in enumerate(choice.shape)]


def _choose_along(w: Writer, choice: Along) -> None:
    k, extent = w.k, choice.shape[choice.axis]
    w.in_blocks(choice.axis)
    with w.cells(_others(choice)) as cell:
        best = k.variable(w.load("x", _put(cell, choice.axis, 0)))
        number = k.variable(k.whole(0, w.lanes, 64))
        with k.loop(1, extent) as i:
            v = w.load("x", _put(cell, choice.axis, i))
            pairs = [(number, k.whole(i, w.lanes, 64)), (best, v)]
            w.take(w.better(v, best.get()), pairs)
        w.store(best.get(), "z", cell)
        if choice.ties == "first":
            w.store(number.get(), "record", cell)
            return
        _shares(w, choice.ties, best.get(), (extent,), lambda at: _put(cell, choice.axis, at[0]),
                lambda at: _put(cell, choice.axis, at[0]))  # fmt: skip


def _shares(
    w: Writer, ties: str, best: Any, shape: tuple[int, ...],
    source: Callable[[Cell], Cell], record: Callable[[Cell], Cell],
) -> None:  # fmt: skip
    """Write 1, or 1 through their number, for every cell that is as good as the best."""
    k = w.k
    one, zero = k.constant(1.0, w.lanes), k.constant(0.0, w.lanes)
    share: Any = one
    if ties == "split":
        count = k.variable(zero)
        with w.every(shape) as at:
            tied = w.same(w.load("x", source(at)), best)
            count.set(k.add(count.get(), k.select(tied, one, zero)))
        share = k.div(one, count.get())
    with w.every(shape) as at:
        tied = w.same(w.load("x", source(at)), best)
        w.store(k.select(tied, share, zero), "record", record(at))


def _take_along(w: Writer, choice: Along) -> None:
    k = w.k
    if choice.ties == "first":
        with w.cells(w.layouts["record"].shape) as cell:
            w.store(w.load("x", _put(cell, choice.axis, w.load("record", cell))), "z", cell)
        return
    w.in_blocks(choice.axis)
    with w.cells(_others(choice)) as cell:
        total = k.variable(w.zero())
        with k.loop(0, choice.shape[choice.axis]) as i:
            at = _put(cell, choice.axis, i)
            total.set(k.add(total.get(), k.mul(w.load("x", at), w.load("record", at))))
        w.store(total.get(), "z", cell)


def _give_along(w: Writer, choice: Along) -> None:
    k = w.k
    w.in_blocks(choice.axis if choice.ties != "first" else 0)
    with w.cells(_others(choice)) as cell:
        if choice.ties != "first":
            g = w.load("x", cell)
            with k.loop(0, choice.shape[choice.axis]) as i:
                at = _put(cell, choice.axis, i)
                w.store(k.mul(g, w.load("record", at)), "z", at)
            return
        with k.loop(0, choice.shape[choice.axis]) as i:
            w.store(w.zero(), "z", _put(cell, choice.axis, i))
        with k.loop(0, w.layouts["record"].shape[choice.axis]) as i:
            at = _put(cell, choice.axis, i)
            to = _put(cell, choice.axis, w.load("record", at))
            w.store(w.plus(w.load("z", to), w.load("x", at)), "z", to)


# Cells and rows


def _take_cells(w: Writer, choice: Cells) -> None:
    with w.cells(w.layouts["record"].shape) as cell:
        at = w.k.unravel(w.load("record", cell), choice.shape)
        w.store(w.load("x", at), "z", cell)


def _take_rows(w: Writer, choice: Rows) -> None:
    axes = len(w.layouts["record"].shape)
    with w.cells(w.layouts["z"].shape) as cell:
        row = w.load("record", cell[choice.axis : choice.axis + axes])
        at = [*cell[: choice.axis], row, *cell[choice.axis + axes :]]
        w.store(w.load("x", at), "z", cell)


@contextlib.contextmanager
def _within(w: Writer, i: Index, first: Index, after: Index) -> Iterator[None]:
    with w.k.when(i, ">=", first), w.k.when(i, "<", after):
        yield


def _give_cells(w: Writer, choice: Cells) -> None:
    k = w.k

    first, after = k.share(math.prod(choice.shape))
    with k.loop(first, after) as i:
        w.store(w.zero(), "z", k.unravel(i, choice.shape))
    with w.every(w.layouts["record"].shape) as cell:
        i = w.load("record", cell)
        with _within(w, i, first, after):
            at = k.unravel(i, choice.shape)
            w.store(w.plus(w.load("z", at), w.load("x", cell)), "z", at)


def _give_rows(w: Writer, choice: Rows) -> None:
    k, axis = w.k, choice.axis
    before, behind = choice.shape[:axis], choice.shape[axis + 1 :]

    first, after = k.share(choice.shape[axis])
    with k.loop(first, after) as row, w.every((*before, *behind)) as cell:
        w.store(w.zero(), "z", [*cell[:axis], row, *cell[axis:]])
    with w.every(w.layouts["record"].shape) as place:
        row = w.load("record", place)
        with _within(w, row, first, after), w.every((*before, *behind)) as cell:
            at = [*cell[:axis], row, *cell[axis:]]
            value = w.load("x", [*cell[:axis], *place, *cell[axis:]])
            w.store(w.plus(w.load("z", at), value), "z", at)
