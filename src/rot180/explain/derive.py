"""From a declaration to the formula of one cell: the reading that this floor is for.

One reader for each kind. A form is solved for the cell (`Form.terms`), a map has its cells put in,
a select names the cell that was chosen. `plan` decides which values on the way get a name and which
are written out where they are used: a value that several operations read, or a sum inside a sum,
and what a maximum chose, gets a name; everything else is put in.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rot180.core import Form, Give, Kind, Map, Select, Sum, Take
from rot180.errors import ArgumentError
from rot180.explain.choices import candidates, chosen, givers
from rot180.explain.formula import Formula, Ref, Term, compose, number, product, scaled
from rot180.explain.tape import Step, Tape, Value, is_alias, is_reduction

__all__ = ["candidate_cells", "cell_itself", "formula_of", "joined", "local_formula", "plan"]

Cell = tuple[int, ...]

_DEPTH = 40
"""So many operations are written out in one formula at most, before a value gets a name."""


# The formula of a cell


def formula_of(value: Value, cell: Cell) -> Formula:
    """The cell as a formula of named cells: its operation, with unnamed values put in."""
    if value.step is None:
        return cell_itself(value, cell)
    return joined([local_formula(value.step.kind, value.step, cell)])


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
    raise ArgumentError(
        f"explain: {step.name} is no operation that cells are read out of",
        expected="a form, a map or a select",
        got=type(kind).__name__,
    )


@local_formula.register
def _(kind: Form, step: Step, cell: Cell) -> Formula:
    operands = dict(zip((o.name for o in kind.inputs), step.inputs, strict=True))
    return joined(
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
    return joined(found)


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
    return joined(scaled(cell_itself(step.inputs[0], c), share) for c, share in found)


@local_formula.register
def _(kind: Give, step: Step, cell: Cell) -> Formula:
    found = givers(kind.choice, step.inputs[1].array, cell)
    return joined(scaled(cell_itself(step.inputs[0], c), share) for c, share in found)


def joined(parts: Any) -> Formula:
    """A sum of formulas in which equal products are counted instead of repeated."""
    terms: dict[tuple[Any, ...], float] = {}
    for part in parts:
        for term in part:
            terms[term.factors] = terms.get(term.factors, 0) + term.coefficient
    return tuple(Term(c, factors) for factors, c in terms.items() if c)


def candidate_cells(value: Value, cell: Cell) -> list[Formula]:
    """For a cell that a select chose: what it chose among."""
    step = value.step
    if step is None or not isinstance(step.kind, Select):
        return []
    return [cell_itself(step.inputs[0], c) for c in candidates(step.kind.choice, cell)]


# Which values get a name


def plan(tape: Tape, given: Iterable[Value] = ()) -> list[Value]:
    """Decide which inner values are named; they are returned in the order in which they were made.

    Constants (what depends on no argument) become numbers. The gradient of a named value is named,
    too.

    Args:
        tape: what was run.
        given: inner values that get a name in any case.
    """
    _fold_constants(tape)
    named = {id(v) for v in (*tape.inputs, *given, tape.output, tape.upstream) if v is not None}
    forward = [step for step in tape.steps if not step.backward]
    found = [v for v in given if v is not tape.output]
    found += _named_in(forward, _uses(tape.steps), named)
    found = _without_trivial(found, (*tape.inputs, tape.output, *given), keep=given)
    named = {id(v) for v in (*tape.inputs, tape.output, tape.upstream, *found) if v is not None}
    deltas = [d for v, d in tape.deltas.items() if id(v) in named and d is not tape.upstream]
    named |= {id(v) for v in deltas}
    back = _named_in([step for step in tape.steps if step.backward], _uses(tape.steps), named)
    kept = [v for v in (*tape.inputs, tape.output, tape.upstream, *found, *deltas) if v is not None]
    found += _without_trivial(back, kept)
    return sorted(found, key=lambda v: v.step.place if v.step else -1)


def _named_in(steps: Sequence[Step], uses: Counter[int], named: set[int]) -> list[Value]:
    """Values that several steps read, sums inside sums, choices, and what would be too deep."""
    sums: dict[int, bool] = {}
    depth: dict[int, int] = {}
    found: list[Value] = []
    for step in steps:
        value, reduces = step.output, is_reduction(step)
        for v in step.reads:
            if (
                id(v) not in named
                and v.step is not None
                and ((reduces and sums.get(id(v))) or depth.get(id(v), 0) >= _DEPTH)
            ):
                named.add(id(v))
                found.append(v)
        inlined = [v for v in step.reads if id(v) not in named and v.step is not None]
        sums[id(value)] = reduces or any(sums.get(id(v)) for v in inlined)
        depth[id(value)] = 1 + max((depth.get(id(v), 0) for v in inlined), default=0)
        repeated = uses[id(value)] > 1 and not is_alias(step)
        if id(value) not in named and (repeated or isinstance(step.kind, Select)):
            named.add(id(value))
            found.append(value)
    return found


def _without_trivial(
    found: Sequence[Value], others: Iterable[Value | None], keep: Iterable[Value] = ()
) -> list[Value]:
    """Leave out values whose cells are just a number times a cell: they need no name."""
    marked = [v for v in (*found, *others) if v is not None and not v.name]
    kept = {id(v) for v in keep}
    for i, v in enumerate(marked):
        v.name = f"?{i}"
    left = []
    for v in sorted(found, key=lambda v: v.step.place if v.step else -1):
        if id(v) not in kept and _is_trivial(v):
            v.name = ""
        else:
            left.append(v)
    for v in marked:
        v.name = ""
    return left


def _is_trivial(value: Value) -> bool:
    if value.step is None or isinstance(value.step.kind, Select):
        return False
    cells = itertools.islice(np.ndindex(value.shape), 16)
    formulas = [formula_of(value, cell) for cell in cells]
    return all(
        len(f) <= 1 and all(len(t.factors) <= 1 and len(t.cells) == len(t.factors) for t in f)
        for f in formulas
    )


def _uses(steps: Sequence[Step]) -> Counter[int]:
    """How many operations read each value; what only renames cells is looked through."""
    uses: Counter[int] = Counter()
    for step in reversed(steps):
        factor = max(1, uses[id(step.output)]) if is_alias(step) else 1
        for value in {id(v): v for v in step.reads}.values():
            uses[id(value)] += factor
    return uses


def _fold_constants(tape: Tape) -> None:
    """What depends on nothing that was given is a number."""
    moving = {id(v) for v in tape.inputs}
    if tape.upstream is not None:
        moving.add(id(tape.upstream))
    kept = []
    for step in tape.steps:
        if any(id(v) in moving for v in step.reads):
            moving.add(id(step.output))
            kept.append(step)
        else:
            step.output.role, step.output.step = "constant", None
    tape.steps[:] = kept
