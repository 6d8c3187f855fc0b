"""Powers in float64: the logarithm is carried as a sum of two numbers, which 700 · log x needs."""

from __future__ import annotations

import math
from typing import Any

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.exponential import (
    LN2,
    absolute,
    bits_of,
    clamped,
    exp,
    from_bits,
    is_nan,
    like,
    normal_of,
    polynomial,
    split,
    where,
    wide,
)
from rot180.jit.emission.special import floor

__all__ = ["power"]

Value = Any


def _halved(k: Emitter, x: Value) -> tuple[Value, Value]:
    """The number as a sum of two numbers of half the digits."""
    high = from_bits(k, k.builder.and_(bits_of(k, x), like(bits_of(k, x), -(1 << 27))), x)
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
    normal, lift = normal_of(k, x)
    f, e = split(k, normal)
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
    rest = polynomial(k, square, [2 / i for i in range(5, 27, 2)])
    small = k.add(k.add(small, third_lost), k.mul(k.mul(cube, square), rest))
    high, low = LN2["double"]
    first, lost = _two_sum(k, k.mul(e, like(x, high)), k.add(s, s))
    total, lost2 = _two_sum(k, first, third)
    slope = k.div(like(x, 2.0), k.sub(like(x, 1.0), square))  # of log((1 + s) / (1 − s))
    small = k.add(k.add(small, k.mul(slope, s_lost)), k.mul(e, like(x, low)))
    return _two_sum(k, total, k.add(k.add(lost, lost2), small))


def _power(k: Emitter, a: Value, b: Value) -> Value:
    builder, one = k.builder, like(a, 1.0)
    size = absolute(k, a)
    high, low = _long_log(k, size)
    limited = clamped(k, b, -1e25, 1e25)
    y, lost = _product(k, high, limited)
    lost = k.add(lost, k.mul(low, limited))
    lost = where(k, absolute(k, y), "<", 800.0, lost, like(a, 0.0))
    result = exp(k, y, lost)
    # Zero and infinity, and infinite exponents: 0 or infinity, decided by whether it grows.
    above = builder.fcmp_ordered(">", size, one)
    up = builder.icmp_unsigned("==", above, builder.fcmp_ordered(">", b, like(b, 0.0)))
    extreme = builder.select(up, like(a, math.inf), like(a, 0.0))
    for v in (size, absolute(k, b)):
        result = where(k, v, "==", math.inf, extreme, result)
    result = where(k, size, "==", 0.0, extreme, result)
    result = where(k, size, "==", 1.0, one, result)
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
    result = where(k, a, "==", 1.0, one, result)
    return where(k, b, "==", 0.0, one, result)


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
