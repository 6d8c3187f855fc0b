"""The schedule: in which order calls run, which of them go through the images block by block, and
where all threads must meet.

A kernel whose work units are ordered by blocks of images can do one block alone. A run of such
kernels is a segment: each thread takes its blocks through all of them, one after the other, so what
one kernel writes is read by the next while it is in the cache, and no thread waits for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rot180.jit.planning.task import Call, Task

__all__ = ["Draft", "Group", "groups", "touching", "worthwhile"]

Name = int | tuple[str, object]
"""A buffer: the number of a value, or a pair of a word and what it belongs to."""


@dataclass(frozen=True)
class Draft:
    """A call with the buffers that stand for its arrays.

    Attributes:
        task: what it is part of.
        call: the kernel.
        names: the buffer of each of the kernel's arrays, in order.
    """

    task: Task
    call: Call
    names: tuple[Name, ...]

    @property
    def blocks(self) -> int:
        """Blocks of images that its work units are ordered by, 0 if they are not."""
        return getattr(self.call.kernel, "by_blocks", 0)

    @property
    def written(self) -> set[Name]:
        """The buffers it writes."""
        arrays = zip(self.call.kernel.arrays, self.names, strict=True)
        return {name for array, name in arrays if array in self.call.writes}

    @property
    def read(self) -> set[Name]:
        """The buffers it reads (or reads and writes)."""
        return set(self.names) - self.written


Group = list[Draft]
"""Calls that run as a segment; most groups are a single call."""


def groups(drafts: Sequence[Draft], parts: int) -> list[Group]:
    """The calls in an order that keeps every dependency, as few groups as that allows.

    What waits for no block of images comes first: weights are made ready. Then calls that can go by
    blocks, as long as any is ready, and only then, in the given order, another.
    """
    before = _dependencies(drafts)
    waiting = list(range(len(drafts)))
    done: set[int] = set()
    found: list[Group] = []

    def ready() -> list[int]:
        return [n for n in waiting if before[n] <= done]

    while early := [n for n in ready() if not drafts[n].blocks]:
        for n in early:
            found.append([drafts[n]])
            waiting.remove(n)
        done.update(early)
    open_blocks = 0
    while waiting:
        able = ready()
        by_blocks = [n for n in able if worthwhile(drafts[n].blocks, parts)]
        same = [n for n in by_blocks if drafts[n].blocks == open_blocks]
        n = (same or by_blocks or able)[0]
        blocks = drafts[n].blocks if n in by_blocks else 0
        if blocks and blocks == open_blocks:
            found[-1].append(drafts[n])
        else:
            found.append([drafts[n]])
        open_blocks = blocks
        waiting.remove(n)
        done.add(n)
    return found


def worthwhile(blocks: int, parts: int) -> bool:
    """Whether blocks can be dealt out evenly enough."""
    return blocks >= parts and (blocks % parts == 0 or blocks >= 4 * parts)


def _dependencies(drafts: Sequence[Draft]) -> list[set[int]]:
    """For every call the earlier ones that write what it touches, or touch what it writes."""
    writers: dict[Name, int] = {}
    readers: dict[Name, list[int]] = {}
    found = []
    for n, draft in enumerate(drafts):
        before = {writers[name] for name in draft.names if name in writers}
        for name in draft.written:
            before.update(readers.get(name, ()))
        found.append(before - {n})
        for name in draft.read:
            readers.setdefault(name, []).append(n)
        for name in draft.written:
            writers[name] = n
            readers[name] = []
    return found


Span = tuple[object, int, int]
"""(where, begin, end): bytes of the arena (where is None), or of an array outside of it."""


def touching(some: Sequence[Span], others: Sequence[Span]) -> bool:
    """Whether any two of them share a byte."""
    return any(
        where == place and begin < stop and start < end
        for where, begin, end in some
        for place, start, stop in others
    )
