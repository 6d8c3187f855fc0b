"""Direct convolution: any window, any stride, any groups, in 1 to 3 axes; for z and for x.

Both readings of the form are the same loop nest, a sum over channels and taps of shifted planes:

    for (block of images, row of output cells, block of filters) in this part's share
        for columns in register blocks
            sums[filter, vector] = 0
            for c: for tap:  sums += w[filter, c, tap] · x[c, cell · stride + tap.shift]
            z[filter, cell] = tail(sums)

A vector holds the same cell of B images, or neighbouring cells of a row (B = 1); a weight is one
number in every lane, read where the parameter stands. For z the shifts are D·r − A and all cells
are one phase. For x the relation S·p + D·r − A = h is solved for p: the cells h of one remainder
modulo S see the same taps at whole shifts, so each remainder is a phase, and no inserted zero is
ever multiplied.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import cut, register_block, vectors
from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Cells
from rot180.jit.emission.target import Target

__all__ = ["Direct", "Phase", "Taps", "forward_phases", "input_phases"]


@dataclass(frozen=True)
class Taps:
    """The taps of one axis, evenly spaced and by ascending shift.

    Attributes:
        count: how many.
        shift, weight: cell of x relative to the position, and elements into w, of the first tap.
        shift_step, weight_step: from each to the next.
    """

    count: int
    shift: int = 0
    weight: int = 0
    shift_step: int = 1
    weight_step: int = 1

    @property
    def last(self) -> int:
        """The largest shift."""
        return self.shift + (self.count - 1) * self.shift_step

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for i in range(self.count):
            yield self.shift + i * self.shift_step, self.weight + i * self.weight_step


@dataclass(frozen=True)
class Phase:
    """Output cells that see the same taps.

    Attributes:
        taps: what is summed, for each axis.
        first, step, counts: the cells, along each axis: first, first + step, ..., counts of them.
    """

    taps: tuple[Taps, ...]
    first: tuple[int, ...]
    step: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Direct(ByBlocks):
    """z = tail(Σ_c Σ_tap w · x), with the filters and channels of each group apart.

    Attributes:
        x, z: where input and output lie.
        groups: number of groups.
        weight: elements between neighbouring filters, channels and groups in w.
        stride: cells of x between neighbouring positions, along each axis.
        phases: the output cells.
        bias: add a number for each filter.
        relu: keep the positive part only.
        mask: where the result of a ReLU lies, for z's cells: 0 where it is not positive.
        plus: where something that is added lies, for z's cells (before ReLU and mask).
    """

    x: Cells
    z: Cells
    groups: int
    weight: tuple[int, int, int]
    stride: tuple[int, ...]
    phases: tuple[Phase, ...]
    bias: bool = False
    relu: bool = False
    mask: Cells | None = None
    plus: Cells | None = None
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        tail = [*(("bias",) if self.bias else ()), *(("plus",) if self.plus else ())]
        tail += ["mask"] if self.mask else []
        return ("x", "w", *tail, "z")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above, once for each phase."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        for phase in self.phases:
            self._phase(k, phase)
        return k.finish()

    def _phase(self, k: Emitter, phase: Phase) -> None:
        filters = self.z.channels // self.groups
        row = vectors(phase.counts[-1], k.lanes, self.z.block)
        along = phase.taps[-1]
        reach = (along.last - along.shift) // self.stride[-1] if along.count else 0
        wide, tall = register_block(k.target.registers, row.count, filters, min(reach, 8))
        blocks = -(-filters // tall)
        rows = math.prod(phase.counts[:-1])
        first, after = k.share(self.z.blocks * self.groups * rows * blocks)
        with k.loop(first, after) as unit:
            rest, part = k.divmod(unit, blocks)
            rest, place = k.divmod(rest, rows)
            block, group = k.divmod(rest, self.groups)
            cells = k.unravel(place, phase.counts[:-1])
            for begin, height, bounds in _tails(part, filters, tall):
                with k.all_of(bounds):
                    o = k.at((part, tall)) if begin is None else begin
                    for j0, j1, span in cut(row.count, wide):
                        whole = j1 < row.count or not row.shifted
                        if whole:
                            with k.loop(j0, j1, span) as j:
                                starts = [k.at((j, row.per), v * row.per) for v in range(span)]
                                self._block(
                                    k, phase, block, group, cells, o, height, starts, row.lanes
                                )
                        else:
                            for j in range(j0, j1, span):
                                starts = [row.start(j + v) for v in range(span)]
                                self._block(
                                    k, phase, block, group, cells, o, height, starts, row.lanes
                                )

    def _block(
        self, k: Emitter, phase: Phase, block: Any, group: Any, cells: list[Any], o: Any,
        height: int, starts: list[Any], lanes: int,
    ) -> None:  # fmt: skip
        """One block of sums: `height` filters from o, vectors of cells from each start."""
        x = self.x
        channels = x.channels // self.groups
        by_filter, by_channel, by_group = self.weight
        last = self.stride[-1] * x.steps[-1]
        corner = k.at(
            (block, x.stack),
            (group, channels * x.plane),
            *((cell, s * step) for cell, s, step in zip(cells, self.stride, x.steps, strict=False)),
            x.origin(),
        )
        weights = k.at((group, by_group), (o, by_filter))
        sums = [[k.variable(k.constant(0.0, lanes)) for _ in starts] for _ in range(height)]
        step = last if x.block == 1 else 1
        with k.loop(0, channels) as c, self._tap_rows(k, phase, cells) as (shift, tap):
            plane = k.at(corner, (c, x.plane), (shift, x.steps[0]))
            taps = k.at(weights, (c, by_channel), tap)
            inner = phase.taps[1:] if len(phase.taps) > 1 else phase.taps
            for choice in itertools.product(*inner):
                steps = x.steps[-len(inner) :]
                reach = sum(move * step for (move, _), step in zip(choice, steps, strict=True))
                columns = [
                    k.gather("x", k.at(plane, (start, last), reach), step, lanes)
                    for start in starts
                ]
                where = sum(place for _, place in choice)
                for a in range(height):
                    weight = k.splat(k.load("w", k.at(taps, a * by_filter + where), 1), lanes)
                    for b, column in enumerate(columns):
                        sums[a][b].set(k.fma(weight, column, sums[a][b].get()))
        self._write(k, phase, (block, group, cells, o), sums, starts)

    @contextlib.contextmanager
    def _tap_rows(self, k: Emitter, phase: Phase, cells: list[Any]) -> Iterator[tuple[Any, Any]]:
        """Loop over the taps of the first axis (of several) whose rows are inside of x.

        Yields the shift and the place in w of each.
        """
        if len(phase.taps) == 1:
            yield 0, 0
            return
        taps, size = phase.taps[0], self.x.sizes[0]
        at = k.at((cells[0], self.stride[0]), taps.shift)
        inside = taps.shift >= 0 and (phase.counts[0] - 1) * self.stride[0] + taps.last < size
        first: Any = 0
        after: Any = taps.count
        if not inside:
            first = k.maximum(k.ceiling(k.negative(at), taps.shift_step), 0)
            after = k.minimum(k.ceiling(k.at(size, k.negative(at)), taps.shift_step), taps.count)
        with k.loop(first, after) as i:
            yield k.at(taps.shift, (i, taps.shift_step)), k.at(taps.weight, (i, taps.weight_step))

    def _write(
        self, k: Emitter, phase: Phase, place: tuple[Any, Any, list[Any], Any],
        sums: list[list[Any]], starts: list[Any],
    ) -> None:  # fmt: skip
        """The tail: bias, ReLU and mask, and the way into z."""
        block, group, cells, o = place
        filters = self.z.channels // self.groups
        corners = {}
        for array, planes in (("z", self.z), ("mask", self.mask), ("plus", self.plus)):
            if planes is not None:
                steps = zip(cells, phase.step, planes.steps, strict=False)
                corners[array] = k.at(
                    (block, planes.stack),
                    (group, filters * planes.plane),
                    (o, planes.plane),
                    *((cell, s * step) for cell, s, step in steps),
                    planes.origin(*phase.first),
                )

        def where(array: str, planes: Cells, a: int, start: Any) -> tuple[Any, int]:
            forward = phase.step[-1] * planes.steps[-1]
            at = k.at(corners[array], a * planes.plane, (start, forward))
            return at, forward if planes.block == 1 else 1

        for a, line in enumerate(sums):
            for start, variable in zip(starts, line, strict=True):
                value = variable.get()
                lanes = getattr(value.type, "count", 1)
                if self.bias:
                    bias = k.load("bias", k.at((group, filters), o, a), 1)
                    value = k.add(value, k.splat(bias, lanes))
                if self.plus is not None:
                    value = k.add(
                        value, k.gather("plus", *where("plus", self.plus, a, start), lanes)
                    )
                if self.relu:
                    value = k.relu(value)
                if self.mask is not None:
                    value = k.masked(
                        value, k.gather("mask", *where("mask", self.mask, a, start), lanes)
                    )
                k.scatter(value, "z", *where("z", self.z, a, start))


def _tails(part: Any, filters: int, tall: int) -> list[tuple[int | None, int, list[Any]]]:
    """(first filter or None, filters, condition) of a whole register block and of the last one."""
    whole, rest = divmod(filters, tall)
    if not rest:
        return [(None, tall, [])]
    if not whole:
        return [(0, rest, [])]
    return [(None, tall, [(part, "<", whole)]), (whole * tall, rest, [(part, "==", whole)])]


def _rows(kernel: tuple[int, ...]) -> tuple[int, ...]:
    """Elements between neighbouring taps along each axis."""
    return tuple(math.prod(kernel[axis + 1 :]) for axis in range(len(kernel)))


def forward_phases(
    kernel: tuple[int, ...], dilation: tuple[int, ...], before: tuple[int, ...],
    positions: tuple[int, ...], turned: bool = False,
) -> tuple[Phase, ...]:  # fmt: skip
    """The form read for z: every position sees every tap, at D·r − A."""
    axes = zip(kernel, _rows(kernel), dilation, before, strict=True)
    taps = tuple(
        Taps(count, -a, (count - 1) * row if turned else 0, d, -row if turned else row)
        for count, row, d, a in axes
    )
    none, ones = (0,) * len(kernel), (1,) * len(kernel)
    return (Phase(taps, none, ones, positions),)


def input_phases(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    before: tuple[int, ...], sizes: tuple[int, ...], turned: bool = False,
) -> tuple[Phase, ...]:  # fmt: skip
    """The form read for x: S·p + D·r − A = h solved for p, for each remainder of h modulo S."""
    rows = _rows(kernel)
    phases = []
    for first in itertools.product(*map(range, stride)):
        if any(f >= n for f, n in zip(first, sizes, strict=True)):
            continue
        axes = zip(first, stride, dilation, before, kernel, rows, strict=True)
        taps = tuple(_solved(f + a, s, d, count, row, turned) for f, s, d, a, count, row in axes)
        counts = tuple(-(-(n - f) // s) for n, f, s in zip(sizes, first, stride, strict=True))
        phases.append(Phase(taps, first, stride, counts))
    return tuple(phases)


def _solved(offset: int, s: int, d: int, count: int, row: int, turned: bool) -> Taps:
    """The taps r for which (offset − D·r) / S is whole, by ascending shift: r descends."""
    found = [r for r in reversed(range(count)) if (offset - d * r) % s == 0]
    if not found:
        return Taps(0)
    shifts = [(offset - d * r) // s for r in found]
    places = [(count - 1 - r if turned else r) * row for r in found]
    if len(found) == 1:
        return Taps(1, shifts[0], places[0])
    return Taps(len(found), shifts[0], places[0], shifts[1] - shifts[0], places[1] - places[0])
