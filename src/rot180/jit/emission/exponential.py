"""Exponentials and logarithms on whole vectors, and the words that all functions are made of.

Each is a range reduction, a polynomial and a few selects; all lanes take every branch.

Source: the reductions and the polynomial of the logarithm are those of fdlibm (Sun Microsystems,
1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from rot180.jit.emission.emit import Emitter

__all__ = [
    "LN2",
    "absolute",
    "bits_of",
    "both",
    "clamped",
    "digits",
    "element_of",
    "exp",
    "expm1",
    "from_bits",
    "is_nan",
    "like",
    "log",
    "log1p",
    "mad",
    "nearest",
    "normal_of",
    "polynomial",
    "sigmoid",
    "softplus",
    "split",
    "tanh",
    "typed_like",
    "where",
    "wide",
]

Value = Any
"""A float or a vector of floats of the kernel."""

LN2 = {"float": (0.693359375, -2.12194440054690583e-4),
       "double": (6.93147180369123816490e-01, 1.90821492927058770002e-10)}  # fmt: skip
"""ln 2 as a number of few digits, and the rest."""
_LOG = (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
        2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
        1.479819860511658591e-01)  # fmt: skip


# Words


def like(x: Value, number: float) -> Value:
    """A number in the type of x."""
    lanes = getattr(x.type, "count", 0)
    return ir.Constant(x.type, [number] * lanes if lanes else number)


def element_of(x: Value) -> str:
    """The word for the type: float or double."""
    return str(getattr(x.type, "element", x.type))


def typed_like(x: Value, element: Any) -> Any:
    """The type with as many lanes as x."""
    lanes = getattr(x.type, "count", 0)
    return ir.VectorType(element, lanes) if lanes else element


def digits(x: Value) -> tuple[int, int]:
    """(bits of the fraction, bits in all)."""
    return (23, 32) if element_of(x) == "float" else (52, 64)


def bits_of(k: Emitter, x: Value) -> Value:
    """The same bits as an integer."""
    return k.builder.bitcast(x, typed_like(x, ir.IntType(digits(x)[1])))


def from_bits(k: Emitter, bits: Value, x: Value) -> Value:
    """The same bits as a float of the type of x."""
    return k.builder.bitcast(bits, x.type)


def mad(k: Emitter, a: Value, b: Value, c: Value) -> Value:
    """The sum a · b + c, rounded once where the processor can."""
    return k.intrinsic("fmuladd", a, b, c)


def polynomial(k: Emitter, x: Value, ascending: Sequence[float]) -> Value:
    """Σ cᵢ · xⁱ, from the highest power down."""
    total = like(x, ascending[-1])
    for c in reversed(ascending[:-1]):
        total = mad(k, total, x, like(x, c))
    return total


def is_nan(k: Emitter, x: Value) -> Value:
    """Whether x is no number."""
    return k.builder.fcmp_unordered("uno", x, x)


def where(k: Emitter, a: Value, relation: str, b: float, yes: Value, no: Value) -> Value:
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
    if element_of(x) == "double":
        return function(k, x, *more)
    double = typed_like(x, ir.DoubleType())
    args = [k.builder.fpext(v, double) for v in (x, *more)]
    return k.builder.fptrunc(function(k, *args), x.type)


def nearest(k: Emitter, x: Value) -> tuple[Value, Value]:
    """The nearest integer of a number below 2²², as a float and as an integer."""
    fraction, _ = digits(x)
    magic = like(x, 1.5 * 2.0**fraction)
    shifted = k.add(x, magic)
    return k.sub(shifted, magic), k.builder.sub(bits_of(k, shifted), bits_of(k, magic))


def _power_of_two(k: Emitter, n: Value, x: Value) -> Value:
    """2ⁿ for an integer n in the range of exponents, in the type of x."""
    fraction, bits = digits(x)
    bias = (1 << (bits - fraction - 2)) - 1
    biased = k.builder.add(n, like(n, bias))
    return from_bits(k, k.builder.shl(biased, like(n, fraction)), x)


# Exponential and logarithm


def _reduced(k: Emitter, x: Value) -> tuple[Value, Value]:
    """(r, n) with x = n · ln 2 + r and |r| ≤ ln 2 / 2."""
    high, low = LN2[element_of(x)]
    n, whole = nearest(k, k.mul(x, like(x, 1 / math.log(2))))
    r = k.sub(x, k.mul(n, like(x, high)))
    return k.sub(r, k.mul(n, like(x, low))), whole


def _less_one(k: Emitter, r: Value) -> Value:
    """e^r − 1 for |r| ≤ ln 2 / 2, by its series."""
    terms = 7 if element_of(r) == "float" else 13
    series = [1 / math.factorial(i) for i in range(2, terms + 1)]
    return mad(k, k.mul(r, r), polynomial(k, r, series), r)


def clamped(k: Emitter, x: Value, low: float, high: float) -> Value:
    """The number, moved between two bounds; NaN stays."""
    return where(k, where(k, x, "<", low, like(x, low), x), ">", high, like(x, high), x)


def exp(k: Emitter, x: Value, low: Value | None = None) -> Value:
    """e^x; with `low`, e^(x + low)."""
    limit = 110.0 if element_of(x) == "float" else 760.0
    x = k.builder.select(k.builder.fcmp_ordered("<", x, like(x, -limit)), like(x, -limit), x)
    x = where(k, x, ">", limit, like(x, limit), x)
    r, n = _reduced(k, x)
    if low is not None:
        r = k.add(r, low)
    y = k.add(like(x, 1.0), _less_one(k, r))
    half = k.builder.ashr(n, like(n, 1))
    y = k.mul(y, _power_of_two(k, half, x))
    return k.mul(y, _power_of_two(k, k.builder.sub(n, half), x))


def expm1(k: Emitter, x: Value) -> Value:
    """e^x − 1: 2 · (2^(n−1) · (e^r − 1) + 2^(n−1) − ½)."""
    single = element_of(x) == "float"
    top = 88.72283 if single else 709.782712893384
    inside = where(k, x, "<", -60.0, like(x, -60.0), x)
    inside = where(k, inside, ">", top, like(x, top), inside)
    r, n = _reduced(k, inside)
    scale = _power_of_two(k, k.builder.sub(n, like(n, 1)), x)
    half = mad(k, scale, _less_one(k, r), k.sub(scale, like(x, 0.5)))
    y = where(k, x, ">", top, like(x, math.inf), k.add(half, half))
    return where(k, absolute(k, x), "<", 2.0**-60, x, y)


def split(k: Emitter, x: Value) -> tuple[Value, Value]:
    """(f, e) with x = (1 + f) · 2^e and 1 + f between √½ and √2, for a positive normal x."""
    fraction, _ = digits(x)
    word = bits_of(k, x)
    offset = bits_of(k, like(x, math.sqrt(0.5)))
    shifted = k.builder.sub(word, offset)
    e = k.builder.ashr(shifted, like(word, fraction))
    mantissa = k.builder.sub(word, k.builder.shl(e, like(word, fraction)))
    f = k.sub(from_bits(k, mantissa, x), like(x, 1.0))
    return f, k.builder.sitofp(e, x.type)


def normal_of(k: Emitter, x: Value) -> tuple[Value, Value]:
    """A denormal number times a power of two, and the exponent that this takes away."""
    fraction, bits = digits(x)
    smallest, lift = 2.0 ** (2 - (1 << (bits - fraction - 2))), 2.0 ** (fraction + 2)
    lifted = where(k, x, "<", smallest, k.mul(x, like(x, lift)), x)
    return lifted, where(k, x, "<", smallest, like(x, fraction + 2.0), like(x, 0.0))


def _log_series(k: Emitter, f: Value) -> tuple[Value, Value]:
    """(s, R) with log(1 + f) = f − f²/2 + s · (f²/2 + R) and s = f / (2 + f)."""
    s = k.div(f, k.add(like(f, 2.0), f))
    square = k.mul(s, s)
    return s, k.mul(square, polynomial(k, square, _LOG))


def _log(k: Emitter, f: Value, e: Value, correction: Value | None) -> Value:
    """log(1 + f) + e · ln 2 + correction."""
    high, low = LN2[element_of(f)]
    s, rest = _log_series(k, f)
    half = k.mul(k.mul(like(f, 0.5), f), f)
    small = k.mul(e, like(f, low))
    if correction is not None:
        small = k.add(small, correction)
    small = mad(k, s, k.add(half, rest), small)
    return k.sub(k.mul(e, like(f, high)), k.sub(k.sub(half, small), f))


def _log_edges(k: Emitter, x: Value, zero: float, y: Value) -> Value:
    """Minus infinity at the end of the domain, NaN below it, infinity at infinity."""
    y = where(k, x, "==", math.inf, x, y)
    y = where(k, x, "==", zero, like(x, -math.inf), y)
    return k.builder.select(k.builder.fcmp_unordered("<", x, like(x, zero)), like(x, math.nan), y)


def log(k: Emitter, x: Value) -> Value:
    """Natural logarithm."""
    normal, lift = normal_of(k, x)
    f, e = split(k, normal)
    return _log_edges(k, x, 0.0, _log(k, f, k.sub(e, lift), None))


def log1p(k: Emitter, x: Value) -> Value:
    """log(1 + x): the digits of x that 1 + x has lost come back as a correction."""
    one = like(x, 1.0)
    u = k.add(one, x)
    lost = where(k, x, ">", 1.0, k.sub(one, k.sub(u, x)), k.sub(x, k.sub(u, one)))
    f, e = split(k, u)
    y = _log_edges(k, x, -1.0, _log(k, f, e, k.div(lost, u)))
    return where(k, absolute(k, x), "<", 2.0**-60, x, y)


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
    size = where(k, size, ">", 22.0, like(x, 22.0), size)
    t = expm1(k, k.add(size, size))
    below = k.add(t, like(x, 2.0))
    y = where(k, size, "<", 0.5, k.div(t, below), k.sub(like(x, 1.0), k.div(like(x, 2.0), below)))
    return k.intrinsic("copysign", y, x)
