"""Rows: how a kernel walks over the cells of a plane, whatever the layout.

Axes without a halo run on into each other, so they are one longer row. A row is covered by vectors:
one cell of B images each, or neighbouring cells (B = 1), the last vector shifted back to end with
the row. A sum must leave out the lanes that were counted before; `over` says which ones are new.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.layout import Planes

__all__ = [
    "Lanes",
    "cells_of",
    "fresh",
    "merged",
    "outer",
    "over",
    "ranges",
    "shares",
    "spread",
    "summed",
    "sums",
]


def merged(*planes: Planes) -> list[Planes]:
    """The same places with as few spatial axes as all of them allow (at least one).

    >>> [p.sizes for p in merged(Planes(1, 1, (2, 3, 5), 1), Planes(1, 1, (2, 3, 5), 1, (1, 0, 0)))]
    [(30,), (30,)]
    """
    axes = len(planes[0].sizes)
    found = [
        Planes(p.images, p.channels, p.sizes or (1,), p.block, p.before, p.after) for p in planes
    ]
    for axis in reversed(range(axes - 1)):
        if not any(p.before[axis + 1] or p.after[axis + 1] for p in found):
            found = [_joined(p, axis) for p in found]
    return found


def cells_of(planes: Planes) -> int:
    """Cells of a plane."""
    return math.prod(planes.sizes)


def _joined(p: Planes, axis: int) -> Planes:
    """Axes `axis` and `axis + 1`, the latter without a halo, as one."""
    inner = p.sizes[axis + 1]
    sizes, before, after = (
        (*t[:axis], t[axis] * inner, *t[axis + 2 :]) for t in (p.sizes, p.before, p.after)
    )
    return Planes(p.images, p.channels, sizes, p.block, before, after)


@contextlib.contextmanager
def outer(k: Emitter, *planes: Planes) -> Iterator[list[Index]]:
    """Loops over the rows of a plane; yields where the row starts in each of the planes."""
    with contextlib.ExitStack() as stack:
        cell = [stack.enter_context(k.loop(0, size)) for size in planes[0].sizes[:-1]]
        yield [k.at(p.origin(), *zip(cell, p.steps, strict=False)) for p in planes]


Lanes = Callable[[Index, int, Sequence[int] | None, int], None]
"""What is done with one vector: (first cell, lanes, lanes that are new or None for all, way)."""


def over(k: Emitter, cells: int, block: int, body: Lanes, ways: int = 4) -> None:
    """Emit `body` for every vector of a row, `ways` of them (0, 1, ...) in each round of a loop."""
    row = vectors(cells, k.lanes, block)
    whole = row.count - row.shifted
    rounds = whole // ways * ways
    if rounds:
        with k.loop(0, rounds * row.per, ways * row.per) as first:
            for way in range(ways):
                body(k.at(first, way * row.per), row.lanes, None, way)
    for number in range(rounds, whole):
        body(number * row.per, row.lanes, None, number - rounds)
    if row.shifted:
        start = row.start(row.count - 1)
        body(start, row.lanes, range((row.count - 1) * row.per - start, row.lanes), 0)


def fresh(k: Emitter, value: Any, new: Sequence[int] | None) -> Any:
    """The value in the lanes that are new, 0 in the others."""
    if new is None:
        return value
    zero = k.constant(0.0, value.type.count)
    return k.shuffle(
        value, zero, [i if i in new else value.type.count for i in range(value.type.count)]
    )


def sums(k: Emitter, cells: int, block: int, count: int, ways: int = 4) -> list[list[Variable]]:
    """`count` sums over rows of so many cells, each in `ways` vectors of their own."""
    lanes = vectors(cells, k.lanes, block).lanes
    return [[k.variable(k.constant(0.0, lanes)) for _ in range(ways)] for _ in range(count)]


def summed(k: Emitter, ways: Sequence[Variable], block: int) -> Any:
    """A sum out of its ways: one number for each image of a block, a scalar for B = 1."""
    values = [way.get() for way in ways]
    while len(values) > 1:
        values = [k.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + values[
            len(values) & ~1 :
        ]
    return values[0] if block > 1 else k.total(values[0])


def spread(k: Emitter, value: Any, lanes: int) -> Any:
    """A scalar in every lane; a vector stays as it is."""
    return value if lanes == getattr(value.type, "count", 1) else k.splat(value, lanes)


def ranges(planes: Planes) -> list[tuple[int, int, int]]:
    """Blocks (first, after, images that count): the full ones, then the last one if it is not."""
    whole, live = divmod(planes.images, planes.block)
    full = [(0, whole, planes.block)] if whole else []
    return [*full, (whole, whole + 1, live)] if live else full


def shares(k: Emitter, planes: Planes, units: int) -> list[tuple[Index, Index, int]]:
    """This part's ranges of (block, unit), and how many images of their blocks count.

    Blocks that are full, then the last one if it is not; numbers are block · units + unit.
    """
    first, after = k.share(planes.blocks * units)
    whole, live = divmod(planes.images, planes.block)
    if not live:
        return [(first, after, planes.block)]
    last = (k.maximum(first, whole * units), after, live)
    return [(first, k.minimum(after, whole * units), planes.block), last] if whole else [last]
