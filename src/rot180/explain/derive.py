"""From a declaration to the formula of one cell: the reading that this floor is for.

One reader for each kind. A form is solved for the cell (`Form.terms`), a map has its cells put in,
a select names the cell that was chosen. `plan` decides which values on the way get a name and which
are written out where they are used: a value that several operations read, or a sum inside a sum,
gets a name; everything else is put in.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

from rot180.core import Form, Give, Kind, Map, Select, Sum, Take
from rot180.explain.choices import candidates, chosen, givers
from rot180.explain.formula import Formula, Ref, Term, compose, number, product, scaled
from rot180.explain.tape import Step, Tape, Value, is_alias, is_reduction

__all__ = ["candidate_cells", "formula_of", "local_formula", "plan"]

Cell = tuple[int, ...]

_DEPTH = 40
"""So many operations are written out in one formula at most, before a value gets a name."""


# The formula of a cell


def formula_of(value: Value, cell: Cell) -> Formula:
    """The cell as a formula of named cells: its operation, with unnamed values put in."""
    if value.step is None:
        return cell_itself(value, cell)
    return _joined([local_formula(value.step.kind, value.step, cell)])


def cell_itself(value: Value, cell: Cell) -> Formula:
    """A cell as it stands in another formula: its name, its number, or what it is made of."""
    if value.name:
        return (Term(1, (Ref(value.name, cell),)),)
    if value.step is None:
        return number(_as_python(value.array[cell]))
    return formula_of(value, cell)


def _as_python(x: Any) -> float:
    return int(x) if x.dtype.kind in "biu" else float(x)


@functools.singledispatch
def local_formula(kind: Kind, step: Step, cell: Cell) -> Formula:
    """The cell of a step's output as a formula of the cells it reads."""
    raise NotImplementedError(type(kind).__name__)


@local_formula.register
def _(kind: Form, step: Step, cell: Cell) -> Formula:
    operands = dict(zip((o.name for o in kind.inputs), step.inputs, strict=True))
    return _joined(
        product(*(cell_itself(operands[name], index) for name, index in term.factors))
        for term in kind.terms(cell)
    )


@local_formula.register
def _(kind: Sum, step: Step, cell: Cell) -> Formula:
    found: list[Formula] = []
    for form, value in zip(kind.forms, step.inputs, strict=True):
        for term in form.terms(cell):
            ((_, index),) = term.factors
            found.append(cell_itself(value, index))
    return _joined(found)


@local_formula.register
def _(kind: Map, step: Step, cell: Cell) -> Formula:
    inputs = {
        name: cell_itself(value, cell if value.array.ndim else ())
        for name, value in zip(kind.inputs, step.inputs, strict=True)
    }
    return compose(kind.body, inputs)


@local_formula.register(Select)
@local_formula.register(Take)
def _(kind: Select | Take, step: Step, cell: Cell) -> Formula:
    record = step.record if step.record is not None else step.inputs[1].array
    found = chosen(kind.choice, record, cell)
    if isinstance(kind, Select):  # the value is that of the first, whoever shares the gradient
        found = [(found[0][0], 1)] if found else []
    return _joined(scaled(cell_itself(step.inputs[0], c), share) for c, share in found)


@local_formula.register
def _(kind: Give, step: Step, cell: Cell) -> Formula:
    found = givers(kind.choice, step.inputs[1].array, cell)
    return _joined(scaled(cell_itself(step.inputs[0], c), share) for c, share in found)


def _joined(parts: Any) -> Formula:
    """A sum of formulas in which equal products are counted instead of repeated."""
    terms: dict[tuple[Any, ...], float] = {}
    for part in parts:
        for term in part:
            terms[term.factors] = terms.get(term.factors, 0) + term.coefficient
    return tuple(Term(c, factors) for factors, c in terms.items() if c)


def candidate_cells(value: Value, cell: Cell) -> list[Cell]:
    """For a cell that a select chose: the cells among which it chose."""
    step = value.step
    if step is None or not isinstance(step.kind, Select):
        return []
    return candidates(step.kind.choice, cell)


# Which values get a name


def plan(tape: Tape) -> list[Value]:
    """Decide which inner values are named; they are returned in the order in which they were made.

    Constants (what depends on no argument) become numbers.
    """
    named = {id(v) for v in (*tape.inputs, tape.output, tape.upstream, *tape.deltas.values())
             if v is not None}  # fmt: skip
    uses = _uses(tape)
    sums: dict[int, bool] = {}
    depth: dict[int, int] = {}
    found: list[Value] = []
    moving = _moving(tape)
    for step in tape.steps:
        value = step.output
        if id(value) not in moving:
            value.role, value.step = "constant", None
            continue
        reduces = is_reduction(step)
        for v in step.reads:
            if id(v) in named or v.step is None:
                continue
            if (reduces and sums[id(v)]) or depth[id(v)] >= _DEPTH:
                named.add(id(v))
                found.append(v)
        inlined = [v for v in step.reads if id(v) not in named and v.step is not None]
        sums[id(value)] = reduces or any(sums[id(v)] for v in inlined)
        depth[id(value)] = 1 + max((depth[id(v)] for v in inlined), default=0)
        if id(value) not in named and uses[id(value)] > 1 and not is_alias(step):
            named.add(id(value))
            found.append(value)
    return sorted(found, key=lambda v: v.step.place if v.step else -1)


def _uses(tape: Tape) -> Counter[int]:
    """How many operations read each value; what only renames cells is looked through."""
    uses: Counter[int] = Counter()
    for step in reversed(tape.steps):
        factor = max(1, uses[id(step.output)]) if is_alias(step) else 1
        for value in {id(v): v for v in step.reads}.values():
            uses[id(value)] += factor
    return uses


def _moving(tape: Tape) -> set[int]:
    """The values that depend on what was given."""
    moving = {id(v) for v in tape.inputs}
    if tape.upstream is not None:
        moving.add(id(tape.upstream))
    for step in tape.steps:
        if any(id(v) in moving for v in step.reads):
            moving.add(id(step.output))
    return moving
