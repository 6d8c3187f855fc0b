"""Rooms: what only one segment uses needs memory for one block of images for each thread.

A thread takes a block through all kernels of a segment before it begins another. So values that are
made and used up there lie in a room of the thread's own, which every block uses again: it stays in
the cache. Inside of a room, too, what is dead makes room for what comes, kernel by kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rot180.jit.emission.layout import Planes
from rot180.jit.planning import arena
from rot180.jit.planning.arena import ALIGNMENT, Life
from rot180.jit.planning.plan import Buffer
from rot180.jit.planning.schedule import Group, Name
from rot180.jit.planning.task import Places

__all__ = ["Room", "room_of"]


@dataclass(frozen=True)
class Room:
    """Memory of one thread in one segment.

    Attributes:
        offsets: bytes from its start, for every value in it.
        size: bytes, whole cache lines.
        least: bytes that live at once at the fullest moment.
    """

    offsets: Mapping[int, int]
    size: int
    least: int


def room_of(
    group: Group, alone: set[Name], buffers: Mapping[Name, Buffer], halos: Mapping[Name, Planes],
    places: Places,
) -> Room:  # fmt: skip
    """Lay out the room of a segment.

    Args:
        group: its calls.
        alone: the buffers that nothing else uses.
        buffers: by name.
        halos: planes of the values with a halo, which stays zero where that costs little memory.
        places: what tasks were told.
    """
    lives: dict[int, Life] = {}
    blocks = group[0].blocks
    for at, draft in enumerate(group if len(group) > 1 else ()):
        for name in draft.names:
            if name in alone and isinstance(name, int) and _in_blocks(places, name, blocks):
                first = lives[name].first if name in lives else at
                lives[name] = Life(buffers[name].bytes // blocks, first, at)
    least = arena.peak(lives)
    offsets, size = arena.place(lives)
    own = {name: planes for name, planes in halos.items() if name in lives}
    apart = arena.place_apart(lives, own)
    if apart[1] <= max(1.15 * least, places.target.level2 // 2):
        offsets, size = apart
    return Room(offsets, -(-size // ALIGNMENT) * ALIGNMENT, least)


def _in_blocks(places: Places, name: int, blocks: int) -> bool:
    """Whether a value is made of as many blocks of images."""
    return name in places.planes and places.planes[name].blocks == blocks
