"""Pools: values, winners and gradients are those of the kinds, and every cell is written once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, pack, run

from rot180.core import Give, Select, Windows
from rot180.core.kinds import run as eager
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.pool import MaxPool, MaxPoolGrad, record_type
from rot180.window import pool_window

# images, channels, sizes; kernel, stride, padding, dilation, ceil
CASES = [
    (5, 3, (8, 6), 2, 2, 0, 1, False),
    (3, 2, (28, 28), 2, 2, 0, 1, False),
    (3, 2, (9, 7), 2, 2, 0, 1, True),
    (17, 2, (9, 12), 3, 2, 1, 1, False),
    (2, 3, (7, 19), 3, 1, 1, 1, False),
    (2, 1, (11, 21), (2, 3), (3, 5), 0, 1, False),
    (2, 2, (13, 12), 2, (1, 3), 1, (3, 2), True),
    (2, 1, (10, 9), 7, 2, 3, 1, False),
    (4, 2, (23,), 3, 2, 1, 1, True),
    (2, 2, (5, 6, 7), 2, 2, 1, 1, False),
    (2, 1, (3, 4, 5), (1, 3, 2), 1, (0, 1, 1), 1, False),
]
ids = [f"{'x'.join(map(str, c[2]))}-k{c[3]}-s{c[4]}" for c in CASES]


def poisoned(array: np.ndarray, where: Planes) -> Buffer:
    """An input whose dead lanes are NaN; the halo, which no pool may read, is, too."""
    return Buffer(pack(array, where, np.nan), where, False)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize(("dtype", "relu"), [("float32", True), ("float64", False)])
def test_max_pool(
    dtype: str, one: bool, case: tuple[object, ...], relu: bool, target: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    n, c, sizes, kernel, stride, padding, dilation, ceil = case
    window = pool_window(kernel, stride, padding, dilation, ceil, input_size=sizes)
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    axes = len(sizes)
    x_planes = Planes(n, c, sizes, block, (1,) * axes, (0,) * axes)
    z_planes = Planes(n, c, window.output_size(sizes), block, (0,) * axes, (2,) * axes)
    g_planes = Planes(n, c, z_planes.sizes, block)
    x = rng.integers(-9, 9, (n, c, *sizes)).astype(dtype)  # with ties
    x[rng.random(x.shape) < 0.01] = np.nan
    choice = Windows(x.shape, window)
    values, record = eager(Select("max_pool", choice), x)
    g = rng.standard_normal(values.shape).astype(dtype)
    if relu:
        values = np.where(values < 0, 0, values)
    passed = np.where(values > 0, g, 0) if relu else g
    dx = eager(Give("max_pool", choice), passed, record)
    kind = record_type(window)
    full = replace(x_planes, images=x_planes.blocks * block)
    for parts in (1, 3):
        out = {
            "x": poisoned(x, x_planes),
            "z": blank(z_planes, dtype),
            "winner": blank(z_planes, kind),
        }
        made = run(MaxPool(window, x_planes, z_planes, relu, True, dtype), out, target, parts)
        np.testing.assert_array_equal(made["z"], values)
        back = {
            "g": given(g, g_planes),
            "winner": given(made["winner"], z_planes),
            "dx": blank(full, dtype),
        }
        made = run(MaxPoolGrad(window, x_planes, z_planes, g_planes, dtype), back, target, parts)
        np.testing.assert_allclose(
            made["dx"][:n], dx, rtol=0, atol=4 * np.finfo(dtype).eps * abs(dx).max()
        )
        assert not made["dx"][n:].any()


def test_a_record_is_not_needed(rng: np.random.Generator) -> None:
    window = pool_window(3, 2, 1, 1, False, input_size=(9, 18))
    x, z = Planes(3, 2, (9, 18), 1), Planes(3, 2, (5, 9), 1)
    cells = rng.standard_normal((3, 2, 9, 18)).astype(np.float32)
    values, _ = eager(Select("max_pool", Windows(cells.shape, window)), cells)
    made = run(
        MaxPool(window, x, z, record=False), {"x": given(cells, x), "z": blank(z, "float32")}
    )
    np.testing.assert_array_equal(made["z"], values)


def test_wide_windows_are_loops(rng: np.random.Generator) -> None:
    window = pool_window(13, 1, 6, 1, False, input_size=(9, 18))
    x = rng.standard_normal((3, 2, 9, 18))
    planes = Planes(3, 2, (9, 18), 1)
    choice = Windows(x.shape, window)
    values, record = eager(Select("max_pool", choice), x)
    g = rng.standard_normal(values.shape)
    made = run(
        MaxPool(window, planes, planes, dtype="float64"),
        {"x": given(x, planes), "z": blank(planes, "float64"), "winner": blank(planes, "uint8")},
    )
    np.testing.assert_array_equal(made["z"], values)
    back = {
        "g": given(g, planes),
        "winner": given(made["winner"], planes),
        "dx": blank(planes, "float64"),
    }
    made = run(MaxPoolGrad(window, planes, planes, planes, "float64"), back)
    np.testing.assert_allclose(made["dx"], eager(Give("max_pool", choice), g, record), atol=1e-13)


def test_other_processors_are_compiled_for() -> None:
    window = pool_window(3, 2, 1, 1, False, input_size=(8, 8))
    x, z = Planes(5, 2, (8, 8), 4), Planes(5, 2, (4, 4), 4)
    assert code_of(MaxPool(window, x, z), TARGETS["neon"])
    assert code_of(MaxPoolGrad(window, x, z, z), TARGETS["neon"])
