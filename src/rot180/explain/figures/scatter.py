"""Scatter: what each source cell hands out, one panel for each, and their sum."""

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
    kernel_taps,
    label,
    lights,
    panel,
    plain,
    short,
)
from rot180.explain.figures.words import say
from rot180.explain.formula import Ref
from rot180.explain.views import Part, Scatter

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["draw_part", "scatter"]

PARTS = 36
"""So many source cells have a panel of their own; of more there is no figure, but a film."""


def scatter(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = False,
            dark: bool = False) -> Sheet:  # fmt: skip
    """Source and kernel, a panel for each source cell, and the sum.

    Raises:
        ArgumentError: no linear array, or too many source cells.
    """
    view = Scatter(e, of)
    parts = view.parts
    shape = e.values[view.of].shape
    if len(parts) > PARTS:
        raise ArgumentError(
            f"explain: scatter of {e.title} is too large to draw",
            arithmetic=f"{len(parts)} source cells, more than {PARTS}",
            rule="save it as .gif: a film shows one after another",
        )
    check_size(e, (len(parts) + 2) * int(np.prod(shape)))
    sheet = Sheet(e.lang, dark)
    y = heading(sheet, e) + 0.8
    relation = view.relation
    x, low = _chosen_from(sheet, view, y, [part.source for part in parts], symbols)
    strips = kernel_taps(e, dark)
    for name in (relation.source, relation.weight):
        if name is None:
            continue
        value = e.values[name]
        note = say("kernel" if name == relation.weight else value.role, e.lang)
        head = caption(sheet, e, x, y - 0.35, name, note)
        look = plain(e, name, {}, symbols=symbols, strips=strips, dark=dark)
        wide, high = panel(sheet, x, y, value.shape, look, lead=value.lead, base=e.base)
        x += max(wide, head) + 0.9
        low = max(low, y + high)
    target = e.values[view.of]
    caption(sheet, e, x, y - 0.35, view.of, say("sum", e.lang))
    total = plain(e, view.of, {}, symbols=False, dark=dark)
    wide, high = panel(sheet, x, y, shape, total, lead=target.lead, base=e.base)
    y = max(low, y + high) + 1.5
    left, high = 0.0, 0.0
    columns = e.values[relation.source].shape[-1] if e.values[relation.source].shape else 1
    fits = max(1, int(max(sheet.right, 24.0) // (wide + 0.9)))
    for number, part in enumerate(parts):
        if number and number % min(columns, fits) == 0:  # as the source's cells stand
            left, y = 0.0, y + high + 1.3
        words = sheet.text(left, y - 0.35, say("handed out by", e.lang), 10.5, sheet.paper.soft,
                           align="left", vertical="baseline")  # fmt: skip
        sheet.text(left + words + 0.2, y - 0.35, label(e, part.source), 15,
                   array_colour(part.source.name, e.values[part.source.name].role, dark),
                   align="left", vertical="baseline")  # fmt: skip
        look = _stamp(sheet, view, part, symbols)
        _, high = panel(sheet, left, y, shape, look, lead=target.lead, base=e.base)
        left += max(wide, words + 1.2) + 0.9
    return sheet


def _stamp(sheet: Sheet, view: Scatter, part: Part, symbols: bool) -> Callable[[Index], Look]:
    e = view.explanation
    taps = 1 + max(edge.tap for edge in view.relation.edges)
    window = e.window
    if window is not None:
        taps = max(taps, int(np.prod(window.kernel)))
    colours = tap_colours(taps, sheet.dark)
    stamped = {edge.target.index: edge for edge in part.edges}
    own = array_colour(view.of, e.values[view.of].role, sheet.dark)

    def look(index: Index) -> Look:
        edge = stamped.get(index)
        if edge is None:
            return Look(edge=own, width=0.6)
        if symbols and edge.weight is not None:
            return Look(label(e, edge.weight), colours[edge.tap], "none")
        return Look(short(float(part.array[index])), colours[edge.tap], "none")

    return look


def draw_part(
    sheet: Sheet, view: Scatter, number: int, y: float, *, symbols: bool = False, size: float = 1.0
) -> float:
    """One source cell of a film: who hands out, what arrives, the sum so far."""
    e = view.explanation
    part = view.parts[number]
    relation = view.relation
    target = e.values[view.of]
    strips = kernel_taps(e, sheet.dark)
    check_size(e, 3 * target.array.size)
    top = y + 0.8
    x, low = _chosen_from(sheet, view, top, [part.source], symbols, size)
    tall = max((1, 1, *target.shape)[-2], (1, 1, *e.values[relation.source].shape)[-2]) * size
    for name in (relation.source, relation.weight):
        if name is None:
            continue
        value = e.values[name]
        rows = (1, 1, *value.shape)[-2] * size
        start = top + (tall - rows) / 2
        note = say("kernel" if name == relation.weight else value.role, e.lang)
        head = caption(sheet, e, x, start - 0.35, name, note)
        look = plain(e, name, {}, part.source, symbols=symbols, strips=strips, dark=sheet.dark)
        wide, high = panel(sheet, x, start, value.shape, look, size, value.lead, e.base, columns=2)
        x += max(wide, head) + 0.5
        sheet.text(x, top + tall / 2, "→", 18, sheet.paper.soft)
        x += 0.7
        low = max(low, start + high)
    so_far = np.sum([p.array for p in view.parts[: number + 1]], axis=0)
    own = array_colour(view.of, target.role, sheet.dark)
    stamped = _stamp(sheet, view, part, symbols)

    def look_sum(index: Index) -> Look:
        here = stamped(index)
        text = short(float(so_far[index])) if any(
            Ref(view.of, index) == edge.target for p in view.parts[: number + 1] for edge in p.edges
        ) else ""  # fmt: skip
        return Look(text, here.face, own if not here.face else "none")

    start = top + (tall - (1, 1, *target.shape)[-2] * size) / 2
    caption(sheet, e, x, start - 0.35, view.of, say("sum so far", e.lang))
    _, high = panel(sheet, x, start, target.shape, look_sum, size, target.lead, e.base, columns=2)
    return max(low, start + high)


def _chosen_from(
    sheet: Sheet, view: Scatter, y: float, sources: list[Ref], symbols: bool, size: float = 1.0
) -> tuple[float, float]:
    """Where the outputs were chosen, the array they were chosen from; returns right and bottom."""
    e = view.explanation
    forward = e.values[view.relation.source].of
    taken = [] if forward is None else [e[forward.name].at(ref.index) for ref in sources]
    if not taken or not taken[0].candidates:
        return 0.0, y
    among = [ref for cell in taken for ref in cell.candidates]
    lit = {ref: colour for cell in taken for ref, colour in lights(e, cell, sheet.dark).items()}
    value = e.values[among[0].name]
    head = caption(sheet, e, 0, y - 0.35, value.name, say(value.role, e.lang))
    look = plain(e, value.name, lit, symbols=symbols, among=among, dark=sheet.dark)
    wide, high = panel(sheet, 0, y, value.shape, look, size, value.lead, e.base, columns=2)
    return max(wide, head) + 0.9, y + high
