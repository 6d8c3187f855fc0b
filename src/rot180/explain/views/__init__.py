"""Views: the same numbers seen in different ways, each computed in its own way and compared.

Every view has `name`, `of`, `array`, `agrees`, `text()` and `to_dict()`; what else it has is what a
figure of it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.errors import ArgumentError
from rot180.explain.views.duality import Duality
from rot180.explain.views.gather import Gather, Slot
from rot180.explain.views.graph import Graph, GraphEdge, GraphNode
from rot180.explain.views.matrix import Matrix
from rot180.explain.views.network import Network
from rot180.explain.views.relation import Edge, Relation
from rot180.explain.views.scatter import Part, Scatter
from rot180.explain.views.view import View

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = [
    "VIEWS",
    "Duality",
    "Edge",
    "Gather",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Matrix",
    "Network",
    "Part",
    "Relation",
    "Scatter",
    "Slot",
    "View",
    "all_views",
    "make_view",
]

VIEWS: dict[str, type[View]] = {
    "scatter": Scatter,
    "gather": Gather,
    "matrix": Matrix,
    "network": Network,
    "graph": Graph,
    "duality": Duality,
}
"""Every view by its name."""


def make_view(e: Explanation, name: str, of: str | None = None) -> View:
    """See `Explanation.view`."""
    if name not in VIEWS:
        raise ArgumentError(
            f"explain: unknown view {name!r}", expected=", ".join(VIEWS), got=repr(name)
        )
    return VIEWS[name](e, main_array(e) if of is None else of)  # type: ignore[call-arg]


def all_views(e: Explanation, of: str | None = None) -> dict[str, View]:
    """See `Explanation.views`."""
    made = ((name, _made_or_none(e, name, of)) for name in VIEWS)
    return {name: view for name, view in made if view is not None}


def _made_or_none(e: Explanation, name: str, of: str | None) -> View | None:
    try:
        return make_view(e, name, of)
    except ArgumentError:
        return None


def main_array(e: Explanation) -> str:
    """The array that is looked at unless another is named: the first gradient, else the output."""
    gradients = [name for name, v in e.values.items() if v.role == "gradient"]
    return (
        gradients[0]
        if gradients
        else next(name for name, v in e.values.items() if v.role == "output")
    )
