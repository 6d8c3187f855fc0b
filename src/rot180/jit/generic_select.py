"""Any select: choose, take and give for every choice, and numbers that are drawn.

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
from llvmlite import ir

from rot180.core.kinds import Along, Cells, Give, Rows, Select, Take, Windows
from rot180.jit.access import Access
from rot180.jit.emit import I64, Emitter, Index, Variable
from rot180.jit.layout import Layout
from rot180.jit.scalars import load, store
from rot180.jit.target import Target

__all__ = ["Chosen", "Drawn"]

Cell = list[Index]


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
        w = _Writer(k, self)
        writers: dict[tuple[type, type], Callable[[_Writer, Any], None]] = {
            (Select, Along): _choose_along, (Select, Windows): _choose_windows,
            (Take, Cells): _take_cells, (Take, Rows): _take_rows,
            (Take, Along): _take_along, (Take, Windows): _take_windows,
            (Give, Cells): _give_cells, (Give, Rows): _give_rows,
            (Give, Along): _give_along, (Give, Windows): _give_windows,
        }  # fmt: skip
        writers[type(self.kind), type(self.kind.choice)](w, self.kind.choice)
        return k.finish()


class _Writer:
    """The words in which the nests are written."""

    def __init__(self, k: Emitter, kernel: Chosen) -> None:
        self.k, self.kernel = k, kernel
        self.layouts = dict(zip(kernel.arrays, kernel.layouts, strict=True))
        self.dtypes = dict(zip(kernel.arrays, kernel.dtypes, strict=True))
        self.lanes = 1

    def in_blocks(self, axis: int = -1) -> None:
        """Let lanes be images, where all arrays are in the same blocks and `axis` is another."""
        blocks = {layout.block for layout in self.layouts.values()}
        if len(blocks) == 1 and axis != 0:
            (self.lanes,) = blocks

    def place(self, name: str, cell: Sequence[Index]) -> Index:
        """The offset of a cell; the first index counts blocks where lanes are images."""
        layout, terms = self.layouts[name], list[Any]()
        for axis, (i, stride) in enumerate(zip(cell, layout.strides, strict=True)):
            if axis == 0 and layout.block > 1 and self.lanes == 1:
                i, lane = self.k.divmod(i, layout.block)
                terms.append(lane)
            terms.append((i, stride))
        return self.k.at(layout.origin, *terms)

    def load(self, name: str, cell: Sequence[Index]) -> Any:
        """What stands in a cell: a float or an integer, for all lanes."""
        a = Access(name, self.dtypes[name], ())
        v = load(self.k, a, self.place(name, cell), 1, self.lanes)
        return self.k.builder.zext(v, I64) if str(v.type) == "i1" else v

    def store(self, v: Any, name: str, cell: Sequence[Index]) -> None:
        """Write a cell."""
        a = Access(name, self.dtypes[name], ())
        store(self.k, v, a, self.place(name, cell), 1)

    def zero(self) -> Any:
        """0 of the values' type."""
        if self.dtypes["z"].startswith("float"):
            return self.k.constant(0.0, self.lanes)
        return self.k.whole(0, self.lanes, 64)

    def plus(self, a: Any, b: Any) -> Any:
        """The sum of two values."""
        whole = not self.dtypes["z"].startswith("float")
        return self.k.builder.add(a, b) if whole else self.k.add(a, b)

    @contextlib.contextmanager
    def cells(self, shape: Sequence[int]) -> Iterator[Cell]:
        """The cells of a shape, shared by the parts; its first axis in blocks if lanes are."""
        sizes = [-(-shape[0] // self.lanes), *shape[1:]] if shape else []
        count = math.prod(sizes)
        first, after = self.k.share(count)
        with self.k.loop(first, after) as unit:
            yield self.k.unravel(unit, [max(1, size) for size in sizes])

    @contextlib.contextmanager
    def every(self, shape: Sequence[int]) -> Iterator[Cell]:
        """All cells of a shape in row-major order, for each part."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.k.loop(0, size)) for size in shape]

    def better(self, v: Any, best: Any) -> Any:
        """Whether v wins against the best so far: it is larger (smaller), or the first NaN."""
        assert isinstance(self.kernel.kind, Select)
        relation, b = ">" if self.kernel.kind.largest else "<", self.k.builder
        if not self.dtypes["x"].startswith("float"):
            return b.icmp_signed(relation, v, best)
        first_nan = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_ordered("ord", best, best))
        return b.or_(b.fcmp_ordered(relation, v, best), first_nan)

    def same(self, v: Any, best: Any) -> Any:
        """Whether v is as good as the best: equal, or both NaN."""
        b = self.k.builder
        if not self.dtypes["x"].startswith("float"):
            return b.icmp_signed("==", v, best)
        nan = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_unordered("uno", best, best))
        return b.or_(b.fcmp_ordered("==", v, best), nan)

    def take(self, condition: Any, pairs: Sequence[tuple[Variable, Any]]) -> None:
        """Assign where the condition holds."""
        for variable, value in pairs:
            variable.set(self.k.select(condition, value, variable.get()))


def _put(cell: Sequence[Index], axis: int, i: Index) -> Cell:
    return [*cell[:axis], i, *cell[axis + 1 :]]


# Along an axis


def _others(choice: Along) -> list[int]:
    return [1 if axis == choice.axis else size for axis, size in enumerate(choice.shape)]


def _choose_along(w: _Writer, choice: Along) -> None:
    k, extent = w.k, choice.shape[choice.axis]
    w.in_blocks(choice.axis)
    with w.cells(_others(choice)) as cell:
        best = k.variable(w.load("x", _put(cell, choice.axis, 0)))
        number = k.variable(k.whole(0, w.lanes, 64))
        with k.loop(1, extent) if extent > 1 else contextlib.nullcontext() as i:
            if extent > 1:
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
    w: _Writer, ties: str, best: Any, shape: tuple[int, ...],
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


def _take_along(w: _Writer, choice: Along) -> None:
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


def _give_along(w: _Writer, choice: Along) -> None:
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


def _take_cells(w: _Writer, choice: Cells) -> None:
    with w.cells(w.layouts["record"].shape) as cell:
        at = w.k.unravel(w.load("record", cell), choice.shape)
        w.store(w.load("x", at), "z", cell)


def _take_rows(w: _Writer, choice: Rows) -> None:
    axes = len(w.layouts["record"].shape)
    with w.cells(w.layouts["z"].shape) as cell:
        row = w.load("record", cell[choice.axis : choice.axis + axes])
        at = [*cell[: choice.axis], row, *cell[choice.axis + axes :]]
        w.store(w.load("x", at), "z", cell)


def _mine(w: _Writer, units: int, write: Callable[[Index, Index], None]) -> None:
    """Let every part do the destinations of its own share of so many."""
    first, after = w.k.share(units)
    write(first, after)


@contextlib.contextmanager
def _within(w: _Writer, i: Index, first: Index, after: Index) -> Iterator[None]:
    with w.k.when(i, ">=", first), w.k.when(i, "<", after):
        yield


def _give_cells(w: _Writer, choice: Cells) -> None:
    k = w.k

    def write(first: Index, after: Index) -> None:
        with k.loop(first, after) as i:
            w.store(w.zero(), "z", k.unravel(i, choice.shape))
        with w.every(w.layouts["record"].shape) as cell:
            i = w.load("record", cell)
            with _within(w, i, first, after):
                at = k.unravel(i, choice.shape)
                w.store(w.plus(w.load("z", at), w.load("x", cell)), "z", at)

    _mine(w, math.prod(choice.shape), write)


def _give_rows(w: _Writer, choice: Rows) -> None:
    k, axis = w.k, choice.axis
    before, behind = choice.shape[:axis], choice.shape[axis + 1 :]

    def write(first: Index, after: Index) -> None:
        with k.loop(first, after) as row, w.every((*before, *behind)) as cell:
            w.store(w.zero(), "z", [*cell[:axis], row, *cell[axis:]])
        with w.every(w.layouts["record"].shape) as place:
            row = w.load("record", place)
            with _within(w, row, first, after), w.every((*before, *behind)) as cell:
                at = [*cell[:axis], row, *cell[axis:]]
                value = w.load("x", [*cell[:axis], *place, *cell[axis:]])
                w.store(w.plus(w.load("z", at), value), "z", at)

    _mine(w, choice.shape[axis], write)


# Windows


def _outputs(choice: Windows) -> tuple[int, ...]:
    axes = len(choice.window.axes)
    return (*choice.shape[:-axes], *choice.window.output_size(choice.shape[-axes:]))


@contextlib.contextmanager
def _taps(w: _Writer, choice: Windows, cell: Cell) -> Iterator[tuple[Index, Cell, Any]]:
    """The taps of a window in order: (number, the cell of x, whether it is one)."""
    with w.every(choice.window.kernel) as taps:
        yield _reached(w, choice, cell, taps)


def _reached(
    w: _Writer, choice: Windows, cell: Cell, taps: Sequence[Index]
) -> tuple[Index, Cell, Any]:
    k, axes = w.k, choice.window.axes
    inside, at, number = ir.Constant(ir.IntType(1), 1), [], 0
    for axis, p, r, size in zip(
        axes, cell[-len(axes) :], taps, choice.shape[-len(axes) :], strict=True
    ):
        h = k.at((p, axis.stride), (r, axis.dilation), -axis.before)
        at.append(h)
        number = k.at((number, axis.kernel), r)
        inside = k.builder.and_(inside, _in_range(k, h, size))
    return number, [*cell[: -len(axes)], *at], inside


def _in_range(k: Emitter, i: Index, size: int) -> Any:
    i = k.index(i)
    below = k.builder.icmp_signed("<", i, k.index(size))
    return k.builder.and_(k.builder.icmp_signed(">=", i, k.index(0)), below)


def _choose_windows(w: _Writer, choice: Windows) -> None:
    k = w.k
    taps = math.prod(choice.window.kernel)
    if choice.ties == "first":
        w.in_blocks()
    assert isinstance(w.kernel.kind, Select)
    worst = -math.inf if w.kernel.kind.largest else math.inf
    with w.cells(_outputs(choice)) as cell:
        best = k.variable(k.constant(worst, w.lanes))
        winner = k.variable(k.whole(taps, w.lanes, 64))
        with _taps(w, choice, cell) as (number, at, inside), k.builder.if_then(inside):
            v = w.load("x", at)
            none = k.builder.icmp_signed("==", winner.get(), k.whole(taps, w.lanes, 64))
            first = k.builder.and_(none, w.same(v, best.get()))
            wins = k.builder.or_(w.better(v, best.get()), first)
            w.take(wins, [(winner, k.whole(number, w.lanes, 64)), (best, v)])
        w.store(best.get(), "z", cell)
        if choice.ties == "first":
            w.store(winner.get(), "record", cell)
            return
        _window_shares(w, choice, cell, best.get())


def _window_shares(w: _Writer, choice: Windows, cell: Cell, best: Any) -> None:
    k, one, zero = w.k, w.k.constant(1.0, 1), w.k.constant(0.0, 1)
    count = k.variable(zero)
    with _taps(w, choice, cell) as (number, at, inside):
        share = k.variable(zero)
        with k.builder.if_then(inside):
            share.set(k.select(w.same(w.load("x", at), best), one, zero))
        count.set(k.add(count.get(), share.get()))
        w.store(share.get(), "record", [number, *cell])
    if choice.ties == "split":
        with k.loop(0, math.prod(choice.window.kernel)) as number:
            at = [number, *cell]
            w.store(k.div(w.load("record", at), count.get()), "record", at)


def _take_windows(w: _Writer, choice: Windows) -> None:
    k = w.k
    with w.cells(_outputs(choice)) as cell:
        total = k.variable(w.zero())
        if choice.ties == "first":
            taps = k.unravel(w.load("record", cell), choice.window.kernel)
            _, at, inside = _reached(w, choice, cell, taps)
            last = k.builder.icmp_signed("<", k.index(taps[0]), k.index(choice.window.kernel[0]))
            with k.builder.if_then(k.builder.and_(inside, last)):
                total.set(w.load("x", at))
        else:
            with _taps(w, choice, cell) as (number, at, inside), k.builder.if_then(inside):
                share = w.load("record", [number, *cell])
                total.set(k.add(total.get(), k.mul(share, w.load("x", at))))
        w.store(total.get(), "z", cell)


def _give_windows(w: _Writer, choice: Windows) -> None:
    """A gather: the window at p meets h through its tap r where S · p = h + A − D · r."""
    k, axes = w.k, choice.window.axes
    outputs = choice.window.output_size(choice.shape[-len(axes) :])
    if choice.ties == "first":
        w.in_blocks()
    with w.cells(choice.shape) as cell:
        total = k.variable(w.zero())
        with w.every(choice.window.kernel) as taps:
            met, at, number = ir.Constant(ir.IntType(1), 1), list[Index](), 0
            for axis, h, r, count in zip(axes, cell[-len(axes) :], taps, outputs, strict=True):
                start = k.index(k.at(h, axis.before, (r, -axis.dilation)))
                p = k.builder.sdiv(start, k.index(axis.stride))
                whole = k.builder.icmp_signed("==", k.index(k.at((p, axis.stride))), start)
                reached = k.builder.and_(_in_range(k, p, count), whole)
                met = k.builder.and_(met, reached)
                at.append(p)
                number = k.at((number, axis.kernel), r)
            window = [*cell[: -len(axes)], *at]
            with k.builder.if_then(met):
                g = w.load("x", window)
                if choice.ties == "first":
                    tap = k.whole(number, w.lanes, 64)
                    mine = k.builder.icmp_signed("==", w.load("record", window), tap)
                    given = k.select(mine, g, w.zero())
                else:
                    given = k.mul(w.load("record", [number, *window]), g)
                total.set(w.plus(total.get(), given))
        w.store(total.get(), "z", cell)


# Drawn


@dataclass(frozen=True)
class Drawn:
    """z[i] = the upper 24 bits of splitmix64 at key + (i + 1) · γ, divided by 2²⁴; i row-major.

    Attributes:
        shape: of z.
        layout: of z.
        dtype: of the kernel, which is that of z.
    """

    shape: tuple[int, ...]
    layout: Layout
    dtype: str = "float32"

    arrays = ("key", "z")

    def emit(self, name: str, target: Target) -> Any:
        """One loop over the cells; lanes are images, or cells of a row of the last axis."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        key = k.load_as("uint64", "key")
        shape = self.shape or (1,)
        layout = self.layout if self.shape else Layout((1,), (1,), 1, self.layout.origin, 1)
        block = layout.block
        axis = 0 if block > 1 else len(shape) - 1
        lanes = block if block > 1 else min(k.lanes, 1 << (shape[-1].bit_length() - 1 or 0))
        step = math.prod(shape[axis + 1 :])
        rounds = -(-shape[axis] // lanes) if block > 1 else shape[axis] // max(1, lanes)
        self._rounds(k, key, layout, axis, rounds, lanes, step, 0)
        if block == 1 and shape[axis] > rounds * lanes:
            rest = shape[axis] - rounds * lanes
            self._rounds(k, key, layout, axis, rest, 1, step, rounds * lanes)
        return k.finish()

    def _rounds(
        self, k: Emitter, key: Any, layout: Layout, axis: int, rounds: int, lanes: int, step: int,
        start: int,
    ) -> None:  # fmt: skip
        shape = layout.shape
        sizes = [rounds if a == axis else size for a, size in enumerate(shape)]
        if not math.prod(sizes):
            return
        first, after = k.share(math.prod(sizes))
        with k.loop(first, after) as unit:
            cell = k.unravel(unit, sizes)
            i, terms = list[Any](), list[Any]([layout.origin])
            for a, (at, stride) in enumerate(zip(cell, layout.strides, strict=True)):
                number = k.at((at, lanes), start) if a == axis else at
                i.append((number, math.prod(shape[a + 1 :])))
                terms.append((at if a == axis and layout.block > 1 else number, stride))
            counter = k.splat(k.index(k.at(1, *i)), lanes)
            if lanes > 1:
                apart = ir.Constant(ir.VectorType(I64, lanes), [n * step for n in range(lanes)])
                counter = k.builder.add(counter, apart)
            value = _uniform(k, k.splat(key, lanes), counter, lanes)
            store(k, value, Access("z", self.dtype, ()), k.at(*terms), 1)


def _uniform(k: Emitter, key: Any, counter: Any, lanes: int) -> Any:
    b = k.builder

    def number(value: int) -> Any:
        signed = value - (1 << 64) if value >= 1 << 63 else value
        return k.whole(signed, lanes, 64)

    z = b.add(key, b.mul(counter, number(0x9E3779B97F4A7C15)))
    z = b.mul(b.xor(z, b.lshr(z, number(30))), number(0xBF58476D1CE4E5B9))
    z = b.mul(b.xor(z, b.lshr(z, number(27))), number(0x94D049BB133111EB))
    z = b.xor(z, b.lshr(z, number(31)))
    top = k.narrow(b.lshr(z, number(40)), 32)
    return k.mul(b.sitofp(top, k.vector(lanes)), k.constant(2.0**-24, lanes))
