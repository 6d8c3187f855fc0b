"""`check.diagnose` for functions of one's own: paths that meet in an input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import check
from rot180.errors import ArgumentError


def f(x: Any) -> Any:
    return x * rt.sin(x)


def three(x: Any) -> Any:
    return x * rt.sin(x) + rt.exp(x)


X = np.linspace(-2, 2, 7)


def test_right() -> None:
    assert check.diagnose(f, lambda g, x: g * (np.sin(x) + x * np.cos(x)), X)


@pytest.mark.parametrize("backward", [lambda g, x: g * x * np.cos(x), lambda g, x: g * np.sin(x)])
def test_a_shared_node_overwritten(backward: Any) -> None:
    assert check.diagnose(f, backward, X).name == "paths overwritten instead of added"


def test_a_path_missing() -> None:
    found = check.diagnose(three, lambda g, x: g * (np.sin(x) + np.exp(x)), X)
    assert found.name == "a path missing"


def test_a_stale_gradient_counts_twice() -> None:
    found = check.diagnose(f, lambda g, x: 2 * g * (np.sin(x) + x * np.cos(x)), X)
    assert found.name == "counted twice (dx)"


def test_a_node_swept_at_every_arrival() -> None:
    """y = x·x; z = y·y: y is reached twice, and is swept with the first share and with the sum."""

    def square_twice(x: Any) -> Any:
        y = x * x
        return y * y

    def backward(g: Any, x: Any) -> Any:
        y = x * x
        first, both = g * y, g * 2 * y
        total = np.zeros_like(x)
        for share in (first, both):
            total += 2 * share * x
        return total

    found = check.diagnose(square_twice, backward, X)
    assert found.name == "swept before the gradient was complete"


def test_two_inputs_as_arrays(rng: np.random.Generator) -> None:
    x, w, g = rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal((2, 3))
    found = check.diagnose(
        lambda x, w: x * w, x=x, w=w, g=g, dx=g * w, dw=g * x
    )  # fmt: skip
    assert found["dx"].name == "right"
    assert "not summed over axes (0,)" in found["dw"].name


def test_inputs_are_needed() -> None:
    with pytest.raises(ArgumentError, match="needs its inputs"):
        check.diagnose(f, lambda g, x: g)
