"""Toom-Cook: the three small matrices that make a short correlation out of fewer products.

    y = Aᵀ · ((G · w) ⊙ (Bᵀ · x))         y: m outputs, w: r taps, x: m + r − 1 inputs

The product of two polynomials is known from its values at m + r − 1 points; the matrices evaluate
and interpolate. A tile of m outputs costs m + r − 1 products instead of m·r; in two axes their
squares. The sum Σ_ξ (Bᵀx)_ξ · (Gw)_ξ · (Ag)_ξ is trilinear, so it is read for y, for x and for w
as every form is: the same three matrices give both gradients.

Source: Winograd, Arithmetic complexity of computations, 1980; Lavin and Gray, Fast algorithms for
convolutional neural networks, 2015.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

from rot180.jit.emission.emit import Emitter

__all__ = ["Matrix", "apply", "matrices", "transpose"]

Matrix = tuple[tuple[Fraction, ...], ...]

_POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))


def transpose(m: Matrix) -> Matrix:
    """Rows become columns."""
    return tuple(zip(*m, strict=True))


@functools.cache
def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """(Aᵀ, G, Bᵀ) of F(m, r): m × t, t × r and t × t for t = m + r − 1 points, the last one ∞.

    >>> at, g, bt = matrices(2, 3)
    >>> [[int(a) for a in row] for row in at]
    [[1, 1, 1, 0], [0, 1, -1, 1]]
    """
    t = m + r - 1
    points = [Fraction(p) for p in _POINTS[: t - 1]]
    zero, one = Fraction(0), Fraction(1)
    at = tuple(
        (*(p**i if p or i else one for p in points), one if i == m - 1 else zero) for i in range(m)
    )
    g, bt = [], []
    for j, p in enumerate(points):
        others = [q for k, q in enumerate(points) if k != j]
        scale = one
        for q in others:
            scale *= p - q
        sign = -1 if scale < 0 else 1  # keep the signs on the side of the data small
        g.append(tuple((p**i if p or i else one) / scale * sign for i in range(r)))
        bt.append(tuple(c * sign for c in (*_product(others), zero)))
    g.append((*(zero for _ in range(r - 1)), one))
    bt.append(_product(points))
    return at, tuple(g), tuple(bt)


def _product(roots: list[Fraction]) -> tuple[Fraction, ...]:
    """Coefficients of Π (x − root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [
            high - root * low
            for high, low in zip(shifted, [*coefficients, Fraction(0)], strict=True)
        ]
    return tuple(coefficients)


def apply(k: Emitter, matrix: Matrix, xs: list[Any]) -> list[Any]:
    """Emit matrix · xs for vectors xs (None: known to be 0), sharing what ±-pairs have in common.

    Two columns that differ only in signs are replaced by the sum and the difference of their
    inputs; two rows that differ only in signs share both halves of their sums.
    """
    rows, inputs = [list(row) for row in matrix], list(xs)
    for a, b in _pairs(list(map(list, zip(*rows, strict=True)))):
        if inputs[a] is None or inputs[b] is None:
            continue
        same, different = k.add(inputs[a], inputs[b]), k.sub(inputs[a], inputs[b])
        inputs[a], inputs[b] = same, different
        for row in rows:
            row[a], row[b] = (row[a], Fraction(0)) if row[a] == row[b] else (Fraction(0), row[a])
    out: list[Any] = [None] * len(rows)
    done: set[int] = set()
    for a, b in _pairs(rows):
        equal = [x == y for x, y in zip(rows[a], rows[b], strict=True)]
        even = _dot(
            k, [c if e else Fraction(0) for c, e in zip(rows[a], equal, strict=True)], inputs
        )
        odd = _dot(
            k, [Fraction(0) if e else c for c, e in zip(rows[a], equal, strict=True)], inputs
        )
        if even is not None and odd is not None:
            out[a], out[b] = k.add(even, odd), k.sub(even, odd)
            done |= {a, b}
    for i, row in enumerate(rows):
        if i not in done:
            out[i] = _dot(k, row, inputs)
    return out


def _pairs(rows: list[list[Fraction]]) -> list[tuple[int, int]]:
    """Disjoint pairs of rows that are equal up to the signs of some, not all, of their entries."""
    found: list[tuple[int, int]] = []
    used: set[int] = set()
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            if (
                a in used
                or b in used
                or any(abs(x) != abs(y) for x, y in zip(rows[a], rows[b], strict=True))
            ):
                continue
            signs = {x == y for x, y in zip(rows[a], rows[b], strict=True) if x}
            if len(signs) == 2:
                found.append((a, b))
                used |= {a, b}
    return found


def _dot(k: Emitter, coefficients: list[Fraction], xs: list[Any]) -> Any:
    total = None
    # Factors of ±1 first: they need no multiplication, and the rest can be fused.
    terms = [(c, x) for c, x in zip(coefficients, xs, strict=True) if c and x is not None]
    for c, x in sorted(terms, key=lambda term: (term[0] != 1, abs(term[0]) != 1)):
        if total is None:
            total = x if c == 1 else k.mul(k.constant(float(c), _lanes(x)), x)
        elif c == 1:
            total = k.add(total, x)
        elif c == -1:
            total = k.sub(total, x)
        else:
            total = k.fma(k.constant(float(c), _lanes(x)), x, total)
    return total


def _lanes(x: Any) -> int:
    return getattr(x.type, "count", 1)
