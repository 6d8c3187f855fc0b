"""Direct weight gradient: the form of a convolution read for w; any window, stride and groups.

    for (group, block of filters, block of channels, row of taps) in this part's share    a task
        for (block of images, rows of positions)                                          a chunk
            sums[filter, channel, tap] += Σ_positions g[filter, p] · x[channel, S·p + D·r − A]
        dw[filter, channel, tap] = Σ_lanes sums

A chunk's rows of x and g stay in the second cache while all tasks of a group pass over them, so the
loops over chunks and tasks are exchanged and the sums wait in scratch memory; where one chunk is
all there is they never leave the registers. Each chunk is summed apart, since two short sums round
less than a long one. A task belongs to one part: no two parts add to one cell. All taps of a
channel are one row where registers hold them (depthwise).

Lanes are images, or positions of one image: each cell of dw is a sum over lanes in the end. It
serves where g has too few filters to fill the lanes of `TurnedWeight` (depthwise and attention), or
too few products to pay for its turning (first layers).
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import Row, vectors
from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.target import Target
from rot180.jit.families.weight_form import WeightForm, edges, kept_between

__all__ = ["DirectWeight"]


@dataclass(frozen=True)
class DirectWeight(WeightForm):
    """dw[k, c, r] = Σ_{n, p} g[n, k, p] · x[n, c, S·p + D·r − A]."""

    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "g", "dw", "sums")

    def block(self, target: Target) -> tuple[int, int]:
        """(filters, channels) of the register block; at least a row of taps belongs to it."""
        taps, best, found = self.kernel[-1], (1, 1), 0.0
        for tall in range(1, min(self.filters, 8) + 1):
            for deep in range(1, min(self.channels, 8) + 1):
                pairs = deep * taps
                if tall * pairs + tall + 1 > target.registers - 1 and (tall, deep) != (1, 1):
                    continue
                covered = self.filters / (-(-self.filters // tall) * tall)
                covered *= self.channels / (-(-self.channels // deep) * deep)
                score = covered / (1 + 0.5 * (tall + pairs) / (tall * pairs))
                score *= min(1.0, tall * pairs / 12)
                if score > found:
                    best, found = (tall, deep), score
        return best

    def lines(self, target: Target) -> int:
        """Rows of taps of the register block: all of a channel, or one."""
        tall, deep = self.block(target)
        sums = tall * deep * math.prod(self.kernel)
        return math.prod(self.kernel[:-1]) if sums + tall + 1 <= target.registers - 1 else 1

    def chunk(self, target: Target) -> int:
        """Rows of positions of a group that half of the second cache holds, with what they read."""
        size = np.dtype(self.dtype).itemsize
        reads = self.channels * math.prod(self.stride[:-1]) * self.x.extents[-1]
        one = (reads + self.filters * self.g.extents[-1]) * self.g.block * size
        return max(1, min(self.rows, target.level2 // 2 // one))

    @property
    def rows(self) -> int:
        """Rows of positions in one block of images."""
        return math.prod(self.g.sizes[:-1])

    def chunks(self, target: Target) -> int:
        """How many chunks there are."""
        return self.g.blocks * -(-self.rows // self.chunk(target))

    def tasks(self, target: Target) -> tuple[int, int, int, int]:
        """Groups, blocks of filters, blocks of channels, blocks of rows of taps."""
        tall, deep = self.block(target)
        return (
            self.groups,
            -(-self.filters // tall),
            -(-self.channels // deep),
            math.prod(self.kernel[:-1]) // self.lines(target),
        )

    def sums(self, target: Target) -> int:
        """Elements of the sums that wait in memory."""
        if self.chunks(target) == 1:
            return 0
        lanes = target.lanes(np.dtype(self.dtype))
        return math.prod(self.tasks(target)) * self._cells(target) * lanes

    def _cells(self, target: Target) -> int:
        """Sums of a task."""
        return math.prod(self.block(target)) * self.lines(target) * self.kernel[-1]

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        row = vectors(self.g.sizes[-1], k.lanes, self.g.block)
        chunk, rows = self.chunk(target), self.rows
        per_block = -(-rows // chunk)
        chunks = self.g.blocks * per_block
        each = math.prod(self.tasks(target)) // self.groups
        first, after = k.share(self.groups * each)
        group_end = 1 if self.groups == 1 else k.divmod(k.at(after, each - 1), each)[0]
        with k.loop(0 if self.groups == 1 else k.divmod(first, each)[0], group_end) as group:
            begin, end = k.maximum(first, k.at((group, each))), k.at((group, each), each)
            with k.loop(0, chunks) as number:
                block, part = k.divmod(number, per_block)
                start = k.at((part, chunk))
                stop = k.minimum(k.at(start, chunk), rows) if rows % chunk else k.at(start, chunk)
                with k.loop(begin, k.minimum(after, end)) as task:
                    self._task(k, row, task, number, block, (start, stop), chunks)
        return k.finish()

    def _task(
        self, k: Emitter, row: Row, task: Any, number: Any, block: Any, span: tuple[Any, Any],
        chunks: int,
    ) -> None:  # fmt: skip
        """One task on one chunk, once for each size of the register block at the edges."""
        tall, deep = self.block(k.target)
        taps = self.lines(k.target) * self.kernel[-1]
        group, o, c, tap = k.unravel(task, self.tasks(k.target))
        for height, on_height in edges(o, self.filters, tall):
            for depth, on_depth in edges(c, self.channels, deep):
                with k.all_of([*on_height, *on_depth]):
                    place = (group, k.at((o, tall)), k.at((c, deep)), tap)
                    waiting = k.at((task, self._cells(k.target) * row.lanes))
                    zero = k.constant(0.0, row.lanes)
                    cells = list(itertools.product(range(height), range(depth), range(taps)))
                    sums = {cell: k.variable(zero) for cell in cells}
                    self._sweep(k, row, place, block, span, sums, height, depth)
                    finish = functools.partial(self._finish, k, place, sums)
                    kept_between(k, list(sums.values()), waiting, (number, chunks), finish)

    def _sweep(
        self, k: Emitter, row: Row, place: Any, block: Any, span: tuple[Any, Any],
        sums: dict[Any, Any], height: int, depth: int,
    ) -> None:  # fmt: skip
        """Add the products of all positions of the chunk."""
        x, g = self.x, self.g
        group, o, c, tap = place
        outer = k.unravel(tap, self.kernel[:-1])
        last = self.stride[-1] * x.steps[-1]
        read = k.at(
            (block, x.stack),
            (group, self.channels * x.plane),
            (c, x.plane),
            *((r, d * step) for r, d, step in zip(outer, self.dilation, x.steps, strict=False)),
            x.origin(*(-a for a in self.before)),
        )
        upstream = k.at((block, g.stack), (group, self.filters * g.plane), (o, g.plane), g.origin())
        with k.loop(*span) as line:
            cells = k.unravel(line, g.sizes[:-1])
            xs = k.at(
                read,
                *((p, s * step) for p, s, step in zip(cells, self.stride, x.steps, strict=False)),
            )
            gs = k.at(upstream, *zip(cells, g.steps, strict=False))
            regular = row.count - 1 if row.shifted else row.count
            with k.loop(0, regular) as j:
                start = k.at((j, row.per))
                self._products(k, row, xs, gs, start, last, sums, height, depth, 0)
            if row.shifted:
                again = row.count * row.per - row.cells
                self._products(
                    k, row, xs, gs, row.cells - row.per, last, sums, height, depth, again
                )

    def _products(
        self, k: Emitter, row: Row, xs: Any, gs: Any, start: Any, last: int, sums: dict[Any, Any],
        height: int, depth: int, again: int,
    ) -> None:  # fmt: skip
        """One vector of positions; its first `again` lanes were counted before."""
        x, g = self.x, self.g
        upstream = []
        for a in range(height):
            value = k.load("g", k.at(gs, a * g.plane, (start, g.steps[-1])), row.lanes)
            upstream.append(k.without(value, again) if again else value)
        steps = [d * step for d, step in zip(self.dilation, x.steps, strict=True)]
        rows = self.kernel[:-1] if self.lines(k.target) > 1 else (1,) * (len(steps) - 1)
        taps = list(itertools.product(*map(range, (*rows, self.kernel[-1]))))
        for i in range(depth):
            for t, tap in enumerate(taps):
                reach = sum(r * step for r, step in zip(tap, steps, strict=True))
                where = k.at(xs, i * x.plane, reach, (start, last))
                value = k.gather("x", where, last if x.block == 1 else 1, row.lanes)
                for a in range(height):
                    sums[a, i, t].set(k.fma(upstream[a], value, sums[a, i, t].get()))

    def _finish(self, k: Emitter, place: Any, sums: dict[Any, Any]) -> None:
        """Sum over the lanes and write the cells of dw."""
        group, o, c, tap = place
        width, size = self.kernel[-1], math.prod(self.kernel)
        cells = list(sums)
        for begin in range(0, len(cells), 16):
            some = cells[begin : begin + 16]
            totals = k.totals([sums[cell].get() for cell in some])
            for i, (a, deep, s) in enumerate(some):
                within = [(tap, width), s] if not self.turned else [(tap, -width), size - 1 - s]
                where = k.at(
                    (group, self.filters * self.channels * size),
                    (o, self.channels * size),
                    (c, size),
                    (a * self.channels + deep) * size,
                    *within,
                )
                k.store(k.lane(totals, i), "dw", where)
