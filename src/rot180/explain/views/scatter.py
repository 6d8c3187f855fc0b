"""Scatter: every cell hands its value back through the plain kernel; nothing is turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.explain.formula import Ref
from rot180.explain.text import write_number
from rot180.explain.views.relation import Edge, Relation, relation_of
from rot180.explain.views.view import View

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["Part", "Scatter"]


@dataclass(frozen=True)
class Part:
    """What one source cell hands out.

    Attributes:
        source: the cell.
        edges: to whom, through which cell of the kernel.
        array: its contribution alone, of the whole target's shape.
        lost: how many taps of the kernel fell beside the target (into padding).
    """

    source: Ref
    edges: tuple[Edge, ...]
    array: Any
    lost: int


class Scatter(View):
    """The target as a sum of parts, one for each source cell.

    Attributes:
        relation: the edges.
        parts: in the order of the source's cells.
    """

    name = "scatter"

    def __init__(self, explanation: Explanation, of: str) -> None:
        self.relation: Relation = relation_of(explanation, of)
        engine = self.relation.step.output.array
        by_source: dict[Ref, list[Edge]] = {}
        for edge in self.relation.edges:
            by_source.setdefault(edge.source, []).append(edge)
        full = max((len(edges) for edges in by_source.values()), default=0)
        self.parts: list[Part] = []
        total = np.zeros(engine.shape)
        for source in sorted(by_source, key=lambda ref: ref.index):
            edges = by_source[source]
            part = np.zeros(engine.shape)
            for edge in edges:
                part[edge.target.index] += self.relation.value(edge)
            total += part
            self.parts.append(Part(source, tuple(edges), part, full - len(edges)))
        super().__init__(explanation, self.relation.target, total, engine)

    @property
    def _title(self) -> str:
        if self.explanation.values[self.of].role != "gradient":
            return "view scatter forward"
        return "view scatter" if self.relation.weight else "view scatter pool"

    def text(self) -> str:
        """One line for each source cell."""
        write = self.explanation.notation.text
        lines = []
        for part in self.parts:
            targets = ", ".join(
                f"{write(e.target.name, e.target.index)} += {self._factor(e)}" for e in part.edges
            )
            value = write_number(self.explanation.number(part.source)).replace("-", "−")
            lines.append(f"{write(part.source.name, part.source.index)} = {value}: {targets}")
        return "\n".join(lines)

    def _factor(self, edge: Edge) -> str:
        write = self.explanation.notation.text
        words = [] if edge.coefficient == 1 else [write_number(edge.coefficient)]
        if edge.weight is not None:
            words.append(write(edge.weight.name, edge.weight.index))
        return "·".join([*words, write(edge.source.name, edge.source.index)])

    def to_dict(self) -> dict[str, Any]:
        """Parts with their edges."""
        parts = [
            {
                "source": list(part.source.index),
                "edges": [
                    {
                        "target": list(e.target.index),
                        "weight": None if e.weight is None else list(e.weight.index),
                        "coefficient": e.coefficient,
                        "tap": e.tap,
                    }
                    for e in part.edges
                ],
                "lost": part.lost,
            }
            for part in self.parts
        ]
        names = {"source": self.relation.source, "weight": self.relation.weight}
        return {**super().to_dict(), **names, "parts": parts}
