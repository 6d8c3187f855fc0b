"""Pools: mean pools are forms (the reciprocal divisor is one more factor), max pools are selects.

The sum of the gradient is kept: a mean pool spreads g / divisor over its window, with the divisor
of the forward pass; a max pool hands g to the recorded winner.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.core import (
    Along,
    ArrayLike,
    Form,
    Rows,
    Select,
    Take,
    Tensor,
    Windows,
    apply,
    choose,
    declare,
)
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.batches import batched, unbatched
from rot180.ops.conv import window_loops, window_sizes
from rot180.ops.elementwise import where
from rot180.ops.family import Member, member
from rot180.ops.operands import as_tensor, floating, require_integers
from rot180.ops.shape import reshape
from rot180.window import Window, pool_divisors, pool_window

__all__ = [
    "average",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "spatial",
]

Sizes = int | Sequence[int]
Padding = Any
Shape = tuple[int, ...]

MEAN = declare("avg_pool", x="n c {S*p+D*r-A}", d="{p}", z="n c {p}")


# Max pool


def spatial(input: ArrayLike, which: Member) -> tuple[Tensor, bool]:
    """(N, C, spatial...), and whether N was added; the general member pools all axes behind C."""
    x = floating(input, which.name)
    return batched(x, x.ndim - 2 if which.axes is None else which.axes, which.name)


def _max_pool(
    which: Member,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    ties: str = "first",
) -> Any:
    """Law: z[p] = max over r of x[S·p + D·r − A]; padding never wins, NaN does.

    Args:
        input: (N, C, spatial...); all axes behind the second are pooled.
        kernel_size: R, one for all axes or one per axis.
        stride: S, the kernel's size by default.
        padding: A and B, at most half the effective kernel.
        dilation: D.
        ceil_mode: also a last window that is cut off by the end, if it starts before the end.
        return_indices: also return where each winner is, in row-major order of the input's plane.
        ties: who gets the gradient among equal largest cells: "first" (default), "all" of them, or
            "split": each its share.

    Returns:
        (N, C, positions...), and the indices if asked for (int64).

    Raises:
        ShapeError: a window that does not fit; the message prints the arithmetic.
        ArgumentError: padding of more than half the effective kernel, or an unknown `ties`.
    """
    what = which.name
    if ties not in ("first", "all", "split"):
        raise ArgumentError(f"{what}: ties", expected='"first", "all" or "split"', got=repr(ties))
    if return_indices and ties != "first":
        raise ArgumentError(f"{what}: indices name one winner", expected='ties="first"', got=ties)
    x, added = spatial(input, which)
    window = pool_window(
        kernel_size, stride, padding, dilation, ceil_mode, input_size=x.shape[2:], op=what
    )
    choice = Windows(x.shape, window, ties)
    values, record = choose(Select(what, choice), x)
    if not return_indices:
        return unbatched(values, added)
    first, step = _origins(choice, values.shape)
    indices = apply(Take(what, Rows(step.shape, 0)), step, record) + first
    return unbatched(values, added), unbatched(indices, added)


@functools.lru_cache(maxsize=256)
def _origins(choice: Windows, shape: Shape) -> tuple[Tensor, Tensor]:
    """Where the first tap of each window lies in the source's plane, and how far on each tap is."""
    kernel, sizes = choice.window.kernel, choice.shape[2:]
    strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    first, step = np.zeros(shape[2:], np.int64), np.zeros(kernel, np.int64)
    for i, (axis, stride) in enumerate(zip(choice.window.axes, strides, strict=True)):
        alone = [-1 if j == i else 1 for j in range(len(sizes))]
        p, r = np.arange(shape[2 + i]), np.arange(kernel[i])
        first += np.reshape(stride * (axis.stride * p - axis.before), alone)
        step += np.reshape(stride * axis.dilation * r, alone)
    return Tensor(first), Tensor(step.reshape(-1))


max_pool = member(_max_pool, "max_pool")
max_pool1d = member(_max_pool, "max_pool1d", 1)
max_pool2d = member(_max_pool, "max_pool2d", 2)
max_pool3d = member(_max_pool, "max_pool3d", 3)


# Mean pool


@functools.lru_cache(maxsize=1024)
def _mean_form(window: Window, batch: int, channels: int, sizes: Shape) -> Form:
    outputs = window.output_size(sizes)
    shapes = {"x": (batch, channels, *sizes), "d": outputs, "z": (batch, channels, *outputs)}
    loops = {"n": batch, "c": channels} | window_loops(window, outputs)
    return MEAN.bind(len(sizes), "z", shapes, loops, **window_sizes(window))


