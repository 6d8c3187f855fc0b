"""Access: how loops meet an array, and how a nest of loops is cut into vectors.

    offset = origin + Σ strides[l] · i_l        the loop that counts images goes in blocks of B

Two plans cover everything. Where all blocked arrays are blocked along the same loop by the same B,
a vector is B images of one cell. Where no array is blocked, a vector is a run along one loop, whole
vectors first and the rest in halves. Arrays that are blocked differently are met cell by cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Layout, Planes

__all__ = ["Access", "Phase", "access", "merged", "phases"]


@dataclass(frozen=True)
class Access:
    """One array in a nest.

    Attributes:
        name: of the array.
        dtype: of its numbers.
        strides: elements from one round of each loop to the next (0: the loop is not its own); of
            the loop `image` from block to block.
        origin: the offset where all loops are 0.
        image: the loop that counts images in blocks.
        block: B, 1 where there are no blocks.
    """

    name: str
    dtype: str
    strides: tuple[int, ...]
    origin: int = 0
    image: int = -1
    block: int = 1

    def offset(self, k: Emitter, indices: Sequence[Index]) -> Index:
        """Where the cell at these indices stands."""
        terms: list[Index | tuple[Index, Index]] = [self.origin]
        for loop, (i, stride) in enumerate(zip(indices, self.strides, strict=True)):
            if self.block > 1 and loop == self.image:
                i, lane = k.divmod(i, self.block)
                terms.append(lane)
            terms.append((i, stride))
        return k.at(*terms)


def access(
    name: str, where: Layout | Planes, axes: Sequence[int | None], loops: int, dtype: str
) -> Access:
    """An array whose axes are indexed by one loop each.

    Args:
        name: of the array.
        where: its layout.
        axes: the number of the loop on each axis; None: the index is always 0.
        loops: how many loops there are.
        dtype: of its numbers.
    """
    layout = where.layout if isinstance(where, Planes) else where
    strides = [0] * loops
    for axis, (loop, stride) in enumerate(zip(axes, layout.strides, strict=True)):
        if loop is not None:
            strides[loop] += stride
        elif axis == 0 and layout.block > 1 and layout.shape[0] > 1:
            raise ValueError(f"{name}: only images that are one can be left out")
    image = axes[0] if layout.block > 1 else None
    if image is None:
        return Access(name, dtype, tuple(strides), layout.origin)
    return Access(name, dtype, tuple(strides), layout.origin, image, layout.block)


@dataclass(frozen=True)
class Phase:
    """A nest without blocks, whose every round does one vector.

    Attributes:
        extents: rounds of each loop.
        accesses: the arrays, in the order that was given.
        steps: for each array, elements between lanes.
        lanes: numbers in a vector.
        loop: the loop that the lanes run along, -1 for none.
        last: lanes that count in the last round of that loop.
    """

    extents: tuple[int, ...]
    accesses: tuple[Access, ...]
    steps: tuple[int, ...]
    lanes: int
    loop: int
    last: int

    def order(self, loops: Sequence[int], first: int = 0) -> list[int]:
        """Loops from the farthest steps in memory to the nearest, array `first` deciding."""
        ranked = [*self.accesses[first:], *self.accesses[:first]]
        return sorted(
            (loop for loop in loops if self.extents[loop] > 1),
            key=lambda loop: [-abs(a.strides[loop]) for a in ranked],
        )


def phases(
    extents: tuple[int, ...], accesses: tuple[Access, ...], width: int, prefer: Sequence[int]
) -> list[Phase]:
    """Cut a nest into vectors.

    Args:
        extents: of the loops.
        accesses: the arrays.
        width: lanes that a vector has where nothing is blocked.
        prefer: numbers of the arrays that should be met in whole vectors first of all.
    """
    blocks = {(a.image, a.block) for a in accesses if a.block > 1}
    if len(blocks) > 1:
        return [Phase(extents, accesses, (0,) * len(accesses), 1, -1, 1)]
    if blocks:
        ((loop, block),) = blocks
        return _images(extents, accesses, loop, block)
    loop = _row(extents, accesses, prefer)
    return (
        [Phase(extents, accesses, (0,) * len(accesses), 1, -1, 1)]
        if loop < 0
        else _runs(extents, accesses, loop, width)
    )


def _images(
    extents: tuple[int, ...], accesses: tuple[Access, ...], loop: int, block: int
) -> list[Phase]:
    """B images a round; the rest one by one where an array without blocks must not be overrun."""
    count = extents[loop]
    uniform = all(a.block > 1 or a.strides[loop] == 0 for a in accesses)
    whole = -(-count // block) if uniform else count // block
    found = []
    if whole:
        steps = tuple(1 if a.block > 1 else a.strides[loop] for a in accesses)
        rounds = tuple(a if a.block > 1 else _scaled(a, loop, block) for a in accesses)
        last = count - (whole - 1) * block if uniform else block
        found.append(Phase(_with(extents, loop, whole), _flat(rounds), steps, block, loop, last))
    if count > whole * block:
        rest = tuple(
            replace(
                a,
                origin=a.origin + whole * a.strides[loop] * (1 if a.block > 1 else block),
                strides=_with(a.strides, loop, 1 if a.block > 1 else a.strides[loop]),
            )
            for a in accesses
        )
        left = _with(extents, loop, count - whole * block)
        found.append(Phase(left, _flat(rest), (0,) * len(rest), 1, loop, 1))
    return found


def _row(extents: tuple[int, ...], accesses: tuple[Access, ...], prefer: Sequence[int]) -> int:
    """The loop along which most arrays are met in whole vectors, -1 where no loop is worth it."""

    def cost(loop: int) -> tuple[int, int, int]:
        scattered = [i for i, a in enumerate(accesses) if a.strides[loop] not in (0, 1)]
        near = sum(a.strides[loop] == 1 for a in accesses)
        return len(scattered) + 2 * sum(i in prefer for i in scattered), -near, -extents[loop]

    loops = [loop for loop, extent in enumerate(extents) if extent > 1]
    return min(loops, key=cost, default=-1)


def _runs(
    extents: tuple[int, ...], accesses: tuple[Access, ...], loop: int, width: int
) -> list[Phase]:
    """Whole vectors along a loop, then half as many lanes, and so on."""
    found, done = [], 0
    steps = tuple(a.strides[loop] for a in accesses)
    while done < extents[loop]:
        left = extents[loop] - done
        lanes = min(width, 1 << (left.bit_length() - 1))
        rounds = left // lanes
        moved = tuple(
            _scaled(replace(a, origin=a.origin + done * a.strides[loop]), loop, lanes)
            for a in accesses
        )
        found.append(Phase(_with(extents, loop, rounds), moved, steps, lanes, loop, lanes))
        done += rounds * lanes
    return found


def _with(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*values[:place], value, *values[place + 1 :])


def _scaled(a: Access, loop: int, factor: int) -> Access:
    return replace(a, strides=_with(a.strides, loop, factor * a.strides[loop]))


def _flat(accesses: Sequence[Access]) -> tuple[Access, ...]:
    return tuple(replace(a, image=-1, block=1) for a in accesses)


def merged(
    extents: tuple[int, ...], accesses: tuple[Access, ...], kept: Sequence[int]
) -> tuple[tuple[int, ...], tuple[Access, ...], list[int]]:
    """The same nest with fewer loops: neighbours that all arrays run through as one.

    Returns:
        Extents, accesses and the loops that are kept (not summed).
    """
    images = {a.image for a in accesses if a.block > 1}
    order = sorted(
        (loop for loop in range(len(extents)) if extents[loop] != 1),
        key=lambda loop: [-abs(a.strides[loop]) for a in accesses],
    )
    groups: list[list[int]] = []
    for loop in order:
        joins = groups and _follows(groups[-1][-1], loop, extents, accesses)
        same = groups and (groups[-1][-1] in kept) == (loop in kept)
        if joins and same and not images.intersection((*groups[-1], loop)):
            groups[-1].append(loop)
        else:
            groups.append([loop])
    place = {group[0]: n for n, group in enumerate(groups)}
    fewer = tuple(
        replace(
            a,
            strides=tuple(a.strides[group[-1]] for group in groups),
            image=place.get(a.image, -1) if a.block > 1 else -1,
            block=a.block if a.image in place else 1,
        )
        for a in accesses
    )
    sizes = tuple(math.prod(extents[loop] for loop in group) for group in groups)
    return sizes, fewer, [n for n, group in enumerate(groups) if group[0] in kept]


def _follows(
    outer: int, inner: int, extents: tuple[int, ...], accesses: tuple[Access, ...]
) -> bool:
    return all(a.strides[outer] == a.strides[inner] * extents[inner] for a in accesses)
