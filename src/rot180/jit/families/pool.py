"""Max pool with a recorded winner, and its gradient; any window, any number of axes.

    for (block, channel) in this part's share, for positions p that reach the same taps
        z[p] = max over r of x[S·p + D·r − A],   winner[p] = the first r that has it (NaN wins)

    for (block, channel) in this part's share, for tiles q
        for u in S:  dx[S·q + u − A] = Σ over the windows p = q − j, D·r = u + S·j, of
                                       g[p] if winner[p] = r

Padding never wins: taps outside are left out, not read as zeros. The gradient is a gather, so it
writes each cell once, whether windows overlap or not. A ReLU in front of the pool moves behind it
(the larger cell has the larger positive part); where the pooled value is not positive, no tap is
recorded, and the gradient passes nowhere.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.emission.windows import (
    Reach,
    all_reaches,
    all_tiles,
    choices,
    place,
    read_cells,
    tap_steps,
    walk,
    write_tile,
)
from rot180.window import Window

__all__ = ["MaxPool", "MaxPoolGrad", "record_type"]


def record_type(window: Window) -> str:
    """Type of the record: holds the number of every tap, and one more for "none"."""
    return "uint8" if math.prod(window.kernel) < 256 else "uint16"


def _bits(window: Window) -> int:
    return np.dtype(record_type(window)).itemsize * 8


@dataclass(frozen=True)
class MaxPool(ByBlocks):
    """z and winner from x.

    Attributes:
        window: the windows.
        x, z: where input and output lie; the record lies like z, in `record_type`.
        relu: keep the positive part only.
        record: whether to write the winners.
    """

    window: Window
    x: Planes
    z: Planes
    relu: bool = False
    record: bool = True
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "z", *(("winner",) if self.record else ()))

    def emit(self, name: str, target: Target) -> Any:
        """The first loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        axes = all_reaches(self.window, self.x, self.z)
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            walk(k, axes, self.x.block, functools.partial(self._window, k, unit))
        return k.finish()

    def _window(
        self, k: Emitter, unit: Index, runs: tuple[Reach, ...], p: list[Index], lanes: int
    ) -> None:
        none, steps = math.prod(self.window.kernel), tap_steps(self.window)
        best = k.variable(k.constant(-math.inf, lanes))
        number: Index = none  # of a window between the cells
        if all(run.taps for run in runs):
            number = sum(run.taps[0][0] * s for run, s in zip(runs, steps, strict=True))
        winner = k.variable(k.whole(number, lanes))
        for turn, taps in enumerate(choices(k, [run.taps for run in runs])):
            value = read_cells(
                k, self.window, self.x, unit, runs, p, [shift for _, shift in taps], lanes
            )
            if turn == 0 and all(isinstance(r, int) for r, _ in taps):
                best.set(value)  # the first tap has nobody to beat
                continue
            number = k.at(*zip([r for r, _ in taps], steps, strict=True))
            b = k.builder
            wins = b.and_(
                b.fcmp_unordered(">", value, best.get()),
                b.fcmp_ordered("ord", best.get(), best.get()),
            )
            winner.set(k.select(wins, k.whole(number, lanes), winner.get()))
            best.set(k.select(wins, value, best.get()))
        value = k.relu(best.get()) if self.relu else best.get()
        where = place(k, self.z, unit, p)
        k.store(value, "z", where)
        if self.record:
            chosen = winner.get()
            if self.relu:
                positive = k.builder.fcmp_ordered(">", value, k.constant(0.0, lanes))
                chosen = k.select(positive, chosen, k.whole(none, lanes))
            narrow = k.narrow(chosen, _bits(self.window))
            k.store_as(record_type(self.window), narrow, "winner", where)


@dataclass(frozen=True)
class MaxPoolGrad(ByBlocks):
    """dx from g and winner.

    Attributes:
        window: the windows.
        x, z, g: where dx, the record and the upstream gradient lie.
    """

    window: Window
    x: Planes
    z: Planes
    g: Planes
    dtype: str = "float32"

    arrays = ("g", "winner", "dx")

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        axes = all_tiles(self.window, self.x, self.z)
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            given = functools.partial(self._given, k, unit)
            body = functools.partial(write_tile, k, self.window, self.x, unit, given)
            walk(k, axes, self.x.block, body)
        return k.finish()

    def _given(self, k: Emitter, unit: Index, p: list[Index], r: list[Index], lanes: int) -> Any:
        """g[p] where the winner is r."""
        winner = k.load_as(record_type(self.window), "winner", place(k, self.z, unit, p), lanes)
        number = k.at(*zip(r, tap_steps(self.window), strict=True))
        won = k.builder.icmp_unsigned("==", winner, k.whole(number, lanes, _bits(self.window)))
        return k.select(won, k.load("g", place(k, self.g, unit, p), lanes), k.constant(0.0, lanes))
