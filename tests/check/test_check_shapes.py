"""Integers that people guess: output_padding, divisors, overlaps, padding rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180 as rt
import rot180.nn.functional as F
from rot180 import check


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("small", [3, 4])
@pytest.mark.parametrize("large", [7, 8, 9])
def test_every_solution_has_the_size_and_none_is_missing(
    small: int, large: int, dilation: int
) -> None:
    found = check.output_paddings(small, large, 3, dilation=dilation, axes=1)
    x, w = np.ones((1, 1, small)), np.ones((1, 1, 3))
    for one in found:
        y = rt.ops.conv_transpose1d(
            x, w, None, one.stride, one.padding, one.output_padding, 1, dilation
        )
        assert y.shape == (1, 1, large)
        assert bool(y.data[0, 0, -1]) == bool(one.reach[0])
    by_force = set()
    for stride in range(1, 5):
        for padding in range(2 * dilation + 1):
            for rest in range(max(stride, dilation)):
                size = (small - 1) * stride - 2 * padding + 2 * dilation + 1 + rest
                if size == large:
                    by_force.add((stride, padding, rest))
    assert {(f.stride[0], f.padding[0], f.output_padding[0]) for f in found} == by_force


def test_divisor_maps_are_those_of_the_pool() -> None:
    for options in (
        {"padding": 1},
        {"padding": 1, "count_include_pad": False},
        {"ceil_mode": True, "padding": 1},
    ):
        found = check.divisors((5, 6), 3, 2, **options)
        x = rt.tensor(np.ones((1, 1, 5, 6)), requires_grad=True)
        y = F.avg_pool2d(x, 3, 2, **options)
        g = np.random.default_rng(0).standard_normal(y.shape)
        y.backward(np.ones_like(g) * 1.0 + 0 * g)
        np.testing.assert_allclose(found.weights, x.grad.data[0, 0])
        assert found.divisors.shape == y.shape[2:]
        assert "divisors" in str(found)


@pytest.mark.parametrize(
    ("kernel", "stride", "even"), [(3, 2, False), (4, 2, True), (3, 3, True), (5, 3, False)]
)
def test_overlaps(kernel: int, stride: int, even: bool) -> None:
    found = check.overlap((6, 6), kernel, stride)
    assert bool(found) == even
    inside = found.counts[kernel : -kernel or None, kernel : -kernel or None]
    assert (len(set(inside.reshape(-1).tolist())) == 1) == even
    assert ("checkerboard" in found.advice) != even


def test_padding_rules_are_those_of_the_convolution() -> None:
    rules = {rule.rule: rule for rule in check.padding_rules((6, 7), (3, 4), 2)}
    x, w = np.ones((1, 1, 6, 7)), np.ones((1, 1, 3, 4))
    for name in ("valid", "full", "same_upper", "same_lower"):
        assert rt.ops.conv2d(x, w, stride=2, padding=name).shape[2:] == rules[name].output_size
    assert rules["same"].note == "needs stride 1"
    assert rules["same_upper"].padding == tuple(p[::-1] for p in rules["same_lower"].padding)
    (too_large,) = (r for r in check.padding_rules((2,), 5) if r.rule == "valid")
    assert "no output" in too_large.note


def test_pictures(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    assert check.divisors((5, 5), 3, 2, 1).save(tmp_path / "divisors.svg").exists()
    assert check.overlap((4, 4), 3, 2).save(tmp_path / "overlap.png").exists()
