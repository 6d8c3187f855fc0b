"""What the page is given: arrays, formulas, and what each view needs, as JSON-ready data."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from rot180.core import Select, Windows
from rot180.errors import ArgumentError
from rot180.explain.figures.colours import array_colour, ink_on, tap_colours
from rot180.explain.figures.panels import window_words
from rot180.explain.program import formula_data
from rot180.explain.views import Duality, Gather, Graph, Network
from rot180.explain.views.relation import main_step

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Step

__all__ = ["VIEWS", "page_data"]

VIEWS = ("cells", "gather", "scatter", "matrix", "network", "graph", "duality")
"""The views of a page, in the order of their buttons."""

CELLS = 4_000
"""So many cells are drawn at most."""


def page_data(e: Explanation, view: str | None = None) -> dict[str, Any]:
    """Everything the page shows and computes with.

    Args:
        e: the explanation.
        view: the first view.

    Raises:
        ArgumentError: an unknown view, or too much for a page.
    """
    cells = sum(value.array.size for value in e.values.values())
    if cells > CELLS:
        raise ArgumentError(
            f"explain: {e.title} is too large to draw",
            arithmetic=f"{cells} cells, more than {CELLS}",
            rule="explain a smaller window, or single cells",
        )
    data = e.program()
    for name, array in data["arrays"].items():
        del array["labels"]
        value = e.values[name]
        array["numbers"] = [_number(x) for x in array["numbers"]]
        array["made"] = "" if value.step is None else value.step.name
        array["colour"] = [array_colour(name, value.role, dark) for dark in (False, True)]
    readings = {name: _reading(e, name) for name, v in e.values.items() if v.step is not None}
    readings = {name: reading for name, reading in readings.items() if reading}
    data |= {
        "heading": window_words(e),
        "spaced": e.notation.spaced,
        "whole": e.notation.whole,
        "readings": readings,
        "palette": _inked(9),
        "graph": _graph(e),
        "duality": _duality(e),
    }
    data["views"] = _views(data)
    if view is not None and view not in data["views"]:
        raise ArgumentError(
            f"explain: the page of {e.title} has no view {view!r}",
            expected=", ".join(data["views"]),
            got=repr(view),
        )
    return {**data, "view": view or "cells"}


def _views(data: dict[str, Any]) -> list[str]:
    readings = data["readings"].values()
    there = {
        "cells": True,
        "gather": any("gather" in r for r in readings),
        "scatter": bool(readings),
        "matrix": bool(readings),
        "network": bool(readings),
        "graph": len(data["graph"]["nodes"]) > 1,
        "duality": data["duality"] is not None,
    }
    return [view for view in VIEWS if there[view]]


def _number(x: float) -> float | str:
    """JSON has no infinity; the page reads the word."""
    return x if math.isfinite(x) else str(x).replace("inf", "Infinity").replace("nan", "NaN")


def _reading(e: Explanation, name: str) -> dict[str, Any] | None:
    """The edges into an array, with the tap of each, and the slots where it is a correlation."""
    step = main_step(e.values[name])
    if step is None:
        return None
    try:
        network = Network(e, name)
    except ArgumentError:
        return None
    relation = network.relation
    if any(edge.source not in e[name].at(edge.target.index).sources for edge in network.edges):
        return None  # the linear step is a part of a longer formula
    edges = [
        [
            e.position(edge.target),
            e.position(edge.source),
            -1 if edge.weight is None else e.position(edge.weight),
            edge.coefficient,
            edge.tap,
        ]
        for edge in network.edges
    ]
    taps = _taps(e, step, edges)
    reading: dict[str, Any] = {
        "source": relation.source,
        "weight": relation.weight,
        "edges": edges,
        "taps": _inked(taps),
        "chosen": isinstance(relation.step.kind, Select),
    }
    with contextlib.suppress(ArgumentError):
        reading["gather"] = _gather(Gather(e, name))
    return reading


def _inked(count: int) -> list[list[str]]:
    """For each tap its colour and the ink on it, on light and on dark paper."""
    return [
        [f"light-dark({light}, {dark})", f"light-dark({ink_on(light)}, {ink_on(dark)})"]
        for light, dark in zip(tap_colours(count), tap_colours(count, dark=True), strict=True)
    ]


def _taps(e: Explanation, step: Step, edges: list[list[Any]]) -> int:
    choice = getattr(step.kind, "choice", None)
    window = choice.window if isinstance(choice, Windows) else e.window
    seen = 1 + max((edge[4] for edge in edges), default=0)
    return max(seen, math.prod(window.kernel) if window is not None else 1)


def _gather(gather: Gather) -> dict[str, Any]:
    found = gather.to_dict()
    sizes = [len(axis) for axis in (found["stride"], found["dilation"])]
    assert sizes[0] == sizes[1] == len(found["slots_shape"])
    return {
        "shape": found["slots_shape"],
        "slots": [[s["kind"], s["cell"]] for s in found["slots"]],
        "taps": list(gather.kernel.shape),
        "kernel": found["kernel"],
        "stride": found["stride"],
        "dilation": found["dilation"],
        "dilate": found["dilate"],
        "turned": found["turned"],
        "cropped": found["cropped"],
    }


def _graph(e: Explanation) -> dict[str, Any]:
    outputs = [name for name, value in e.values.items() if value.role == "output"]
    if not outputs:
        return {"nodes": [], "edges": []}
    graph = Graph(e, outputs[0])
    return {
        "nodes": [
            {"name": n.name, "operation": n.operation, "delta": e.delta_name(e.values[n.name])}
            for n in graph.nodes
        ],
        "edges": [{"source": a.source, "target": a.target, "local": a.local} for a in graph.edges],
    }


def _duality(e: Explanation) -> dict[str, Any] | None:
    """Formulas of z and δ_x in both modes; the kernels are the same, so no numbers are needed."""
    if "mode" not in e.options or "δ_x" not in e.values:
        return None
    duality = Duality(e, "δ_x")
    both = (("correlation", duality.correlation), ("convolution", duality.convolution))
    return {
        word: {
            name: [formula_data(cell.formula, other.position) for cell in other[name]]
            for name in ("z", "δ_x")
        }
        for word, other in both
    }
