"""Network: the layer unrolled, with its connections in the colours of the kernel's cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rot180.errors import ArgumentError
from rot180.explain.figures.canvas import Look, Sheet
from rot180.explain.figures.colours import array_colour, tap_colours
from rot180.explain.figures.overview import heading
from rot180.explain.figures.panels import caption, kernel_taps, label, panel, plain, short
from rot180.explain.figures.words import say
from rot180.explain.views import Network

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["network"]

NODES, EDGES = 64, 800
"""What can be told apart on one page."""


def network(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = True,
            dark: bool = False) -> Sheet:  # fmt: skip
    """Sources on the left, targets on the right; a cell's own edges stand out.

    Raises:
        ArgumentError: no linear array, or too many nodes or edges.
    """
    view = Network(e, of)
    most = max(len(view.sources), len(view.targets))
    if most > NODES or len(view.edges) > EDGES:
        raise ArgumentError(
            f"explain: network of {e.title} is too large to draw",
            arithmetic=f"{most} nodes and {len(view.edges)} edges, more than {NODES} and {EDGES}",
            rule="explain a smaller window",
        )
    sheet = Sheet(e.lang, dark)
    y = heading(sheet, e)
    words = view.text().partition("\n")[0]
    sheet.text(0, y, words, 12, sheet.paper.soft, align="left", vertical="baseline")
    y += 1.4
    count = 1 + max((edge.tap for edge in view.edges), default=0)
    if e.window is not None:
        count = max(count, int(np.prod(e.window.kernel)))
    colours = tap_colours(count, dark)
    tall, wide = 1.25 * most, max(7.0, 0.45 * most)
    places = {}
    for refs, x in ((view.sources, 0.0), (view.targets, wide + 1.4)):
        caption(sheet, e, x, y - 0.4, refs[0].name)
        value = e.values[refs[0].name]
        own = array_colour(value.name, value.role, dark)
        for i, ref in enumerate(refs):
            place = (x, y + tall * (i + 0.5) / len(refs) - 0.5)
            places[ref] = place
            text = label(e, ref) if symbols else short(e.number(ref))
            here = cell is not None and cell.ref == ref
            sheet.cell(*place, Look(text, "", own, 3.0 if here else 1.2, bold=here))
    for edge in view.edges:
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        strong = cell is None or cell.ref in (edge.source, edge.target, edge.weight)
        sheet.line([(x1 + 1.0, y1 + 0.5), (x2, y2 + 0.5)], colours[edge.tap],
                   2.4 if strong else 1.4, 1.0 if strong else 0.25)  # fmt: skip
    weight = view.relation.weight
    if weight is not None:
        value = e.values[weight]
        caption(sheet, e, wide + 3.6, y - 0.4, weight, say("kernel", e.lang))
        lit = {ref: c for ref, c in kernel_taps(e, dark).items() if ref.name == weight}
        panel(sheet, wide + 3.6, y, value.shape, plain(e, weight, lit, symbols=symbols, dark=dark),
              lead=value.lead, base=e.base, columns=1)  # fmt: skip
    return sheet
