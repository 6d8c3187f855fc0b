"""Group, layer and instance norm: values and gradients in float64, both layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, pack, run

import rot180 as rt
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.group_norm import (
    GroupNorm,
    GroupNormGrad,
    GroupNormParameterGrad,
    last_axes,
)
from rot180.ops.elementwise import relu as relu_of
from rot180.ops.norm import group_norm, layer_norm

# images, channels, sizes; channels of a group, or axes of a layer norm
CASES: list[tuple[Any, ...]] = [
    (5, 6, (8, 6), "group", 3),
    (18, 3, (5, 7), "group", 1),
    (3, 4, (2, 3, 5), "group", 4),
    (17, 3, (4, 5), "layer", 3),
    (4, 3, (2, 13), "layer", 1),
    (6, 21, (), "layer", 1),
]
BOUND = {"float32": 1e-5, "float64": 1e-13}


def axes_of(planes: Planes, size: int) -> Planes:
    """Planes for a norm over the last `size` axes; all of an image are one group."""
    return planes if size > len(planes.sizes) else last_axes(planes, size)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[3]}{c[4]}-{c[2]}")
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "parts", "relu"), [("float32", 1, True), ("float64", 3, False)])
def test_group_and_layer_norm(
    dtype: str, parts: int, relu: bool, one: bool, case: tuple[Any, ...], target: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, sizes, kind, size = case
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    halo = (0, *(1 for _ in sizes[1:]))[: len(sizes)]
    halo = halo if kind == "group" or size > len(sizes) else (0,) * len(sizes)
    x_planes, z_planes = Planes(n, c, sizes, block, halo), Planes(n, c, sizes, block, (), halo)
    x = (rng.standard_normal((n, c, *sizes)) * 2 + 3).astype(dtype)
    g = rng.standard_normal(x.shape).astype(dtype)
    shape = (c,) if kind == "group" else x.shape[-size:]
    w, b = rng.standard_normal((2, *shape)).astype(dtype)
    wide = [rt.tensor(a.astype(float), requires_grad=True) for a in (x, w, b)]
    if kind == "group":
        out = group_norm(wide[0], c // size, wide[1], wide[2])
        there, goal, group = x_planes, z_planes, size
    else:
        out = layer_norm(wide[0], shape, wide[1], wide[2])
        there, goal = axes_of(x_planes, size), axes_of(z_planes, size)
        group = there.channels if size > len(sizes) else 1
    out = relu_of(out) if relu else out
    out.backward(rt.tensor(g.astype(float)))
    weights = "channel" if kind == "group" else "cell"
    flat = Planes(n, there.channels // group, (), block)
    full = replace(x_planes, images=x_planes.blocks * block)
    arrays = {
        "x": Buffer(pack(x, x_planes, 1e3), x_planes, False),
        "weight": given(w),
        "bias": given(b),
        "z": blank(z_planes, dtype),
        "mean": blank(replace(flat, images=full.images), dtype),
        "rstd": blank(replace(flat, images=full.images), dtype),
    }
    forward = GroupNorm(there, goal, group, weights, relu, dtype=dtype)
    made = run(forward, {name: arrays[name] for name in forward.arrays}, target, parts)
    np.testing.assert_allclose(made["z"], out.data, rtol=0, atol=BOUND[dtype])
    arrays |= {
        "g": given(g, z_planes),
        "mean": given(made["mean"], replace(flat, images=full.images)),
        "rstd": given(made["rstd"], replace(flat, images=full.images)),
        "dx": blank(full, dtype),
        "sums": blank(Planes(full.images, c, (), block), dtype),
        "dots": blank(Planes(full.images, c, (), block), dtype),
        "dweight": blank(shape, dtype),
        "dbias": blank(shape, dtype),
    }
    back = GroupNormGrad(there, goal, group, weights, relu, dtype=dtype)
    made = run(back, {name: arrays[name] for name in back.arrays}, target, parts)
    if weights == "channel":
        channels = Planes(n, c, (), block)
        for gradient, sums in (("dbias", "sums"), ("dweight", "dots")):
            assert not made[sums][n:].any()
            summed = {"g": given(made[sums][:n], channels), "db": blank((c,), dtype)}
            made[gradient] = run(BiasGrad(channels, dtype), summed, target, parts)["db"]
    else:
        kernel = GroupNormParameterGrad(there, goal, group, weights, relu, dtype=dtype)
        made |= run(kernel, {name: arrays[name] for name in kernel.arrays}, target, parts)
    assert not made["dx"][n:].any()
    made["dx"] = made["dx"][:n]
    for name, tensor in zip(("dx", "dweight", "dbias"), wide, strict=True):
        assert tensor.grad is not None
        size_of = BOUND[dtype] * max(1.0, abs(tensor.grad.data).max())
        np.testing.assert_allclose(made[name], tensor.grad.data, rtol=0, atol=size_of)


def test_axes_with_a_halo_are_no_channels() -> None:
    with pytest.raises(ValueError, match="halo"):
        last_axes(Planes(2, 3, (4, 5), 1, (1, 0)), 1)


def test_other_processors_are_compiled_for() -> None:
    x = Planes(5, 2, (8, 8), 4)
    for kernel in (GroupNorm, GroupNormGrad, GroupNormParameterGrad):
        assert code_of(kernel(x, x, 2), TARGETS["neon"])
