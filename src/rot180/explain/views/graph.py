"""Graph: the chain rule on a computational graph, with the local gradient on every edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array
from rot180.errors import ArgumentError
from rot180.explain.derive import formula_of
from rot180.explain.differentiate import by_cell
from rot180.explain.formula import evaluate, references
from rot180.explain.tape import Value
from rot180.explain.text import write, write_number
from rot180.explain.views.relation import LIMIT
from rot180.explain.views.view import View

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["Graph", "GraphEdge", "GraphNode"]


@dataclass(frozen=True)
class GraphNode:
    """One named array of the forward pass.

    Attributes:
        name: its name, such as "x", "a1" or "z".
        operation: what made it, "" for what was given.
        shape: its printed axes.
        value: its number, where it is one cell, else None.
        gradient: the number that arrived at it backwards, where it is one cell, else None.
        delta: the name of the array of its gradient, "" where there is none.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    value: float | None
    gradient: float | None
    delta: str


@dataclass(frozen=True)
class GraphEdge:
    """One array is read by the operation that makes another.

    Attributes:
        source: the name of the array that is read.
        target: the name of the array that is made.
        local: the derivative of the target by the source as text, such as "z" for x·z by x; of
            arrays, that of one cell by one cell.
        number: its number, where both are one cell.
        cells: the two cells as they are written, (source, target).
    """

    source: str
    target: str
    local: str
    number: float | None
    cells: tuple[str, str]


class Graph(View):
    """Named arrays as nodes; every edge with its local gradient.

    δ(source) = Σ over the edges out of it of δ(target) · local gradient.

    Attributes:
        nodes: in the order in which they were computed.
        edges: in the same order.
    """

    name = "graph"

    def __init__(self, explanation: Explanation, of: str) -> None:
        name = explanation[of].name
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        tape = explanation.tape
        for value in explanation.values.values():
            if value.role in ("input", "output") or (
                value.role == "inner" and value.step is not None and not value.step.backward
            ):
                delta = tape.deltas.get(value)
                if value is tape.output:
                    delta = tape.upstream
                self.nodes.append(_node(value, delta))
                self._edges_into(explanation, value)
        engine = explanation.values[name].array
        super().__init__(explanation, name, self._by_chain_rule(explanation, name), engine)

    def _by_chain_rule(self, explanation: Explanation, name: str) -> Array:
        """Σ δ(target) · local gradient over the edges out of a single cell; terms for arrays."""
        value = explanation.values[name]
        node = next((n for n in self.nodes if n.delta == name), None)
        edges = [] if node is None else [e for e in self.edges if e.source == node.name]
        arrived = {n.name: n.gradient for n in self.nodes}
        if edges and value.array.size == 1:
            parts = [(arrived[e.target], e.number) for e in edges]
            if all(g is not None and local is not None for g, local in parts):
                return np.array(sum(g * local for g, local in parts))  # type: ignore[operator,misc]
        if value.array.size > LIMIT:
            raise ArgumentError(
                f"explain: {name} of {explanation.title} is too large to draw",
                got=f"{value.array.size} cells",
            )
        return np.array([float(cell.value) for cell in explanation[name]])

    def _edges_into(self, e: Explanation, value: Value) -> None:
        for source in _named_sources(value):
            self.edges.append(_edge(e, source, value))

    def text(self) -> str:
        """One line for each node and each edge."""
        lines = []
        for node in self.nodes:
            size = "" if not node.shape else f" {node.shape}"
            number = "" if node.value is None else f" = {write_number(node.value)}"
            back = "" if node.gradient is None else f"   ∂ = {write_number(node.gradient)}"
            made = f"  ← {node.operation}" if node.operation else ""
            lines.append(f"{node.name}{size}{number}{back}{made}".replace("-", "−"))
            for edge in self.edges:
                if edge.target == node.name:
                    at = "" if edge.number is None else f" = {write_number(edge.number)}"
                    at = "" if at == f" = {edge.local}" else at.replace("-", "−")
                    below, above = edge.cells
                    lines.append(f"  ∂{above}/∂{below} = {edge.local}{at}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Nodes and edges."""
        return {
            **super().to_dict(),
            "nodes": [vars(node) | {"shape": list(node.shape)} for node in self.nodes],
            "edges": [vars(edge) for edge in self.edges],
        }


def _node(value: Value, delta: Value | None) -> GraphNode:
    one = value.array.size == 1
    return GraphNode(
        value.name,
        "" if value.step is None else value.step.name,
        value.shown,
        float(value.array.item()) if one else None,
        float(delta.array.item()) if one and delta is not None else None,
        "" if delta is None else delta.name,
    )


def _named_sources(value: Value) -> list[Value]:
    """The named arrays that a value is made of, looking through what is written out in it."""
    found: dict[int, Value] = {}
    stack = [] if value.step is None else list(value.step.reads)
    while stack:
        v = stack.pop(0)
        if v.name:
            found[id(v)] = v
        elif v.step is not None:
            stack = [*v.step.reads, *stack]
    return list(found.values())


def _edge(e: Explanation, source: Value, target: Value) -> GraphEdge:
    """The local gradient of single cells; of arrays, of the middle cell by the first it reads."""
    middle = tuple(n // 2 for n in target.shape)
    formula = formula_of(target, middle)
    read = next((ref for ref in references(formula) if ref.name == source.name), None)
    one = source.array.size == 1 and target.array.size == 1
    if read is None:  # the middle does not read it, such as a cell that a maximum did not choose
        return GraphEdge(source.name, target.name, "0", 0.0 if one else None,
                         (source.name, target.name))  # fmt: skip
    local = by_cell(formula, read)
    text = write(local, lambda ref: e.notation.text(ref.name, ref.index))
    number = float(evaluate(local, e.number)[0]) if one else None
    cells = e.notation.text(read.name, read.index), e.notation.text(target.name, middle)
    return GraphEdge(source.name, target.name, text, number, cells)
