"""Matrix: the same map as one sparse matrix; one colour is one shared number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rot180.explain.figures.canvas import Look, Sheet
from rot180.explain.figures.colours import tap_colours
from rot180.explain.figures.overview import heading
from rot180.explain.figures.panels import caption, check_size, label, plain, short
from rot180.explain.views import Network

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["matrix"]


def matrix(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = True,
           dark: bool = False) -> Sheet:  # fmt: skip
    """Target = M · source: rows are target cells, columns source cells, entries kernel cells.

    For an output or an input gradient M is the Toeplitz matrix or its transpose; for a kernel's
    gradient it holds cells of x: the transposed patch matrix.

    Raises:
        ArgumentError: no linear array, or a matrix too large to draw.
    """
    view = Network(e, of)
    rows, columns = len(view.targets), len(view.sources)
    check_size(e, rows * columns)
    sheet = Sheet(e.lang, dark)
    y = heading(sheet, e) + (0.7 if columns <= 2 * rows else 1.9)
    count = 1 + max((edge.tap for edge in view.edges), default=0)
    if e.window is not None:
        count = max(count, int(np.prod(e.window.kernel)))
    colours = tap_colours(count, dark)
    entries = {(edge.target, edge.source): edge for edge in view.edges}
    size = 1.0 if columns <= 20 else 0.72
    targets = plain(e, view.of, {}, cell.ref if cell else None, symbols=symbols, dark=dark)
    sources = plain(e, view.relation.source, {}, symbols=symbols, dark=dark)
    caption(sheet, e, 0, y - 0.35, view.of)
    for i, target in enumerate(view.targets):
        sheet.cell(0, y + i * size, targets(target.index), size)
    middle = y + rows * size / 2
    sheet.text(size + 0.5, middle, "=", 22, sheet.paper.soft)
    left = size + 1.0
    for i, j in np.ndindex(rows, columns):
        edge = entries.get((view.targets[i], view.sources[j]))
        place = (left + j * size, y + i * size)
        if edge is None:
            sheet.cell(*place, Look(kind="none"), size)
            continue
        text = short(edge.coefficient * (1 if edge.weight is None else e.number(edge.weight)))
        if symbols and edge.weight is not None:
            text = label(e, edge.weight)
        sheet.cell(*place, Look(text, colours[edge.tap], "none"), size)
    if columns > 2 * rows:  # the source lies above the columns
        low = y - 0.6 - size
        for j, source in enumerate(view.sources):
            sheet.cell(left + j * size, low, sources(source.index), size)
        caption(sheet, e, left - 0.9, low + 0.7 * size, view.relation.source)
        return sheet
    right = left + columns * size
    sheet.text(right + 0.45, middle, "·", 26, sheet.paper.soft)
    start = max(y, middle - columns * size / 2)
    caption(sheet, e, right + 0.9, start - 0.35, view.relation.source)
    for j, source in enumerate(view.sources):
        sheet.cell(right + 0.9, start + j * size, sources(source.index), size)
    return sheet
