"""Weight gradient with lanes along the filters: the form of a convolution read for w.

    for a few blocks of filters of this part
        for lines of positions                                                          a chunk
            panel[block, position, image, filter] = g, turned in registers
            for (block of channels, of taps), block of filters                           a task
                sums[channel, tap, filter] += Σ_(position, image) x[channel, S·p + D·r − A, image]
                                                                · panel[position, image, filter]
                in the last chunk: sums are turned back, and dw[filter, channel, tap] written

No sum crosses lanes, and x is read number by number wherever it lies, so that images in blocks,
single images, strides, dilations and halos are all the same here. Taps of a channel stand side by
side in dw: turned back, a row of sums is a row of memory. Each chunk is summed apart, since two
short sums round less than a long one. A task belongs to one part: no two parts add to one cell.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import cut
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.target import Target
from rot180.jit.families.turned_blocks import TurnedBlocks
from rot180.jit.families.weight_form import edges, kept_between

__all__ = ["TurnedWeight"]

AHEAD = 4
"""Cells of g between what is turned and what is asked for: so many planes at once are more than
the processor follows by itself."""


STRETCHES = 7
"""So many loops over a row, each without the taps that see its halo, are worth their code."""


@dataclass(frozen=True)
class TurnedWeight(TurnedBlocks):
    """dw[k, c, r] = Σ_{n, p} g[n, k, p] · x[n, c, S·p + D·r − A]."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "g", "dw", "sums", "scratch")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        return _Nest(self, k).write()


