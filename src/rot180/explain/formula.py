"""Formulas: what one cell is, as a sum of products of cells.

A formula is a tuple of terms, a term a number and factors, a factor a cell of an array (`Ref`) or a
scalar function of formulas (`Call`). This is what a declaration becomes when it is restricted to
one cell: a form gives products of cells, a map its expression with cells put in, a select the
chosen cell. It is data: the printers write it, the page ships it.

Functions are those of `core.expression`, and four more: "sum" is a bracket around a sum,
"reciprocal" 1 / x, "holds" and "fails" are 1 or 0 as a comparison holds or does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rot180.core import Expression

__all__ = [
    "Call",
    "Factor",
    "Formula",
    "Ref",
    "Term",
    "compose",
    "evaluate",
    "number",
    "product",
    "references",
    "scaled",
]


@dataclass(frozen=True, slots=True)
class Ref:
    """A cell of a named array.

    Attributes:
        name: the array, such as "x", "w", "δ" or "δ_x".
        index: the cell, all axes, counted from 0.
    """

    name: str
    index: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name}{list(self.index)}"


@dataclass(frozen=True, slots=True)
class Call:
    """A scalar function of formulas.

    Attributes:
        op: a function of `core.expression`, or "sum", "reciprocal", "holds", "fails".
        args: its arguments.
    """

    op: str
    args: tuple[Formula, ...]

    def __str__(self) -> str:
        return f"{self.op}({', '.join(' + '.join(map(str, arg)) for arg in self.args)})"


Factor: TypeAlias = Ref | Call


@dataclass(frozen=True, slots=True)
class Term:
    """One product: coefficient · factor · factor ...

    Attributes:
        coefficient: the number in front.
        factors: cells and functions of cells, in the order in which they are printed.
    """

    coefficient: float
    factors: tuple[Factor, ...]

    @property
    def cells(self) -> tuple[Ref, ...]:
        """The factors that are cells."""
        return tuple(factor for factor in self.factors if isinstance(factor, Ref))

    def __str__(self) -> str:
        number = [] if self.coefficient == 1 and self.factors else [f"{self.coefficient:g}"]
        return "·".join([*number, *map(str, self.factors)])


Formula: TypeAlias = tuple[Term, ...]


def number(value: float) -> Formula:
    """A number as a formula; 0 is the empty sum."""
    return () if value == 0 else (Term(value, ()),)


def scaled(formula: Formula, factor: float) -> Formula:
    """Every term times a number."""
    if factor == 0:
        return ()
    return tuple(Term(t.coefficient * factor, t.factors) for t in formula)


def product(*formulas: Formula) -> Formula:
    """The product: single terms are joined, a sum among several factors gets a bracket."""
    coefficient: float = 1
    factors: list[Factor] = []
    sums = [f for f in formulas if len(f) > 1]
    if any(not f for f in formulas):
        return ()
    for formula in formulas:
        if len(formula) == 1:
            coefficient *= formula[0].coefficient
            factors += formula[0].factors
        else:
            factors.append(Call("sum", (formula,)))
    if len(sums) == 1 and len(factors) == 1:
        return scaled(sums[0], coefficient)
    return (Term(coefficient, tuple(factors)),)


def _as_number(formula: Formula) -> float | None:
    if not formula:
        return 0
    if len(formula) == 1 and not formula[0].factors:
        return formula[0].coefficient
    return None


# An expression with formulas put in for its variables


def _power(a: Formula, b: Formula) -> Formula:
    exponent = _as_number(b)
    if exponent in (2, 3) and len(a) == 1:
        return product(*[a] * int(exponent))
    return _call("power", a, b)


def _negative(a: Formula) -> Formula:
    return scaled(a, -1)


def _divide(a: Formula, b: Formula) -> Formula:
    divisor = _as_number(b)
    if divisor:
        return scaled(a, 1 / divisor)
    return product(a, (Term(1, (Call("reciprocal", (b,)),)),))


def _where(condition: Formula, yes: Formula, no: Formula) -> Formula:
    known = _as_number(condition)
    if known is not None:
        return yes if known else no
    holds = (Term(1, (Call("holds", (condition,)),)),)
    fails = (Term(1, (Call("fails", (condition,)),)),)
    return product(yes, holds) + product(no, fails)


def _call(op: str, *args: Formula) -> Formula:
    return (Term(1, (Call(op, args),)),)


_BUILD: dict[str, Callable[..., Formula]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a + scaled(b, -1),
    "multiply": product,
    "divide": _divide,
    "negative": _negative,
    "power": _power,
    "where": _where,
}


def compose(body: Expression, inputs: Mapping[str, Formula]) -> Formula:
    """The formula of a scalar expression, with a formula put in for every variable."""
    if body.op == "variable":
        return inputs[str(body.value)]
    if body.op == "constant":
        return number(float(body.value or 0))
    args = [compose(arg, inputs) for arg in body.args]
    known = [_as_number(a) for a in args]
    if body.op not in _BUILD and None not in known:
        return number(_FUNCTIONS[body.op](*known))
    if body.op in ("less", "greater") and known[1] in (math.inf, -math.inf):
        return number(float((known[1] > 0) == (body.op == "less")))  # every cell is finite
    build = _BUILD.get(body.op)
    return build(*args) if build else _call(body.op, *args)


# Numbers


def _safe(function: Callable[..., float], otherwise: float = math.nan) -> Callable[..., float]:
    def computed(*args: float) -> float:
        try:
            return function(*args)
        except OverflowError:
            return math.inf
        except (ValueError, ZeroDivisionError):
            return otherwise

    return computed


def _log(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _reciprocal(x: float) -> float:
    return math.copysign(math.inf, x) if x == 0 else 1 / x


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": _safe(math.exp),
    "expm1": _safe(math.expm1),
    "log": _safe(_log),
    "log1p": _safe(math.log1p),
    "sqrt": _safe(math.sqrt),
    "sin": _safe(math.sin),
    "cos": _safe(math.cos),
    "tanh": math.tanh,
    "erf": math.erf,
    "sigmoid": _sigmoid,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "absolute": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "floor": _safe(math.floor),
    "power": _safe(lambda a, b: a**b),
    "maximum": lambda a, b: b if b > a or b != b else a,
    "minimum": lambda a, b: b if b < a or b != b else a,
    "reciprocal": _reciprocal,
    "greater": lambda a, b: float(a > b),
    "less": lambda a, b: float(a < b),
    "greater_equal": lambda a, b: float(a >= b),
    "less_equal": lambda a, b: float(a <= b),
    "equal": lambda a, b: float(a == b),
    "not_equal": lambda a, b: float(a != b),
    "holds": lambda c: float(bool(c)),
    "fails": lambda c: float(not c),
    "sum": lambda s: s,
}


def evaluate(formula: Formula, read: Callable[[Ref], Any]) -> tuple[Any, float]:
    """The value of a formula, and the sum of its terms without their signs.

    Args:
        formula: what to add up.
        read: the number in a cell. Python integers are added exactly.

    Returns:
        The value, and the size by which its rounding error is judged.
    """
    value: Any = 0
    size = 0.0
    for term in formula:
        here, large = _product(term, read)
        value += here
        size += large
    return value, size


def _product(term: Term, read: Callable[[Ref], Any]) -> tuple[Any, float]:
    value: Any = term.coefficient
    size = abs(float(value))
    # A branch that was not taken counts 0, also where it is infinite or NaN.
    for factor in term.factors:
        if isinstance(factor, Call) and factor.op in ("holds", "fails"):
            condition, _ = evaluate(factor.args[0], read)
            if bool(condition) != (factor.op == "holds"):
                return 0, 0.0
    for factor in term.factors:
        if isinstance(factor, Ref):
            here = read(factor)
            large = abs(float(here))
        else:
            args = [evaluate(arg, read) for arg in factor.args]
            here = _FUNCTIONS[factor.op](*(v for v, _ in args))
            sizes = sum(s for _, s in args)
            large = sizes if factor.op == "sum" else abs(float(here)) * (1.0 + min(sizes, 1e3))
        value = value * here
        size *= large
    return value, size


def references(formula: Formula) -> Iterator[Ref]:
    """Every cell that the formula reads, in order, each as often as it occurs."""
    for term in formula:
        for factor in term.factors:
            if isinstance(factor, Ref):
                yield factor
            else:
                for arg in factor.args:
                    yield from references(arg)


def reader(arrays: Mapping[str, Any]) -> Callable[[Ref], Any]:
    """Read cells out of arrays: integers as Python integers, everything else as Python floats."""

    def read(ref: Ref) -> Any:
        return np.asarray(arrays[ref.name])[ref.index].item()

    return read
