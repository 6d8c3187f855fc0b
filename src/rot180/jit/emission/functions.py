"""Scalar functions on whole vectors, without a library: what a map can call.

Each is a range reduction, a polynomial and a few selects; all lanes take every branch. Float32
functions that need more digits than float32 has (power, sin, cos) are computed in float64.
Errors: at most 2 units in the last place in float32, 4 in float64 (sine and cosine: up to |x| =
10⁶, where the reduction by π/2 in three pieces ends). Infinity, NaN, signed zeros and denormal
numbers go where NumPy sends them.
"""

from __future__ import annotations

from collections.abc import Callable

from rot180.jit.emission.exponential import (
    Value,
    absolute,
    both,
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    softplus,
    tanh,
    wide,
)
from rot180.jit.emission.powers import power
from rot180.jit.emission.special import erf, floor, sign, turns

__all__ = ["FUNCTIONS", "both"]

FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "sin": lambda k, x: wide(k, x, lambda k, v: turns(k, v, 0)),
    "cos": lambda k, x: wide(k, x, lambda k, v: turns(k, v, 1)),
    "sqrt": lambda k, x: k.intrinsic("sqrt", x),
    "absolute": absolute,
    "floor": floor,
    "sign": sign,
    "power": power,
    "add": lambda k, a, b: k.add(a, b),
    "subtract": lambda k, a, b: k.sub(a, b),
    "multiply": lambda k, a, b: k.mul(a, b),
    "divide": lambda k, a, b: k.div(a, b),
    "negative": lambda k, a: k.builder.fneg(a),
    "maximum": lambda k, a, b: both(k, a, b, True),
    "minimum": lambda k, a, b: both(k, a, b, False),
}
"""For every function of an expression on floats: emit it for arguments of one type."""
