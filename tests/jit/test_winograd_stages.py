"""Winograd loop by loop: the same numbers as the whole kernels, whatever the number of parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convs import Conv, error, images
from harness import RUNNABLE, blank, given, run
from test_winograd import BOUNDS, EVERY, EXACT, buffers_of, kernel_of, lanes
from test_winograd_weight import kernel_of as weight_kernel_of

import rot180.nn.functional as F
from rot180 import nn
from rot180.core import Program, Tracer, gradients
from rot180.jit import make_plan
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.winograd_stages import (
    InverseTiles,
    MultiplyPoints,
    SumPoints,
    TransformTiles,
    TurnTiles,
)
from rot180.jit.families.winograd_transforms import InverseWeights


def correlated(conv: Conv, tile: int, output: str, dtype: str, target: str, parts: int) -> Any:
    whole = kernel_of(conv, tile, output, lanes(target, dtype), dtype, bias=True)
    buffers = buffers_of(conv, whole, output, target)
    bias = np.arange(whole.z.channels, dtype=dtype)
    v, m = (
        blank((points.size,), dtype) for points in TransformTiles(whole).places(TARGETS[target])
    )
    v = given(run(TransformTiles(whole), {"x": buffers["x"], "v": v}, target, parts)["v"])
    m = given(run(MultiplyPoints(whole), {"u": buffers["u"], "v": v, "m": m}, target, parts)["m"])
    ends = {"m": m, "bias": given(bias), "z": buffers["z"]}
    return run(InverseTiles(whole), ends, target, parts)["z"] - bias[:, None, None]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("tile", "conv"), EVERY[::3], ids=str)
@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_correlation(dtype: str, output: str, tile: int, conv: Conv, target: str) -> None:
    bounds = BOUNDS if dtype == "float32" else EXACT
    for parts in (1, 3):
        made = correlated(conv, tile, output, dtype, target, parts)
        assert error(made, conv.expected(output)) < bounds[tile + conv.geometry.kernel[0] - 1]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("tile", "conv"), EVERY[1::3], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weight_gradient(dtype: str, tile: int, conv: Conv, target: str) -> None:
    whole = weight_kernel_of(conv, tile, lanes(target, dtype), dtype)
    x = images(conv.arrays["x"], whole.x, 7, dtype)
    g = images(conv.arrays["z"], whole.g, 0, dtype)
    bounds = BOUNDS if dtype == "float32" else EXACT
    for parts in (1, 3):
        v, y = (blank((turned.size,), dtype) for turned in TurnTiles(whole).places(TARGETS[target]))
        made = run(TurnTiles(whole), {"x": x, "g": g, "v": v, "y": y}, target, parts)
        operands = {name: given(made[name]) for name in "vy"}
        sums = {"du": blank((whole.size,), dtype), "db": blank((whole.filters,), dtype)}
        made = run(SumPoints(whole), {**operands, **sums}, target, parts)
        inverse = InverseWeights(whole.tiling, conv.c, conv.k, 1, True, dtype)
        ends = {"du": given(made["du"]), "sums": given(made["db"])}
        ends |= {"dw": blank(conv.arrays["w"].shape, dtype), "db": blank((conv.k,), dtype)}
        made = run(inverse, ends, target, parts)
        bound = bounds[whole.tiling.cells]
        assert error(made["dw"], conv.expected("w")) < bound
        assert error(made["db"], conv.arrays["z"].sum((0, 2, 3))) < bound


def program(images: int, channels: int, size: int) -> Program:
    """A convolution, and both of its gradients."""
    weight = nn.Parameter(np.zeros((channels, channels, 3, 3), np.float32))
    shape = (images, channels, size, size)
    with Tracer() as tracer:
        x, g = (tracer.input(name, shape, "float32") for name in "xg")
        tracer.hold(weight, "parameter", "w")
        x.requires_grad_()
        z = F.conv2d(x, weight, padding=1)
        dx, dw = gradients([z], [x, weight], [g])
        assert dx is not None
        assert dw is not None
        return tracer.program(z=z, dx=dx, dw=dw)


def test_a_plan_takes_it_for_fewer_groups_than_threads() -> None:
    stages = {"TransformTiles", "MultiplyPoints", "InverseTiles", "TurnTiles", "SumPoints"}
    for parts in (1, 8):
        plan = make_plan(program(16, 64, 8), TARGETS["avx512"], parts)
        names = {type(row.call.kernel).__name__ for row in plan.rows}
        assert names & {"Correlate", "WeightGrad", *stages} == (
            stages if parts == 8 else {"Correlate", "WeightGrad"}
        )