class _Nest:
    """The loop nest while it is written."""

    def __init__(self, kernel: TurnedWeight, k: Emitter) -> None:
        self.kernel, self.k = kernel, k
        self.blocks, self.cut = kernel.blocks(k.target), kernel.chunks(k.target)
        self.tasks = kernel.tasks(k.target)
        self.lines = kernel.all_lines(self.cut.piece)
        self.chunks = kernel.rounds(k.target)
        self.panel = kernel.panel(k.target)
        self.mine = k.pointer("scratch", k.at((k.worker, kernel.scratch(k.target))))

    def write(self) -> Any:
        """Blocks of filters outside, then chunks, then tasks."""
        k, cut = self.k, self.cut
        groups, columns, *rest = self.tasks
        each = math.prod(rest)
        first, after = k.share(groups * columns * each)
        begin = k.divmod(first, each)[0]
        end = k.divmod(k.at(after, each - 1), each)[0]
        with k.loop(begin, end, cut.columns) as some:
            stop = k.minimum(k.at(some, cut.columns), end)
            with k.loop(0, self.chunks) as number:
                line = k.at((number, cut.lines))
                last = k.at(line, cut.lines)
                span = (line, k.minimum(last, self.lines) if self.lines % cut.lines else last)
                with k.loop(some, stop) as column:
                    self._turn(column, k.at((k.at(column, k.negative(some)), self.panel)), span)
                with k.loop(0, each) as inner, k.loop(some, stop) as column:
                    task = k.at((column, each), inner)
                    with k.all_of([(task, ">=", first), (task, "<", after)]):
                        panel = k.at((k.at(column, k.negative(some)), self.panel))
                        self._task(column, inner, task, panel, number, span)
        return k.finish()

    def _columns(self, column: Index) -> Iterator[tuple[Index, Index, int]]:
        """(group, first filter, how many) of a block of filters: the whole ones, and the last."""
        k, size = self.k, self.blocks.wide * self.blocks.lanes
        group, o = k.divmod(column, self.tasks[1])
        for count, conditions in edges(o, self.kernel.filters, size):
            with k.all_of(conditions):
                yield group, k.at((o, size)), count

    def _line(self, line: Index) -> tuple[Index, list[Index], Index, Index]:
        """(block, outer position, first position of the row, how many) of a line."""
        k, g, piece = self.k, self.kernel.g, self.cut.piece
        pieces = -(-g.sizes[-1] // piece)
        block, *outer, part = k.unravel(line, (g.blocks, *g.sizes[:-1], pieces))
        start = k.at((part, piece))
        if g.sizes[-1] % piece == 0:
            return block, outer, start, piece
        return block, outer, start, k.minimum(piece, k.at(g.sizes[-1], k.negative(start)))

    def _turn(self, column: Index, panel: Index, span: tuple[Index, Index]) -> None:
        """Write the panel of a block of filters."""
        k, g, lanes = self.k, self.kernel.g, self.blocks.lanes
        into = k.pointer(self.mine, panel)
        per = min(k.lanes, 1 << (self.cut.piece - 1).bit_length()) if g.block == 1 else 1
        wide = per * g.block
        for group, o, count in self._columns(column):
            width = -(-count // lanes) * lanes
            with k.loop(*span) as line:
                block, outer, start, cells = self._line(line)
                read = k.at(
                    (block, g.stack), (group, self.kernel.filters * g.plane), (o, g.plane),
                    *zip(outer, g.steps, strict=False), (start, g.steps[-1]), g.origin(),
                )  # fmt: skip
                done = k.at((k.at(line, k.negative(span[0])), self.cut.piece * g.block * width))
                for first, after, some in cut(count, lanes):
                    with k.loop(first, after, some) as b, k.loop(0, cells, per) as q:
                        where = k.at(read, (q, g.steps[-1]), (b, g.plane))
                        rows = [k.load("g", k.at(where, a * g.plane), wide) for a in range(some)]
                        for a in range(some if g.block > 1 else 0):
                            k.prefetch("g", k.at(where, a * g.plane, AHEAD * g.steps[-1]))
                        rows += [k.constant(0.0, wide)] * (lanes - some)
                        where = k.at(done, (q, g.block * width), b)
                        for i, value in enumerate(k.transpose(rows)):
                            k.store(value, into, k.at(where, i * width))

    def _task(
        self, column: Index, inner: Index, task: Index, panel: Index, number: Index,
        span: tuple[Index, Index],
    ) -> None:  # fmt: skip
        """One task on one chunk, once for each size of the block at the edges."""
        k, kernel, blocks = self.k, self.kernel, self.blocks
        c, tap = k.divmod(inner, self.tasks[3])
        row, piece = 0, 0
        pieces, width = 1, blocks.span
        if blocks.span != kernel.taps:
            width = kernel.kernel[-1]
            pieces = -(-width // blocks.span)
            row, piece = k.divmod(tap, pieces)
        for group, o, count in self._columns(column):
            for deep, on_deep in edges(c, kernel.channels, blocks.deep):
                for wide, on_wide in edges(piece, width, blocks.span):
                    with k.all_of([*on_deep, *on_wide]):
                        place = (group, o, k.at((c, blocks.deep)), row, k.at((piece, blocks.span)))
                        self._sum(place, task, panel, number, span, (count, deep, wide))

    def _sum(
        self, place: tuple[Index, ...], task: Index, panel: Index, number: Index,
        span: tuple[Index, Index], sizes: tuple[int, int, int],
    ) -> None:  # fmt: skip
        k, lanes = self.k, self.blocks.lanes
        count, deep, wide = sizes
        zero = k.constant(0.0, lanes)
        cells = list(itertools.product(range(-(-count // lanes)), range(deep), range(wide)))
        sums = {cell: k.variable(zero) for cell in cells}
        self._sweep(place, panel, span, sums, sizes)
        size = self.blocks.wide * self.blocks.deep * self.blocks.span * lanes
        finish = functools.partial(self._finish, place, sums, sizes)
        held = list(sums.values())
        kept_between(k, held, k.at((task, size)), (number, self.chunks), finish)

    def _reach(self, wide: int) -> list[int]:
        """Elements from the first tap of a task to each of them."""
        kernel = self.kernel
        steps = [d * step for d, step in zip(kernel.dilation, kernel.x.steps, strict=True)]
        if wide != kernel.taps:
            return [s * steps[-1] for s in range(wide)]
        taps = itertools.product(*(range(r) for r in kernel.kernel))
        return [sum(r * step for r, step in zip(tap, steps, strict=True)) for tap in taps]

    def _sweep(
        self, place: tuple[Index, ...], panel: Index, span: tuple[Index, Index],
        sums: dict[Any, Any], sizes: tuple[int, int, int],
    ) -> None:  # fmt: skip
        """Add the products of all positions of the chunk."""
        k, kernel, lanes = self.k, self.kernel, self.blocks.lanes
        x, g = kernel.x, kernel.g
        group, _, c, row, first = place
        count, deep, wide = sizes
        width = -(-count // lanes) * lanes
        outer = k.unravel(row, kernel.kernel[:-1])
        read = k.at(
            (group, kernel.channels * x.plane), (c, x.plane),
            *((r, d * step) for r, d, step in zip(outer, kernel.dilation, x.steps, strict=False)),
            (first, kernel.dilation[-1] * x.steps[-1]),
            x.origin(*(-a for a in kernel.before)),
        )  # fmt: skip
        last = kernel.stride[-1] * x.steps[-1]
        reach, starts = self._reach(wide), range(0, width, lanes)
        with k.loop(*span) as line:
            block, cells, start, many = self._line(line)
            xs = k.at(
                read, (block, x.stack), (start, last),
                *((p, s * step) for p, s, step in zip(cells, kernel.stride, x.steps, strict=False)),
            )  # fmt: skip
            gs = k.at(panel, (k.at(line, k.negative(span[0])), self.cut.piece * g.block * width))
            images, step = (1, 1) if last == g.block else (g.block, last)
            with k.all_of(self._inside(cells, outer)):
                for begin, end, taps in self._stretches(many, wide):
                    ends = (k.at((p, g.block // images)) for p in (begin, end))
                    with k.loop(*ends) as q, k.loop(0, images) as image:
                        at = k.at(gs, (q, images * width), (image, width))
                        vectors = [k.load(self.mine, k.at(at, b), lanes) for b in starts]
                        for i, t in itertools.product(range(deep), taps):
                            where = k.at(xs, (q, step), image, i * x.plane, reach[t])
                            value = k.splat(k.load("x", where, 1), lanes)
                            for b, vector in enumerate(vectors):
                                cell = (b, i, t)
                                sums[cell].set(k.fma(value, vector, sums[cell].get()))

    def _stretches(self, many: Index, wide: int) -> list[tuple[Index, Index, list[int]]]:
        """(start, stop, taps of the task) of the positions of a row whose taps are no halo."""
        kernel, row = self.kernel, self.kernel.kernel[-1]
        if wide % row or many != kernel.g.sizes[-1]:  # a part of a row: all of its taps
            return [(0, many, list(range(wide)))]
        stride, dilation, before = kernel.stride[-1], kernel.dilation[-1], kernel.before[-1]
        found: list[tuple[int, int, list[int]]] = []
        for p in range(many):
            columns = (stride * p + dilation * (t % row) - before for t in range(wide))
            taps = [t for t, at in enumerate(columns) if 0 <= at < kernel.x.sizes[-1]]
            if found and found[-1][2] == taps:
                found[-1] = (found[-1][0], p + 1, taps)
            else:
                found.append((p, p + 1, taps))
        return found if len(found) <= STRETCHES else [(0, many, list(range(wide)))]

    def _inside(self, cells: list[Index], taps: list[Index]) -> list[tuple[Index, str, Index]]:
        """Where the row of x that a row of taps reads for a row of positions is no halo."""
        kernel = self.kernel
        if self.blocks.span == kernel.taps:
            return []
        found = []
        for axis, (p, r) in enumerate(zip(cells, taps, strict=True)):
            size, before = kernel.x.sizes[axis], kernel.before[axis]
            stride, dilation = kernel.stride[axis], kernel.dilation[axis]
            reach = stride * (kernel.g.sizes[axis] - 1) + dilation * (kernel.kernel[axis] - 1)
            row = self.k.index(self.k.at((p, stride), (r, dilation), -before))
            found += [(row, ">=", 0)] if before > 0 else []
            found += [(row, "<", size)] if reach - before >= size else []
        return found

    def _finish(
        self, place: tuple[Index, ...], sums: dict[Any, Any], sizes: tuple[int, int, int]
    ) -> None:
        """Turn the sums back, and write rows of dw."""
        k, kernel, lanes = self.k, self.kernel, self.blocks.lanes
        group, o, c, row, first = place
        count, deep, wide = sizes
        taps, sign = kernel.taps, -1 if kernel.turned else 1
        tap = k.at((row, sign * kernel.kernel[-1]), (first, sign), taps - 1 if sign < 0 else 0)
        goal = k.at(
            (group, kernel.filters * kernel.channels * taps), (o, kernel.channels * taps),
            (c, taps), tap,
        )  # fmt: skip
        where = sorted((i * taps + sign * s, i, s) for i in range(deep) for s in range(wide))
        for b in range(0, count, lanes):
            for begin in range(0, len(where), lanes):
                some = where[begin : begin + lanes]
                rows = [sums[b // lanes, i, s].get() for _, i, s in some]
                rows += [k.constant(0.0, lanes)] * ((1 << (len(rows) - 1).bit_length()) - len(rows))
                for a, value in enumerate(k.transpose(rows)[: count - b]):
                    to = k.at(goal, (b + a) * kernel.channels * taps)
                    for start, stop in _runs([offset for offset, *_ in some]):
                        run = value
                        if stop - start < len(rows):
                            run = k.shuffle(value, value, range(start, stop))
                        k.store(run, "dw", k.at(to, some[start][0]))


def _runs(offsets: list[int]) -> list[tuple[int, int]]:
    """(start, stop) of the stretches of neighbours.

    >>> _runs([0, 1, 2, 9, 10])
    [(0, 3), (3, 5)]
    """
    starts = [i for i, at in enumerate(offsets) if not i or at != offsets[i - 1] + 1]
    return list(itertools.pairwise([*starts, len(offsets)]))
