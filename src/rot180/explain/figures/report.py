"""Report: a chain of layers on one page: every array and the gradient that arrives at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rot180.errors import ArgumentError
from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.colours import array_colour
from rot180.explain.figures.overview import heading
from rot180.explain.figures.panels import named, short
from rot180.explain.figures.words import say

if TYPE_CHECKING:
    from rot180.core import Array
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["report"]

PLANES, ROWS, SIDE = 6, 40, 1.5


def report(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = False,
           dark: bool = False) -> Sheet:  # fmt: skip
    """A row for each array: its planes as maps, its norm, and the same of its gradient.

    Blue is below 0, orange above. A map has a scale of its own, which stands beside it.

    Raises:
        ArgumentError: more arrays than fit on a page.
    """
    forward = [v for v in e.values.values() if v.role in ("input", "output") or (
        v.role == "inner" and v.step is not None and not v.step.backward)]  # fmt: skip
    forward = [v for v in forward if e.delta_name(v)]
    layers = {layer.output: layer for layer in getattr(e, "layers", ())}
    readers = {name: layer.output for layer in layers.values() for name in layer.parameters}
    order = {value.name: number for number, value in enumerate(forward)}
    # A kernel and a bias stand before the output that they help to make.
    forward.sort(key=lambda v: (order[readers.get(v.name, v.name)], v.name in layers))
    if len(forward) > ROWS:
        raise ArgumentError(
            f"explain: {e.title} is too large for one page",
            arithmetic=f"{len(forward)} arrays, more than {ROWS}",
        )
    sheet = Sheet(e.lang, dark)
    y = heading(sheet, e) + 0.2
    maps = PLANES * (SIDE + 0.15)
    for x, word in ((5.0, "forward"), (5.0 + maps + 4.6, "backward")):
        sheet.text(x, y, say(word, e.lang), 12, sheet.paper.soft, align="left", vertical="baseline")
    y += 0.5
    for value in forward:
        delta = e.delta_name(value)
        own = array_colour(value.name, value.role, dark)
        sheet.text(0, y + 0.6, named(e, value.name), 17, own, align="left")
        layer = layers.get(value.name)
        made = "" if value.step is None else value.step.name
        size = "×".join(map(str, value.shown)) or "1"
        words = made if layer is None else f"{layer.path} {layer.kind}"
        sheet.text(1.5, y + 0.6, words, 10, sheet.paper.soft, align="left")
        sheet.text(0, y + 1.25, size, 10, sheet.paper.soft, align="left")
        _maps(sheet, 5.0, y, value.array)
        sheet.text(5.0 + maps + 3.8, y + 0.5, named(e, delta), 15,
                   array_colour(delta, "", dark))  # fmt: skip
        _maps(sheet, 5.0 + maps + 4.6, y, e.values[delta].array)
        y += SIDE + 0.45
    return sheet


def _maps(sheet: Sheet, x: float, y: float, array: Array) -> None:
    """The first planes of an array, and its norm and largest number."""
    flat = array.reshape(1, -1) if array.ndim < 2 else array
    planes = flat.reshape(-1, *flat.shape[-2:])
    rows, columns = planes.shape[-2:]
    if rows * 5 < columns or columns * 5 < rows:  # a long vector is folded into a square
        side = int(np.ceil(np.sqrt(rows * columns)))
        folded = np.zeros((len(planes), side * side))
        folded[:, : rows * columns] = planes.reshape(len(planes), -1)
        planes = folded.reshape(len(planes), side, side)
    most = float(np.abs(array).max(initial=0.0))
    for i, plane in enumerate(planes[:PLANES]):
        sheet.picture(x + i * (SIDE + 0.15), y, SIDE, plane, most)
    at = x + min(len(planes), PLANES) * (SIDE + 0.15) + 0.15
    if len(planes) > PLANES:
        sheet.text(at, y + 1.25, f"+ {len(planes) - PLANES}", 9.5, sheet.paper.soft, align="left")
    norm = float(np.sqrt(np.square(np.asarray(array, np.float64)).sum()))
    sheet.text(at, y + 0.3, f"‖·‖ = {short(norm)}", 10, align="left")
    sheet.text(at, y + 0.8, f"max|·| = {short(most)}", 10, sheet.paper.soft, align="left")
