"""Scalar functions against wider arithmetic, in units in the last place; special values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, blank, code_of, given, run

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.functions import FUNCTIONS
from rot180.jit.emission.target import TARGETS, Target
from rot180.kernels import special

NAN, INF = np.nan, np.inf
EDGES = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 2.5, -2.5, 3.0, -3.0, 1e30, -1e30]
TINY = {"float32": [1e-40, -1e-40, 3e-45], "float64": [1e-310, -1e-310, 5e-324]}


@dataclass(frozen=True)
class Apply:
    """z = function(x, y), cell by cell."""

    function: str
    count: int
    arity: int
    dtype: str

    @property
    def arrays(self) -> tuple[str, ...]:
        return (*("x", "y")[: self.arity], "z")

    def emit(self, name: str, target: Target) -> Any:
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.count // k.lanes)
        with k.loop(first, after) as i:
            args = [k.load(a, k.at((i, k.lanes))) for a in self.arrays[:-1]]
            k.store(FUNCTIONS[self.function](k, *args), "z", k.at((i, k.lanes)))
        return k.finish()


def applied(function: str, target: str, *xs: Any) -> Any:
    size = -(-xs[0].size // 16) * 16
    padded = [given(np.resize(x, size)) for x in xs]
    kernel = Apply(function, size, len(xs), xs[0].dtype.name)
    buffers = dict(zip(kernel.arrays, [*padded, blank((size,), xs[0].dtype.name)], strict=True))
    return run(kernel, buffers, target, parts=2)["z"][: xs[0].size]


def units(got: Any, want: Any) -> float:
    """The largest error in units in the last place of the result's type."""
    want = np.asarray(want)
    with np.errstate(over="ignore"):
        near = want.astype(got.dtype)
    finite = np.isfinite(near) & np.isfinite(got)
    np.testing.assert_array_equal(got[~finite], near[~finite])
    error = np.abs(got[finite].astype(want.dtype) - want[finite])
    return float(np.max(error / np.spacing(np.abs(near[finite])).astype(want.dtype), initial=0))


RANGES: dict[str, tuple[float, float]] = {
    "exp": (-120, 100), "expm1": (-40, 90), "log": (0, 50), "log1p": (-1, 50), "tanh": (-12, 12),
    "sigmoid": (-80, 90), "softplus": (-80, 60), "sin": (-900, 900), "cos": (-900, 900),
    "sqrt": (0, 1e4), "floor": (-50, 50), "sign": (-3, 3), "erf": (-5, 5), "absolute": (-5, 5),
}  # fmt: skip


def reference(function: str, x: Any) -> Any:
    extended = np.longdouble(x) if np.finfo(np.longdouble).nmant > 52 else np.float64(x)
    one = np.ones_like(extended)
    with np.errstate(all="ignore"):
        if function == "sigmoid":
            return one / (one + np.exp(-extended))
        if function == "softplus":
            return np.maximum(extended, 0) + np.log1p(np.exp(-np.abs(extended)))
        if function == "erf":
            return special.erf(np.float64(x))
        return getattr(np, function)(extended)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", sorted(RANGES))
def test_accuracy(function: str, dtype: str, target: str, rng: np.random.Generator) -> None:
    low, high = RANGES[function]
    small = rng.uniform(-0.01, 0.01, 4000) * rng.choice([1, 1e-4, 1e-12], 4000)
    x = np.concatenate([rng.uniform(low, high, 20000), rng.uniform(-1, 1, 4000), small])
    if low >= -1 and high > 5:
        x = np.maximum(x, low + 1e-9)
    x = x.astype(dtype)
    bound = 2.0 if dtype == "float32" else 4.0
    assert units(applied(function, target, x), reference(function, x)) <= bound


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", sorted(RANGES))
def test_special_values(function: str, dtype: str, target: str) -> None:
    x = np.array([*EDGES, *TINY[dtype]], dtype)
    if function in ("sin", "cos"):
        x = x[np.abs(x) != np.float64(1e30).astype(dtype)]
    got = applied(function, target, x)
    with np.errstate(all="ignore"):
        want = reference(function, x).astype(dtype)
    np.testing.assert_allclose(got, want, rtol=5e-7 if dtype == "float32" else 1e-15, atol=0)
    if function != "floor":  # the floor of a number between 0 and 1 is +0
        zero = want == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers(dtype: str, target: str, rng: np.random.Generator) -> None:
    top = 85.0 if dtype == "float32" else 700.0
    a = np.concatenate([np.exp(rng.uniform(-20, 20, 20000)), rng.uniform(0.9, 1.1, 4000)])
    b = np.concatenate([rng.uniform(-2, 2, 20000), rng.uniform(-3, 3, 4000)])
    a, b = a.astype(dtype), b.astype(dtype)
    b[::2] = (rng.uniform(-top, top, b[::2].shape) / np.log(a[::2])).astype(dtype)
    want = np.power(np.longdouble(a), np.longdouble(b))
    bound = 1.0 if dtype == "float32" else 4.0
    assert units(applied("power", target, a, b), want) <= bound


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_special_values(dtype: str, target: str) -> None:
    values = np.array([*EDGES, *TINY[dtype], 0.5, -0.5, 2.0, -2.0], dtype)
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = np.power(a, b)
    got = applied("power", target, a, b)
    np.testing.assert_allclose(got, want, rtol=5e-7 if dtype == "float32" else 2e-15, atol=0)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize("target", RUNNABLE)
def test_the_larger_and_the_smaller(target: str) -> None:
    values = np.array(EDGES, np.float32)
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    for function in ("maximum", "minimum"):
        np.testing.assert_array_equal(applied(function, target, a, b), getattr(np, function)(a, b))


def test_no_library_is_called() -> None:
    """The only undefined symbols of the objects would be functions of a library."""
    for function in FUNCTIONS:
        binary = function in (
            "power",
            "maximum",
            "minimum",
            "add",
            "subtract",
            "multiply",
            "divide",
        )
        for target in ("sse2", "avx2", "neon"):
            code = code_of(Apply(function, 16, 1 + binary, "float32"), TARGETS[target])
            for symbol in (b"expf", b"logf", b"powf", b"floorf", b"fmaf", b"sqrtf", b"rintf"):
                assert symbol not in code, (function, target)