@functools.lru_cache(maxsize=1024)
def _reciprocals(counts: tuple[Shape, ...], override: int | None, dtype: str) -> Tensor:
    """1 / divisor for every position; the divisor is the product of the counts of the axes."""
    divisor = np.ones([len(axis) for axis in counts])
    for axis, count in enumerate(counts):
        divisor *= np.reshape(count, [-1 if i == axis else 1 for i in range(len(counts))])
    if override is not None:
        divisor.fill(override)
    return Tensor((1.0 / divisor).astype(dtype))


def average(
    which: Member,
    input: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Law: z[p] = d[p] · Σ_r x[S·p + r − A] with d the reciprocal divisor; δx uses the same d.

    Args:
        input: (N, C, spatial...); all axes behind the second are pooled.
        kernel_size: R, one for all axes or one per axis.
        stride: S, the kernel's size by default.
        padding: A and B, at most half the kernel.
        ceil_mode: also a last window that is cut off by the end, if it starts before the end.
        count_include_pad: the divisor counts cells of the padding, too (but none behind it).
        divisor_override: this divisor instead, everywhere.

    Returns:
        (N, C, positions...).

    Raises:
        ShapeError: a window that does not fit; the message prints the arithmetic.
        ArgumentError: padding of more than half the kernel, or a divisor of 0.
    """
    what = which.name
    if divisor_override == 0:
        raise ArgumentError(f"{what}: divisor_override must not be 0")
    x, added = spatial(input, which)
    sizes = x.shape[2:]
    window = pool_window(kernel_size, stride, padding, 1, ceil_mode, input_size=sizes, op=what)
    counts = pool_divisors(
        kernel_size, stride, padding, ceil_mode, count_include_pad, input_size=sizes, op=what
    )
    d = _reciprocals(counts, divisor_override, str(x.dtype))
    return unbatched(apply(_mean_form(window, x.shape[0], x.shape[1], sizes), x, d), added)


avg_pool = member(average, "avg_pool")
avg_pool1d = member(average, "avg_pool1d", 1)
avg_pool2d = member(average, "avg_pool2d", 2)
avg_pool3d = member(average, "avg_pool3d", 3)


# Unpool: each cell of the output takes the value that was put there, or 0


def _max_unpool(
    which: Member,
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Law: z[indices[p]] = x[p], 0 elsewhere; the last of equal indices stays.

    Args:
        input: x, the result of a max pool.
        indices: where each cell goes, in row-major order of the output's plane.
        kernel_size: R of the pool.
        stride: S of the pool, the kernel's size by default.
        padding: A and B of the pool.
        output_size: the pool's input size; by default (P − 1)·S + R − A − B.

    Raises:
        ShapeError: an index outside the output, or not one for each cell.
    """
    what = which.name
    x, added = spatial(input, which)
    axes = x.ndim - 2
    index = require_integers(as_tensor(indices), what)
    index = reshape(index, x.shape) if index.size == x.size else index
    if index.shape != x.shape:
        raise ShapeError(f"{what}: indices", expected=str(x.shape), got=str(index.shape))
    if output_size is None:
        given = Window.of(kernel_size, stride or kernel_size, padding, axes=axes, op=what)
        sizes = tuple(
            (p - 1) * a.stride + a.kernel - a.before - a.after
            for p, a in zip(x.shape[2:], given.axes, strict=True)
        )
    else:
        sizes = tuple(output_size)[-axes:]
    cells = math.prod(sizes)
    flat = index.data.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    if flat.size and (flat.min() < 0 or flat.max() >= cells):
        raise ShapeError(
            f"{what}: index outside the output",
            arithmetic=f"{' · '.join(map(str, sizes))} = {cells} cells",
            got=str(int(flat.max())),
        )
    source = np.full((*x.shape[:2], cells), -1, np.int64)
    np.put_along_axis(source, flat, np.arange(flat.shape[-1])[None, None], axis=-1)
    values = reshape(x, flat.shape)
    chosen = apply(Take(what, Along(values.shape, 2)), values, Tensor(np.maximum(source, 0)))
    filled = where(source >= 0, chosen, 0.0)
    return unbatched(reshape(filled, (*x.shape[:2], *sizes)), added)


max_unpool1d = member(_max_unpool, "max_unpool1d", 1)
max_unpool2d = member(_max_unpool, "max_unpool2d", 2)
max_unpool3d = member(_max_unpool, "max_unpool3d", 3)
