"""`check.identify`: the convention behind arrays, for conventions drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

import rot180 as rt
from rot180 import check
from rot180.errors import ArgumentError, NumericsError, ShapeError

WINDOWS = [  # stride, padding, dilation
    (1, 0, 1), (2, 1, 1), (1, "full", 1), (3, 2, 1), (2, 0, 2), (2, "same_upper", 1),
    (2, "same_lower", 1), (1, "same", 2),
]  # fmt: skip
LAYOUTS = [("NCHW", "OIHW"), ("NHWC", "HWIO"), ("NCHW", "IOHW"), ("HWCN", "HWIO")]
CONVENTIONS = [
    (mode, window, LAYOUTS[(i + k) % 4])
    for k, mode in enumerate(["correlation", "convolution"])
    for i, window in enumerate(WINDOWS)
]


def moved(array: np.ndarray, given: str, wanted: str) -> np.ndarray:
    return np.ascontiguousarray(array.transpose([given.index(letter) for letter in wanted]))


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("mode", "window", "layouts"), CONVENTIONS)
def test_conventions(
    mode: str, window: tuple, layouts: tuple, backward: bool, rng: np.random.Generator
) -> None:
    stride, padding, dilation = window
    data, weights = layouts
    x, w = rng.standard_normal((2, 3, 10, 9)), rng.standard_normal((4, 3, 3, 2))
    y = rt.ops.conv2d(x, w, None, stride, padding, dilation, mode=mode).data
    given = {"x": moved(x, "NCHW", data), "w": moved(w, "OIHW", weights)}
    if backward:
        g = rng.standard_normal(y.shape)
        dx = rt.ops.conv_input_grad(x.shape, w, g, stride, padding, dilation, 1, mode).data
        given |= {"g": moved(g, "NCHW", data), "dx": moved(dx, "NCHW", data)}
    else:
        given["y"] = moved(y, "NCHW", data)
    found = check.identify(**given)
    assert found, str(found)
    best = found.best
    assert (best.mode, best.stride, best.dilation) == (mode, (stride,) * 2, (dilation,) * 2)
    assert (best.data_layout, best.weight_layout) == layouts
    if isinstance(padding, str):
        assert padding in best.rule
    else:
        assert [a for a, _ in best.padding] == [padding] * 2
    assert best.mode in str(found)
    assert found.to_dict()["conventions"][0]["mode"] == mode


def test_float32_bias_and_groups(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 8, 7)).astype(np.float32)
    w = rng.standard_normal((6, 2, 3, 3)).astype(np.float32)
    b = rng.standard_normal(6).astype(np.float32)
    y = rt.ops.conv2d(x, w, b, stride=2, padding=1, groups=2).data
    best = check.identify(x, w, y).best
    assert best.groups == 2
    np.testing.assert_allclose(best.bias, b, atol=1e-4)
    assert "symmetric" in best.rule


@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, *(7, 6, 5)[:rank]))
    w = rng.standard_normal((4, 3, *(3, 2, 2)[:rank]))
    y = getattr(rt.ops, f"conv{rank}d")(x, w, stride=2, padding=1, mode="convolution").data
    best = check.identify(x, w, y).best
    assert best.mode == "convolution"
    assert best.stride == (2,) * rank


def test_only_one_axis_flipped(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((1, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))
    y = rt.ops.conv2d(x, w[:, :, ::-1].copy()).data
    assert check.identify(x, w, y).best.mode == "flipped along axes (0,)"


def test_scipy_is_a_true_convolution(rng: np.random.Generator) -> None:
    signal = pytest.importorskip("scipy.signal")
    x, w = rng.standard_normal((7, 8)), rng.standard_normal((3, 3))
    y = signal.convolve2d(x, w, "same")
    best = check.identify(x[None, None], w[None, None], y[None, None]).best
    assert best.mode == "convolution"
    assert "same" in best.rule


def test_a_symmetric_kernel_fits_both_and_this_is_said() -> None:
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    w = np.ones((1, 1, 3, 3))
    found = check.identify(x, w, rt.ops.conv2d(x, w).data)
    assert len(found.conventions) > 1
    assert "fits as well: " in str(found)


def test_nothing_fits() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3))
    found = check.identify(x, w, rng.standard_normal((2, 4, 4, 4)))
    assert not found
    assert "no convention fits" in str(found)
    with pytest.raises(ArgumentError, match="no convention"):
        _ = found.best


def test_bad_input_in_one_line() -> None:
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))
    for arguments, error, text in (
        ((x, w), ArgumentError, "give y, or g and dx"),
        ((x, w, np.full((1, 1, 3, 3), np.nan)), NumericsError, "y holds NaN"),
        ((x, w, np.ones((3, 3))), ShapeError, "number of axes"),
    ):
        with pytest.raises(error, match=text) as raised:
            check.identify(*arguments)
        assert "\n" not in str(raised.value)
