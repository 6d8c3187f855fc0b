"""Toom-Cook: the matrices are exact in all three readings; their application is what they say."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, blank, given, run

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.target import Target
from rot180.jit.families.toomcook import Matrix, apply, matrices, transpose

SIZES = [(2, 3), (4, 3), (2, 5), (3, 2), (1, 3), (3, 1)]


def product(a: Matrix, v: list[Fraction]) -> list[Fraction]:
    return [sum((x * y for x, y in zip(row, v, strict=True)), Fraction(0)) for row in a]


@pytest.mark.parametrize(("m", "r"), SIZES)
def test_the_trilinear_identity_holds_exactly(m: int, r: int) -> None:
    """Σ_ξ (Bᵀx)_ξ (Gw)_ξ (Ag)_ξ = Σ_{p, s} g[p] w[s] x[p + s], on every triple of unit vectors."""
    at, g, bt = matrices(m, r)
    a = transpose(at)
    assert (len(at), len(g), len(bt)) == (m, m + r - 1, m + r - 1)
    for p in range(m):
        for s in range(r):
            for h in range(m + r - 1):
                found = sum(bt[xi][h] * g[xi][s] * a[xi][p] for xi in range(m + r - 1))
                assert found == (1 if h == p + s else 0)


@pytest.mark.parametrize(("m", "r"), SIZES)
def test_a_correlation_and_both_gradients(m: int, r: int) -> None:
    at, g, bt = matrices(m, r)
    x = [Fraction(3 * i * i - 7 * i + 2, i + 2) for i in range(m + r - 1)]
    w = [Fraction(2 - 5 * i, 3 + i) for i in range(r)]
    u = [Fraction(i * i - 4, 7) for i in range(m)]
    points = [b * c for b, c in zip(product(bt, x), product(g, w), strict=True)]
    assert product(at, points) == [sum(w[s] * x[p + s] for s in range(r)) for p in range(m)]
    points = [b * c for b, c in zip(product(bt, x), product(transpose(at), u), strict=True)]
    assert product(transpose(g), points) == [
        sum(u[p] * x[p + s] for p in range(m)) for s in range(r)
    ]
    points = [b * c for b, c in zip(product(g, w), product(transpose(at), u), strict=True)]
    assert product(transpose(bt), points) == [
        sum(u[p] * w[h - p] for p in range(m) if 0 <= h - p < r) for h in range(m + r - 1)
    ]


@dataclass(frozen=True)
class Applied:
    """z = matrix · x, a vector of lanes for each row; what is known to be 0 is not read."""

    matrix: Matrix
    known: tuple[int, ...] = ()
    dtype: str = "float64"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        columns = range(len(self.matrix[0]))
        xs = [None if i in self.known else k.load("x", i * k.lanes) for i in columns]
        for i, value in enumerate(apply(k, self.matrix, xs)):
            k.store(value, "z", i * k.lanes)
        return k.finish()


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("m", "r"), SIZES)
@pytest.mark.parametrize("which", range(3))
def test_application(which: int, m: int, r: int, target: str, rng: np.random.Generator) -> None:
    from rot180.jit.emission.target import TARGETS

    lanes = TARGETS[target].lanes(np.dtype("float64"))
    for matrix in (matrices(m, r)[which], transpose(matrices(m, r)[which])):
        numbers = np.array([[float(c) for c in row] for row in matrix])
        x = rng.standard_normal((len(matrix[0]), lanes))
        made = run(
            Applied(matrix), {"x": given(x), "z": blank((len(matrix), lanes), "float64")}, target
        )
        np.testing.assert_allclose(
            made["z"], numbers @ x, rtol=0, atol=1e-13 * np.abs(numbers).max() * 9
        )


def test_columns_that_are_known_to_be_zero(rng: np.random.Generator) -> None:
    from rot180.jit.emission.target import host

    lanes = host().lanes(np.dtype("float64"))
    _, _, bt = matrices(4, 3)
    x = rng.standard_normal((6, lanes))
    x[4:] = 0
    numbers = np.array([[float(c) for c in row] for row in bt])
    made = run(Applied(bt, (4, 5)), {"x": given(x), "z": blank((6, lanes), "float64")})["z"]
    np.testing.assert_allclose(made, numbers @ x, rtol=0, atol=1e-12)
