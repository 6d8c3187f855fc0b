"""Blocks of the turned weight gradient: into which tasks, chunks and panels its work is cut.

A task is a block of sums in registers. A panel holds g, turned, for one block of filters and the
positions of one chunk; some of them lie in the second cache together, with the sums that wait for
the next chunk or without, whichever moves fewer numbers.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from rot180.jit.emission.target import Target
from rot180.jit.families.weight_form import WeightForm

__all__ = ["Blocks", "Chunks", "TurnedBlocks"]

LONGEST = 1024
"""Steps of one sum, where lines are no longer."""

SHARED = 0.85
"""What a task is worth that writes into cache lines which another part writes into, too."""

TURN = 14.0
"""Vector operations to turn a vector of g."""


@dataclass(frozen=True)
class Blocks:
    """How the work is cut.

    Attributes:
        lanes: filters of a vector.
        wide: vectors of filters of a task.
        deep: channels of a task.
        span: taps of a task: all of a channel, or some of one row of them.
    """

    lanes: int
    wide: int
    deep: int
    span: int


@dataclass(frozen=True)
class Chunks:
    """How the sums are cut.

    Attributes:
        piece: positions of a line.
        lines: lines of a chunk.
        columns: blocks of filters whose panels lie in the second cache together.
    """

    piece: int
    lines: int
    columns: int


@dataclass(frozen=True)
class TurnedBlocks(WeightForm):
    """The integers of `TurnedWeight`, and how its work is cut for a target.

    Attributes:
        parts: how many threads the blocks are made for; any number can share them.
    """

    parts: int = 1
    dtype: str = "float32"

    def blocks(self, target: Target) -> Blocks:
        """The block of sums with the fewest loads for each product that fits into registers."""
        return _blocks(self, target)

    def tasks(self, target: Target) -> tuple[int, int, int, int]:
        """Groups, blocks of filters, blocks of channels, blocks of taps."""
        b = self.blocks(target)
        return (
            self.groups,
            -(-self.filters // (b.wide * b.lanes)),
            -(-self.channels // b.deep),
            self.tap_blocks(b.span),
        )

    def turning(self, columns: int) -> float:
        """Vector operations to turn a vector of g, in all parts that need it."""
        return TURN * max(1.0, self.parts / (self.groups * columns))

    def tap_blocks(self, span: int) -> int:
        """Blocks of so many taps in a channel."""
        if span == self.taps:
            return 1
        return math.prod(self.kernel[:-1]) * -(-self.kernel[-1] // span)

    def chunks(self, target: Target) -> Chunks:
        """Chunks whose panels the second cache holds, and which move the fewest bytes."""
        b, (groups, columns, *rest) = self.blocks(target), self.tasks(target)
        size, row = np.dtype(self.dtype).itemsize, self.g.sizes[-1]
        piece = -(-row // -(-row * self.g.block // LONGEST))
        lines = self.all_lines(piece)
        mine = -(-groups * columns // self.parts)
        task = b.wide * b.deep * b.span * b.lanes
        read = self.x.channels * math.prod(self.x.extents) * self.x.block * self.x.blocks
        best, least = (1, 1), math.inf
        for some in range(1, mine + 1):
            step = some * b.wide * b.lanes * size
            steps = min(LONGEST, target.level2 // 2 // step)
            if some > 1 and steps < piece * self.g.block:
                break
            count = max(1, min(lines, steps // (piece * self.g.block)))
            held = some * math.prod(rest) * task * size <= target.level2 // 4
            waits = 2 * (-(-lines // count) - 1) * mine * math.prod(rest) * task
            moved = waits / (4 if held else 1)
            moved += -(-mine // some) * read
            if moved <= least:
                best, least = (count, some), moved
        return Chunks(piece, *best)

    def rounds(self, target: Target) -> int:
        """How many chunks there are."""
        cut = self.chunks(target)
        return -(-self.all_lines(cut.piece) // cut.lines)

    def all_lines(self, piece: int) -> int:
        """Lines of all images."""
        rows = self.g.blocks * math.prod(self.g.sizes[:-1])
        return rows * -(-self.g.sizes[-1] // piece)

    def sums(self, target: Target) -> int:
        """Elements of the sums that wait in memory."""
        if self.rounds(target) == 1:
            return 0
        b = self.blocks(target)
        return math.prod(self.tasks(target)) * b.wide * b.deep * b.span * b.lanes

    def scratch(self, target: Target) -> int:
        """Elements of the panels of each part."""
        return self.panel(target) * self.chunks(target).columns

    def panel(self, target: Target) -> int:
        """Elements of a panel; turning writes up to a vector of positions too much."""
        cut, b = self.chunks(target), self.blocks(target)
        steps = cut.lines * cut.piece * self.g.block
        return (steps + target.lanes(np.dtype(self.dtype))) * b.wide * b.lanes


@functools.lru_cache(maxsize=64)
def _blocks(kernel: TurnedBlocks, target: Target) -> Blocks:
    lanes = target.lanes(np.dtype(kernel.dtype))
    while lanes >= 2 * kernel.filters:
        lanes //= 2
    count = -(-kernel.filters // lanes)
    taps, row = kernel.taps, kernel.kernel[-1]
    longest = target.registers // 2 - 2
    spans = {taps, row} if taps <= longest else {row}
    if row > longest:
        spans = {-(-row // -(-row // longest))}
    best, found = Blocks(lanes, 1, 1, min(spans)), 0.0
    for span in sorted(spans):
        for wide, deep in itertools.product(range(1, 9), range(1, longest + 1)):
            sums = wide * deep * span
            # the compiler keeps masks for turning in two registers all the time
            if sums + wide + 1 > target.registers - 3 or wide > count or deep > kernel.channels:
                continue
            tasks = -(-count // wide) * -(-kernel.channels // deep) * kernel.groups
            tasks *= kernel.tap_blocks(span)
            covered = count * kernel.channels * taps * kernel.groups / (tasks * sums)
            balance = tasks / (-(-tasks // kernel.parts) * kernel.parts)
            loads = (wide + deep * span) / sums
            turning = kernel.turning(-(-count // wide)) / (kernel.channels * taps)
            score = covered * balance / (1 + 0.5 * loads + turning) * min(1.0, sums / 12)
            # parts that share a block of filters write into the same rows of dw
            score *= SHARED if kernel.groups * -(-count // wide) < kernel.parts else 1.0
            if score > found:
                best, found = Blocks(lanes, wide, deep, span), score
    return best
