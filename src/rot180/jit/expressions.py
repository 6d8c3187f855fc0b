"""Expressions on vectors: the reader of `core.expression` for code that is being written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rot180.core.expression import Expression, in_order
from rot180.jit.emit import Emitter
from rot180.jit.functions import FUNCTIONS, like

__all__ = ["evaluate"]

_RELATIONS = {"greater": ">", "less": "<", "greater_equal": ">=", "less_equal": "<=", "equal": "=="}


def evaluate(k: Emitter, e: Expression, given: Mapping[str, Any]) -> Any:
    """Emit an expression; what is used twice is computed once.

    Args:
        k: the kernel that is being written.
        e: the expression.
        given: for each variable a float or a vector of floats, all of one type.

    Returns:
        A value of that type; for a comparison one bit for each lane.
    """
    kind = next(iter(given.values()))
    made: dict[Expression, Any] = {}
    for node in in_order(e):
        args = [made[arg] for arg in node.args]
        if node.op == "variable":
            made[node] = given[str(node.value)]
        elif node.op == "constant":
            made[node] = like(kind, float(node.value or 0.0))
        elif node.op == "where":
            made[node] = k.select(*args)
        elif node.op == "not_equal":  # NaN is not equal to itself
            made[node] = k.builder.fcmp_unordered("!=", *args)
        elif node.op in _RELATIONS:
            made[node] = k.builder.fcmp_ordered(_RELATIONS[node.op], *args)
        else:
            made[node] = FUNCTIONS[node.op](k, *args)
    return made[e]
