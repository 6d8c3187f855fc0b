"""Phases: which output cells of a convolution see the same taps.

For z the shifts are D·r − A and all cells are one phase. For x the relation S·p + D·r − A = h is
solved for p: the cells h of one remainder modulo S see the same taps at whole shifts, so each
remainder is a phase, and no inserted zero is ever multiplied.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Phase", "Taps", "forward_phases", "input_phases"]


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
