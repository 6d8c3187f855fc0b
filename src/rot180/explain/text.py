"""Formulas as text: with symbols, or with the numbers put in."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import groupby

from rot180.explain.formula import Call, Factor, Formula, Ref, Term

__all__ = ["shortened", "write", "write_number"]

Write = Callable[[Ref], str]

_COMPARE = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=",
            "not_equal": "≠"}  # fmt: skip
_FAILS = {"greater": "≤", "less": "≥", "greater_equal": "<", "less_equal": ">", "equal": "≠",
          "not_equal": "="}  # fmt: skip
_NAMES = {"sigmoid": "σ", "log": "ln", "sqrt": "√", "maximum": "max", "minimum": "min"}
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def write_number(value: float) -> str:
    """A number as people write it: 3, 0.25, 1/9, 1.234568e-05.

    >>> [write_number(x) for x in (3.0, 0.25, 1 / 9, 0.1 + 0.2, 1.5e-7)]
    ['3', '0.25', '1/9', '0.3', '1.5e-07']
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    short = f"{value:.6g}"
    if len(short) > 6:  # no short decimal: a short fraction, where it is one
        near = Fraction(value).limit_denominator(99)
        if near and abs(float(near) - value) <= 1e-7 * abs(value):
            return str(near)
    return short


def write(formula: Formula, cell: Write) -> str:
    """The formula as one line; `cell` writes a cell."""
    if not formula:
        return "0"
    parts = []
    for i, term in enumerate(formula):
        text = _term(term, cell)
        negative = text.startswith("−")
        if i:
            parts.append(" − " if negative else " + ")
            text = text.removeprefix("−")
        parts.append(text)
    return "".join(parts)


def shortened(equation: str) -> str:
    """A sum of more than 48 terms by its first twelve and the number of the others.

    >>> shortened("z = " + " + ".join(["x"] * 100))[-17:]
    ' + x + x + … (88)'
    """
    parts = equation.split(" + ")
    if len(parts) <= 48:
        return equation
    return " + ".join(parts[:12]) + f" + … ({len(parts) - 12})"


def _term(term: Term, cell: Write) -> str:
    over = [f for f in term.factors if not (isinstance(f, Call) and f.op == "reciprocal")]
    under = [f.args[0] for f in term.factors if isinstance(f, Call) and f.op == "reciprocal"]
    size = abs(term.coefficient)
    sign = "−" if term.coefficient < 0 else ""
    words = []
    # A factor that occurs twice in a row is a square.
    for factor, group in groupby(over):
        count = len(list(group))
        power = str(count).translate(_SUPERSCRIPT) if count > 1 else ""
        words.append(_factor(factor, cell) + power)
    if size != 1 or not words:
        words.insert(0, write_number(size))
    line = sign + "·".join(words)
    for formula in under:
        text = write(formula, cell)
        simple = len(formula) == 1 and len(formula[0].factors) == 1 and formula[0].coefficient == 1
        line += f"/{text}" if simple else f"/({text})"
    return line


def _factor(factor: Factor, cell: Write) -> str:
    if isinstance(factor, Ref):
        return cell(factor)
    if factor.op in ("holds", "fails"):
        return f"[{_condition(factor.args[0], cell, factor.op == 'fails')}]"
    args = [write(arg, cell) for arg in factor.args]
    if factor.op == "sum":
        return f"({args[0]})"
    if factor.op == "absolute":
        return f"|{args[0]}|"
    if factor.op == "power":
        return f"({args[0]})^{_exponent(args[1])}"
    if factor.op in _COMPARE:
        return f"[{f' {_COMPARE[factor.op]} '.join(args)}]"
    return f"{_NAMES.get(factor.op, factor.op)}({', '.join(args)})"


def _exponent(text: str) -> str:
    return text if text.replace(".", "").isdigit() else f"({text})"


def _condition(formula: Formula, cell: Write, fails: bool) -> str:
    if len(formula) == 1 and len(formula[0].factors) == 1 and formula[0].coefficient == 1:
        factor = formula[0].factors[0]
        if isinstance(factor, Call) and factor.op in _COMPARE:
            args = [write(arg, cell) for arg in factor.args]
            return f" {(_FAILS if fails else _COMPARE)[factor.op]} ".join(args)
    text = write(formula, cell)
    return f"not {text}" if fails else text
