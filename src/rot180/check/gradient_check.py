"""The answer of `gradients`: true or false, and which cells, by how much, against which noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rot180.check.differences import best_step
from rot180.check.noise import cell_text
from rot180.core import Array

__all__ = ["GradientCheck", "InputCheck"]


@dataclass(frozen=True)
class InputCheck:
    """One input: its gradient beside the differences.

    Attributes:
        index: which input.
        analytic: the gradient that was handed back for a random upstream gradient.
        numeric: the difference of each cell; NaN where a cell was not visited.
        wrong: the cells that are wrong.
        kinks: the cells on a kink, whose gradient is one of the subgradients.
        noise: how much of a difference is rounding.
        directions: (gradient, difference, wrong) along random directions through all cells.
    """

    index: int
    analytic: Array
    numeric: Array
    wrong: Array
    kinks: Array
    noise: float
    directions: tuple[tuple[float, float, bool], ...] = ()

    def __bool__(self) -> bool:
        return not self.wrong.any() and not any(bad for *_, bad in self.directions)

    @property
    def visited(self) -> int:
        """How many cells have a difference."""
        return int(np.isfinite(self.numeric).sum())

    @property
    def error(self) -> float:
        """The largest |gradient − difference| of a visited cell or a direction, kinks left out."""
        seen = np.isfinite(self.numeric) & ~self.kinks
        cells = np.abs(self.analytic - self.numeric)[seen]
        return max([*cells.tolist(), *(abs(a - b) for a, b, _ in self.directions)], default=0.0)

    def worst(self, count: int = 5) -> list[tuple[tuple[int, ...], float, float]]:
        """The wrong cells with the largest error: (cell, gradient, difference)."""
        cells = np.argwhere(self.wrong)
        errors = np.abs(self.analytic - self.numeric)[self.wrong]
        order = np.argsort(-errors, kind="stable")[:count]
        found = [tuple(int(i) for i in cells[k]) for k in order]
        return [(c, float(self.analytic[c]), float(self.numeric[c])) for c in found]

    def common_factor(self) -> float | None:
        """Gradient / difference, where it is the same in all wrong cells (two or more)."""
        a, n = self.analytic[self.wrong], self.numeric[self.wrong]
        if a.size < 2 or not np.abs(n).max(initial=0) > 0:
            return None
        factor = float(np.vdot(n, a) / np.vdot(n, n))
        fits = np.abs(a - factor * n) <= 1e-4 * np.abs(n) + 1e-6
        return factor if fits.all() and abs(factor) > 1e-8 else None


@dataclass(frozen=True)
class GradientCheck:
    """The answer of `rot180.check.gradients`. It is true where every gradient is right.

    Attributes:
        inputs: one `InputCheck` for each checked input.
        problems: what made a comparison impossible: randomness, changes in place, shapes, NaN.
        advice: what to do, one sentence each.
        sweep: (step, relative error) along one random direction.
        eps: the step of the comparison.
    """

    inputs: tuple[InputCheck, ...]
    problems: tuple[str, ...]
    advice: tuple[str, ...]
    sweep: tuple[tuple[float, float], ...] = field(default=())
    eps: float = 0.0

    def __bool__(self) -> bool:
        return not self.problems and all(self.inputs)

    def headline(self) -> str:
        """The answer in one line."""
        if self.problems:
            return f"gradients: {self.problems[0]}"
        if self:
            cells = sum(check.visited for check in self.inputs)
            error = max(check.error for check in self.inputs)
            what = f"{cells} cells" if cells else "random directions"
            return f"gradients: right in {what}, largest error {error:.1e}"
        check = next(check for check in self.inputs if not check)
        if check.wrong.any():
            cell, a, n = check.worst(1)[0]
            return (
                f"gradients: {int(check.wrong.sum())} of {check.visited} cells of input "
                f"{check.index} differ; in cell {cell_text(cell)} the gradient is {a:.6g}, "
                f"the difference {n:.6g}"
            )
        a, n, _ = next(pair for pair in check.directions if pair[2])
        return (
            f"gradients: input {check.index} differs along a random direction: "
            f"the gradient gives {a:.6g}, the difference {n:.6g}"
        )

    def __str__(self) -> str:
        lines = [self.headline()]
        for check in self.inputs:
            state = "right" if check else "WRONG"
            lines.append(
                f"  input {check.index} {check.analytic.shape}: {state}, error {check.error:.1e}, "
                f"noise {check.noise:.0e}, {check.visited} of {check.analytic.size} cells visited"
            )
            lines += [
                f"    {cell_text(cell)}  gradient {a: .6g}  difference {n: .6g}"
                for cell, a, n in check.worst()
            ]
        if self.sweep:
            step, error = best_step(self.sweep)
            shown = "  ".join(f"{s:.0e}: {e:.0e}" for s, e in self.sweep)
            lines.append(f"  steps  {shown}  (best {step:.0e}, error {error:.0e})")
        lines += [f"  {problem}" for problem in self.problems[1:]]
        lines += [f"  advice: {line}" for line in self.advice]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "passed": bool(self),
            "headline": self.headline(),
            "problems": list(self.problems),
            "advice": list(self.advice),
            "eps": self.eps,
            "sweep": [list(pair) for pair in self.sweep],
            "inputs": [
                {
                    "index": check.index,
                    "shape": list(check.analytic.shape),
                    "passed": bool(check),
                    "error": check.error,
                    "noise": check.noise,
                    "visited": check.visited,
                    "wrong": int(check.wrong.sum()),
                    "kinks": int(check.kinks.sum()),
                    "worst": [
                        {"cell": list(cell), "gradient": a, "difference": n}
                        for cell, a, n in check.worst()
                    ],
                }
                for check in self.inputs
            ],
        }

    def save(self, path: str | Path) -> Path:
        """A picture: gradient, difference and the cells that differ, for every input.

        Args:
            path: where; its ending chooses the format (.png, .svg, .pdf).

        Raises:
            MissingExtraError: matplotlib is not installed (the `plot` extra).
        """
        from rot180.check.figures import draw_gradient_check, save_figure

        return save_figure(draw_gradient_check(self), path)
