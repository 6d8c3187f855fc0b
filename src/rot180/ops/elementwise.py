"""Pointwise operations: each is one scalar expression, which the core differentiates.

Operands broadcast together. NaN, infinities and division by zero follow IEEE 754.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rot180.core import ArrayLike, Map, Tensor, apply, define_method, pointwise
from rot180.core import expression as e
from rot180.errors import ArgumentError, DTypeError
from rot180.ops.operands import apply_map, as_tensor, cast, floating, operands
from rot180.ops.registry import operation

__all__ = [
    "abs",
    "add",
    "astype",
    "clip",
    "clone",
    "cos",
    "div",
    "elu",
    "eq",
    "erf",
    "exp",
    "expm1",
    "floor",
    "ge",
    "gelu",
    "gt",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "le",
    "leaky_relu",
    "log",
    "log1p",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "pow",
    "reciprocal",
    "relu",
    "relu6",
    "rsqrt",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "sub",
    "tanh",
    "where",
]

# Arithmetic

ADD = pointwise("add", lambda x, y: x + y)
SUB = pointwise("sub", lambda x, y: x - y)
MUL = pointwise("mul", lambda x, y: x * y)
DIV = pointwise("div", lambda x, y: x / y)
POW = pointwise("pow", lambda x, y: x**y)
NEG = pointwise("neg", lambda x: -x)
MAXIMUM = pointwise("maximum", e.maximum)
MINIMUM = pointwise("minimum", e.minimum)


@define_method("add")
@operation
def add(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = x + y."""
    return apply_map(ADD, *operands(input, other))


