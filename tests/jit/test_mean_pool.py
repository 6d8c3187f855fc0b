"""Mean pools and plain sums: the forms of their declarations in float64, both layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from harness import RUNNABLE, blank, code_of, given, run

import rot180 as rt
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.mean_pool import GlobalMean, GlobalMeanGrad, MeanPool, MeanPoolGrad
from rot180.ops.pool import avg_pool
from rot180.window import pool_divisors, pool_window

CASES: list[tuple[Any, ...]] = [
    (5, 3, (8, 6), 2, 2, 0, False),
    (17, 2, (9, 7), 3, 2, 1, True),
    (2, 3, (7, 19), 3, 1, 1, False),
    (2, 1, (11, 21), (2, 3), (3, 5), (0, 1), False),
    (3, 2, (5, 6, 7), 2, 2, 1, False),
]
ids = [f"{'x'.join(map(str, c[2]))}-k{c[3]}-s{c[4]}" for c in CASES]
BOUND = {"float32": 2e-6, "float64": 1e-14}


def close(found: npt.NDArray[Any], expected: npt.NDArray[Any], dtype: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND[dtype] * abs(expected).max())


def block_of(target: str, dtype: str, one: bool) -> int:
    return 1 if one else TARGETS[target].lanes(np.dtype(dtype))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 1), ("float64", 3)])
def test_mean_pool(
    dtype: str, parts: int, one: bool, case: tuple[Any, ...], target: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, sizes, kernel, stride, padding, ceil = case
    window = pool_window(kernel, stride, padding, 1, ceil, input_size=sizes)
    block, axes = block_of(target, dtype, one), len(sizes)
    x_planes = Planes(n, c, sizes, block, (1,) * axes)
    z_planes = Planes(n, c, window.output_size(sizes), block, (), (2,) * axes)
    divisor = np.ones(())
    for counts in pool_divisors(kernel, stride, padding, ceil, False, input_size=sizes):
        divisor = divisor[..., None] * np.array(counts, float)
    d = (1 / divisor).astype(dtype)
    x = rng.standard_normal((n, c, *sizes)).astype(dtype)
    g = rng.standard_normal((n, c, *z_planes.sizes)).astype(dtype)
    wide = rt.tensor(x.astype(float), requires_grad=True)
    z = avg_pool(wide, kernel, stride, padding, ceil, False)
    z.backward(rt.tensor(g.astype(float)))
    out = {"x": given(x, x_planes), "d": given(d), "z": blank(z_planes, dtype)}
    close(run(MeanPool(window, x_planes, z_planes, dtype), out, target, parts)["z"], z.data, dtype)
    full = replace(x_planes, images=x_planes.blocks * block)
    back = {"g": given(g, z_planes), "d": given(d), "dx": blank(full, dtype)}
    dx = run(MeanPoolGrad(window, x_planes, z_planes, dtype), back, target, parts)["dx"]
    assert wide.grad is not None
    close(dx[:n], wide.grad.data, dtype)
    assert not dx[n:].any()


SHAPES = [(5, 3, (8, 8)), (19, 2, (3, 17)), (33, 4, (2, 3, 5)), (4, 21, ())]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 1), ("float64", 3)])
def test_global_mean_and_bias_gradient(
    dtype: str, parts: int, one: bool, shape: tuple[int, int, tuple[int, ...]], target: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, sizes = shape
    block = block_of(target, dtype, one)
    planes = Planes(n, c, sizes, block, (1,) * len(sizes), (0,) * len(sizes))
    flat = Planes(n, c, (), block)
    x = rng.standard_normal((n, c, *sizes)).astype(dtype)
    g = rng.standard_normal((n, c)).astype(dtype)
    axes = tuple(range(2, x.ndim))
    out = {"x": given(x, planes), "z": blank(flat, dtype)}
    z = run(GlobalMean(planes, dtype), out, target, parts)["z"]
    close(z, x.astype(float).mean(axes), dtype)
    full = replace(planes, images=planes.blocks * block)
    back = {"g": given(g, flat), "dx": blank(full, dtype)}
    dx = run(GlobalMeanGrad(planes, dtype), back, target, parts)["dx"]
    cells = x[0, 0].size
    close(dx[:n], np.broadcast_to(g.reshape(n, c, *(1,) * len(sizes)) / cells, x.shape), dtype)
    assert not dx[n:].any()
    there = {"g": given(x, planes), "db": blank((c,), dtype)}
    db = run(BiasGrad(planes, dtype), there, target, parts)["db"]
    close(db, x.astype(float).sum((0, *axes)), dtype)


def test_other_processors_are_compiled_for() -> None:
    window = pool_window(2, 2, 0, 1, False, input_size=(8, 8))
    x, z = Planes(5, 2, (8, 8), 4), Planes(5, 2, (4, 4), 4)
    for kernel in (MeanPool(window, x, z), MeanPoolGrad(window, x, z), GlobalMean(x), BiasGrad(x)):
        assert code_of(kernel, TARGETS["neon"])
