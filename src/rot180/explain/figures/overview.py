"""Cells: all arrays of an explanation, one cell's sources lit, and its equation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.panels import (
    caption,
    check_size,
    equation,
    kernel_taps,
    lights,
    panel,
    plain,
    window_words,
)
from rot180.explain.figures.words import say

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["heading", "overview", "richest"]

WIDTH = 24.0
"""Panels wrap at this many cells."""


def richest(e: Explanation, name: str) -> Cell:
    """The first cell of an array with the most terms, which shows most."""
    return max(e[name], key=lambda cell: len(cell.terms))


def heading(sheet: Sheet, e: Explanation, y: float = 0.0) -> float:
    """The operation and its window; returns where the next line is."""
    wide = sheet.text(0, y, e.title, 18, align="left", vertical="baseline", bold=True)
    words = window_words(e)
    sheet.text(wide + 0.4, y, words, 12, sheet.paper.soft, align="left", vertical="baseline")
    return y + 0.8


def overview(
    e: Explanation, of: str, cell: Cell | None, *, symbols: bool = False, dark: bool = False
) -> Sheet:
    """All arrays; the sources of a cell, each product in a colour; the equation below."""
    check_size(e, sum(value.array.size for value in e.values.values()))
    cell = cell or richest(e, of)
    sheet = Sheet(e.lang, dark)
    lit, strips = lights(e, cell, dark), kernel_taps(e, dark)
    y = heading(sheet, e) + 0.2
    x = low = 0.0
    band = ""
    for name, value in e.values.items():
        backward = value.role in ("upstream", "gradient") or (
            value.role == "inner" and value.step is not None and value.step.backward
        )
        word = "backward" if backward else "forward"
        rows, columns = (1, 1, *value.shape)[-2:]
        planes = max(1, value.array.size // max(1, rows * columns))
        wide = min(planes, 4) * (columns + 0.5)
        if word != band or (x and x + wide > WIDTH):
            y, x = (low + (1.1 if word != band else 1.4) if low else y), 0.0
            if word != band:
                sheet.text(0, y, say(word, e.lang), 11, sheet.paper.soft, align="left",
                           vertical="baseline")  # fmt: skip
                y += 0.9
            band = word
        note = f"{say(value.role, e.lang)}, {'×'.join(map(str, value.shown)) or '1'}"
        head = caption(sheet, e, x, y, name, note)
        look = plain(e, name, lit, cell.ref, symbols=symbols, strips=strips, dark=dark,
                     among=cell.candidates)  # fmt: skip
        drawn, high = panel(sheet, x, y + 0.35, value.shape, look, lead=value.lead, base=e.base)
        low = max(low, y + 0.35 + high)
        x += max(head, drawn) + 0.9
    equation(sheet, e, 0, low + 1.3, cell, lit, max(sheet.right, 12.0))
    return sheet
