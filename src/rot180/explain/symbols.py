"""Formulas as SymPy expressions: LaTeX, MathML, and polynomials for proofs.

SymPy prints; nothing is reordered or simplified on the way to paper. It is an extra
(`rot180[explain]`), imported when the first formula is printed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rot180.errors import MissingExtraError
from rot180.explain.formula import Call, Formula, Ref, Term
from rot180.explain.text import write_number

__all__ = ["Symbols", "latex", "load_sympy", "mathml", "to_sympy"]


def load_sympy() -> Any:
    """The module sympy.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("sympy")
    except ImportError:
        raise MissingExtraError(
            "formulas in LaTeX or MathML, and proofs,", "sympy", "explain"
        ) from None


def to_sympy(
    formula: Formula, symbol: Callable[[Ref], Any], evaluate: bool = True, exact: bool = False
) -> Any:
    """The formula as a SymPy expression.

    Args:
        formula: a formula.
        symbol: the SymPy symbol of a cell.
        evaluate: let SymPy collect and sort; False keeps the formula as it is written.
        exact: read numbers such as 0.7071067811865476 as √2/2, as a proof needs it.
    """
    s = load_sympy()
    terms = [_term(s, term, symbol, evaluate, exact) for term in formula]
    if not terms:
        return s.Integer(0)
    return terms[0] if len(terms) == 1 else s.Add(*terms, evaluate=evaluate)


def _number(s: Any, value: float, exact: bool) -> Any:
    if exact:
        roots = [s.sqrt(2), 1 / s.sqrt(s.pi), s.sqrt(2 / s.pi)]
        decimal, near = Fraction(repr(float(value))), Fraction(value).limit_denominator(1000)
        for fraction in (near, decimal):
            if float(fraction) == value and fraction.denominator < 10**9:
                return s.Rational(fraction.numerator, fraction.denominator)
        return s.nsimplify(value, roots, tolerance=1e-15)
    text = write_number(value)
    if "e" in text or "n" in text or "." in text:
        return s.Float(text, 6)
    fraction = Fraction(text)
    return s.Rational(fraction.numerator, fraction.denominator)


def _term(s: Any, term: Term, symbol: Callable[[Ref], Any], evaluate: bool, exact: bool) -> Any:
    factors = [_factor(s, factor, symbol, evaluate, exact) for factor in term.factors]
    if term.coefficient != 1 or not factors:
        factors.insert(0, _number(s, term.coefficient, exact))
    return factors[0] if len(factors) == 1 else s.Mul(*factors, evaluate=evaluate)


def _factor(
    s: Any, factor: Ref | Call, symbol: Callable[[Ref], Any], evaluate: bool, exact: bool
) -> Any:
    if isinstance(factor, Ref):
        return symbol(factor)
    args = [to_sympy(arg, symbol, evaluate, exact) for arg in factor.args]
    return _functions(s, exact)[factor.op](*args)


def _functions(s: Any, exact: bool) -> dict[str, Callable[..., Any]]:
    def bracket(yes: int) -> Callable[[Any], Any]:
        return lambda c: s.Piecewise((yes, c), (1 - yes, True))

    return {
        "sum": lambda a: a,
        "reciprocal": lambda a: s.Pow(a, -1, evaluate=False),
        "holds": bracket(1),
        "fails": bracket(0),
        "exp": s.exp,
        "expm1": lambda a: s.exp(a) - 1,
        "log": s.log,
        "log1p": lambda a: s.log(1 + a),
        "sqrt": s.sqrt,
        "sin": s.sin,
        "cos": s.cos,
        "tanh": s.tanh,
        "erf": s.erf,
        "sigmoid": lambda a: 1 / (1 + s.exp(-a)),
        "softplus": lambda a: s.log(1 + s.exp(a)),
        "absolute": s.Abs,
        "sign": s.sign,
        "floor": s.floor,
        "power": s.Pow,
        "maximum": lambda a, b: s.Piecewise((b, b > a), (a, True)) if exact else s.Max(a, b),
        "minimum": lambda a, b: s.Piecewise((b, b < a), (a, True)) if exact else s.Min(a, b),
        "greater": s.StrictGreaterThan,
        "less": s.StrictLessThan,
        "greater_equal": s.GreaterThan,
        "less_equal": s.LessThan,
        "equal": s.Eq,
        "not_equal": s.Ne,
    }


def latex(left: Ref, formula: Formula, name: Callable[[Ref], str]) -> str:
    """The equation `left = formula` in LaTeX, printed by SymPy in the order of the terms."""
    s = load_sympy()
    symbols = Symbols(s, name)
    right = to_sympy(formula, symbols, evaluate=False)
    printed = s.latex(right, order="none", symbol_names=symbols.names)
    return f"{name(left)} = {printed}"


def mathml(left: Ref, formula: Formula, name: Callable[[Ref], str]) -> str:
    """The equation as presentation MathML, a whole `<math>` element, printed by SymPy.

    Args:
        left: the cell on the left.
        formula: what it is.
        name: a cell as text, such as δ_x01: what follows the first underscore is the subscript.
    """
    s = load_sympy()
    printer = importlib.import_module("sympy.printing.mathml").MathMLPresentationPrinter(
        {"order": "none", "symbol_names": {}}
    )

    def symbol(ref: Ref) -> Any:
        return s.Symbol(name(ref))

    equation = s.Eq(symbol(left), to_sympy(formula, symbol, evaluate=False), evaluate=False)
    body = printer.doprint(equation)
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{body}</math>'


class Symbols:
    """One symbol for each cell.

    Attributes:
        names: how each symbol is written.
        refs: the cell of each symbol.
    """

    def __init__(self, s: Any, name: Callable[[Ref], str]) -> None:
        self._s = s
        self._name = name
        self.names: dict[Any, str] = {}
        self.refs: dict[Any, Ref] = {}

    def __call__(self, ref: Ref) -> Any:
        """The symbol of a cell."""
        symbol = self._s.Symbol(f"{ref.name}_{'_'.join(map(str, ref.index))}", real=True)
        self.names[symbol], self.refs[symbol] = self._name(ref), ref
        return symbol
