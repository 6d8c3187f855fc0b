"""Linear layers for few images, against float64; every cell is written by one part."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from harness import RUNNABLE, blank, code_of, given, run

from rot180.jit.emission.target import TARGETS
from rot180.jit.families.matvec import MatVec, MatVecInputGrad, MatVecWeightGrad

# images, channels, filters
SHAPES = [(1, 90, 24), (1, 84, 10), (3, 33, 7), (2, 1, 5), (7, 40, 17), (15, 13, 1), (5, 3, 30)]
BOUND = {"float32": 2e-6, "float64": 1e-14}


def close(found: npt.NDArray[Any], expected: npt.NDArray[Any], dtype: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND[dtype] * abs(expected).max())


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 3), ("float64", 2)])
def test_linear(
    dtype: str, parts: int, more: bool, shape: tuple[int, int, int], target: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, filters = shape
    x, w, bias, g = (
        rng.standard_normal(s).astype(dtype) for s in ((n, c), (filters, c), filters, (n, filters))
    )
    wide_x, wide_w, wide_g = (a.astype(float) for a in (x, w, g))
    arrays = {"x": given(x), "w": given(w), "bias": given(bias), "z": blank((n, filters), dtype)}
    arrays |= {"g": given(g), "dx": blank((n, c), dtype)}
    arrays |= {"dw": blank((filters, c), dtype), "db": blank((filters,), dtype)}
    forward = MatVec(*shape, more, more, dtype)
    made = run(forward, {name: arrays[name] for name in forward.arrays}, target, parts)
    z = wide_x @ wide_w.T
    close(made["z"], np.maximum(z + bias, 0) if more else z, dtype)
    back = MatVecInputGrad(*shape, more, dtype)
    made = run(back, {name: arrays[name] for name in back.arrays}, target, parts)
    dx = wide_g @ wide_w
    close(made["dx"], np.where(x > 0, dx, 0) if more else dx, dtype)
    weight = MatVecWeightGrad(*shape, more, dtype)
    made = run(weight, {name: arrays[name] for name in weight.arrays}, target, parts)
    close(made["dw"], wide_g.T @ wide_x, dtype)
    if more:
        close(made["db"], wide_g.sum(0), dtype)


def test_other_processors_are_compiled_for() -> None:
    for kernel in (MatVec(3, 21, 9, True), MatVecInputGrad(3, 21, 9), MatVecWeightGrad(3, 21, 9)):
        assert code_of(kernel, TARGETS["neon"])
