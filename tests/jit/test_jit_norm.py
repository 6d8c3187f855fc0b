"""Norms: statistics, values and gradients in float64, dead lanes left out, both layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, pack, run

import rot180 as rt
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.norm import BatchNorm, BatchNormGrad
from rot180.ops.elementwise import relu as relu_of
from rot180.ops.norm import batch_norm

SHAPES = [(5, 3, (8, 6)), (16, 2, (7, 7)), (35, 2, (3, 17)), (33, 2, (2, 3, 5)), (19, 5, ())]
BOUND = {"float32": 2e-6, "float64": 1e-13}


def close(found: npt.NDArray[Any], expected: npt.NDArray[Any], dtype: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND[dtype] * abs(expected).max())


def rubbish(array: npt.NDArray[Any], where: Planes) -> Buffer:
    """An input whose dead lanes hold large numbers."""
    return Buffer(pack(array, where, 1e4), where, False)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 1), ("float64", 3)])
@pytest.mark.parametrize("tail", ["plain", "relu", "residual"])
def test_batch_norm(
    tail: str, dtype: str, parts: int, one: bool, shape: tuple[int, int, tuple[int, ...]],
    target: str, rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, sizes = shape
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    halo = (1,) * len(sizes)
    x_planes, z_planes = Planes(n, c, sizes, block, halo), Planes(n, c, sizes, block, (), halo)
    x = (rng.standard_normal((n, c, *sizes)) * 3 + 50).astype(dtype)
    r, g = rng.standard_normal((2, *x.shape)).astype(dtype)
    w, b, m = rng.standard_normal((3, c)).astype(dtype)
    v = rng.random(c).astype(dtype)
    wide = [rt.tensor(a.astype(float), requires_grad=True) for a in (x, w, b, r)]
    mean, var = rt.tensor(m.astype(float)), rt.tensor(v.astype(float))
    out = batch_norm(wide[0], mean, var, wide[1], wide[2], True)
    if tail == "residual":
        out = out + wide[3]
    out = out if tail == "plain" else relu_of(out)
    out.backward(rt.tensor(g.astype(float)))
    affine = tail != "plain"
    if not affine:
        w, b = np.ones_like(w), np.zeros_like(b)
        out = batch_norm(wide[0], None, None, None, None, True)
        wide[0].grad = None
        out.backward(rt.tensor(g.astype(float)))
    residual = z_planes if tail == "residual" else None
    relu = tail != "plain"
    kernel = BatchNorm(x_planes, z_planes, residual, relu, affine, dtype=dtype)
    arrays: dict[str, Buffer] = {
        "x": rubbish(x, x_planes),
        "weight": given(w),
        "bias": given(b),
        "residual": given(r, z_planes),
        "z": blank(z_planes, dtype),
        "mean": blank((c,), dtype),
        "rstd": blank((c,), dtype),
        "running_mean": given(m, written=True),
        "running_var": given(v, written=True),
    }
    made = run(kernel, {name: arrays[name] for name in kernel.arrays}, target, parts)
    # A deviation of 1 stands on a mean of 50, which the input itself holds to 24 bits only.
    np.testing.assert_allclose(made["z"], out.data, rtol=0, atol=20 * BOUND[dtype])
    close(made["running_mean"], mean.data, dtype)
    close(made["running_var"], var.data, dtype)
    full = replace(x_planes, images=x_planes.blocks * block)
    back = BatchNormGrad(
        z_planes, x_planes, x_planes, z_planes if residual else None, residual, relu, affine, dtype
    )
    arrays |= {
        "g": given(g, z_planes),
        "z": given(made["z"], z_planes),
        "mean": given(made["mean"]),
        "rstd": given(made["rstd"]),
        "dx": blank(full, dtype),
        "dresidual": blank(replace(z_planes, images=full.images), dtype),
        "dweight": blank((c,), dtype),
        "dbias": blank((c,), dtype),
    }
    made = run(back, {name: arrays[name] for name in back.arrays}, target, parts)
    expected = dict(zip(("dx", "dweight", "dbias", "dresidual"), wide, strict=True))
    for name, gradient in expected.items():
        if name in back.arrays:
            assert gradient.grad is not None
            found = made[name]
            if name in ("dx", "dresidual"):
                assert not found[n:].any()
                found = found[:n]
            size = 10 * BOUND[dtype] * max(1.0, abs(gradient.grad.data).max())
            np.testing.assert_allclose(found, gradient.grad.data, rtol=0, atol=size)


def test_other_processors_are_compiled_for() -> None:
    x = Planes(5, 2, (8, 8), 4)
    assert code_of(BatchNorm(x, x, x, True), TARGETS["neon"])
    assert code_of(BatchNormGrad(x, x, x, x, x, True), TARGETS["neon"])
