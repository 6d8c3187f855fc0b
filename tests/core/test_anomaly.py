"""Anomaly mode names the operation and the user's line where a NaN appears."""

from __future__ import annotations

import linecache

import numpy as np
import pytest

import rot180 as rt
from rot180.core import Function, Tensor
from rot180.errors import NumericsError


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def line_of(marker: str) -> str:
    lines = linecache.getlines(__file__)
    (number,) = [
        i for i, line in enumerate(lines, 1) if f"# {marker}" in line and "line_of" not in line
    ]
    return f"test_anomaly.py, line {number}: "


def test_forward() -> None:
    x = leaf(-1.0, 4.0)
    with rt.detect_anomaly(), pytest.raises(NumericsError) as caught:
        rt.sqrt(x)  # forward
    message = str(caught.value)
    assert message.startswith("sqrt: the result is NaN and no input is; got 1 NaN in shape (2,)")
    assert line_of("forward") in message
    assert "rt.sqrt(x)" in message


def test_backward() -> None:
    x = leaf(0.0, 4.0)
    with rt.detect_anomaly():
        root = rt.sqrt(x)  # backward
        y = root * 0.0
        with pytest.raises(NumericsError) as caught:
            y.backward([1.0, 2.0])
    message = str(caught.value)
    assert message.startswith("the gradient of sqrt is NaN and what it was computed from is not")
    assert line_of("backward") in message


def test_an_operation_inside_the_library_names_the_users_line() -> None:
    x = leaf(np.inf, 1.0)
    with rt.detect_anomaly(), pytest.raises(NumericsError) as caught:
        rt.nn.functional.layer_norm(x, 2)  # inside
    assert line_of("inside") in str(caught.value)


def test_a_nan_that_came_in_is_not_blamed_on_an_operation() -> None:
    x = leaf(np.nan, 4.0)
    with rt.detect_anomaly():
        y = rt.sqrt(x) * 2.0
        y.backward([1.0, 1.0])
    assert np.isnan(x.grad.data[0])


def test_infinities_are_allowed() -> None:
    with rt.detect_anomaly():
        assert np.isinf((leaf(1.0) / 0.0).data)


def test_a_graph_recorded_outside_says_what_to_do() -> None:
    x = leaf(0.0)
    y = rt.sqrt(x) * 0.0
    with rt.detect_anomaly(), pytest.raises(NumericsError, match="run the forward pass in anomaly"):
        y.backward([1.0])


def test_a_users_function_is_named_too() -> None:
    class Divide(Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            return x * 1.0

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            return g * 0.0 / 0.0

    x = leaf(1.0)
    with rt.detect_anomaly():
        y = Divide.apply(x)
        with pytest.raises(NumericsError, match="the gradient of Divide is NaN"):
            y.backward([1.0])


def test_the_mode_ends_with_the_block() -> None:
    x = leaf(-1.0)
    with rt.detect_anomaly():
        pass
    assert np.isnan(rt.sqrt(x).data)
    with pytest.raises(KeyError), rt.detect_anomaly():
        raise KeyError
    assert np.isnan(rt.sqrt(x).data)
    assert rt.sqrt(leaf(4.0)).grad_fn.where == ""
