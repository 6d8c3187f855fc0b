"""Scalar expressions: what a pointwise operation computes, as data that can be differentiated.

An `Expression` is built with ordinary Python operators from variables and numbers. `differentiate`
sweeps it once backwards with the table of partial derivatives below, which is the only place in
the library where the derivative of a scalar function is written down.

>>> x, y = variable("x"), variable("y")
>>> g = variable("g")
>>> print(differentiate(x * tanh(y), x, g))
(g * tanh(y))
>>> print(differentiate(maximum(0.0, x), x, g))
where((x > 0.0), g, 0.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = [
    "Expression",
    "absolute",
    "constant",
    "cos",
    "differentiate",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "not_equal",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "sqrt",
    "substitute",
    "tanh",
    "variable",
    "variables",
    "where",
]


@dataclass(frozen=True)
class Expression:
    """One node of a scalar expression; equal expressions are equal objects of a dictionary.

    Attributes:
        op: "variable", "constant", or a name of the table of partial derivatives.
        args: the arguments.
        value: the name of a variable, or the number of a constant.
    """

    op: str
    args: tuple[Expression, ...] = ()
    value: float | str | None = None
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.op, self.args, self.value)))

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Number) -> Expression:
        return _add(self, _lift(other))

    def __radd__(self, other: Number) -> Expression:
        return _add(_lift(other), self)

    def __sub__(self, other: Number) -> Expression:
        return _subtract(self, _lift(other))

    def __rsub__(self, other: Number) -> Expression:
        return _subtract(_lift(other), self)

    def __mul__(self, other: Number) -> Expression:
        return _multiply(self, _lift(other))

    def __rmul__(self, other: Number) -> Expression:
        return _multiply(_lift(other), self)

    def __truediv__(self, other: Number) -> Expression:
        return _divide(self, _lift(other))

    def __rtruediv__(self, other: Number) -> Expression:
        return _divide(_lift(other), self)

    def __pow__(self, other: Number) -> Expression:
        return _power(self, _lift(other))

    def __neg__(self) -> Expression:
        return _negate(self)

    def __gt__(self, other: Number) -> Expression:
        return Expression("greater", (self, _lift(other)))

    def __lt__(self, other: Number) -> Expression:
        return Expression("less", (self, _lift(other)))

    def __ge__(self, other: Number) -> Expression:
        return Expression("greater_equal", (self, _lift(other)))

    def __le__(self, other: Number) -> Expression:
        return Expression("less_equal", (self, _lift(other)))

    def __str__(self) -> str:
        if self.op in ("variable", "constant"):
            return str(self.value)
        words = [str(arg) for arg in self.args]
        if self.op == "power" and words[0].startswith("-"):  # which binds less
            words[0] = f"({words[0]})"
        sign_of = _INFIX.get(self.op)
        return f"({f' {sign_of} '.join(words)})" if sign_of else f"{self.op}({', '.join(words)})"


Number = Expression | float | int

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "power": "**",
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
}


def variable(name: str) -> Expression:
    """A named input."""
    return Expression("variable", (), name)


def constant(value: float) -> Expression:
    """A number."""
    return Expression("constant", (), value)


def _lift(value: Number) -> Expression:
    return value if isinstance(value, Expression) else constant(value)


_ZERO, _ONE = constant(0.0), constant(1.0)


def _is(e: Expression, value: float) -> bool:
    return e.op == "constant" and e.value == value


# Sums and products drop the neutral element and move into the branches of `where`: a gradient then
# reads as it would by hand, and 0 · NaN or 0 / 0 is never computed for a branch that was not taken.


def _add(a: Expression, b: Expression) -> Expression:
    if _is(a, 0):
        return b
    return a if _is(b, 0) else Expression("add", (a, b))


def _subtract(a: Expression, b: Expression) -> Expression:
    if _is(a, 0):
        return -b
    return a if _is(b, 0) else Expression("subtract", (a, b))


def _multiply(a: Expression, b: Expression) -> Expression:
    if _is(a, 0) or _is(b, 0):
        return _ZERO
    if _is(a, 1):
        return b
    if _is(b, 1):
        return a
    if a.op == "where":
        return where(a.args[0], a.args[1] * b, a.args[2] * b)
    if b.op == "where":
        return where(b.args[0], a * b.args[1], a * b.args[2])
    return Expression("multiply", (a, b))


def _divide(a: Expression, b: Expression) -> Expression:
    if _is(a, 0):
        return _ZERO
    if a.op == "where":
        return where(a.args[0], a.args[1] / b, a.args[2] / b)
    return a if _is(b, 1) else Expression("divide", (a, b))


def _power(a: Expression, b: Expression) -> Expression:
    if _is(b, 0):
        return _ONE
    if _is(b, 1):
        return a
    if _is(b, 2):
        return Expression("multiply", (a, a))
    if _is(b, 0.5):
        return sqrt(a)
    return Expression("power", (a, b))


def _negate(a: Expression) -> Expression:
    return a.args[0] if a.op == "negative" else Expression("negative", (a,))


def where(condition: Expression, yes: Number, no: Number) -> Expression:
    """`yes` where the condition holds, else `no`."""
    yes, no = _lift(yes), _lift(no)
    return yes if yes == no else Expression("where", (condition, yes, no))


def _unary(name: str, purpose: str) -> Callable[[Number], Expression]:
    def build(x: Number) -> Expression:
        return Expression(name, (_lift(x),))

    build.__name__, build.__doc__ = name, purpose
    return build


exp = _unary("exp", "e^x")
expm1 = _unary("expm1", "e^x − 1, exact near 0")
log = _unary("log", "natural logarithm")
log1p = _unary("log1p", "log(1 + x), exact near 0")
sqrt = _unary("sqrt", "square root")
sin = _unary("sin", "sine")
cos = _unary("cos", "cosine")
tanh = _unary("tanh", "hyperbolic tangent")
erf = _unary("erf", "error function")
sigmoid = _unary("sigmoid", "1 / (1 + e^−x)")
softplus = _unary("softplus", "log(1 + e^x) without overflow")
absolute = _unary("absolute", "|x|")
sign = _unary("sign", "−1, 0 or 1")
floor = _unary("floor", "largest integer not above x")


def equal(a: Number, b: Number) -> Expression:
    """Whether both are equal (`==` compares expressions, not their values)."""
    return Expression("equal", (_lift(a), _lift(b)))


def not_equal(a: Number, b: Number) -> Expression:
    """Whether both differ."""
    return Expression("not_equal", (_lift(a), _lift(b)))


def maximum(a: Number, b: Number) -> Expression:
    """The larger; a tie belongs to the first (so max(0, x) has slope 0 at 0)."""
    return Expression("maximum", (_lift(a), _lift(b)))


def minimum(a: Number, b: Number) -> Expression:
    """The smaller; a tie belongs to the first."""
    return Expression("minimum", (_lift(a), _lift(b)))


# The one table of partial derivatives: given the upstream gradient g, the arguments and the value y
# of the node itself, what each argument receives. None: no derivative (conditions, floor, sign).
Partial = Callable[..., tuple[Expression | None, ...]]

_PARTIALS: dict[str, Partial] = {
    "add": lambda g, y, a, b: (g, g),
    "subtract": lambda g, y, a, b: (g, -g),
    "multiply": lambda g, y, a, b: (g * b, g * a),
    "divide": lambda g, y, a, b: (g / b, -(g * y) / b),
    "negative": lambda g, y, a: (-g,),
    "power": lambda g, y, a, b: (
        g * (b * a ** _less_one(b)),
        g * where(a > 0.0, y * log(a), 0.0) if b.op != "constant" else None,
    ),
    "exp": lambda g, y, a: (g * y,),
    "expm1": lambda g, y, a: (g * (y + 1.0),),
    "log": lambda g, y, a: (g / a,),
    "log1p": lambda g, y, a: (g / (1.0 + a),),
    "sqrt": lambda g, y, a: (g / (2.0 * y),),
    "sin": lambda g, y, a: (g * cos(a),),
    "cos": lambda g, y, a: (-(g * sin(a)),),
    "tanh": lambda g, y, a: (g * (1.0 - y * y),),
    "erf": lambda g, y, a: (g * (2.0 / math.sqrt(math.pi) * exp(-(a * a))),),
    "sigmoid": lambda g, y, a: (g * (y * (1.0 - y)),),
    "softplus": lambda g, y, a: (g * sigmoid(a),),
    "absolute": lambda g, y, a: (g * sign(a),),
    "sign": lambda g, y, a: (None,),
    "floor": lambda g, y, a: (None,),
    "maximum": lambda g, y, a, b: (where(b > a, 0.0, g), where(b > a, g, 0.0)),
    "minimum": lambda g, y, a, b: (where(b < a, 0.0, g), where(b < a, g, 0.0)),
    "where": lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)),
    "greater": lambda g, y, a, b: (None, None),
    "less": lambda g, y, a, b: (None, None),
    "greater_equal": lambda g, y, a, b: (None, None),
    "less_equal": lambda g, y, a, b: (None, None),
    "equal": lambda g, y, a, b: (None, None),
    "not_equal": lambda g, y, a, b: (None, None),
}


def _less_one(e: Expression) -> Expression:
    if e.op == "constant" and isinstance(e.value, float | int):
        return constant(e.value - 1)
    return e - 1.0


def in_order(e: Expression) -> list[Expression]:
    """Every distinct node once, arguments before what uses them (without recursion)."""
    done: dict[Expression, None] = {}
    stack = [e]
    while stack:
        node = stack[-1]
        waiting = [arg for arg in node.args if arg not in done]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            done.setdefault(node)
            stack.pop()
    return list(done)


def variables(e: Expression) -> list[str]:
    """Names of the variables that the expression reads."""
    return [str(node.value) for node in in_order(e) if node.op == "variable"]


def substitute(e: Expression, old: Expression, new: Expression) -> Expression:
    """The expression with one subexpression replaced by another."""
    made = {old: new}
    for node in in_order(e):
        if node not in made:
            args = tuple(made[arg] for arg in node.args)
            made[node] = node if args == node.args else Expression(node.op, args, node.value)
    return made[e]


def differentiate(e: Expression, by: Expression, g: Expression) -> Expression:
    """G · ∂e/∂by, by one reverse sweep with the table of partial derivatives."""
    upstream: dict[Expression, Expression] = {e: g}
    for node in reversed(in_order(e)):
        received = upstream.get(node)
        if received is None or node == by or not node.args:
            continue
        partials = _PARTIALS[node.op](received, node, *node.args)
        for arg, partial in zip(node.args, partials, strict=True):
            if partial is not None and by in in_order(arg):
                upstream[arg] = upstream[arg] + partial if arg in upstream else partial
    return upstream.get(by, _ZERO)
