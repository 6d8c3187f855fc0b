"""Depth: nothing recurses, and time grows with the number of nodes, not of paths."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

import rot180 as rt
from rot180.core import Tensor


def chain(length: int) -> tuple[Tensor, Tensor]:
    x = Tensor(np.array([0.5]), requires_grad=True)
    y = x
    for _ in range(length):
        y = y * 1.0
    return x, y


def created(length: int) -> None:
    _, y = chain(length)
    y.backward([3.0])
    del y


def seconds(f: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - start)
    return best


def test_fifty_thousand_operations() -> None:
    assert sys.getrecursionlimit() < 5000
    x, y = chain(50_000)
    y.backward([3.0])
    np.testing.assert_array_equal(x.grad.data, [3.0])
    del y


def test_fifty_thousand_operations_that_save_values() -> None:
    x = Tensor(np.array([0.5]), requires_grad=True)
    y = x
    for _ in range(50_000):
        y = rt.sin(y)
    y.backward([1.0])
    assert x.grad is not None
    del x, y


def test_a_long_graph_is_deleted_without_a_sweep() -> None:
    _, y = chain(50_000)
    gc.disable()
    try:
        del y
    finally:
        gc.enable()


def test_a_long_recorded_sweep_can_be_swept() -> None:
    x = Tensor(np.array([0.9]), requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0
    y = y * y
    y.backward([1.0], create_graph=True)
    assert x.grad.item() == pytest.approx(1.8)
    first = x.grad
    x.zero_grad()
    first.backward([1.0])
    assert x.grad.item() == pytest.approx(2.0)


def test_time_is_linear_in_the_length() -> None:
    """Eight times the operations: about eight times the time, far from the 64 of a square."""
    created(1500)
    short, long = seconds(lambda: created(1500)), seconds(lambda: created(12_000))
    assert long / short < 24


def doubled(times: int) -> Tensor:
    x = Tensor(np.array([1.0]), requires_grad=True)
    y = x
    for _ in range(times):
        y = y + y
    y.backward([1.0])
    return x


def test_sixty_doublings() -> None:
    """2^60 paths, 60 nodes: a sweep along paths would not end."""
    assert doubled(60).grad.item() == 2.0**60
    assert doubled(600).grad.item() == 2.0**600


def test_time_is_linear_in_the_doublings() -> None:
    doubled(60)
    short, long = seconds(lambda: doubled(60)), seconds(lambda: doubled(480))
    assert long / short < 24


def test_residual_blocks_double_nothing() -> None:
    x = Tensor(np.linspace(-1, 1, 8), requires_grad=True)
    y = x
    for _ in range(200):
        y = y + rt.ops.relu(0.01 * y)
    y.backward(np.arange(8.0))
    slope = np.where(x.data > 0, 1.01**200, 1.0)
    np.testing.assert_allclose(x.grad.data, slope * np.arange(8.0))
