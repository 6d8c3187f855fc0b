"""What the table cannot say: ties, kinks, NaN, extreme values, statistics that are written."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gradients as check
import rot180 as rt
from rot180 import ops
from rot180.core import Tensor
from rot180.nn import functional as F


def leaf(*values: Any) -> Tensor:
    return Tensor(np.array(values, dtype=np.float64), requires_grad=True)


def slope(f: Any, *values: float) -> list[float]:
    x = leaf(*values)
    y = f(x)
    y.backward(np.arange(2.0, 2.0 + y.size).reshape(y.shape))
    return [] if x.grad is None else list(x.grad.data)


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (F.relu, 0.0, 0.0),
        (F.leaky_relu, 0.0, 0.02),
        (F.elu, 0.0, 2.0),
        (ops.abs, 0.0, 0.0),
        (ops.relu6, 6.0, 0.0),
        (lambda x: x.clip(0.0, 1.0), 0.0, 2.0),
        (lambda x: x.clip(0.0, 1.0), 1.0, 2.0),
        (lambda x: rt.maximum(x, 0.5), 0.5, 2.0),
        (lambda x: rt.maximum(0.5, x), 0.5, 0.0),
        (lambda x: x**2, 0.0, 0.0),
        (lambda x: ops.norm(x), 0.0, 0.0),
        (lambda x: ops.norm(x, 3), 0.0, 0.0),
    ],
)
def test_slopes_at_kinks(f: Any, at: float, expected: float) -> None:
    assert slope(f, at)[0] == pytest.approx(expected)


def test_ties_of_reductions() -> None:
    tied = (1.0, 3.0, 3.0, 2.0, 3.0)
    for f in (ops.amax, ops.max, lambda x, **o: -ops.amin(-x, **o)):
        assert slope(f, *tied) == [0, 2, 0, 0, 0]
        assert slope(lambda x, f=f: f(x, ties="all"), *tied) == [0, 2, 2, 0, 2]
        np.testing.assert_allclose(
            slope(lambda x, f=f: f(x, ties="split"), *tied), [0, 2 / 3, 2 / 3, 0, 2 / 3]
        )


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_ties_of_pools_follow_the_rule(axes: int, rng: np.random.Generator) -> None:
    pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[axes]
    x = rng.integers(0, 2, (2, 2, *(6, 5, 4)[:axes])).astype(float)
    options = {"kernel_size": 3, "stride": 2, "padding": 1}
    check.check_first_tie_wins(lambda t: pool(t, **options), [x], rng)
    g = rng.standard_normal(pool(Tensor(x), **options).shape)
    first, split = (
        check.pull(lambda t, r=r: pool(t, **options, ties=r), [x], [g])[0]
        for r in ("first", "split")
    )
    np.testing.assert_allclose(first.sum(), g.sum())
    np.testing.assert_allclose(split.sum(), g.sum())
    assert not np.allclose(first, split)


def test_ties_all_gives_every_winner_the_whole_gradient() -> None:
    x = leaf([1.0, 1.0, 0.0, 1.0])
    F.max_pool1d(x, 2, ties="all").backward([[2.0, 3.0]])
    np.testing.assert_array_equal(x.grad.data, [[2.0, 2.0, 0.0, 3.0]])


def test_nan_wins() -> None:
    values = [1.0, np.nan, 2.0]
    assert np.isnan(rt.tensor(values).max().item())
    assert np.isnan(rt.tensor(values).min().item())
    assert rt.tensor(values).argmax().item() == 1
    pooled, at = F.max_pool1d(rt.tensor([[1.0, np.nan, 2.0, 3.0]]), 2, return_indices=True)
    assert np.isnan(pooled.data[0, 0])
    assert at.tolist() == [[1, 3]]
    assert np.isnan(rt.maximum(rt.tensor(values), 0.0).data[1])


def test_padding_never_wins_a_pool() -> None:
    z = F.max_pool1d(rt.tensor([[-3.0, -2.0, -np.inf]]), 3, stride=1, padding=1)
    assert z.tolist() == [[-2.0, -2.0, -2.0]]
    _, at = F.max_pool1d(
        rt.tensor([[-np.inf, -np.inf]]), 2, stride=1, padding=1, return_indices=True
    )
    assert at.tolist() == [[0, 0, 1]]


def test_pool_indices_point_at_the_winners(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 7, 6))
    values, at = F.max_pool2d(
        x, (3, 2), stride=2, padding=1, dilation=(2, 1), ceil_mode=True, return_indices=True
    )
    flat = x.reshape(2, 3, -1)
    picked = np.take_along_axis(flat, at.data.reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(picked.reshape(values.shape), values.data)
    whole, at = F.adaptive_max_pool2d(x, (3, 4), return_indices=True)
    picked = np.take_along_axis(flat, at.data.reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(picked.reshape(whole.shape), whole.data)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [6 / 3, 15 / 3]),
        ({"padding": 1}, [3 / 3, 12 / 3]),
        ({"padding": 1, "count_include_pad": False}, [3 / 2, 12 / 3]),
        ({"padding": 1, "divisor_override": 5}, [3 / 5, 12 / 5]),
        ({"padding": 1, "ceil_mode": True}, [3 / 3, 12 / 3, 6 / 2]),
        ({"padding": 1, "ceil_mode": True, "count_include_pad": False}, [3 / 2, 12 / 3, 6 / 1]),
    ],
)
def test_mean_pool_has_one_divisor_for_both_directions(
    options: dict[str, Any], expected: list[float]
) -> None:
    """Cells 1 to 6 in windows of 3; the last one of ceil_mode holds cell 6 and one of padding."""
    x = leaf([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    z = F.avg_pool1d(x, 3, **options)
    np.testing.assert_allclose(z.data, [expected])
    g = np.array([[0.5, -2.0, 4.0][: len(expected)]])
    z.backward(g)
    np.testing.assert_allclose((x.grad.data * x.data).sum(), (g * z.data).sum())


def test_unpool_undoes_a_pool(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4, 6))
    values, at = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(values, at, 2).data
    np.testing.assert_array_equal(back[back != 0], x[back != 0])
    assert np.count_nonzero(back) == values.size


def test_large_values_do_not_overflow() -> None:
    x = leaf([1000.0, 0.0], [0.0, -1000.0])
    loss = F.cross_entropy(x, np.array([0, 1]))
    assert loss.item() == pytest.approx(500.0)
    loss.backward()
    np.testing.assert_allclose(x.grad.data, [[0, 0], [0.5, -0.5]], atol=1e-12)
    assert slope(F.softplus, 800.0, -800.0) == [2.0, 0.0]
    assert slope(F.sigmoid, 800.0, -800.0) == [0.0, 0.0]
    assert slope(F.silu, -800.0) == [0.0]
    assert slope(F.elu, 800.0, -800.0) == [2.0, 0.0]
    assert F.binary_cross_entropy_with_logits(leaf(-800.0), leaf(1.0)).item() == 800.0
    assert slope(ops.logsumexp, -np.inf, 0.0) == [0.0, 2.0]


def test_binary_cross_entropy_at_sure_probabilities() -> None:
    x = leaf(0.0, 1.0, 1.0, 0.0)
    loss = F.binary_cross_entropy(x, leaf(0.0, 1.0, 0.0, 1.0), reduction="none")
    np.testing.assert_array_equal(loss.data, [0.0, 0.0, 100.0, 100.0])
    loss.backward([2.0, 3.0, 4.0, 5.0])
    assert np.isfinite(x.grad.data).all()


def test_ignored_targets_count_nowhere(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3))
    x[1, 0] = -np.inf
    y = np.array([0, -100, 2, -100])
    t = Tensor(x, requires_grad=True)
    loss = F.nll_loss(t, y)
    assert loss.item() == pytest.approx(-(x[0, 0] + x[2, 2]) / 2)
    loss.backward()
    assert np.count_nonzero(t.grad.data) == 2


def test_the_padding_row_of_an_embedding_receives_nothing(rng: np.random.Generator) -> None:
    w = Tensor(rng.standard_normal((5, 3)), requires_grad=True)
    index = np.array([[2, 0], [2, 2]])
    y = F.embedding(index, w, padding_idx=2)
    np.testing.assert_array_equal(y.data, w.data[index])
    y.backward(rng.standard_normal(y.shape))
    assert not w.grad.data[2].any()
    assert w.grad.data[0].any()


def test_repeated_indices_add_up(rng: np.random.Generator) -> None:
    x = Tensor(np.zeros((4, 2)), requires_grad=True)
    y = x[[1, 1, 3]]
    g = rng.standard_normal((3, 2))
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, [[0, 0], g[0] + g[1], [0, 0], g[2]])


def test_running_statistics(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3, 5))
    mean, var = Tensor(np.full(3, 0.5)), Tensor(np.full(3, 2.0))
    F.batch_norm(x, mean, var, training=True, momentum=0.3)
    np.testing.assert_allclose(mean.data, 0.7 * 0.5 + 0.3 * x.mean((0, 2)))
    np.testing.assert_allclose(var.data, 0.7 * 2.0 + 0.3 * x.var((0, 2), ddof=1))
    kept = mean.data.copy(), var.data.copy()
    t = Tensor(x, requires_grad=True)
    y = F.batch_norm(t, mean, var)
    np.testing.assert_array_equal(mean.data, kept[0])
    g = rng.standard_normal(x.shape)
    y.backward(g)
    np.testing.assert_allclose(t.grad.data, g / np.sqrt(kept[1] + 1e-5)[:, None])


def test_dropout_keeps_the_mean_and_its_mask(rng: np.random.Generator) -> None:
    x = Tensor(np.full((200, 50), 3.0), requires_grad=True)
    y = F.dropout(x, 0.25, generator=rng)
    assert set(np.unique(y.data)) == {0.0, 4.0}
    assert y.data.mean() == pytest.approx(3.0, abs=0.1)
    g = rng.standard_normal(y.shape)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, g * y.data / 3.0)
    planes = F.dropout2d(np.full((20, 30, 2, 3), 1.0), 0.5, generator=rng).data
    assert set(np.unique(planes.reshape(600, 6).std(1))) == {0.0}
    assert np.unique(planes[:, :, 0, 0], axis=0).shape[0] > 1
    rt.manual_seed(3)
    first = F.dropout(x, 0.5).data
    rt.manual_seed(3)
    np.testing.assert_array_equal(F.dropout(x, 0.5).data, first)


def test_forward_and_true_convolution_are_dual(rng: np.random.Generator) -> None:
    """True convolution forwards is correlation backwards, and the other way round."""
    x, w = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2))
    y = F.conv2d(x, w, mode="convolution", stride=2, padding=1)
    np.testing.assert_allclose(
        y.data, F.conv2d(x, w[:, :, ::-1, ::-1], stride=2, padding=1).data, rtol=1e-12
    )
    g = rng.standard_normal(y.shape)
    options: dict[str, Any] = {"stride": 2, "padding": 1}
    np.testing.assert_allclose(
        F.conv_input_grad(x.shape, w, g, mode="convolution", **options).data,
        F.conv_input_grad(x.shape, w[:, :, ::-1, ::-1], g, **options).data,
        rtol=1e-12,
    )


def test_the_transposed_convolution_is_the_input_gradient(rng: np.random.Generator) -> None:
    """And output_padding is the remainder of the convolution it belongs to."""
    x, w = rng.standard_normal((2, 3, 8, 9)), rng.standard_normal((4, 3, 3, 3))
    for padding, stride in itertools.product((0, 1), (1, 2, 3)):
        y = F.conv2d(x, w, stride=stride, padding=padding)
        g = rng.standard_normal(y.shape)
        rest = tuple((h + 2 * padding - 3) % stride for h in (8, 9))
        np.testing.assert_allclose(
            F.conv_transpose2d(g, w, None, stride, padding, rest).data,
            F.conv_input_grad(x.shape, w, g, stride, padding).data,
            rtol=1e-12,
        )


def test_fold_of_unfold_counts_the_windows_over_a_cell() -> None:
    ones = np.ones((1, 1, 4, 5))
    counted = F.fold(F.unfold(ones, 3), (4, 5), 3).data[0, 0]
    np.testing.assert_array_equal(counted, np.outer([1, 2, 2, 1], [1, 2, 3, 2, 1]))
