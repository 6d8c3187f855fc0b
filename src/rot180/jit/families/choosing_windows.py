"""Selects of windows: for every tap, the cell that it reaches, if there is one.

choose, take      for cells of z:  for taps r:  x[S · p + D · r − A]
give              for cells of z:  for taps r:  g[(h + A − D · r) / S] where that is whole
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from llvmlite import ir

from rot180.core.kinds import Windows
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.families.choosing import Cell, Writer

__all__ = ["choose_windows", "give_windows", "take_windows"]


def _outputs(choice: Windows) -> tuple[int, ...]:
    axes = len(choice.window.axes)
    return (*choice.shape[:-axes], *choice.window.output_size(choice.shape[-axes:]))


@contextlib.contextmanager
def _taps(w: Writer, choice: Windows, cell: Cell) -> Iterator[tuple[Index, Cell, Any]]:
    """The taps of a window in order: (number, the cell of x, whether it is one)."""
    with w.every(choice.window.kernel) as taps:
        yield _reached(w, choice, cell, taps)


def _reached(
    w: Writer, choice: Windows, cell: Cell, taps: Sequence[Index]
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


def choose_windows(w: Writer, choice: Windows) -> None:
    """The best cell of every window, and its tap or the shares of all taps."""
    k = w.k
    taps = math.prod(choice.window.kernel)
    if choice.ties == "first":
        w.in_blocks()
    worst = -math.inf if w.largest else math.inf
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


def _window_shares(w: Writer, choice: Windows, cell: Cell, best: Any) -> None:
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


def take_windows(w: Writer, choice: Windows) -> None:
    """The cell that every window chose, or the sum of its shares."""
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


def give_windows(w: Writer, choice: Windows) -> None:
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
