"""An explanation as data that computes: what a page needs to follow a changed number.

`program(e)` is JSON-ready. Cells are positions in row-major order of the whole array. A formula is
a list of terms [coefficient, factor, ...]; a factor is [name, position] for a cell, or
{"op": ..., "args": [formula, ...]} for a function. Functions are those of `core.expression`, and
"sum", "reciprocal", "holds", "fails" (see `explain.formula`). A select's record follows the numbers
too: {"op": "won", "args": [z, position, x, position]} is 1 where that cell of x is the one that z
took (the first largest, in the order of `choices`), else 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Give, Select, Windows
from rot180.errors import ArgumentError
from rot180.explain.choices import candidates, reaching
from rot180.explain.formula import Formula, Ref

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Step

__all__ = ["formula_data", "program"]

LIMIT = 60_000
"""So many products fit into a page; more are refused."""


def program(e: Explanation) -> dict[str, Any]:
    """Arrays, and the formula of every cell that is computed, in an order in which to compute them.

    Returns:
        {"title", "lang", "base", "order", "arrays", "formulas", "choices"}. `arrays[name]` has
        role, shape, shown, lead, dtype, numbers (a flat list), labels and of; `formulas[name]` one
        formula for each cell; for a select the candidates are in `choices[name]` instead:
        {"from": name, "largest": bool, "cells": [[position, ...], ...]}.

    Raises:
        ArgumentError: too many products for a page.
    """
    count = 0
    formulas: dict[str, list[Any]] = {}
    choices: dict[str, Any] = {}
    order = [name for name, value in e.values.items() if value.step is not None]
    order.sort(key=lambda name: _place(e, name))
    for name in order:
        step = e.values[name].step
        if step is not None and isinstance(step.kind, Select) and step.inputs[0].name:
            choices[name] = _choice(e, name, step)
            count += sum(len(cell) for cell in choices[name]["cells"])
        else:
            formulas[name] = []
            for cell in e[name]:
                formula = _given_back(e, step, cell.index) if step else None
                formulas[name].append(formula or formula_data(cell.formula, e.position))
                count += len(formulas[name][-1])
                if count > LIMIT:
                    break
        if count > LIMIT:
            raise ArgumentError(
                f"explain: {e.title} is too large for a page",
                arithmetic=f"more than {LIMIT} products",
                rule="explain a smaller window, or single cells",
            )
    return {
        "title": e.title,
        "lang": e.lang,
        "base": e.base,
        "order": order,
        "arrays": {name: _array(e, name) for name in e.values},
        "formulas": formulas,
        "choices": choices,
    }


def _place(e: Explanation, name: str) -> int:
    step = e.values[name].step
    return -1 if step is None else step.place


def _array(e: Explanation, name: str) -> dict[str, Any]:
    value = e.values[name]
    return {
        "role": value.role,
        "shape": list(value.shape),
        "shown": list(value.shown),
        "lead": value.lead,
        "dtype": str(value.array.dtype),
        "numbers": value.array.ravel().tolist(),
        "labels": [cell.label for cell in e[name]],
        "of": "" if value.of is None else value.of.name,
    }


def formula_data(formula: Formula, position: Callable[[Ref], int]) -> list[Any]:
    """A formula as nested lists."""
    return [
        [
            term.coefficient,
            *(
                [factor.name, position(factor)]
                if isinstance(factor, Ref)
                else {"op": factor.op, "args": [formula_data(a, position) for a in factor.args]}
                for factor in term.factors
            ),
        ]
        for term in formula
    ]


def _choice(e: Explanation, name: str, step: Step) -> dict[str, Any]:
    kind = step.kind
    assert isinstance(kind, Select)
    source = step.inputs[0].name
    cells = [
        [e.position(Ref(source, c)) for c in candidates(kind.choice, cell.index)]
        for cell in e[name]
    ]
    return {"from": source, "largest": kind.largest, "cells": cells}


def _given_back(e: Explanation, step: Step, cell: tuple[int, ...]) -> list[Any] | None:
    """For the gradient of a window's winner: every output that may have taken this cell."""
    kind = step.kind
    if not isinstance(kind, Give) or not isinstance(kind.choice, Windows) or not step.backward:
        return None
    forward = next((s for s in e.tape.steps if isinstance(s.kind, Select)
                    and s.record is step.inputs[1].array), None)  # fmt: skip
    g = step.inputs[0]
    if forward is None or kind.choice.ties != "first" or not (g.name and forward.output.name):
        return None
    z, x = forward.output.name, forward.inputs[0].name
    if not x:
        return None
    here = e.position(Ref(x, cell))
    formula = []
    for output in reaching(kind.choice, cell):
        there = int(np.ravel_multi_index(output, forward.output.shape))
        won = {"op": "won", "args": [z, there, x, here]}
        formula.append([1, won, [g.name, there]])
    return formula or [[0]]
