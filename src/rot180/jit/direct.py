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

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.blocking import cut, register_block, vectors
from rot180.jit.emit import Emitter
from rot180.jit.layout import Planes
from rot180.jit.target import Target

__all__ = ["Direct", "Phase", "Tap", "forward_phases", "input_phases"]


@dataclass(frozen=True)
class Tap:
    """One tap: which cell of x it reads, relative to the position, and where its weight stands."""

    shift: tuple[int, ...]
    weight: int


@dataclass(frozen=True)
class Phase:
    """Output cells that see the same taps.

    Attributes:
        taps: what is summed.
        first, step, counts: the cells, along each axis: first, first + step, ..., counts of them.
    """

    taps: tuple[Tap, ...]
    first: tuple[int, ...]
    step: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Direct:
    """z = tail(Σ_c Σ_tap w · x), with the filters and channels of each group apart.

    Attributes:
        x, z: where input and output lie.
        groups: number of groups.
        weight: elements between neighbouring filters, channels and groups in w.
        stride: cells of x between neighbouring positions, along each axis.
        phases: the output cells.
        bias: add a number for each filter.
        relu: keep the positive part only.
    """

    x: Planes
    z: Planes
    groups: int
    weight: tuple[int, int, int]
    stride: tuple[int, ...]
    phases: tuple[Phase, ...]
    bias: bool = False
    relu: bool = False
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "w", *(("bias",) if self.bias else ()), "z")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above, once for each phase."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        for phase in self.phases:
            self._phase(k, phase)
        return k.finish()

    def _phase(self, k: Emitter, phase: Phase) -> None:
        filters = self.z.channels // self.groups
        row = vectors(phase.counts[-1], k.lanes, self.z.block)
        wide, tall = register_block(k.target.registers, row.count, filters)
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
                                self._block(k, phase, block, group, cells, o, height, starts, row.lanes)
                        else:
                            for j in range(j0, j1, span):
                                starts = [row.start(j + v) for v in range(span)]
                                self._block(k, phase, block, group, cells, o, height, starts, row.lanes)

    def _block(
        self, k: Emitter, phase: Phase, block: Any, group: Any, cells: list[Any], o: Any,
        height: int, starts: list[Any], lanes: int,
    ) -> None:  # fmt: skip
        """One block of sums: `height` filters from o, vectors of cells from each start."""
        x, z = self.x, self.z
        channels, filters = x.channels // self.groups, z.channels // self.groups
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
        with k.loop(0, channels) as c:
            plane = k.at(corner, (c, x.plane))
            taps = k.at(weights, (c, by_channel))
            for tap in phase.taps:
                shift = sum(s * n for s, n in zip(tap.shift, x.steps, strict=True))
                columns = [
                    k.gather("x", k.at(plane, (start, last), shift), step, lanes) for start in starts
                ]
                for a in range(height):
                    weight = k.splat(k.load("w", k.at(taps, a * by_filter + tap.weight), 1), lanes)
                    for b, column in enumerate(columns):
                        sums[a][b].set(k.fma(weight, column, sums[a][b].get()))
        out = k.at(
            (block, z.stack),
            (group, filters * z.plane),
            *((cell, s * step) for cell, s, step in zip(cells, phase.step, z.steps, strict=False)),
            z.origin(*phase.first),
        )
        forward = phase.step[-1] * z.steps[-1]
        for a in range(height):
            bias = None
            if self.bias:
                bias = k.splat(k.load("bias", k.at((group, filters), o, a), 1), lanes)
            for b, start in enumerate(starts):
                value = sums[a][b].get()
                value = value if bias is None else k.add(value, bias)
                value = k.relu(value) if self.relu else value
                where = k.at(out, (o, z.plane), a * z.plane, (start, forward))
                k.scatter(value, "z", where, forward if z.block == 1 else 1)


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
    taps = []
    size = math.prod(kernel)
    for number, r in enumerate(itertools.product(*map(range, kernel))):
        shift = tuple(d * i - a for d, i, a in zip(dilation, r, before, strict=True))
        taps.append(Tap(shift, size - 1 - number if turned else number))
    none, ones = (0,) * len(kernel), (1,) * len(kernel)
    return (Phase(tuple(taps), none, ones, positions),)


def input_phases(
    kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    before: tuple[int, ...], sizes: tuple[int, ...], turned: bool = False,
) -> tuple[Phase, ...]:  # fmt: skip
    """The form read for x: S·p + D·r − A = h solved for p, for each remainder of h modulo S."""
    rows, size = _rows(kernel), math.prod(kernel)
    phases = []
    for first in itertools.product(*map(range, stride)):
        if any(f >= n for f, n in zip(first, sizes, strict=True)):
            continue
        axes = []
        for f, s, d, a, count in zip(first, stride, dilation, before, kernel, strict=True):
            axes.append([(r, (f + a - d * r) // s) for r in range(count) if (f + a - d * r) % s == 0])
        taps = []
        for choice in itertools.product(*axes):
            number = sum(r * n for (r, _), n in zip(choice, rows, strict=True))
            taps.append(
                Tap(tuple(shift for _, shift in choice), size - 1 - number if turned else number)
            )
        counts = tuple(-(-(n - f) // s) for n, f, s in zip(sizes, first, stride, strict=True))
        phases.append(Phase(tuple(taps), first, stride, counts))
    return tuple(phases)
