"""Bugs of a NumPy library, written as its users would meet them, and what they are called.

The library is the one that a course document describes; each bug was reproduced there first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180 as rt
from mistaken import Given, conv_dw, conv_dx, effective, leftover
from rot180 import check
from rot180.errors import NumericsError


def conv_case(size: int, kernel: int, stride: int, dilation: int = 1) -> Given:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, size, size)), rng.standard_normal((3, 2, kernel, kernel))
    z = rt.ops.conv2d(x, w, stride=stride, dilation=dilation).data
    arrays = {"x": x, "w": w, "g": rng.standard_normal(z.shape)}
    return Given(arrays, {"stride": stride, "dilation": dilation})


@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 3, 3), (8, 2, 4), (12, 4, 5)])
def test_leftover_rows_split_evenly_shift_the_input_gradient(
    size: int, kernel: int, stride: int
) -> None:
    v = conv_case(size, kernel, stride)
    assert max(leftover(v)) >= 2
    dx = conv_dx(v, before=lambda i: effective(v)[i] - 1 + leftover(v)[i] // 2)
    found = check.diagnose("conv2d", **v.arrays, **v.options, dx=dx)
    assert "remainder split to both sides" in found["dx"].names


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(6, 3, 2), (7, 3, 3), (28, 5, 4), (6, 1, 2)]
)
def test_leftover_rows_make_the_weight_gradient_too_large(
    size: int, kernel: int, stride: int
) -> None:
    v = conv_case(size, kernel, stride)
    dw = conv_dw(v, cut=lambda dw: dw)
    assert dw.shape[2:] == (kernel + leftover(v)[0],) * 2
    found = check.diagnose("conv2d", **v.arrays, **v.options, dw=dw)
    assert found.name == "surplus rows of the weight gradient kept"
    assert f"shape {dw.shape}, should be {v.w.shape}" in str(found)


def test_dilation_2_with_one_row_left_over_is_right_by_luck() -> None:
    v = conv_case(8, 3, 2, dilation=2)
    assert check.diagnose("conv2d", **v.arrays, **v.options, dx=conv_dx(v), dw=conv_dw(v))


def test_a_first_layer_without_bias_gets_no_gradient() -> None:
    class Layer:
        """Its output asks for a gradient only where x does."""

        weight: Any = None

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.weight.T

        def backward(self, g: Any) -> Any:
            return g @ self.weight

    found = check.diagnose("linear", Layer, np.ones((2, 3)), np.ones((4, 3)))
    assert found["dw"].name == "no gradient came"
    assert found["dx"].name == "right"
    assert not found
    assert "an output needs one where any of its inputs does" in str(found)


def test_sum_without_keepdims_is_not_expanded_again() -> None:
    def backward(g: Any, x: Any) -> Any:
        return np.broadcast_to(g, x.shape)

    found = check.diagnose("sum", backward, np.arange(9.0).reshape(3, 3), axis=1)
    assert found.name == "spread along the wrong axis"


def test_the_gradient_of_max_is_divided_by_itself() -> None:
    def backward(g: Any, x: Any) -> Any:
        """Of 5·max(x): 1 and not 5."""
        return (x == x.max(1, keepdims=True)) * (g / np.abs(g))[:, None]

    found = check.diagnose("amax", backward, np.array([[1.0, 3.0], [2.0, 0.0]]), axis=1)
    assert found.name == "gradient divided by itself"


def test_softmax_differentiates_its_maximum() -> None:
    def backward(g: Any, x: Any) -> Any:
        y = np.exp(x - x.max())
        y = y / y.sum(1, keepdims=True)
        dx = y * (g - (g * y).sum(1, keepdims=True))
        dx.reshape(-1)[x.argmax()] += 2  # two rows, and max's own gradient is 1 in each
        return dx

    x = np.random.default_rng(0).standard_normal((2, 4))
    assert check.diagnose("softmax", backward, x).name == "subtracted maximum differentiated"


def test_cat_takes_one_row_instead_of_a_range() -> None:
    def backward(g: Any, x: Any, w: Any) -> Any:
        return g[0] + 0 * x, g[len(x)] + 0 * w

    found = check.diagnose("cat", backward)
    assert found["dx"].name == found["dw"].name == "one row instead of a range"


def test_repeated_indices_are_lost() -> None:
    def backward(g: Any, x: Any, index: Any) -> Any:
        dx = np.zeros_like(x)
        dx[index] = g
        return dx

    found = check.diagnose("embedding", backward, np.ones((3, 2)), np.array([0, 0]))
    assert found.name == "repeated indices lost"


@pytest.mark.parametrize("p", [1, 3])
def test_odd_norms_ignore_the_sign(p: int) -> None:
    def backward(g: Any, x: Any) -> Any:
        return g * np.abs(x) ** (p - 1) / (np.abs(x) ** p).sum() ** ((p - 1) / p)

    assert check.diagnose("norm", backward, p=p).name == "sign of x ignored"


@pytest.mark.parametrize("change", [np.tanh, lambda y: np.maximum(y, 0)])
def test_a_saved_array_changed_in_place(change: Any) -> None:
    def forward(y: Any) -> Any:
        return y * y, y.copy()

    def backward(g: Any, cache: Any) -> Any:
        return g * 2 * change(cache)  # y was changed after z = y·y had saved it

    found = check.diagnose("square", (forward, backward))
    assert "saved array changed in place" in found["dx"].names


def test_the_upstream_gradient_is_changed_in_place() -> None:
    def backward(g: Any, x: Any) -> Any:
        g *= x > 0
        return g

    found = check.diagnose("relu", backward)
    assert found["dx"].name == "right"
    assert not found
    assert "note: the upstream gradient was changed in place" in str(found)


def test_float64_is_lost() -> None:
    found = check.diagnose("relu", lambda g, x: (g * (x > 0)).astype(np.float32))
    assert found["dx"].name == "right"
    assert "dx is float32, x is float64: precision was lost" in str(found)


def test_cross_entropy_with_one_maximum_for_all_rows_gives_nan() -> None:
    def backward(g: Any, x: Any, t: Any) -> Any:
        y = np.exp(x - x.max())
        with np.errstate(all="ignore"):
            y = y / y.sum(1, keepdims=True)
        return g * (y - np.eye(2)[t]) / len(x)

    x = np.array([[1000.0, 0.0], [0.0, 1.0]])
    with pytest.raises(NumericsError, match="your dx holds NaN or infinity") as raised:
        check.diagnose("cross_entropy", backward, x, np.array([0, 1]))
    assert "\n" not in str(raised.value)


def test_batch_norm_evaluates_with_the_training_formula() -> None:
    def backward(g: Any, x: Any, w: Any, b: Any, mean: Any, var: Any) -> Any:
        s = 1 / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
        z = (x - x.mean((0, 2, 3), keepdims=True)) * s
        d = g * w[:, None, None]
        average = lambda a: a.mean((0, 2, 3), keepdims=True)  # noqa: E731
        return s * (d - average(d) - z * average(d * z))

    found = check.diagnose("batch_norm", backward, training=False)
    assert found.name == "evaluated as in the other mode"
    assert check.diagnose("batch_norm", backward, training=True, eps=1e-5)
