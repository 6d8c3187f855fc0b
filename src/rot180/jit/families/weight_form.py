"""The form of a convolution read for w, by sums in registers: what its two loop nests share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.layout import Cells

__all__ = ["WeightForm", "edges", "kept_between"]


@dataclass(frozen=True)
class WeightForm:
    """dw[k, c, r] = Σ_{n, p} g[n, k, p] · x[n, c, S·p + D·r − A].

    Attributes:
        x, g: where input and upstream gradient lie.
        groups: number of groups.
        kernel, stride, dilation, before: the window.
        turned: read each kernel from its end (mode "convolution").
    """

    x: Cells
    g: Cells
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    turned: bool = False

    @property
    def channels(self) -> int:
        """Channels of one group."""
        return self.x.channels // self.groups

    @property
    def filters(self) -> int:
        """Filters of one group."""
        return self.g.channels // self.groups

    @property
    def taps(self) -> int:
        """Taps of one channel."""
        return math.prod(self.kernel)


def kept_between(
    k: Emitter, sums: Sequence[Variable], waiting: Index, chunk: tuple[Index, int],
    finish: Callable[[], None],
) -> None:  # fmt: skip
    """Keep the sums of a task in memory from one chunk to the next; finish them in the last one.

    Args:
        k: the kernel.
        sums: of this chunk.
        waiting: where those of the chunks before it stand in "sums".
        chunk: its number, and how many there are.
        finish: writes them to where they belong.
    """
    number, chunks = chunk
    if chunks == 1:
        finish()
        return
    lanes = getattr(sums[0].get().type, "count", 1)
    with k.all_of([(number, ">", 0)]):
        for i, one in enumerate(sums):
            one.set(k.add(k.load("sums", k.at(waiting, i * lanes), lanes), one.get()))
    with k.all_of([(number, "<", chunks - 1)]):
        for i, one in enumerate(sums):
            k.store(one.get(), "sums", k.at(waiting, i * lanes))
    with k.all_of([(number, "==", chunks - 1)]):
        finish()


def edges(index: Any, extent: int, step: int) -> list[tuple[int, list[Any]]]:
    """(size, conditions) of the whole blocks of an axis and of the last one."""
    whole, rest = divmod(extent, step)
    if not rest:
        return [(step, [])]
    if not whole:
        return [(rest, [])]
    return [(step, [(index, "<", whole)]), (rest, [(index, "==", whole)])]
