"""Scalar functions on whole vectors, without a library: what a map can call.

Each is a range reduction, a polynomial and a few selects; all lanes take every branch. Float32
functions that need more digits than float32 has (power, sin, cos) are computed in float64.
Errors: at most 2 units in the last place in float32, 4 in float64 (sine and cosine: up to |x| =
10⁶, where the reduction by π/2 in three pieces ends). Infinity, NaN, signed zeros and denormal
numbers go where NumPy sends them.

Sources: the reductions and the polynomial of the logarithm are those of fdlibm (Sun Microsystems,
1993); erf is W. J. Cody's, Rational Chebyshev approximations for the error function, 1969.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from rot180.jit.emit import Emitter

__all__ = ["FUNCTIONS", "absolute", "both", "is_nan", "like", "power", "wide"]

Value = Any
"""A float or a vector of floats of the kernel."""

_LN2 = {"float": (0.693359375, -2.12194440054690583e-4),
        "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10)}  # fmt: skip
_LOG = (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
        2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
        1.479819860511658591e-01)  # fmt: skip
_HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)


# Words


def like(x: Value, number: float) -> Value:
    """A number in the type of x."""
    lanes = getattr(x.type, "count", 0)
    return ir.Constant(x.type, [number] * lanes if lanes else number)


def _element(x: Value) -> str:
    return str(getattr(x.type, "element", x.type))


def _of(x: Value, element: Any) -> Any:
    """The type with as many lanes as x."""
    lanes = getattr(x.type, "count", 0)
    return ir.VectorType(element, lanes) if lanes else element


def _digits(x: Value) -> tuple[int, int]:
    """(bits of the fraction, bits in all)."""
    return (23, 32) if _element(x) == "float" else (52, 64)


def _bits(k: Emitter, x: Value) -> Value:
    return k.builder.bitcast(x, _of(x, ir.IntType(_digits(x)[1])))


def _from_bits(k: Emitter, bits: Value, x: Value) -> Value:
    return k.builder.bitcast(bits, x.type)


def _mad(k: Emitter, a: Value, b: Value, c: Value) -> Value:
    """The sum a · b + c, rounded once where the processor can."""
    return k.intrinsic("fmuladd", a, b, c)


def _polynomial(k: Emitter, x: Value, ascending: Sequence[float]) -> Value:
    total = like(x, ascending[-1])
    for c in reversed(ascending[:-1]):
        total = _mad(k, total, x, like(x, c))
    return total


def is_nan(k: Emitter, x: Value) -> Value:
    """Whether x is no number."""
    return k.builder.fcmp_unordered("uno", x, x)


def _where(k: Emitter, a: Value, relation: str, b: float, yes: Value, no: Value) -> Value:
    """`yes` where the comparison with a number holds; NaN compares as false."""
    return k.builder.select(k.builder.fcmp_ordered(relation, a, like(a, b)), yes, no)


def both(k: Emitter, a: Value, b: Value, larger: bool) -> Value:
    """The larger (or smaller) of two; NaN wins."""
    first = k.builder.fcmp_unordered(">" if larger else "<", a, b)
    nan = is_nan(k, b)
    return k.builder.select(k.builder.and_(first, k.builder.not_(nan)), a, b)


def absolute(k: Emitter, x: Value) -> Value:
    """|x|."""
    return k.intrinsic("fabs", x)


def wide(k: Emitter, x: Value, function: Callable[..., Value], *more: Value) -> Value:
    """A function computed in float64."""
    if _element(x) == "double":
        return function(k, x, *more)
    double = _of(x, ir.DoubleType())
    args = [k.builder.fpext(v, double) for v in (x, *more)]
    return k.builder.fptrunc(function(k, *args), x.type)


def _nearest(k: Emitter, x: Value) -> tuple[Value, Value]:
    """The nearest integer of a number below 2²², as a float and as an integer."""
    fraction, _ = _digits(x)
    magic = like(x, 1.5 * 2.0**fraction)
    shifted = k.add(x, magic)
    return k.sub(shifted, magic), k.builder.sub(_bits(k, shifted), _bits(k, magic))


def _power_of_two(k: Emitter, n: Value, x: Value) -> Value:
    """2ⁿ for an integer n in the range of exponents, in the type of x."""
    fraction, bits = _digits(x)
    bias = (1 << (bits - fraction - 2)) - 1
    biased = k.builder.add(n, like(n, bias))
    return _from_bits(k, k.builder.shl(biased, like(n, fraction)), x)


# Exponential and logarithm


def _reduced(k: Emitter, x: Value) -> tuple[Value, Value]:
    """(r, n) with x = n · ln 2 + r and |r| ≤ ln 2 / 2."""
    high, low = _LN2[_element(x)]
    n, whole = _nearest(k, k.mul(x, like(x, 1 / math.log(2))))
    r = k.sub(x, k.mul(n, like(x, high)))
    return k.sub(r, k.mul(n, like(x, low))), whole


def _less_one(k: Emitter, r: Value) -> Value:
    """e^r − 1 for |r| ≤ ln 2 / 2, by its series."""
    terms = 7 if _element(r) == "float" else 13
    series = [1 / math.factorial(i) for i in range(2, terms + 1)]
    return _mad(k, k.mul(r, r), _polynomial(k, r, series), r)


def _clamped(k: Emitter, x: Value, low: float, high: float) -> Value:
    return _where(k, _where(k, x, "<", low, like(x, low), x), ">", high, like(x, high), x)


def exp(k: Emitter, x: Value, low: Value | None = None) -> Value:
    """e^x; with `low`, e^(x + low)."""
    limit = 110.0 if _element(x) == "float" else 760.0
    x = k.builder.select(k.builder.fcmp_ordered("<", x, like(x, -limit)), like(x, -limit), x)
    x = _where(k, x, ">", limit, like(x, limit), x)
    r, n = _reduced(k, x)
    if low is not None:
        r = k.add(r, low)
    y = k.add(like(x, 1.0), _less_one(k, r))
    half = k.builder.ashr(n, like(n, 1))
    y = k.mul(y, _power_of_two(k, half, x))
    return k.mul(y, _power_of_two(k, k.builder.sub(n, half), x))


def expm1(k: Emitter, x: Value) -> Value:
    """e^x − 1: 2 · (2^(n−1) · (e^r − 1) + 2^(n−1) − ½)."""
    single = _element(x) == "float"
    top = 88.72283 if single else 709.782712893384
    inside = _where(k, x, "<", -60.0, like(x, -60.0), x)
    inside = _where(k, inside, ">", top, like(x, top), inside)
    r, n = _reduced(k, inside)
    scale = _power_of_two(k, k.builder.sub(n, like(n, 1)), x)
    half = _mad(k, scale, _less_one(k, r), k.sub(scale, like(x, 0.5)))
    y = _where(k, x, ">", top, like(x, math.inf), k.add(half, half))
    return _where(k, absolute(k, x), "<", 2.0**-60, x, y)


def _split(k: Emitter, x: Value) -> tuple[Value, Value]:
    """(f, e) with x = (1 + f) · 2^e and 1 + f between √½ and √2, for a positive normal x."""
    fraction, _ = _digits(x)
    word = _bits(k, x)
    offset = _bits(k, like(x, math.sqrt(0.5)))
    shifted = k.builder.sub(word, offset)
    e = k.builder.ashr(shifted, like(word, fraction))
    mantissa = k.builder.sub(word, k.builder.shl(e, like(word, fraction)))
    f = k.sub(_from_bits(k, mantissa, x), like(x, 1.0))
    return f, k.builder.sitofp(e, x.type)


def _normal(k: Emitter, x: Value) -> tuple[Value, Value]:
    """A denormal number times a power of two, and the exponent that this takes away."""
    fraction, bits = _digits(x)
    smallest, lift = 2.0 ** (2 - (1 << (bits - fraction - 2))), 2.0 ** (fraction + 2)
    lifted = _where(k, x, "<", smallest, k.mul(x, like(x, lift)), x)
    return lifted, _where(k, x, "<", smallest, like(x, fraction + 2.0), like(x, 0.0))


def _log_series(k: Emitter, f: Value) -> tuple[Value, Value]:
    """(s, R) with log(1 + f) = f − f²/2 + s · (f²/2 + R) and s = f / (2 + f)."""
    s = k.div(f, k.add(like(f, 2.0), f))
    square = k.mul(s, s)
    return s, k.mul(square, _polynomial(k, square, _LOG))


def _log(k: Emitter, f: Value, e: Value, correction: Value | None) -> Value:
    """log(1 + f) + e · ln 2 + correction."""
    high, low = _LN2[_element(f)]
    s, rest = _log_series(k, f)
    half = k.mul(k.mul(like(f, 0.5), f), f)
    small = k.mul(e, like(f, low))
    if correction is not None:
        small = k.add(small, correction)
    small = _mad(k, s, k.add(half, rest), small)
    return k.sub(k.mul(e, like(f, high)), k.sub(k.sub(half, small), f))


def _log_edges(k: Emitter, x: Value, zero: float, y: Value) -> Value:
    """Minus infinity at the end of the domain, NaN below it, infinity at infinity."""
    y = _where(k, x, "==", math.inf, x, y)
    y = _where(k, x, "==", zero, like(x, -math.inf), y)
    return k.builder.select(k.builder.fcmp_unordered("<", x, like(x, zero)), like(x, math.nan), y)


def log(k: Emitter, x: Value) -> Value:
    """Natural logarithm."""
    normal, lift = _normal(k, x)
    f, e = _split(k, normal)
    return _log_edges(k, x, 0.0, _log(k, f, k.sub(e, lift), None))


def log1p(k: Emitter, x: Value) -> Value:
    """log(1 + x): the digits of x that 1 + x has lost come back as a correction."""
    one = like(x, 1.0)
    u = k.add(one, x)
    lost = _where(k, x, ">", 1.0, k.sub(one, k.sub(u, x)), k.sub(x, k.sub(u, one)))
    f, e = _split(k, u)
    y = _log_edges(k, x, -1.0, _log(k, f, e, k.div(lost, u)))
    return _where(k, absolute(k, x), "<", 2.0**-60, x, y)


# Made of these


def sigmoid(k: Emitter, x: Value) -> Value:
    """1 / (1 + e^−x)."""
    one = like(x, 1.0)
    return k.div(one, k.add(one, exp(k, k.builder.fneg(x))))


def softplus(k: Emitter, x: Value) -> Value:
    """log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)."""
    rest = log1p(k, exp(k, k.builder.fneg(absolute(k, x))))
    return k.add(both(k, x, like(x, 0.0), True), rest)


def tanh(k: Emitter, x: Value) -> Value:
    """±t / (t + 2) with t = e^2|x| − 1."""
    size = absolute(k, x)
    size = _where(k, size, ">", 22.0, like(x, 22.0), size)
    t = expm1(k, k.add(size, size))
    below = k.add(t, like(x, 2.0))
    y = _where(k, size, "<", 0.5, k.div(t, below), k.sub(like(x, 1.0), k.div(like(x, 2.0), below)))
    return k.intrinsic("copysign", y, x)


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
    return k.div(_polynomial(k, x, pair[0]), _polynomial(k, x, pair[1]))


def _erf(k: Emitter, x: Value) -> Value:
    size = _clamped(k, absolute(k, x), 0.0, 6.0)
    near = k.mul(x, _ratio(k, k.mul(x, x), _ERF_SMALL))
    decay = exp(k, k.builder.fneg(k.mul(size, size)))
    large = _clamped(k, size, 4.0, 6.0)
    square = k.div(like(x, 1.0), k.mul(large, large))
    tail = k.sub(like(x, 1 / math.sqrt(math.pi)), k.mul(square, _ratio(k, square, _ERF_LARGE)))
    rest = _where(k, size, ">", 4.0, k.div(tail, large), _ratio(k, size, _ERF_MIDDLE))
    far = k.intrinsic("copysign", k.sub(like(x, 1.0), k.mul(decay, rest)), x)
    y = _where(k, absolute(k, x), "<", 0.5, near, far)
    return k.builder.select(is_nan(k, x), x, y)


def erf(k: Emitter, x: Value) -> Value:
    """The error function; in float32 x + x · P(x²) below 0.93, 1 − e^Q(|x|) above (N. Juffa)."""
    if _element(x) == "double":
        return _erf(k, x)
    square = k.mul(x, x)
    near = _mad(k, _polynomial(k, square, _ERF_NEAR), x, x)
    size = _where(k, absolute(k, x), ">", 5.0, like(x, 5.0), absolute(k, x))
    power = _mad(k, _polynomial(k, size, _ERF_FAR), size, k.builder.fneg(size))
    far = k.intrinsic("copysign", k.sub(like(x, 1.0), exp(k, power)), x)
    return _where(k, absolute(k, x), ">", 0.927734375, far, near)


def _turns(k: Emitter, x: Value, quarter: int) -> Value:
    """Sine (0) or cosine (1): a number of quarter turns is taken off, and decides which series."""
    n, whole = _nearest(k, k.mul(x, like(x, 2 / math.pi)))
    r = x
    for piece in _HALF_PI:
        r = k.sub(r, k.mul(n, like(x, piece)))
    square = k.mul(r, r)
    sines = [(-1) ** i / math.factorial(2 * i + 1) for i in range(1, 9)]
    cosines = [(-1) ** i / math.factorial(2 * i) for i in range(2, 10)]
    sine = _mad(k, k.mul(square, r), _polynomial(k, square, sines), r)
    half = k.mul(like(x, 0.5), square)
    one = k.sub(like(x, 1.0), half)
    lost = k.sub(k.sub(like(x, 1.0), one), half)
    cosine = k.add(one, _mad(k, k.mul(square, square), _polynomial(k, square, cosines), lost))
    whole = k.builder.add(whole, like(whole, quarter))
    odd = k.builder.trunc(whole, _of(x, ir.IntType(1)))
    half_turn = k.builder.trunc(k.builder.ashr(whole, like(whole, 1)), _of(x, ir.IntType(1)))
    y = k.builder.select(odd, cosine, sine)
    y = k.builder.select(half_turn, k.builder.fneg(y), y)
    if quarter == 0:  # the sine of −0 is −0
        y = _where(k, absolute(k, x), "<", 2.0**-30, x, y)
    return _where(k, absolute(k, x), "==", math.inf, like(x, math.nan), y)


def floor(k: Emitter, x: Value) -> Value:
    """The largest integer not above x: numbers from 2^fraction on are integers already."""
    fraction, _ = _digits(x)
    magic = k.intrinsic("copysign", like(x, 2.0**fraction), x)
    nearest = k.sub(k.add(x, magic), magic)
    above = k.builder.fcmp_ordered(">", nearest, x)
    down = k.sub(nearest, k.builder.select(above, like(x, 1.0), like(x, 0.0)))
    whole = k.builder.fcmp_unordered(">=", absolute(k, x), like(x, 2.0**fraction))
    return k.builder.select(whole, x, k.intrinsic("copysign", down, x))


def sign(k: Emitter, x: Value) -> Value:
    """−1, 0 or 1; NaN stays."""
    one = _where(k, x, ">", 0.0, like(x, 1.0), _where(k, x, "<", 0.0, like(x, -1.0), like(x, 0.0)))
    return k.builder.select(is_nan(k, x), x, one)


# Powers


def _halved(k: Emitter, x: Value) -> tuple[Value, Value]:
    """The number as a sum of two numbers of half the digits."""
    high = _from_bits(k, k.builder.and_(_bits(k, x), like(_bits(k, x), -(1 << 27))), x)
    return high, k.sub(x, high)


def _product(k: Emitter, a: Value, b: Value) -> tuple[Value, Value]:
    """The product, and what was lost in rounding it."""
    y = k.mul(a, b)
    (a1, a2), (b1, b2) = _halved(k, a), _halved(k, b)
    lost = k.sub(k.mul(a1, b1), y)
    return y, k.add(k.add(k.add(lost, k.mul(a1, b2)), k.mul(a2, b1)), k.mul(a2, b2))


def _two_sum(k: Emitter, a: Value, b: Value) -> tuple[Value, Value]:
    """The sum, and what was lost in rounding it."""
    y = k.add(a, b)
    other = k.sub(y, a)
    return y, k.add(k.sub(a, k.sub(y, other)), k.sub(b, other))


def _long_log(k: Emitter, x: Value) -> tuple[Value, Value]:
    """The logarithm of x > 0 as a sum of two numbers: e · ln 2 + 2 s + 2/3 s³ + 2/5 s⁵ + ..."""
    normal, lift = _normal(k, x)
    f, e = _split(k, normal)
    e = k.sub(e, lift)
    below, below_lost = _two_sum(k, like(x, 2.0), f)
    s = k.div(f, below)
    back, back_lost = _product(k, s, below)
    rest = k.sub(k.sub(k.sub(f, back), back_lost), k.mul(s, below_lost))
    s_lost = k.div(rest, below)
    square, square_lost = _product(k, s, s)
    cube, cube_lost = _product(k, s, square)
    third, third_lost = _product(k, cube, like(x, 2 / 3))
    small = k.mul(k.add(cube_lost, k.mul(s, square_lost)), like(x, 2 / 3))
    small = k.add(small, k.mul(cube, like(x, 2 / 3 * 2.0**-54)))  # what 2/3 lacks in float64
    rest = _polynomial(k, square, [2 / i for i in range(5, 27, 2)])
    small = k.add(k.add(small, third_lost), k.mul(k.mul(cube, square), rest))
    high, low = _LN2["double"]
    first, lost = _two_sum(k, k.mul(e, like(x, high)), k.add(s, s))
    total, lost2 = _two_sum(k, first, third)
    slope = k.div(like(x, 2.0), k.sub(like(x, 1.0), square))  # of log((1 + s) / (1 − s))
    small = k.add(k.add(small, k.mul(slope, s_lost)), k.mul(e, like(x, low)))
    return _two_sum(k, total, k.add(k.add(lost, lost2), small))


def _power(k: Emitter, a: Value, b: Value) -> Value:
    builder, one = k.builder, like(a, 1.0)
    size = absolute(k, a)
    high, low = _long_log(k, size)
    limited = _clamped(k, b, -1e25, 1e25)
    y, lost = _product(k, high, limited)
    lost = k.add(lost, k.mul(low, limited))
    lost = _where(k, absolute(k, y), "<", 800.0, lost, like(a, 0.0))
    result = exp(k, y, lost)
    # Zero and infinity, and infinite exponents: 0 or infinity, decided by whether it grows.
    above = builder.fcmp_ordered(">", size, one)
    up = builder.icmp_unsigned("==", above, builder.fcmp_ordered(">", b, like(b, 0.0)))
    extreme = builder.select(up, like(a, math.inf), like(a, 0.0))
    for v in (size, absolute(k, b)):
        result = _where(k, v, "==", math.inf, extreme, result)
    result = _where(k, size, "==", 0.0, extreme, result)
    result = _where(k, size, "==", 1.0, one, result)
    # A negative base: an integer exponent gives it a sign, any other one NaN.
    whole = builder.fcmp_ordered("==", floor(k, b), b)
    half = k.mul(b, like(b, 0.5))
    odd = builder.and_(whole, builder.fcmp_ordered("!=", floor(k, half), half))
    odd = builder.and_(odd, builder.fcmp_ordered("<", absolute(k, b), like(b, math.inf)))
    signed = k.intrinsic("copysign", result, a)
    result = builder.select(odd, signed, result)
    negative = builder.fcmp_ordered("<", a, like(a, 0.0))
    outside = builder.and_(negative, builder.not_(whole))
    outside = builder.and_(outside, builder.fcmp_ordered("<", size, like(a, math.inf)))
    result = builder.select(outside, like(a, math.nan), result)
    result = builder.select(builder.or_(is_nan(k, a), is_nan(k, b)), like(a, math.nan), result)
    result = _where(k, a, "==", 1.0, one, result)
    return _where(k, b, "==", 0.0, one, result)


def power(k: Emitter, a: Value, b: Value) -> Value:
    """The power a^b; a small known integer is a product."""
    known = getattr(b, "constant", None)
    if isinstance(known, list):
        known = known[0] if len(set(known)) == 1 else None
    if isinstance(known, float | int) and known in (-2, -1, 3):
        square = k.mul(a, a)
        products = {-2: lambda: k.div(like(a, 1.0), square), 3: lambda: k.mul(square, a)}
        return products.get(int(known), lambda: k.div(like(a, 1.0), a))()
    return wide(k, a, _power, b)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "sin": lambda k, x: wide(k, x, lambda k, v: _turns(k, v, 0)),
    "cos": lambda k, x: wide(k, x, lambda k, v: _turns(k, v, 1)),
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
