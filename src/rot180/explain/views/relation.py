"""The relation behind all views: which cell hands its value to which, through which weight.

Every linear reading is a list of edges  target += coefficient · weight · source. Scatter groups
them by source, gather by target, a matrix puts them into a table, a network draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rot180.core import Form, Give, Select, Take, Windows
from rot180.errors import ArgumentError
from rot180.explain.choices import chosen, givers
from rot180.explain.derive import cell_itself
from rot180.explain.formula import Ref, Term
from rot180.explain.geometry import Patches, patches_of
from rot180.explain.tape import Step, Value

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["LIMIT", "Edge", "Relation", "main_step", "patches_or_none", "relation_of"]

LIMIT = 40_000
"""Views of more products than this are refused: nobody could look at them."""


@dataclass(frozen=True, slots=True)
class Edge:
    """target += coefficient · weight · source.

    Attributes:
        target: the cell that is added to.
        source: the cell that hands its value over.
        weight: the kernel's cell on the edge; None where there is none (pools).
        coefficient: a number on the edge, such as a mean pool's 1 / divisor.
        tap: the number of the kernel's cell within one kernel, row by row: one colour for each.
    """

    target: Ref
    source: Ref
    weight: Ref | None
    coefficient: float
    tap: int


@dataclass(frozen=True)
class Relation:
    """All edges of one reading.

    Attributes:
        explanation: where the names come from.
        target: name of the array that is computed.
        source: name of the array whose cells hand their values over.
        weight: name of the array on the edges, or None.
        edges: ordered by target.
        step: the form or select that is read.
        patches: its window, None where it has none.
    """

    explanation: Explanation
    target: str
    source: str
    weight: str | None
    edges: tuple[Edge, ...]
    step: Step
    patches: Patches | None

    def value(self, edge: Edge) -> float:
        """The product that the edge carries."""
        e = self.explanation
        factor = edge.coefficient * (1 if edge.weight is None else e.number(edge.weight))
        return factor * e.number(edge.source)


def main_step(value: Value) -> Step | None:
    """The linear operation behind a value, looking through a bias and reshapes."""
    queue, seen = [value], set()
    while queue:
        here = queue.pop(0)
        step = here.step
        if step is None or id(step) in seen:
            continue
        seen.add(id(step))
        if step.output.shape != value.shape:
            continue
        if isinstance(step.kind, Select | Give | Take) or (
            isinstance(step.kind, Form) and _is_linear(step)
        ):
            return step
        queue += [v for v in step.reads if not v.name]
    return None


def patches_or_none(step: Step) -> Patches | None:
    """The window of a step that is a form."""
    return patches_of(step.kind) if isinstance(step.kind, Form) else None


def _is_linear(step: Step) -> bool:
    return len(step.kind.inputs) > 1 or patches_of(step.kind) is not None  # type: ignore[union-attr,arg-type]


def relation_of(e: Explanation, name: str) -> Relation:
    """The edges of the operation that makes an array.

    Raises:
        ArgumentError: it is no linear reading with named operands, or has too many products.
    """
    value = e.values[e[name].name]
    step = main_step(value)
    if step is None:
        raise ArgumentError(
            f"explain: {name} of {e.title} has no view of this kind",
            expected="a form with a source and a kernel, or a recorded choice",
            rule='the view "graph" shows every operation',
        )
    patches = patches_of(step.kind) if isinstance(step.kind, Form) else None
    source, weight = _roles(step, patches)
    if not source.name:
        raise ArgumentError(
            f"explain: {name} of {e.title} is made of an array that is only written out in it",
            rule='the view "graph" shows every operation',
        )
    too_large = ArgumentError(
        f"explain: {name} of {e.title} is too large to draw",
        arithmetic=f"more than {LIMIT} products in {value.array.size} cells",
        rule="look at single cells, or explain a smaller window",
    )
    # Some points of the loops fall into padding; far too many points need not be counted.
    if isinstance(step.kind, Form) and math.prod(step.kind.extents.values()) > 4 * LIMIT:
        raise too_large
    edges: list[Edge] = []
    for cell in e[name]:
        for term in _terms(step, cell.index):
            if len(edges) >= LIMIT:
                raise too_large
            edge = _edge(Ref(value.name, cell.index), term, source, weight, step, patches)
            if edge is not None:
                edges.append(edge)
    return Relation(
        e, value.name, source.name, weight.name if weight else None, tuple(edges), step, patches
    )


def _roles(step: Step, patches: Patches | None) -> tuple[Value, Value | None]:
    """The value whose cells are handed over, and the one that stands on the edges."""
    if not isinstance(step.kind, Form):
        return step.inputs[0], None
    operands = dict(zip((o.name for o in step.kind.inputs), step.inputs, strict=True))
    named = {n: v for n, v in operands.items() if v.name}
    if patches is not None:
        kernel = None if patches.kernel is None else patches.kernel.name
        order = [patches.small.name, patches.large.name]
        source = next((n for n in order if n in named), None)
        rest = [n for n in (kernel, *order) if n in named and n != source]
    else:
        moving = [n for n, v in named.items() if v.role in ("upstream", "gradient")]
        source = (moving or list(named))[0]
        rest = [n for n in named if n != source]
    if source is None:
        source = next(iter(operands))
    return operands[source], operands[rest[0]] if rest else None


def _terms(step: Step, cell: tuple[int, ...]) -> list[Term]:
    if isinstance(step.kind, Form):
        operands = dict(zip((o.name for o in step.kind.inputs), step.inputs, strict=True))
        found = []
        for term in step.kind.terms(cell):
            coefficient: float = 1
            refs: list[Ref] = []
            for name, index in term.factors:
                (part,) = cell_itself(operands[name], index) or (Term(0, ()),)
                coefficient *= part.coefficient
                refs += part.cells
            found.append(Term(coefficient, tuple(refs)))
        return found
    name = step.inputs[0].name
    record = step.record if step.record is not None else step.inputs[1].array
    read = givers if isinstance(step.kind, Give) else chosen
    shares = read(step.kind.choice, record, cell)  # type: ignore[union-attr]
    return [Term(share, (Ref(name, index),)) for index, share in shares]


def _edge(
    target: Ref, term: Term, source: Value, weight: Value | None, step: Step,
    patches: Patches | None,
) -> Edge | None:  # fmt: skip
    from_ = next((r for r in term.cells if r.name == source.name), None)
    on = None if weight is None else next((r for r in term.cells if r.name == weight.name), None)
    if from_ is None:
        return None
    return Edge(target, from_, on, term.coefficient, _tap(step, patches, target, from_, on))


def _tap(step: Step, patches: Patches | None, target: Ref, source: Ref, weight: Ref | None) -> int:
    """The number of the kernel's cell that the edge goes through, counted row by row."""
    kind = step.kind
    if isinstance(kind, Select | Give | Take) and isinstance(kind.choice, Windows):
        window = kind.choice.window
        small, large = (target, source) if isinstance(kind, Select) else (source, target)
    elif patches is not None and isinstance(kind, Form):
        window = patches.window
        operands = dict(zip((o.name for o in kind.inputs), step.inputs, strict=True))
        cells = {value.name: operand for operand, value in operands.items()}
        refs = {cells[r.name]: r for r in (source, weight) if r is not None}
        refs[kind.output] = target
        kernel = None if patches.kernel is None else refs.get(patches.kernel.name)
        if kernel is not None:
            return _ravel(kernel.index[-len(window.axes) :], window.kernel)
        small, large = refs[patches.small.name], refs[patches.large.name]
    else:
        return 0
    axes = len(window.axes)
    taps = tuple(
        (h + axis.before - axis.stride * p) // axis.dilation
        for axis, h, p in zip(window.axes, large.index[-axes:], small.index[-axes:], strict=True)
    )
    return _ravel(taps, window.kernel)


def _ravel(index: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    number = 0
    for i, size in zip(index, sizes, strict=True):
        number = number * size + i
    return number
