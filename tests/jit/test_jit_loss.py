"""Cross-entropy: the declaration in float64; dead lanes and ignored images get 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, pack, run

import rot180 as rt
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS, host
from rot180.jit.families.loss import CrossEntropy, Total
from rot180.ops.loss import cross_entropy

OPTIONS: list[dict[str, Any]] = [
    {},
    {"mean": False, "upstream": True},
    {"weight": True, "smoothing": 0.1, "upstream": True},
    {"smoothing": 0.3},
    {"weight": True, "alone": False},
]
BOUND = {"float32": 2e-6, "float64": 1e-14}


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(5, 10), (35, 17), (1, 1)])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 1), ("float64", 3)])
def test_cross_entropy(
    dtype: str, parts: int, one: bool, shape: tuple[int, int], options: dict[str, Any],
    target: str, rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c = shape
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    planes = Planes(n, c, (), block)
    kernel = CrossEntropy(planes, dtype=dtype, **options)
    x = (rng.standard_normal((n, c)) * 4 + 30).astype(dtype)
    y = rng.integers(0, c, n)
    y[1:][rng.random(n - 1) < 0.3] = -100
    weight, g = rng.random(c).astype(dtype), rng.random(()).astype(dtype)
    wide = rt.tensor(x.astype(float), requires_grad=True)
    loss = cross_entropy(
        wide,
        y,
        rt.tensor(weight.astype(float)) if kernel.weight else None,
        reduction="mean" if kernel.mean else "sum",
        label_smoothing=kernel.smoothing,
    )
    loss.backward(rt.tensor(g.astype(float) if kernel.upstream else np.ones(())))
    assert wide.grad is not None
    full = replace(planes, images=planes.blocks * block)
    arrays = {
        "x": Buffer(pack(x, planes, np.nan), planes, False),
        "target": given(y),
        "weight": given(weight),
        "g": given(g),
        "loss": blank((1,), dtype),
        "losses": blank((full.images,), dtype),
        "dx": blank(full, dtype),
    }
    made = run(kernel, {name: arrays[name] for name in kernel.arrays}, target, parts)
    if not kernel.alone:
        assert not made["losses"][n:].any()
        there = {"x": given(made["losses"]), "z": blank((1,), dtype)}
        made["loss"] = run(Total(full.images, dtype), there, target, parts)["z"]
    assert made["loss"][0] == pytest.approx(loss.item(), 5 * BOUND[dtype], BOUND[dtype])
    size = BOUND[dtype] * max(abs(wide.grad.data).max(), 1e-2)
    np.testing.assert_allclose(made["dx"][:n], wide.grad.data, rtol=0, atol=5 * size)
    assert not made["dx"][n:].any()
    assert not made["dx"][:n][y == -100].any()


@pytest.mark.parametrize("one", [False, True])
def test_the_loss_alone(one: bool, rng: np.random.Generator) -> None:
    planes = Planes(13, 9, (), 1 if one else host().lanes(np.dtype("float64")))
    x, y = rng.standard_normal((13, 9)), rng.integers(0, 9, 13)
    kernel = CrossEntropy(planes, gradient=False, dtype="float64")
    arrays = {"x": given(x, planes), "target": given(y), "loss": blank((1,), "float64")}
    made = run(kernel, arrays)
    assert made["loss"][0] == pytest.approx(cross_entropy(rt.tensor(x), y).item(), 1e-14)


def test_other_processors_are_compiled_for() -> None:
    assert code_of(CrossEntropy(Planes(5, 10, (), 4), smoothing=0.1), TARGETS["neon"])
    assert code_of(Total(12), TARGETS["neon"])
