"""Local gradients: the derivative of one cell by another, as a formula, by its definition.

This does not use the gradient rules: a formula is differentiated term by term with SymPy. So it
can be laid beside what the rules gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.explain.derive import formula_of
from rot180.explain.formula import Ref
from rot180.explain.symbols import Symbols, load_sympy, to_sympy

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Value

__all__ = ["local_gradient"]


def local_gradient(e: Explanation, target: Value, source: Value) -> tuple[str, float | None]:
    """∂target/∂source of two single cells, as text and as a number."""
    s = load_sympy()
    symbols = Symbols(s, lambda ref: e.notation.text(ref.name, ref.index))
    zero = (0,) * len(target.shape)
    formula = formula_of(target, zero)
    by = symbols(Ref(source.name, (0,) * len(source.shape)))
    derivative = s.diff(to_sympy(formula, symbols), by)
    text = str(derivative)
    for symbol in sorted(derivative.free_symbols, key=lambda x: -len(str(x))):
        text = text.replace(str(symbol), symbols.names[symbol])
    put_in = {symbol: e.number(ref) for symbol, ref in symbols.refs.items()}
    return text.replace("*", "·"), float(derivative.subs(put_in))