@define_method("sub")
@operation
def sub(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = x − y."""
    return apply_map(SUB, *operands(input, other))


@define_method("mul")
@operation
def mul(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = x · y, cell by cell."""
    return apply_map(MUL, *operands(input, other))


@define_method("div")
@operation
def div(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = x / y. Integers are divided as float32."""
    x, y = operands(input, other)
    if x.dtype.kind != "f":
        x, y = (cast(t, np.dtype(np.float32)) for t in (x, y))
    return apply_map(DIV, x, y)


@define_method("pow")
@operation
def pow(input: ArrayLike, exponent: ArrayLike) -> Tensor:
    """Law: z = x^y. A number as exponent has the derivative y·x^(y−1), also where x ≤ 0."""
    if isinstance(exponent, numbers.Real) and isinstance(input, Tensor):
        if input.dtype.kind == "f":
            return apply(_power(float(exponent)), input)
        if not isinstance(exponent, numbers.Integral) or exponent < 0:
            floating(input, "pow")
    return apply_map(POW, *operands(input, exponent))


@functools.lru_cache(maxsize=256)
def _power(exponent: float) -> Map:
    return pointwise("pow", lambda x: x**exponent)


@define_method("neg")
@operation
def neg(input: ArrayLike) -> Tensor:
    """Law: z = −x. A bool has no negative."""
    x = as_tensor(input)
    if x.dtype == np.bool_:
        raise DTypeError("neg: a bool has no negative", rule="for not x write x == False")
    return apply(NEG, x)


@operation
def maximum(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = max(x, y). A tie hands its gradient to the first operand."""
    return apply_map(MAXIMUM, *operands(input, other))


@operation
def minimum(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = min(x, y). A tie hands its gradient to the first operand."""
    return apply_map(MINIMUM, *operands(input, other))


# Functions of one argument: the declaration is the whole operation.


def _unary(name: str, law: str, body: Callable[..., e.Expression]) -> Callable[..., Tensor]:
    kind = pointwise(name, body)

    def function(input: ArrayLike) -> Tensor:
        return apply(kind, floating(input, name))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Law: {law}."
    return define_method(name)(operation(function))


abs = _unary("abs", "z = |x|, with slope 0 at 0", e.absolute)
cos = _unary("cos", "z = cos x", e.cos)
erf = _unary("erf", "z = 2/√π ∫₀ˣ e^(−t²) dt", e.erf)
exp = _unary("exp", "z = e^x", e.exp)
expm1 = _unary("expm1", "z = e^x − 1, exact near 0", e.expm1)
floor = _unary("floor", "z = ⌊x⌋, with slope 0", e.floor)
log = _unary("log", "z = ln x", e.log)
log1p = _unary("log1p", "z = ln(1 + x), exact near 0", e.log1p)
reciprocal = _unary("reciprocal", "z = 1 / x", lambda x: 1.0 / x)
rsqrt = _unary("rsqrt", "z = 1 / √x", lambda x: 1.0 / e.sqrt(x))
sign = _unary("sign", "z = −1, 0 or 1, with slope 0", e.sign)
sin = _unary("sin", "z = sin x", e.sin)
sqrt = _unary("sqrt", "z = √x", e.sqrt)
square = _unary("square", "z = x²", lambda x: x * x)

# Activations

relu = _unary("relu", "z = max(0, x), with slope 0 at 0", lambda x: e.maximum(0.0, x))
relu6 = _unary("relu6", "z = min(max(0, x), 6)", lambda x: e.minimum(6.0, e.maximum(0.0, x)))
sigmoid = _unary("sigmoid", "z = 1 / (1 + e^−x)", e.sigmoid)
tanh = _unary("tanh", "z = tanh x", e.tanh)
silu = _unary("silu", "z = x · sigmoid(x)", lambda x: x * e.sigmoid(x))
softsign = _unary("softsign", "z = x / (1 + |x|)", lambda x: x / (1.0 + e.absolute(x)))
hardsigmoid = _unary(
    "hardsigmoid",
    "z = min(max(0, x + 3), 6) / 6",
    lambda x: e.minimum(6.0, e.maximum(0.0, x + 3.0)) / 6.0,
)
hardswish = _unary(
    "hardswish",
    "z = x · min(max(0, x + 3), 6) / 6",
    lambda x: x * e.minimum(6.0, e.maximum(0.0, x + 3.0)) / 6.0,
)


@operation
def leaky_relu(input: ArrayLike, negative_slope: float = 0.01) -> Tensor:
    """Law: z = x where x > 0, else negative_slope · x."""
    return apply(_leaky_relu(float(negative_slope)), floating(input, "leaky_relu"))


@functools.lru_cache(maxsize=64)
def _leaky_relu(slope: float) -> Map:
    return pointwise("leaky_relu", lambda x: e.where(x > 0.0, x, slope * x))


@operation
def elu(input: ArrayLike, alpha: float = 1.0) -> Tensor:
    """Law: z = x where x > 0, else alpha · (e^x − 1)."""
    return apply(_elu(float(alpha)), floating(input, "elu"))


@functools.lru_cache(maxsize=64)
def _elu(alpha: float) -> Map:
    # The inner `where` keeps e^x from overflowing in the branch that is not taken.
    return pointwise(
        "elu", lambda x: e.where(x > 0.0, x, alpha * e.expm1(e.where(x > 0.0, 0.0, x)))
    )


@operation
def softplus(input: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Law: z = ln(1 + e^(beta·x)) / beta.

    `threshold` is accepted for PyTorch's sake: the function is computed without overflow, so that
    nothing has to be replaced by a line above it.
    """
    del threshold
    return apply(_softplus(float(beta)), floating(input, "softplus"))


@functools.lru_cache(maxsize=64)
def _softplus(beta: float) -> Map:
    return pointwise("softplus", lambda x: e.softplus(beta * x) / beta)


@operation
def gelu(input: ArrayLike, approximate: str = "none") -> Tensor:
    """Law: z = x · Φ(x) with the normal distribution Φ, or its tanh approximation.

    Args:
        input: any shape.
        approximate: "none" (Φ by the error function) or "tanh".

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.
    """
    if approximate not in _GELU:
        raise ArgumentError("gelu: approximate", expected='"none" or "tanh"', got=repr(approximate))
    return apply(_GELU[approximate], floating(input, "gelu"))


_GELU = {
    "none": pointwise("gelu", lambda x: 0.5 * x * (1.0 + e.erf(x * math.sqrt(0.5)))),
    "tanh": pointwise(
        "gelu_tanh",
        lambda x: 0.5 * x * (1.0 + e.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))),
    ),
}


@operation
def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Law: z = min(max(min_val, x), max_val), with slope 0 at both bounds."""
    kind = _hardtanh(float(min_val), float(max_val))
    return apply(kind, floating(input, "hardtanh"))


@functools.lru_cache(maxsize=64)
def _hardtanh(low: float, high: float) -> Map:
    return pointwise("hardtanh", lambda x: e.minimum(high, e.maximum(low, x)))


# Choices by a condition


@define_method("clip")
@operation
def clip(input: ArrayLike, min: float | None = None, max: float | None = None) -> Tensor:
    """Law: z = min(max(x, min), max), with slope 1 from bound to bound; max wins over a larger min.

    Raises:
        ArgumentError: neither bound is given.
    """
    if min is None and max is None:
        raise ArgumentError("clip: at least one of min and max is needed")
    x = as_tensor(input)
    bounds = [bound for bound in (min, max) if bound is not None]
    if x.dtype.kind in "iu" and all(isinstance(bound, numbers.Integral) for bound in bounds):
        raised = x if min is None else maximum(x, min)  # integers stay integers
        return raised if max is None else minimum(raised, max)
    low = None if min is None else float(min)
    high = None if max is None else float(max)
    return apply(_clip(low, high), x)


@functools.lru_cache(maxsize=256)
def _clip(low: float | None, high: float | None) -> Map:
    def body(x: e.Expression) -> e.Expression:
        result = x if low is None else e.where(x < low, low, x)
        return result if high is None else e.where(result > high, high, result)

    return pointwise("clip", body)


_NOT_ZERO = pointwise("where", lambda x: e.not_equal(x, 0.0), "bool")
WHERE = pointwise("where", lambda condition, x, y: e.where(condition, x, y))


@operation
def where(condition: ArrayLike, input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z = x where the condition holds, else y; the gradient goes to the chosen operand only.

    Args:
        condition: bool, broadcast with the others.
        input: x, a tensor or number.
        other: y, a tensor or number.
    """
    chosen = as_tensor(condition).detach()
    mask = chosen if chosen.dtype == np.bool_ else apply(_NOT_ZERO, chosen)
    return apply_map(WHERE, mask, *operands(input, other))


# Comparisons (bool tensors, no gradient)


def _comparison(name: str, law: str, body: Callable[..., e.Expression]) -> Callable[..., Tensor]:
    kind = pointwise(name, body, "bool")

    def function(input: ArrayLike, other: ArrayLike) -> Tensor:
        return apply_map(kind, *operands(input, other))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Law: {law}; a bool tensor without gradient."
    return define_method(name)(operation(function))


lt = _comparison("lt", "z = x < y", lambda x, y: x < y)
le = _comparison("le", "z = x ≤ y", lambda x, y: x <= y)
gt = _comparison("gt", "z = x > y", lambda x, y: x > y)
ge = _comparison("ge", "z = x ≥ y", lambda x, y: x >= y)
eq = _comparison("eq", "z = (x equals y)", e.equal)
ne = _comparison("ne", "z = (x differs from y)", e.not_equal)

# Copies and data types

_IDENTITY = pointwise("clone", lambda x: x)


@define_method("clone")
@operation
def clone(input: ArrayLike) -> Tensor:
    """Law: z = x, in new memory."""
    return apply(_IDENTITY, as_tensor(input))


@define_method("pos")
def _pos(input: Tensor) -> Tensor:
    return input


@define_method("astype")
@operation
def astype(input: ArrayLike, dtype: npt.DTypeLike) -> Tensor:
    """Law: z = x in another data type; the gradient comes back in the type of x."""
    return cast(as_tensor(input), np.dtype(dtype))
