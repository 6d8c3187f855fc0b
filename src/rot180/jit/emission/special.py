"""Error function, sine and cosine, floor and sign on whole vectors.

Source: W. J. Cody, Rational Chebyshev approximations for the error function, 1969.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.exponential import (
    absolute,
    clamped,
    digits,
    element_of,
    exp,
    is_nan,
    like,
    mad,
    nearest,
    polynomial,
    typed_like,
    where,
)

__all__ = ["erf", "floor", "sign", "turns"]

Value = Any

_HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
_ERF_SMALL = (
    (3.20937758913846947e3, 3.77485237685302021e2, 1.13864154151050156e2, 3.16112374387056560,
     1.85777706184603153e-1),
    (2.84423683343917062e3, 1.28261652607737228e3, 2.44024637934444173e2, 2.36012909523441209e1,
     1.0),
)  # fmt: skip
_ERF_MIDDLE = (
    (1.23033935479799725e3, 2.05107837782607147e3, 1.71204761263407058e3, 8.81952221241769090e2,
     2.98635138197400131e2, 6.61191906371416295e1, 8.88314979438837594, 5.64188496988670089e-1,
     2.15311535474403846e-8),
    (1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3, 3.29079923573345963e3,
     1.62138957456669019e3, 5.37181101862009858e2, 1.17693950891312499e2, 1.57449261107098347e1,
     1.0),
)  # fmt: skip
_ERF_LARGE = (
    (6.58749161529837803e-4, 1.60837851487422766e-2, 1.25781726111229246e-1,
     3.60344899949804439e-1, 3.05326634961232344e-1, 1.63153871373020978e-2),
    (2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346725,
     2.56852019228982242, 1.0),
)  # fmt: skip
_ERF_NEAR = (1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3,
             -5.96761703e-4)  # fmt: skip
_ERF_FAR = (-1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3,
            3.83197126e-4, -1.72853470e-5)  # fmt: skip


def _ratio(k: Emitter, x: Value, pair: tuple[tuple[float, ...], tuple[float, ...]]) -> Value:
    return k.div(polynomial(k, x, pair[0]), polynomial(k, x, pair[1]))


def _erf(k: Emitter, x: Value) -> Value:
    size = clamped(k, absolute(k, x), 0.0, 6.0)
    near = k.mul(x, _ratio(k, k.mul(x, x), _ERF_SMALL))
    decay = exp(k, k.builder.fneg(k.mul(size, size)))
    large = clamped(k, size, 4.0, 6.0)
    square = k.div(like(x, 1.0), k.mul(large, large))
    tail = k.sub(like(x, 1 / math.sqrt(math.pi)), k.mul(square, _ratio(k, square, _ERF_LARGE)))
    rest = where(k, size, ">", 4.0, k.div(tail, large), _ratio(k, size, _ERF_MIDDLE))
    far = k.intrinsic("copysign", k.sub(like(x, 1.0), k.mul(decay, rest)), x)
    y = where(k, absolute(k, x), "<", 0.5, near, far)
    return k.builder.select(is_nan(k, x), x, y)


def erf(k: Emitter, x: Value) -> Value:
    """The error function; in float32 x + x · P(x²) below 0.93, 1 − e^Q(|x|) above (N. Juffa)."""
    if element_of(x) == "double":
        return _erf(k, x)
    square = k.mul(x, x)
    near = mad(k, polynomial(k, square, _ERF_NEAR), x, x)
    size = where(k, absolute(k, x), ">", 5.0, like(x, 5.0), absolute(k, x))
    power = mad(k, polynomial(k, size, _ERF_FAR), size, k.builder.fneg(size))
    far = k.intrinsic("copysign", k.sub(like(x, 1.0), exp(k, power)), x)
    return where(k, absolute(k, x), ">", 0.927734375, far, near)


def turns(k: Emitter, x: Value, quarter: int) -> Value:
    """Sine (0) or cosine (1): a number of quarter turns is taken off, and decides which series."""
    n, whole = nearest(k, k.mul(x, like(x, 2 / math.pi)))
    r = x
    for piece in _HALF_PI:
        r = k.sub(r, k.mul(n, like(x, piece)))
    square = k.mul(r, r)
    sines = [(-1) ** i / math.factorial(2 * i + 1) for i in range(1, 9)]
    cosines = [(-1) ** i / math.factorial(2 * i) for i in range(2, 10)]
    sine = mad(k, k.mul(square, r), polynomial(k, square, sines), r)
    half = k.mul(like(x, 0.5), square)
    one = k.sub(like(x, 1.0), half)
    lost = k.sub(k.sub(like(x, 1.0), one), half)
    cosine = k.add(one, mad(k, k.mul(square, square), polynomial(k, square, cosines), lost))
    whole = k.builder.add(whole, like(whole, quarter))
    odd = k.builder.trunc(whole, typed_like(x, ir.IntType(1)))
    half_turn = k.builder.trunc(k.builder.ashr(whole, like(whole, 1)), typed_like(x, ir.IntType(1)))
    y = k.builder.select(odd, cosine, sine)
    y = k.builder.select(half_turn, k.builder.fneg(y), y)
    if quarter == 0:  # the sine of −0 is −0
        y = where(k, absolute(k, x), "<", 2.0**-30, x, y)
    return where(k, absolute(k, x), "==", math.inf, like(x, math.nan), y)


def floor(k: Emitter, x: Value) -> Value:
    """The largest integer not above x: numbers from 2^fraction on are integers already."""
    fraction, _ = digits(x)
    magic = k.intrinsic("copysign", like(x, 2.0**fraction), x)
    nearest = k.sub(k.add(x, magic), magic)
    above = k.builder.fcmp_ordered(">", nearest, x)
    down = k.sub(nearest, k.builder.select(above, like(x, 1.0), like(x, 0.0)))
    whole = k.builder.fcmp_unordered(">=", absolute(k, x), like(x, 2.0**fraction))
    return k.builder.select(whole, x, k.intrinsic("copysign", down, x))


def sign(k: Emitter, x: Value) -> Value:
    """−1, 0 or 1; NaN stays."""
    one = where(k, x, ">", 0.0, like(x, 1.0), where(k, x, "<", 0.0, like(x, -1.0), like(x, 0.0)))
    return k.builder.select(is_nan(k, x), x, one)
