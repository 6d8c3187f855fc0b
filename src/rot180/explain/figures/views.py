"""One figure: which view, of which array, with which cell; written as svg, png or pdf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError
from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.duality import duality
from rot180.explain.figures.graph import graph
from rot180.explain.figures.matrix import matrix
from rot180.explain.figures.network import network
from rot180.explain.figures.overview import heading, overview
from rot180.explain.figures.panels import equation, lights
from rot180.explain.figures.report import report
from rot180.explain.figures.scatter import scatter
from rot180.explain.figures.windows import choice, gather

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["FIGURES", "draw", "figure"]


def _forward(e: Explanation, of: str, cell: Cell | None, **options: Any) -> Sheet:
    """The forward window, whatever array is looked at."""
    name = next(name for name, value in e.values.items() if value.role == "output")
    chosen = cell if cell is not None and cell.name == name else None
    candidate = chosen or next(iter(e[name]))
    if not candidate.candidates:
        return gather(e, name, chosen, **options)
    sheet = Sheet(e.lang, options.get("dark", False))
    low = choice(
        sheet, e, candidate, heading(sheet, e) + 0.2, symbols=options.get("symbols", False)
    )
    equation(sheet, e, 0, low + 1.3, candidate, lights(e, candidate, sheet.dark),
             max(12.0, sheet.right))  # fmt: skip
    return sheet


FIGURES: dict[str, Callable[..., Sheet]] = {
    "cells": overview,
    "forward": _forward,
    "gather": gather,
    "scatter": scatter,
    "matrix": matrix,
    "network": network,
    "graph": graph,
    "duality": duality,
    "report": report,
}
"""Every figure by the name of its view."""


def figure(
    e: Explanation,
    view: str | None = None,
    of: str | None = None,
    cell: Cell | str | None = None,
    *,
    symbols: bool | None = None,
    dark: bool = False,
) -> Sheet:
    """The figure of a view.

    Args:
        e: the explanation.
        view: "cells" (default; of a model "report"), "forward", "gather", "scatter", "matrix",
            "duality", or "report".
        of: the array that is looked at, such as "dx"; by default that of the cell, else the first
            gradient.
        cell: the cell that is looked at, or its address; by default one with many terms.
        symbols: write names into the cells instead of numbers; by default as the view is read best.
        dark: light ink on dark paper.

    Raises:
        ArgumentError: an unknown view, one that this operation does not have, no such cell, or too
            much to draw.
    """
    view = view or ("report" if hasattr(e, "layers") else "cells")
    if view not in FIGURES:
        raise ArgumentError(
            f"explain: unknown view {view!r}", expected=", ".join(FIGURES), got=repr(view)
        )
    chosen = None if cell is None else e.cell(cell)
    if of is None:
        computed = chosen is not None and e.values[chosen.name].step is not None
        name = chosen.name if chosen is not None and computed else _main(e)
    else:
        name = e[of].name
    options = {} if symbols is None else {"symbols": symbols}
    return FIGURES[view](e, name, chosen, dark=dark, **options)


def _main(e: Explanation) -> str:
    gradients = [name for name, value in e.values.items() if value.role == "gradient"]
    first = "δ_x" if "δ_x" in gradients else next(iter(gradients), "")
    return first or next(name for name, value in e.values.items() if value.role == "output")


def draw(
    e: Explanation, path: Path, view: str | None = None, of: str | None = None,
    cell: Cell | str | None = None, *, symbols: bool | None = None, dark: bool = False,
) -> None:  # fmt: skip
    """Write a figure; the suffix of the path picks svg, png or pdf.

    Args:
        e: the explanation.
        path: where to.
        view: see `figure`.
        of: see `figure`.
        cell: see `figure`.
        symbols: see `figure`.
        dark: see `figure`.

    Raises:
        ArgumentError: see `figure`.
        MissingExtraError: matplotlib is not installed.
    """
    figure(e, view, of, cell, symbols=symbols, dark=dark).save(Path(path))
