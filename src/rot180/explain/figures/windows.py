"""Windows: the array that is read, the kernel as it is read, and the array that comes out.

For an input gradient this is the full correlation with the turned kernel over the dilated, padded
upstream gradient; for an output it is the forward window. A pool that chooses has no kernel: its
window is framed, and what it took is lit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rot180.errors import ArgumentError
from rot180.explain.figures.canvas import Look, Sheet
from rot180.explain.figures.colours import array_colour, tap_colours
from rot180.explain.figures.overview import heading
from rot180.explain.figures.panels import (
    Index,
    caption,
    check_size,
    equation,
    kernel_taps,
    label,
    lights,
    panel,
    plain,
    short,
)
from rot180.explain.figures.words import say
from rot180.explain.formula import Ref
from rot180.explain.views import Gather

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["as_read", "choice", "draw_windows", "gather"]

PLANES = 3
"""So many channels are drawn below one another."""


def gather(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = False,
           dark: bool = False) -> Sheet:  # fmt: skip
    """One target cell and its window.

    Raises:
        ArgumentError: the array is no correlation, or there is too much to draw.
    """
    view = Gather(e, of)
    chosen = cell if cell is not None and cell.name == view.of else _middle(e, view.of)
    sheet = Sheet(e.lang, dark)
    low = draw_windows(sheet, view, chosen, heading(sheet, e) + 0.2, symbols=symbols)
    equation(sheet, e, 0, low + 1.3, chosen, lights(e, chosen, dark), max(sheet.right, 12.0))
    return sheet


def _middle(e: Explanation, name: str) -> Cell:
    """The cell in the middle of an array's last axes, which has most of its window inside."""
    shape = e.values[name].shape
    return max(
        (e[name].at((*(0,) * (len(shape) - len(tail)), *tail)) for tail in _tails(shape)),
        key=lambda cell: len(cell.terms),
    )


def _tails(shape: Index) -> list[Index]:
    return [tuple(int(i) for i in index) for index in np.ndindex(shape[2:] or shape)]


def draw_windows(
    sheet: Sheet, view: Gather, cell: Cell, y: float, *, symbols: bool = False,
    until: int | None = None, size: float = 1.0,
) -> float:  # fmt: skip
    """Slots ⋆ kernel = target, with the window of one cell; returns the lower edge.

    Args:
        sheet: where to draw.
        view: the correlation.
        cell: the target cell.
        y: the upper edge.
        symbols: write names into the cells instead of numbers.
        until: of the target, only so many cells are known yet (for a film).
        size: of a cell.
    """
    e = view.explanation
    dark = sheet.dark
    axes = len(view.axes)
    pairs = _planes(view, cell)[:PLANES]
    target = e.values[view.of]
    check_size(e, view.slots.size * len(pairs) + target.array.size)
    count = int(np.prod(view.kernel.shape))
    colours = tap_colours(count, dark)
    window: dict[Index, str] = {
        place: colours[_tap(kernel, view)] for place, kernel in view.windows(cell.index[-axes:])
    }
    source, strips = e.values[view.source], kernel_taps(e, dark)
    own = array_colour(view.source, source.role, dark)
    top = y + 0.8
    low = right = 0.0
    for front, kernel_front in pairs:
        note = say(source.role, e.lang) + _plane_words(e, view.source, front)
        head = caption(sheet, e, 0, top - 0.35, view.source, note)
        look = _slots(e, view, front, window, own, symbols)
        wide, high = panel(sheet, 0, top, view.slots.shape, look, size)
        x = max(wide, head) + 0.6
        middle = top + high / 2
        if view.weight is not None:
            sheet.text(x, middle, r"$\star$", 26, sheet.paper.soft)
            x += 0.6
            shape = view.kernel.shape
            rows = shape[-2] if len(shape) > 1 else 1
            kernel_top = max(top, middle - rows * size / 2)
            turned = say("turned" if view.turned else "kernel", e.lang)
            note = turned + _plane_words(e, view.weight, kernel_front)
            head = caption(sheet, e, x, kernel_top - 0.35, view.weight, note)
            inside = plain(e, view.weight, {Ref(view.weight, (*kernel_front, *view.kernel[p])): c
                                            for p, c in _lit_kernel(view, cell, colours)},
                           symbols=symbols, strips=strips, dark=dark)  # fmt: skip
            wide, _ = panel(sheet, x, kernel_top, shape, as_read(inside, view, kernel_front), size)
            x += max(wide, head) + 0.6
        right = max(right, x)
        low = max(low, top + high)
        top = low + 1.4
    middle = (y + 0.8 + low) / 2
    low = max(low, _legend(sheet, view, low + 0.35))
    sheet.text(right, middle, "=", 22, sheet.paper.soft)
    shape = target.shape
    rows = (1, 1, *shape)[-2]
    start = max(y + 0.8, middle - rows * size / 2)
    caption(sheet, e, right + 0.6, start - 0.35, view.of, say(target.role, e.lang))
    look = _partial(plain(e, view.of, {}, cell.ref, symbols=symbols, dark=dark), shape, until)
    _, high = panel(sheet, right + 0.6, start, shape, look, size, target.lead, e.base, columns=2)
    return max(low, start + high)


def _tap(kernel: Index, view: Gather) -> int:
    return int(np.ravel_multi_index(kernel, view.kernel.shape))


