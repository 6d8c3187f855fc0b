"""Arena: one piece of memory for a whole step; what is dead makes room for what comes.

Every buffer lives from its first to its last call. Large ones are placed first, each at the lowest
offset where nothing lies that lives at the same time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["ALIGNMENT", "Life", "peak", "place", "place_apart"]

ALIGNMENT = 64
"""Buffers begin at a cache line; the slack behind each lets a vector read over its end."""


K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Life:
    """One buffer.

    Attributes:
        size: bytes.
        first, last: places of the first and of the last call that use it.
    """

    size: int
    first: int
    last: int


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT + ALIGNMENT


def place(lives: Mapping[K, Life]) -> tuple[dict[K, int], int]:
    """An offset for every buffer, and the size of the whole.

    >>> place({"a": Life(64, 0, 1), "b": Life(64, 1, 2), "c": Life(64, 2, 3)})
    ({'a': 0, 'b': 128, 'c': 0}, 256)
    """
    offsets: dict[K, int] = {}
    placed: list[tuple[int, int, Life]] = []
    order = sorted(lives, key=lambda name: (-lives[name].size, lives[name].first))
    for name in order:
        life = lives[name]
        size = _rounded(life.size)
        others = sorted(
            (start, end)
            for start, end, other in placed
            if other.first <= life.last and life.first <= other.last
        )
        offset = 0
        for start, end in others:
            if offset + size <= start:
                break
            offset = max(offset, end)
        offsets[name] = offset
        placed.append((offset, offset + size, life))
    return offsets, max((end for _, end, _ in placed), default=0)


def place_apart(lives: Mapping[K, Life], kinds: Mapping[K, object]) -> tuple[dict[K, int], int]:
    """As `place`, but buffers of a kind share memory with their own kind only.

    Args:
        lives: as in `place`.
        kinds: for some of the buffers what they are; equal kinds have equal sizes.
    """
    slots: list[tuple[object, int, list[K]]] = []  # (kind, last call, names)
    for name in sorted(kinds, key=lambda name: lives[name].first):
        kind, life = kinds[name], lives[name]
        free = (i for i, slot in enumerate(slots) if slot[0] == kind and slot[1] < life.first)
        at = next(free, None)
        if at is None:
            slots.append((kind, life.last, [name]))
        else:
            slots[at] = (kind, life.last, [*slots[at][2], name])
    end = max((life.last for life in lives.values()), default=0)
    merged: dict[Hashable, Life] = {n: life for n, life in lives.items() if n not in kinds}
    for number, (_, _, names) in enumerate(slots):
        merged["slot", number] = Life(max(lives[n].size for n in names), 0, end)
    places, size = place(merged)
    offsets = {n: places[n] for n in lives if n not in kinds}
    for number, (_, _, names) in enumerate(slots):
        offsets |= dict.fromkeys(names, places["slot", number])
    return offsets, size


def peak(lives: Mapping[K, Life]) -> int:
    """The most bytes that live at one call: what no placement can go below."""
    calls = {life.first for life in lives.values()}
    return max(
        (sum(x.size for x in lives.values() if x.first <= c <= x.last) for c in calls), default=0
    )
