"""Windows in a loop nest: which neighbouring cells see the same taps, so that one body serves them.

Read for p: positions whose windows reach the input with the same taps (all of them but at the
edges). Read for h: with h = S·q + u − A, tile q holds the S cells u = 0 ... S − 1; the windows that
reach its cell u are those at p = q − j with D·r = u + S·j. Every cell is one of a tile, so whoever
writes whole tiles writes every cell once, whether windows overlap, touch or leave gaps.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import over
from rot180.window import Axis, Window

__all__ = [
    "Reach",
    "Tile",
    "all_reaches",
    "all_tiles",
    "choices",
    "place",
    "reaches",
    "read_cells",
    "tap_steps",
    "tiles",
    "walk",
    "write_tile",
]

UNROLLED = 32
"""Up to so many taps are written out; more of them are a loop."""


@dataclass(frozen=True)
class Reach:
    """Positions p of one axis that reach cells with the same taps (r, D·r − A)."""

    start: int
    stop: int
    taps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Tile:
    """Tiles q of one axis that hold the same cells u, each reached by the same pairs (r, j)."""

    start: int
    stop: int
    cells: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def reaches(axis: Axis, size: int, outputs: int) -> list[Reach]:
    """All positions of an axis, in runs.

    >>> reaches(Axis(kernel=2, stride=2), 4, 2)
    [Reach(start=0, stop=2, taps=((0, 0), (1, 1)))]
    """
    found = []
    keys = [axis.live_taps(p, size) for p in range(outputs)]
    for taps, run in itertools.groupby(range(outputs), keys.__getitem__):
        positions = list(run)
        pairs = tuple((r, axis.dilation * r - axis.before) for r in taps)
        found.append(Reach(positions[0], positions[-1] + 1, pairs))
    return found


def tiles(axis: Axis, size: int, outputs: int) -> list[Tile]:
    """All cells of an axis, in runs of tiles.

    >>> tiles(Axis(kernel=2, stride=2), 4, 2)
    [Tile(start=0, stop=2, cells=((0, ((0, 0),)), (1, ((1, 0),))))]
    """

    def cells(q: int) -> Any:
        found = []
        for u in range(axis.stride):
            if 0 <= axis.stride * q + u - axis.before < size:
                pairs = [(r, axis.dilation * r - u) for r in range(axis.kernel)]
                whole = [(r, d // axis.stride) for r, d in pairs if d % axis.stride == 0]
                found.append((u, tuple((r, j) for r, j in whole if 0 <= q - j < outputs)))
        return tuple(found)

    numbers = range(axis.before // axis.stride, (size - 1 + axis.before) // axis.stride + 1)
    keys = {q: cells(q) for q in numbers}
    return [
        Tile((run := list(group))[0], run[-1] + 1, key)
        for key, group in itertools.groupby(numbers, keys.__getitem__)
    ]


def all_reaches(window: Window, x: Planes, z: Planes) -> list[list[Reach]]:
    """Of every axis."""
    sizes = zip(window.axes, x.sizes, z.sizes, strict=True)
    return [reaches(axis, size, outputs) for axis, size, outputs in sizes]


def all_tiles(window: Window, x: Planes, z: Planes) -> list[list[Tile]]:
    """Of every axis."""
    sizes = zip(window.axes, x.sizes, z.sizes, strict=True)
    return [tiles(axis, size, outputs) for axis, size, outputs in sizes]


def tap_steps(window: Window) -> tuple[int, ...]:
    """By how much the number of a tap grows along each axis."""
    return tuple(math.prod(window.kernel[axis + 1 :]) for axis in range(len(window.kernel)))


Body = Callable[[Any, list[Index], int], None]
"""What is done with one vector: (the run of each axis, the place on each axis, lanes)."""


def walk(k: Emitter, axes: Sequence[Sequence[Any]], block: int, body: Body) -> None:
    """Emit `body` for every combination of runs, in loops over the places of each."""
    for chosen in itertools.product(*axes):
        with contextlib.ExitStack() as stack:
            places = [stack.enter_context(k.loop(run.start, run.stop)) for run in chosen[:-1]]
            one = functools.partial(_one, k, body, chosen, places)
            over(k, chosen[-1].stop - chosen[-1].start, block, one, 2)


def _one(
    k: Emitter, body: Body, chosen: Any, places: list[Index], q: Index, lanes: int, *_: object
) -> None:
    body(chosen, [*places, k.at(q, chosen[-1].start)], lanes)


def choices(k: Emitter, axes: Sequence[tuple[tuple[int, int], ...]]) -> Iterator[list[Any]]:
    """Every combination of one pair of each axis, in row-major order: written out, or in loops.

    The pairs of an axis grow evenly, so a loop can count them.
    """
    if not _looped(axes):
        yield from map(list, itertools.product(*axes))
        return
    with contextlib.ExitStack() as stack:
        numbers = [stack.enter_context(k.loop(0, len(pairs))) for pairs in axes]
        yield [
            tuple(k.at(a, (i, b - a)) for a, b in zip(pairs[0], pairs[:2][-1], strict=True))
            for i, pairs in zip(numbers, axes, strict=True)
        ]


def _looped(axes: Sequence[Sequence[Any]]) -> bool:
    return math.prod(map(len, axes)) > UNROLLED


def place(k: Emitter, planes: Planes, unit: Index, cell: Sequence[Index]) -> Index:
    """Where a cell of plane number `unit` stands; it may be written as a sum of (index, factor)."""
    return k.at((unit, planes.plane), planes.origin(), *zip(cell, planes.steps, strict=True))


def read_cells(
    k: Emitter, window: Window, x: Planes, unit: Index, runs: Sequence[Reach], p: Sequence[Index],
    shifts: Sequence[Index], lanes: int,
) -> Any:  # fmt: skip
    """x[S·p + shift] for the positions p of one vector."""
    cells = [k.at((i, s), d) for i, s, d in zip(p, window.stride, shifts, strict=True)]
    step = window.stride[-1] if x.block == 1 else 1
    if step == 1 or not isinstance(shifts[-1], int):
        return k.gather("x", place(k, x, unit, cells), step, lanes)
    # From the first tap of the run on, so that neighbouring taps share what they read.
    first = runs[-1].taps[0][1]
    cells[-1] = k.at((p[-1], step), first)
    return k.strided("x", place(k, x, unit, cells), shifts[-1] - first, step, lanes)


Given = Callable[[list[Index], list[Index], int], Any]
"""What the window at p gives through its tap r, for `lanes` positions: (p, r, lanes)."""


def write_tile(
    k: Emitter, window: Window, x: Planes, unit: Index, given: Given, runs: Sequence[Tile],
    q: Sequence[Index], lanes: int,
) -> None:  # fmt: skip
    """Write dx in every cell of a vector of tiles: the sum of what the windows over it give."""
    origin = [k.at((i, s), -a) for i, s, a in zip(q, window.stride, window.before, strict=True)]
    for row in itertools.product(*(run.cells for run in runs[:-1])):
        outer = [pairs for _, pairs in row]
        made = [_gathered(k, given, [*outer, pairs], q, lanes) for _, pairs in runs[-1].cells]
        cells = [k.at(o, u) for o, (u, _) in zip(origin, row, strict=False)]
        where = [place(k, x, unit, [*cells, k.at(origin[-1], u)]) for u, _ in runs[-1].cells]
        if x.block == 1 and len(made) == window.stride[-1] == 2:
            k.store(k.zipped(*made), "dx", where[0])
            continue
        for value, at in zip(made, where, strict=True):
            k.scatter(value, "dx", at, window.stride[-1] if x.block == 1 else 1)


def _gathered(
    k: Emitter, given: Given, axes: Sequence[tuple[tuple[int, int], ...]], q: Sequence[Index],
    lanes: int,
) -> Any:  # fmt: skip
    total = k.variable(k.constant(0.0, lanes))
    several = math.prod(map(len, axes)) > 1
    for pairs in choices(k, axes):
        p = [k.at(i, (j, -1)) for i, (_, j) in zip(q, pairs, strict=True)]
        value = given(p, [r for r, _ in pairs], lanes)
        total.set(k.add(total.get(), value) if several else value)
    return total.get()