def _planes(view: Gather, cell: Cell) -> list[tuple[Index, Index]]:
    """The leading indices of source and kernel that a cell's terms read, each pair once."""
    axes = len(view.axes)
    values = view.explanation.values
    found: dict[tuple[Index, Index], None] = {}
    for term in cell.terms:
        refs = {ref.name: ref.index[:-axes] for ref in term.cells}
        if view.source in refs:
            found[refs[view.source], refs.get(view.weight or "", ())] = None
    if found:
        return list(found)
    zeros = [(0,) * (len(values[n].shape) - axes) for n in (view.source, view.weight) if n]
    return [(zeros[0], zeros[1] if len(zeros) > 1 else ())]


def _plane_words(e: Explanation, name: str, front: Index) -> str:
    shown = front[e.values[name].lead :]
    return "  [" + ", ".join(str(i + e.base) for i in shown) + "]" if shown else ""


def _slots(
    e: Explanation, view: Gather, front: Index, window: dict[Index, str], own: str, symbols: bool
) -> Callable[[Index], Look]:
    def look(place: Index) -> Look:
        slot = view.slots[place]
        inside = window.get(place, "")
        if slot.cell is None:
            return Look("0", "", inside, 2.6 if inside else 1.0, slot.kind)
        ref = Ref(view.source, (*front, *slot.cell))
        text = label(e, ref) if symbols else short(e.number(ref))
        kind = "cell" if slot.kind == "cell" else slot.kind
        return Look(text, inside, inside or own, 1.0, kind)

    return look


def _lit_kernel(view: Gather, cell: Cell, colours: list[str]) -> list[tuple[Index, str]]:
    """Taps (in the order of reading) that meet a cell and not a zero, with their colours."""
    axes = len(view.axes)
    taps = np.ndindex(view.kernel.shape)
    pairs = zip(taps, view.windows(cell.index[-axes:]), strict=True)
    return [
        (tap, colours[_tap(kernel, view)])
        for tap, (place, kernel) in pairs
        if view.slots[place].cell is not None
    ]


def as_read(look: Callable[[Index], Look], view: Gather, front: Index) -> Callable[[Index], Look]:
    """The kernel in the order in which it is read."""
    return lambda tap: look((*front, *view.kernel[tap]))


def _partial(
    look: Callable[[Index], Look], shape: Index, until: int | None
) -> Callable[[Index], Look]:
    """Cells that a film has not come to yet are empty."""
    if until is None:
        return look

    def known(index: Index) -> Look:
        position = int(np.ravel_multi_index(index, shape)) if shape else 0
        return look(index) if position <= until else Look(edge=look(index).edge)

    return known


def _legend(sheet: Sheet, view: Gather, y: float) -> float:
    """What is no cell, in words; returns the lower edge."""
    kinds = dict.fromkeys(slot.kind for slot in view.slots.ravel())
    shown = [k for k in ("padding", "dilation", "remainder", "unread") if k in kinds]
    x = 0.0
    for kind in shown:
        words = say(kind, sheet.lang)
        wide = 0.8 + sheet.width(words, 9.5)
        if x and x + wide > max(8.0, view.slots.shape[-1] + 1):
            x, y = 0.0, y + 0.6
        sheet.cell(x, y, Look(kind=kind), 0.45)
        sheet.text(x + 0.6, y + 0.25, words, 9.5, sheet.paper.soft, align="left")
        x += wide + 0.3
    if view.cropped:
        e = view.explanation
        lead = (0,) * (len(e.values[view.source].shape) - len(view.axes))
        cells = ", ".join(label(e, Ref(view.source, (*lead, *c))) for c in view.cropped[:8])
        more = " …" if len(view.cropped) > 8 else ""
        y += 0.6 if shown else 0.0
        sheet.text(0, y + 0.25, f"{say('cropped', sheet.lang)}: {cells}{more}", 9.5,
                   sheet.paper.soft, align="left")  # fmt: skip
    return y + 0.5 if shown or view.cropped else y


def choice(
    sheet: Sheet, e: Explanation, cell: Cell, y: float, *, symbols: bool = False,
    until: int | None = None, size: float = 1.0,
) -> float:  # fmt: skip
    """A pool that chooses: its window in the source, and what it took; returns the lower edge.

    Raises:
        ArgumentError: nothing was chosen.
    """
    if not cell.candidates:
        raise ArgumentError(f"explain: {cell.name} of {e.title} has no windows")
    source, target = e.values[cell.candidates[0].name], e.values[cell.name]
    check_size(e, source.array.size + target.array.size)
    lit = lights(e, cell, sheet.dark)
    top = y + 0.8
    caption(sheet, e, 0, top - 0.35, source.name, say(source.role, e.lang))
    look = plain(e, source.name, lit, symbols=symbols, among=cell.candidates, dark=sheet.dark)
    wide, high = panel(sheet, 0, top, source.shape, look, size, source.lead, e.base, columns=2)
    sheet.text(wide + 0.8, top + high / 2, "max →", 13, sheet.paper.soft)
    x = wide + 1.8
    rows = (1, 1, *target.shape)[-2]
    start = max(top, top + high / 2 - rows * size / 2)
    caption(sheet, e, x, start - 0.35, target.name, say(target.role, e.lang))
    seen = plain(e, cell.name, {}, cell.ref, symbols=symbols, dark=sheet.dark)
    _, tall = panel(sheet, x, start, target.shape, _partial(seen, target.shape, until), size,
                    target.lead, e.base, columns=2)  # fmt: skip
    return max(top + high, start + tall)
