"""Graph: the chain rule, edge by edge, in layers from what was given to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.colours import array_colour
from rot180.explain.figures.overview import heading
from rot180.explain.figures.panels import check_size, named, short
from rot180.explain.views import Graph

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["graph", "layers_of"]

_WIDE, _TALL, _APART, _BELOW = 3.6, 2.1, 7.4, 2.8


def layers_of(view: Graph) -> dict[str, int]:
    """How far each array is from what was given; what was given stands before its reader."""
    depth: dict[str, int] = {}
    for node in view.nodes:
        into = [depth.get(edge.source, 0) for edge in view.edges if edge.target == node.name]
        depth[node.name] = 1 + max(into) if into else 0
    for node in view.nodes:
        given = all(edge.target != node.name for edge in view.edges)
        out = [depth[edge.target] for edge in view.edges if edge.source == node.name]
        if given and out:
            depth[node.name] = min(out) - 1
    return depth


def graph(e: Explanation, of: str, cell: Cell | None, *, symbols: bool = False,
          dark: bool = False) -> Sheet:  # fmt: skip
    """Arrays as boxes with the gradient that arrives, operations as arrows with local gradients.

    Raises:
        ArgumentError: too many arrays.
    """
    view = Graph(e, of)
    check_size(e, 25 * len(view.nodes))
    sheet = Sheet(e.lang, dark)
    top = heading(sheet, e)
    depth = layers_of(view)
    spans = [depth[edge.target] - depth[edge.source] - 1 for edge in view.edges]
    top += 0.75 * max(spans, default=0)  # room for bows
    layers: dict[int, list[str]] = {}
    for node in view.nodes:
        layers.setdefault(depth[node.name], []).append(node.name)
    most = max(len(layer) for layer in layers.values())
    places = {
        name: (number * _APART, top + most * _BELOW * (i + 0.5) / len(layer) - _TALL / 2)
        for number, layer in layers.items()
        for i, name in enumerate(layer)
    }
    for edge in view.edges:
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        start, end = (x1 + _WIDE, y1 + _TALL / 2), (x2, y2 + _TALL / 2)
        layers_between = depth[edge.target] - depth[edge.source] - 1
        rise = 0.0
        if layers_between > 0:  # over the boxes in between, not through them
            start, end = (x1 + _WIDE * 0.6, y1), (x2 + _WIDE * 0.4, y2)
            rise = 0.35 + 0.75 * layers_between
        sheet.line([start, end], sheet.paper.soft, 1.4, arrow=True, rise=rise)
        local = edge.local if edge.number is None or edge.local == short(edge.number) else (
            f"{edge.local} = {short(edge.number)}")  # fmt: skip
        at = (start[0] * 0.55 + end[0] * 0.45, start[1] * 0.55 + end[1] * 0.45 - 0.12 - rise)
        sheet.text(*at, local, 11, sheet.paper.soft, halo=True, vertical="bottom")
    for node in view.nodes:
        x, y = places[node.name]
        value = e.values[node.name]
        own = array_colour(node.name, value.role, dark)
        sheet.box(x, y, _WIDE, _TALL, own)
        size = "×".join(map(str, node.shape))
        shown = f" = {short(node.value)}" if node.value is not None else f"  {size}"
        lines: list[tuple[str, float, str]] = [(named(e, node.name) + shown, 15, own)]
        if node.operation:
            lines.append((node.operation, 10.5, sheet.paper.soft))
        delta = e.delta_name(value)
        if delta:
            back = f" = {short(node.gradient)}" if node.gradient is not None else f"  {size}"
            lines.append((named(e, delta) + back, 13, array_colour(delta, "", dark)))
        for i, (text, points, ink) in enumerate(lines):
            sheet.text(
                x + _WIDE / 2, y + _TALL * (i + 0.75) / (len(lines) + 0.5), text, points, ink
            )
    return sheet
