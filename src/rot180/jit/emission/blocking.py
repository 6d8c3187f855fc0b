"""Blocking: how a loop nest is cut into register blocks, and a row into vectors."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Row", "cut", "register_block", "vectors"]


def register_block(
    registers: int, width: int, height: int, reach: int = 0, far: float = 1.0
) -> tuple[int, int]:
    """(vectors, numbers) of the block of sums with the fewest loads per product that fits.

    A block of w vectors times h numbers keeps w·h sums, w vectors and one number in registers. A
    dozen sums hide the latency of the multiplier; more of them save loads. A row of taps reads
    `reach` more vectors than it makes, and the compiler keeps them all. A vector that comes from
    `far` costs as much as so many numbers.
    """
    best, found = (1, 1), -1.0
    for w in range(1, min(width, 8) + 1):
        for h in range(1, min(height, 16) + 1):
            if w * h + w + reach + 1 > registers - 1 and (w, h) != (1, 1):
                continue
            covered = (width / (-(-width // w) * w)) * (height / (-(-height // h) * h))
            loads = (far * w + h) / (w * h)
            score = covered / (1 + 0.5 * loads) * min(1.0, w * h / 12)
            if score > found:
                best, found = (w, h), score
    return best


def cut(extent: int, step: int) -> list[tuple[int, int, int]]:
    """(start, stop, step) of the loop over whole steps, and of the rest."""
    whole = extent // step * step
    parts = [(0, whole, step)] if whole else []
    return [*parts, (whole, extent, extent - whole)] if whole < extent else parts


@dataclass(frozen=True)
class Row:
    """How vectors cover a row of cells.

    Attributes:
        cells: cells of the row.
        count: vectors that cover it.
        per: cells that one vector holds.
        lanes: numbers in one vector.
    """

    cells: int
    count: int
    per: int
    lanes: int

    @property
    def shifted(self) -> bool:
        """Whether the last vector is shifted back, so that it ends with the row."""
        return self.count * self.per > self.cells >= self.per

    @property
    def live(self) -> int:
        """Numbers of a vector that count: all of them, but where it is longer than the row."""
        return self.lanes * min(self.cells, self.per) // self.per

    def start(self, number: int) -> int:
        """The first cell of a vector."""
        return min(number * self.per, max(0, self.cells - self.per))


def vectors(cells: int, lanes: int, block: int, spare: bool = False) -> Row:
    """Cover a row of cells, each of `block` images, by vectors of at most `lanes` numbers.

    Whole blocks of images fill a vector each. Without blocks, a vector is as long as the largest
    power of two that fits into the row, and the last one overlaps the one before it; or, with
    `spare` lanes that do not count, a row that is shorter than a vector is one vector.
    """
    if block > 1:
        return Row(cells, cells, 1, block)
    if spare and cells <= lanes:
        per = 1 << (cells - 1).bit_length()
        return Row(cells, 1, per, per)
    per = lanes
    while per > cells:
        per //= 2
    return Row(cells, -(-cells // per), per, per)
