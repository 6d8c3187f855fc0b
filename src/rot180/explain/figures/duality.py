"""Duality: forward correlation is backward convolution, and the other way round, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.overview import heading, richest
from rot180.explain.figures.panels import (
    caption,
    equation,
    kernel_taps,
    lights,
    panel,
    plain,
)
from rot180.explain.figures.windows import as_read
from rot180.explain.figures.words import say
from rot180.explain.views import Duality, Gather
from rot180.explain.words import say as say_view

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["duality"]


def duality(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = True,
            dark: bool = False) -> Sheet:  # fmt: skip
    """For each mode the kernel as it is read, forward and backward, with an equation of both.

    Raises:
        ArgumentError: an operation without modes.
    """
    view = Duality(e, of)
    sheet = Sheet(e.lang, dark)
    y = heading(sheet, e)
    x = 0.0
    for word, other in (("correlation", view.correlation), ("convolution", view.convolution)):
        right = _mode(sheet, other, word, x, y, symbols)
        x = right + 1.2
    return sheet


def _mode(sheet: Sheet, e: Explanation, word: str, x: float, y: float, symbols: bool) -> float:
    sheet.text(x, y, say_view(f"mode {word}", e.lang), 13, align="left", vertical="baseline",
               bold=True)  # fmt: skip
    y += 1.3
    for name in ("z", "δ_x"):
        gather = Gather(e, name)
        cell = richest(e, name)
        lit, strips = lights(e, cell, sheet.dark), kernel_taps(e, sheet.dark)
        assert gather.weight is not None
        turned = say("turned" if gather.turned else "kernel", e.lang)
        value = e.values[name]
        wide = caption(sheet, e, x, y, name, say(value.role, e.lang))
        sheet.text(x + wide + 0.6, y, "←", 15, sheet.paper.soft, vertical="baseline")
        caption(sheet, e, x + wide + 1.1, y, gather.weight, turned)
        front = (0,) * (len(e.values[gather.weight].shape) - len(gather.axes))
        look = plain(e, gather.weight, lit, symbols=symbols, strips=strips, dark=sheet.dark)
        _, high = panel(sheet, x, y + 0.4, gather.kernel.shape, as_read(look, gather, front))
        y = equation(sheet, e, x, y + high + 1.6, cell, lit, 13.0) + 0.6
    return sheet.right
