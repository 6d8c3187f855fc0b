"""Pictures of checks. Okabe and Ito's colours; matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array
from rot180.errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    from rot180.check.diagnosis import Diagnosis
    from rot180.check.gradient_check import GradientCheck

__all__ = [
    "as_plane",
    "draw_diagnosis",
    "draw_gradient_check",
    "draw_planes",
    "empty_figure",
    "save_figure",
]

WRONG = "#d55e00"
INK = "#1f2328"
_LIMIT = 4096


def empty_figure(width: float, height: float) -> Any:
    """An empty figure in inches, without pyplot.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("pictures", "matplotlib", "plot") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure; the ending of the path is its format.

    Raises:
        ArgumentError: an ending that is no format.
    """
    target = Path(path)
    formats = sorted(figure.canvas.get_supported_filetypes())
    if target.suffix.lstrip(".").lower() not in formats:
        raise ArgumentError(
            f"picture {target.name}",
            expected="an ending of " + ", ".join(formats),
            got=target.suffix,
        )
    figure.savefig(target, dpi=160)
    return target


def as_plane(array: Array) -> Array:
    """Any array as rows and columns: the planes of (N, C) beside and below each other."""
    if array.ndim <= 2:
        return np.atleast_2d(array)
    if array.ndim == 3:
        array = array[None]
    *outer, rows, columns = array.shape
    first, second = math.prod(outer[:-1]), outer[-1]
    tiles = array.reshape(first, second, rows, columns)
    gap = np.full((first, second, rows + 1, columns + 1), np.nan)
    gap[:, :, :rows, :columns] = tiles
    joined = gap.transpose(0, 2, 1, 3).reshape(first * (rows + 1), second * (columns + 1))
    return np.asarray(joined[:-1, :-1])


def draw_planes(panels: list[tuple[str, Array, Array | None]], columns: int = 3) -> Any:
    """Arrays as planes of coloured cells; cells of a mask are framed.

    Args:
        panels: (title, array, mask or None) each; arrays of more than 4,096 cells are cut off.
        columns: how many stand side by side.
    """
    rows = -(-len(panels) // columns)
    figure = empty_figure(3.6 * columns, 3.2 * rows)
    for number, (title, array, mask) in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, number)
        plane = as_plane(np.asarray(array, np.float64))
        kept = plane[: max(1, _LIMIT // max(1, plane.shape[1]))]
        reach = float(np.nanmax(np.abs(kept), initial=0)) or 1.0
        signed = bool(np.nanmin(kept, initial=0) < 0)
        colours = {"cmap": "PuOr", "vmin": -reach} if signed else {"cmap": "Purples", "vmin": 0}
        image = axes.imshow(kept, vmax=reach, aspect="equal", **colours)
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        if kept.size <= 64:
            for (i, j), value in np.ndenumerate(kept):
                if np.isfinite(value):
                    dark = "white" if abs(value) > 0.6 * reach else INK
                    axes.text(j, i, f"{value:.3g}", ha="center", va="center", size=7, color=dark)
        if mask is not None and mask.mean() <= 0.5:  # where most cells differ, frames tell nothing
            for i, j in np.argwhere(np.nan_to_num(as_plane(mask.astype(float)))[: len(kept)] > 0):
                axes.add_patch(_frame(j, i))
    return figure


def _frame(column: float, row: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=WRONG, linewidth=1.6)


def draw_gradient_check(check: GradientCheck) -> Any:
    """For every input its gradient, the differences, and their disagreement, wrong cells framed."""
    panels: list[tuple[str, Array, Array | None]] = []
    for one in check.inputs:
        off = one.analytic - one.numeric
        rounding = 1e-4 * float(np.abs(one.analytic).max(initial=0))
        off = np.where(np.abs(off) <= rounding, 0, off)
        panels += [
            (f"input {one.index}: gradient", one.analytic, None),
            ("difference", one.numeric, None),
            (f"they differ ({int(one.wrong.sum())} cells)", off, one.wrong),
        ]
    if not panels:
        raise ArgumentError("picture: nothing was compared", got=check.headline())
    return draw_planes(panels)


def draw_diagnosis(diagnosis: Diagnosis) -> Any:
    """For every wrong gradient: the right one, the mistake's, and the cells that differ."""
    panels: list[tuple[str, Array, Array | None]] = []
    for finding in diagnosis.findings:
        if diagnosis.case is None or not finding.explanations:
            continue
        right = diagnosis.case.answers[finding.gradient].value
        yours = finding.explanations[0].value
        panels += [(f"{finding.gradient}: right", right, None), (finding.name, yours, None)]
        if yours.shape == right.shape:
            off = yours - right
            panels.append(("they differ", off, np.abs(off) > 1e-9 * np.abs(right).max(initial=1)))
    if not panels:
        raise ArgumentError("picture: no mistake to draw", got=diagnosis.name)
    return draw_planes(panels)
