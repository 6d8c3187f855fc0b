"""Moments: mean and Σ (x − mean)², over planes and over images, without cancellation.

The mean of what is in cache is known before its deviations are summed; means of larger pieces are
merged by their differences (Chan, Golub and LeVeque, 1979). No E[x²] − E[x]² anywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import (
    cells_of,
    fresh,
    merged,
    outer,
    over,
    ranges,
    spread,
    summed,
    sums,
)

__all__ = ["affine", "channel_moments", "merged_moments", "plane_moments"]


def affine(k: Emitter, x: Any, mean: Any, scale: Any, bias: Any) -> Any:
    """(x − mean) · scale + bias."""
    lanes = getattr(x.type, "count", 1)
    centred = k.sub(x, spread(k, mean, lanes))
    return k.fma(centred, spread(k, scale, lanes), spread(k, bias, lanes))


def channel_moments(k: Emitter, planes: Planes, c: Index) -> tuple[Any, Any]:
    """Mean and Σ (x − mean)² of a channel over all images and cells, as scalars."""
    (x,) = merged(planes)

    def given(block: Index) -> tuple[Any, Any]:
        return plane_moments(k, x, k.at((block, x.stack), (c, x.plane)), 1)

    return merged_moments(k, x, given)


def merged_moments(
    k: Emitter, x: Planes, given: Callable[[Index], tuple[Any, Any]]
) -> tuple[Any, Any]:
    """Mean and Σ (x − mean)² over all images, as scalars, from those of each block's images."""
    cells, lanes = cells_of(x), x.block
    mean, squares = (k.variable(k.constant(0.0, lanes)) for _ in range(2))
    for first, after, live in ranges(x):
        with k.loop(first, after) as block:
            m, s = given(block)
            before = k.number(block)
            share = k.div(k.constant(1.0, 1), k.add(before, k.constant(1.0, 1)))
            delta = k.sub(m, mean.get())
            between = k.mul(k.mul(before, share), k.constant(cells, 1))
            new_squares = k.fma(
                k.mul(delta, delta), spread(k, between, lanes), k.add(squares.get(), s)
            )
            new_mean = k.fma(delta, spread(k, share, lanes), mean.get())
            mean.set(_kept(k, new_mean, mean.get(), live, lanes))
            squares.set(_kept(k, new_squares, squares.get(), live, lanes))
    if lanes == 1:
        return mean.get(), squares.get()
    whole, live = divmod(x.images, x.block)
    counts = [cells * (whole + (lane < live)) for lane in range(lanes)]
    weights = k.numbers(counts)
    total = k.mul(k.total(k.mul(weights, mean.get())), k.constant(1.0 / (cells * x.images), 1))
    delta = k.sub(mean.get(), k.splat(total, lanes))
    return total, k.total(k.fma(k.mul(delta, delta), weights, squares.get()))


def _kept(k: Emitter, new: Any, old: Any, live: int, lanes: int) -> Any:
    """The new value in the lanes that count, the old one in the others."""
    if live == lanes:
        return new
    return k.shuffle(new, old, [i if i < live else lanes + i for i in range(lanes)])


def plane_moments(k: Emitter, x: Planes, start: Index, channels: int) -> tuple[Any, Any]:
    """Mean and Σ (x − mean)² of `channels` planes from `start` on, for each image of a block."""
    lanes = x.block
    count = k.constant(1.0 / (channels * cells_of(x)), lanes)
    mean = k.mul(_sum(k, x, start, channels, None), count)
    return mean, _sum(k, x, start, channels, mean)


def _sum(k: Emitter, x: Planes, start: Index, channels: int, mean: Any) -> Any:
    """Σ x, or Σ (x − mean)²."""
    (total,) = sums(k, x.sizes[-1], x.block, 1)
    with k.loop(0, channels) as c, outer(k, x) as (row,):
        add = functools.partial(_add, k, x, k.at(start, (c, x.plane), row), total, mean)
        over(k, x.sizes[-1], x.block, add, len(total))
    return summed(k, total, x.block)


def _add(
    k: Emitter, x: Planes, row: Index, total: list[Any], mean: Any,
    q: Index, lanes: int, new: Any, way: int,
) -> None:  # fmt: skip
    value = k.load("x", k.at(row, (q, x.block)), lanes)
    if mean is None:
        total[way].set(k.add(total[way].get(), fresh(k, value, new)))
        return
    delta = fresh(k, k.sub(value, spread(k, mean, lanes)), new)
    total[way].set(k.fma(delta, delta, total[way].get()))
