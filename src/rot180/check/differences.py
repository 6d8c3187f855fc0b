"""Differences: what a function does when its inputs move, and what that says about its gradient.

    ⟨g, f(x + εv) − f(x − εv)⟩ / 2ε  →  ⟨v, gradient⟩

Two errors pull at ε: the curve bends (error ~ ε²) and the numbers are rounded (error ~ 1/ε). At a
kink there is no derivative but an interval between the two one-sided ones, and every value inside
is a rightful gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rot180.check.noise import spacing
from rot180.check.subject import Subject
from rot180.core import Array

__all__ = ["Line", "Slopes", "best_step", "examine", "line_along", "sweep"]

Arrays = Sequence[Array]

STEPS = tuple(10.0**-n for n in range(1, 10))
"""The steps of a sweep."""


@dataclass(frozen=True)
class Line:
    """A function along a line x + t·v, contracted with upstream gradients g.

    Attributes:
        subject: the function.
        arrays: x.
        direction: v, one array (or None: not moved) for each input.
        gs: g, one for each output.
        base: f(x).
    """

    subject: Subject
    arrays: list[Array]
    direction: list[Array | None]
    gs: list[Array]
    base: list[Array]

    def outputs(self, t: float) -> list[Array]:
        """f(x + t·v)."""
        moved = [
            a if v is None else (a + t * v).astype(a.dtype)
            for a, v in zip(self.arrays, self.direction, strict=True)
        ]
        return self.subject.values(moved)

    def slopes(self, step: float) -> Slopes:
        """The central and both one-sided slopes of ⟨g, f⟩, from three values."""
        ahead, behind = self.outputs(step), self.outputs(-step)
        central = noise = low = high = 0.0
        for a, b, x, g in zip(ahead, behind, self.base, self.gs, strict=True):
            wide = [np.asarray(v, np.float64) for v in (a, b, x)]
            right, left = g * (wide[0] - wide[2]) / step, g * (wide[2] - wide[1]) / step
            central += float((right + left).sum()) / 2
            low += float(np.minimum(right, left).sum())
            high += float(np.maximum(right, left).sum())
            noise += float(np.abs(g * wide[2]).sum())
        return Slopes(step, central, low, high, 4 * spacing(*self.base) * noise / step)


@dataclass(frozen=True)
class Slopes:
    """What a line looks like around x.

    Attributes:
        step: ε.
        central: the central difference.
        low: the least, and
        high: the greatest value between the one-sided differences of every output cell.
        noise: how much of this is rounding.
    """

    step: float
    central: float
    low: float
    high: float
    noise: float


def line_along(
    subject: Subject, arrays: list[Array], gs: list[Array], base: list[Array],
    moved: Sequence[tuple[int, Array]],
) -> Line:  # fmt: skip
    """The line that moves the named inputs along the given directions."""
    direction: list[Array | None] = [None] * len(arrays)
    for i, v in moved:
        direction[i] = v
    return Line(subject, arrays, direction, gs, base)


def sweep(line: Line, slope: float) -> list[tuple[float, float]]:
    """For every step of `STEPS`: how far the central difference is from `slope`."""
    return [(step, abs(line.slopes(step).central - slope)) for step in STEPS]


def best_step(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The step with the smallest error, and that error."""
    return min(found, key=lambda pair: pair[1])


def _around(eps: float) -> Iterator[float]:
    """Steps at which a cell is looked at again: smaller ones, then larger ones."""
    for factor in (1.0, 1e-1, 1e-2, 1e1, 1e2, 1e3):
        if 1e-10 <= eps * factor <= 0.1:
            yield eps * factor


def examine(line: Line, slope: float, eps: float, atol: float, rtol: float) -> str | None:
    """Why a slope is right although the central difference at `eps` is another one.

    Returns:
        "kink": it lies between the one-sided slopes, which stay apart as the step shrinks;
        "step": it is the central difference at another step, and at `eps` that is noise or a kink
        nearby; None: it is wrong.
    """
    seen = [line.slopes(step) for step in _around(eps)]
    for s in seen:
        if s.step <= eps and _apart(s) and _between(s, slope, atol + rtol * abs(s.central)):
            smaller = line.slopes(s.step / 10)
            gap = (smaller.high - smaller.low) / (s.high - s.low)
            if gap > 0.5 and _between(smaller, slope, atol + rtol * abs(slope)):
                return "kink"
    first = seen[0]
    for s in seen[1:]:
        near = abs(slope - s.central) <= s.noise + atol + rtol * abs(s.central)
        kink_nearby = s.step < eps and _apart(first)
        noise = s.step > eps and abs(slope - first.central) <= 8 * first.noise
        if near and (kink_nearby or noise):
            return "step"
    return None


def _apart(s: Slopes) -> bool:
    return s.high - s.low > 10 * s.noise + 1e-3 * max(abs(s.high), abs(s.low))


def _between(s: Slopes, slope: float, slack: float) -> bool:
    return s.low - s.noise - slack <= slope <= s.high + s.noise + slack
