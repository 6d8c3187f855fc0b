"""Direct convolution: any window, any stride, any groups, in 1 to 3 axes; for z and for x.

Both readings of the form are the same loop nest, a sum over channels and taps of shifted planes;
which cells see which taps is said by the phases:

    for (block of images, row of output cells, block of filters) in this part's share
        for columns in register blocks
            sums[filter, vector] = 0
            for c: for tap:  sums += w[filter, c, tap] · x[c, cell · stride + tap.shift]
            z[filter, cell] = tail(sums)

A vector holds the same cell of B images, or neighbouring cells of a row (B = 1); a weight is one
number in every lane, read where the parameter stands. Where a row is less than a vector, a register
block spans a band of rows, and lanes behind the row's end are summed but not written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import Row, cut, register_block, vectors
from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Cells, is_far
from rot180.jit.emission.target import Target
from rot180.jit.families.phases import Phase

__all__ = ["Direct"]

WRITTEN_OUT = 25
"""Up to so many taps are written out for a band of rows."""


@dataclass(frozen=True)
class Band:
    """Bands of rows that see the same taps.

    Attributes:
        first, after: numbers of the bands; without `rows`, of rows that are alone.
        rows: of each band.
        taps: for each tap of the first axis the rows that see it; for the others it is outside.
    """

    first: int
    after: int
    rows: int = 0
    taps: tuple[tuple[int, ...], ...] = ()

    @property
    def lines(self) -> range:
        """The rows of a band."""
        return range(self.rows or 1)

    def bounds(self, place: Any, count: int) -> list[tuple[Any, str, Any]]:
        """What holds for the numbers of these bands, of `count`."""
        if isinstance(place, int):
            return []
        low = [(place, ">=", self.first)] if self.first else []
        return [*low, (place, "<", self.after)] if self.after < count else low


Spot = tuple[int, Any]
"""Where a vector stands: (row of its band, first cell)."""


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
        row = vectors(phase.counts[-1], k.lanes, self.z.block, spare=True)
        lines = self._lines(phase, row, k.lanes)
        along = phase.taps[-1]
        reach = (along.last - along.shift) // self.stride[-1] if along.count else 0
        reach = min(reach, 8) if self.z.block > 1 else 0  # neighbouring taps share no vectors
        registers, far = k.target.registers, self._far(phase, row, k.target)
        wide, tall = register_block(registers, max(row.count, lines), filters, reach, far)
        deep = min(wide, lines)
        bands = self._bands(phase, deep)
        blocks, rows = -(-filters // tall), bands[-1].after
        first, after = k.share(self.z.blocks * self.groups * rows * blocks)
        with k.loop(first, after) as unit:
            rest, part = k.divmod(unit, blocks)
            rest, place = k.divmod(rest, rows)
            block, group = k.divmod(rest, self.groups)
            for band, (begin, height, bounds) in itertools.product(
                bands, _tails(part, filters, tall)
            ):
                with k.all_of([*band.bounds(place, rows), *bounds]):
                    o = k.at((part, tall)) if begin is None else begin
                    first_row = [k.at((place, deep))]
                    cells = first_row if band.rows else k.unravel(place, phase.counts[:-1])
                    for starts in _spans(k, row, wide):
                        spots = [(line, start) for line in band.lines for start in starts]
                        self._block(k, phase, band, (block, group, cells, o), height, spots, row)

    def _far(self, phase: Phase, row: Row, target: Target) -> float:
        """What reading a vector costs, in numbers: with one tap there is no second use of it, and
        a row of many channels does not stay near.
        """
        read = self.x.channels // self.groups * row.count * target.vector_bytes
        once = all(taps.count == 1 for taps in phase.taps)
        return 4.0 if once and read > target.level2 // 8 else 1.0

    def _lines(self, phase: Phase, row: Row, lanes: int) -> int:
        """Rows that may share a register block: where a row is less than a vector, so that loads
        take as long as products, and taps are few; a vector that is gathered serves more filters.
        """
        few = len(phase.taps) == 2 and math.prod(t.count for t in phase.taps) <= WRITTEN_OUT
        short = row.lanes < lanes and self.stride[-1] == 1
        return phase.counts[0] if few and short else 1

    def _bands(self, phase: Phase, deep: int) -> list[Band]:
        """The rows of a phase, `deep` at a time, in runs of bands that see the same taps."""
        if deep == 1:
            return [Band(0, math.prod(phase.counts[:-1]))]
        lines, size = phase.counts[0], self.x.sizes[0]

        def seen(band: int) -> tuple[int, tuple[tuple[int, ...], ...]]:
            rows = range(band * deep, min(lines, band * deep + deep))
            reads = [(i, p * self.stride[0]) for i, p in enumerate(rows)]
            shifts = [shift for shift, _ in phase.taps[0]]
            return len(rows), tuple(tuple(i for i, p in reads if 0 <= p + s < size) for s in shifts)

        runs = itertools.groupby(range(-(-lines // deep)), seen)
        numbered = [(list(group), key) for key, group in runs]
        return [Band(run[0], run[-1] + 1, *key) for run, key in numbered]

    def _block(
        self, k: Emitter, phase: Phase, band: Band, place: tuple[Any, Any, list[Any], Any],
        height: int, spots: list[Spot], row: Row,
    ) -> None:  # fmt: skip
        """One block of sums: `height` filters, a vector of cells from each spot."""
        x = self.x
        block, group, cells, o = place
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
        sums = [[k.variable(k.constant(0.0, row.lanes)) for _ in spots] for _ in range(height)]
        step = last if x.block == 1 else 1
        with k.loop(0, channels) as c:
            for shift, tap, lines in self._tap_rows(k, phase, band, cells):
                plane = k.at(corner, (c, x.plane), (shift, x.steps[0]))
                taps = k.at(weights, (c, by_channel), tap)
                inner = phase.taps[1:] if len(phase.taps) > 1 else phase.taps
                seen = [(i, spot) for i, spot in enumerate(spots) if spot[0] in lines]
                for choice in itertools.product(*inner):
                    steps = x.steps[-len(inner) :]
                    reach = sum(move * step for (move, _), step in zip(choice, steps, strict=True))
                    below = self.stride[0] * x.steps[0]
                    reads = [
                        k.at(plane, (start, last), line * below + reach)
                        for _, (line, start) in seen
                    ]
                    columns = [k.gather("x", at, step, row.lanes, row.live) for at in reads]
                    where = sum(place for _, place in choice)
                    for a in range(height):
                        number = k.load("w", k.at(taps, a * by_filter + where), 1)
                        weight = k.splat(number, row.lanes)
                        for (i, _), column in zip(seen, columns, strict=True):
                            sums[a][i].set(k.fma(weight, column, sums[a][i].get()))
        self._write(k, phase, place, sums, spots, row)

    def _tap_rows(
        self, k: Emitter, phase: Phase, band: Band, cells: list[Any]
    ) -> Iterator[tuple[Any, Any, Sequence[int]]]:
        """The taps of the first axis (of several) whose rows are inside of x, in a loop for a row,
        written out for a band.

        Yields the shift and the place in w of each, and the lines that see it.
        """
        if len(phase.taps) == 1:
            yield 0, 0, band.lines
            return
        if band.rows:
            yield from (
                (shift, at, lines)
                for (shift, at), lines in zip(phase.taps[0], band.taps, strict=True)
            )
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
            yield (
                k.at(taps.shift, (i, taps.shift_step)),
                k.at(taps.weight, (i, taps.weight_step)),
                band.lines,
            )

    def _write(
        self, k: Emitter, phase: Phase, place: tuple[Any, Any, list[Any], Any],
        sums: list[list[Any]], spots: list[Spot], row: Row,
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

        def where(array: str, planes: Cells, a: int, spot: Spot) -> tuple[Any, int]:
            line, start = spot
            forward, below = phase.step[-1] * planes.steps[-1], phase.step[0] * planes.steps[0]
            at = k.at(corners[array], a * planes.plane + line * below, (start, forward))
            return at, forward if planes.block == 1 else 1

        lanes, far = row.lanes, is_far(self.z, k.target, self.dtype)
        for a, made in enumerate(sums):
            for spot, variable in zip(spots, made, strict=True):
                value = variable.get()
                if self.bias:
                    bias = k.load("bias", k.at((group, filters), o, a), 1)
                    value = k.add(value, k.splat(bias, lanes))
                if self.plus is not None:
                    plus = k.gather("plus", *where("plus", self.plus, a, spot), lanes, row.live)
                    value = k.add(value, plus)
                if self.relu:
                    value = k.relu(value)
                if self.mask is not None:
                    mask = k.gather("mask", *where("mask", self.mask, a, spot), lanes, row.live)
                    value = k.masked(value, mask)
                if far:
                    k.stream(value, "z", where("z", self.z, a, spot)[0])
                else:
                    k.scatter(value, "z", *where("z", self.z, a, spot), row.live)


def _spans(k: Emitter, row: Row, wide: int) -> Iterator[list[Any]]:
    """The first cells of `wide` vectors at a time, in a loop as far as they are whole."""
    for j0, j1, span in cut(row.count, wide):
        if j1 < row.count or not row.shifted:
            with k.loop(j0, j1, span) as j:
                yield [k.at((j, row.per), v * row.per) for v in range(span)]
        else:
            for j in range(j0, j1, span):
                yield [row.start(j + v) for v in range(span)]


def _tails(part: Any, filters: int, tall: int) -> list[tuple[int | None, int, list[Any]]]:
    """(first filter or None, filters, condition) of a whole register block and of the last one."""
    whole, rest = divmod(filters, tall)
    if not rest:
        return [(None, tall, [])]
    if not whole:
        return [(0, rest, [])]
    return [(None, tall, [(part, "<", whole)]), (whole * tall, rest, [(part, "==", whole)])]
