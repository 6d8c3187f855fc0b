"""Network: the layer unrolled: a dense network, with connections cut, with weights shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.explain.formula import Ref
from rot180.explain.text import write_number
from rot180.explain.views.relation import Edge, Relation, relation_of
from rot180.explain.views.view import View
from rot180.explain.words import say

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["Network"]


class Network(View):
    """Nodes on two sides and the edges that are left.

    Attributes:
        relation: the edges, with what they carry.
        sources: nodes on one side: every cell of the array that hands its values over.
        targets: nodes on the other side: every cell of the array that is computed.
        edges: the connections; `edge.tap` is the colour, one for each cell of a kernel.
        cut: pairs (source, target) that a dense layer would connect and this one does not.
        shared: for each weight, the edges that carry it; one weight, one colour.
    """

    name = "network"

    def __init__(self, explanation: Explanation, of: str) -> None:
        self.relation: Relation = relation_of(explanation, of)
        values = explanation.values
        target, source = values[self.relation.target], values[self.relation.source]
        self.sources = [Ref(source.name, i) for i in np.ndindex(source.shape)]
        self.targets = [Ref(target.name, i) for i in np.ndindex(target.shape)]
        self.edges = self.relation.edges
        array = np.zeros(target.shape)
        self.shared: dict[Ref | None, list[Edge]] = {}
        for edge in self.edges:
            array[edge.target.index] += self.relation.value(edge)
            self.shared.setdefault(edge.weight, []).append(edge)
        super().__init__(explanation, target.name, array, self.relation.step.output.array)

    @property
    def colours(self) -> int:
        """How many different taps there are."""
        return len({edge.tap for edge in self.edges})

    @property
    def cut(self) -> list[tuple[Ref, Ref]]:
        """The connections of a dense layer that are missing here."""
        there = {(e.source, e.target) for e in self.edges}
        return [(s, t) for t in self.targets for s in self.sources if (s, t) not in there]

    def text(self) -> str:
        """How many nodes, edges and weights there are, and who is connected with whom."""
        write = self.explanation.notation.text
        dense = len(self.sources) * len(self.targets)
        left = len(self.edges)
        lines = [
            say(
                "network",
                self.explanation.lang,
                sources=len(self.sources),
                targets=len(self.targets),
                dense=dense,
                cut=dense - left,
                left=left,
                colours=self.colours,
            )
        ]
        for edge in self.edges:
            words = [] if edge.coefficient == 1 else [write_number(edge.coefficient)]
            if edge.weight is not None:
                words.append(write(edge.weight.name, edge.weight.index))
            lines.append(
                f"{write(edge.source.name, edge.source.index)} ─{'·'.join(words)}→ "
                f"{write(edge.target.name, edge.target.index)}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Nodes and coloured edges."""
        return {
            **super().to_dict(),
            "sources": [list(r.index) for r in self.sources],
            "targets": [list(r.index) for r in self.targets],
            "source": self.relation.source,
            "weight": self.relation.weight,
            "edges": [
                {
                    "source": list(e.source.index),
                    "target": list(e.target.index),
                    "weight": None if e.weight is None else list(e.weight.index),
                    "coefficient": e.coefficient,
                    "colour": e.tap,
                }
                for e in self.edges
            ],
        }
