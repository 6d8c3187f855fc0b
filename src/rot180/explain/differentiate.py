"""The derivative of a formula by one of its cells: the local gradient on an edge of the chain rule.

Products by the product rule; inside a function the core's one table of partial derivatives is used
(`core.expression`), so no derivative is written down here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from rot180.core import Expression
from rot180.core import expression as x
from rot180.explain.derive import joined
from rot180.explain.formula import Call, Factor, Formula, Ref, Term, compose, references

__all__ = ["by_cell", "depends_on"]


def depends_on(formula: Formula, cell: Ref) -> bool:
    """Whether the cell occurs in the formula."""
    return any(ref == cell for ref in references(formula))


def by_cell(formula: Formula, cell: Ref) -> Formula:
    """∂formula/∂cell.

    >>> x, y = Ref("x", (0,)), Ref("y", ())
    >>> by_cell((Term(2, (x, x)), Term(1, (y,))), x)
    (Term(coefficient=4, factors=(Ref(name='x', index=(0,)),)),)
    """
    return joined(_of_term(term, cell) for term in formula if depends_on((term,), cell))


def _of_term(term: Term, cell: Ref) -> Formula:
    if all(isinstance(factor, Ref) for factor in term.factors):
        return joined(
            (Term(term.coefficient, term.factors[:i] + term.factors[i + 1 :]),)
            for i, factor in enumerate(term.factors)
            if factor == cell
        )
    variables = _Variables()
    body = variables.formula((term,))
    one = x.constant(1.0)
    derivative = x.differentiate(body, variables.of(cell), one)
    return joined([compose(derivative, variables.formulas)])


class _Variables:
    """Formulas as expressions whose variables are cells."""

    def __init__(self) -> None:
        self._names: dict[Ref, str] = {}
        self.formulas: dict[str, Formula] = {}

    def of(self, ref: Ref) -> Expression:
        name = self._names.setdefault(ref, f"c{len(self._names)}")
        self.formulas[name] = (Term(1, (ref,)),)
        return x.variable(name)

    def formula(self, formula: Formula) -> Expression:
        return _balanced([self._term(term) for term in formula], lambda a, b: a + b, 0.0)

    def _term(self, term: Term) -> Expression:
        factors = [self._factor(factor) for factor in term.factors]
        over = [e for e, under in factors if not under]
        found = _balanced([x.constant(term.coefficient), *over], lambda a, b: a * b, 1.0)
        for divisor in (e for e, under in factors if under):
            found = found / divisor
        return found

    def _factor(self, factor: Factor) -> tuple[Expression, bool]:
        """The expression, and whether it is divided by."""
        if isinstance(factor, Ref):
            return self.of(factor), False
        args = [self.formula(arg) for arg in factor.args]
        if factor.op == "reciprocal":
            return args[0], True
        return _call(factor, args), False


def _call(factor: Call, args: list[Expression]) -> Expression:
    if factor.op == "sum":
        return args[0]
    if factor.op == "holds":
        return x.where(args[0], 1.0, 0.0)
    if factor.op == "fails":
        return x.where(args[0], 0.0, 1.0)
    return Expression(factor.op, tuple(args))


def _balanced(
    parts: list[Expression], join: Callable[[Expression, Expression], Expression], empty: float
) -> Expression:
    """Join many parts as a tree of little depth."""
    while len(parts) > 1:
        pairs = itertools.zip_longest(parts[::2], parts[1::2])
        parts = [a if b is None else join(a, b) for a, b in pairs]
    return parts[0] if parts else x.constant(empty)
