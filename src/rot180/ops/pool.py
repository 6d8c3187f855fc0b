"""Pools: mean pools are forms (the reciprocal divisor is one more factor), max pools are selects.

The sum of the gradient is kept: a mean pool spreads g / divisor over its window, with the divisor
of the forward pass; a max pool hands g to the recorded winner.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.core import (
    Along,
    ArrayLike,
    Form,
    Select,
    Take,
    Tensor,
    Windows,
    apply,
    choose,
    declare,
)
from rot180.errors import ArgumentError, ShapeError
from rot180.kernels import positions
from rot180.ops.batches import batched, unbatched
from rot180.ops.conv import window_loops, window_sizes
from rot180.ops.elementwise import where
from rot180.ops.index import getitem
from rot180.ops.operands import as_tensor, floating, require_integers
from rot180.ops.reduce import amax, argmax, mean
from rot180.ops.registry import operation
from rot180.ops.shape import reshape, stack
from rot180.window import Window, pool_divisors, pool_window

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "global_avg_pool",
    "global_max_pool",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Sizes = int | Sequence[int]
Padding = Any
Shape = tuple[int, ...]

MEAN = declare("avg_pool", x="n c {S*p+D*r-A}", d="{p}", z="n c {p}")


# Max pool


def _max_pool(
    what: str, axes: int, input: ArrayLike, kernel_size: Sizes, stride: Sizes | None,
    padding: Padding, dilation: Sizes, ceil_mode: bool, return_indices: bool, ties: str,
) -> Any:  # fmt: skip
    if ties not in ("first", "all", "split"):
        raise ArgumentError(f"{what}: ties", expected='"first", "all" or "split"', got=repr(ties))
    if return_indices and ties != "first":
        raise ArgumentError(f"{what}: indices name one winner", expected='ties="first"', got=ties)
    x, added = batched(floating(input, what), axes, what)
    window = pool_window(
        kernel_size, stride, padding, dilation, ceil_mode, input_size=x.shape[2:], op=what
    )
    choice = Windows(x.shape, window, ties)
    values, record = choose(Select(what, choice), x)
    if not return_indices:
        return unbatched(values, added)
    indices = Tensor(positions(choice, record.data))
    return unbatched(values, added), unbatched(indices, added)


@operation
def max_pool(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False, *,
    ties: str = "first",
) -> Any:  # fmt: skip
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
    axes = floating(input, "max_pool").ndim - 2
    return _max_pool(
        "max_pool", axes, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices,
        ties,
    )  # fmt: skip


@operation
def max_pool1d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False, *,
    ties: str = "first",
) -> Any:  # fmt: skip
    """Law: `max_pool` of (N, C, W) or (C, W)."""
    return _max_pool(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices,
        ties,
    )  # fmt: skip


@operation
def max_pool2d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False, *,
    ties: str = "first",
) -> Any:  # fmt: skip
    """Law: `max_pool` of (N, C, H, W) or (C, H, W)."""
    return _max_pool(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices,
        ties,
    )  # fmt: skip


@operation
def max_pool3d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False, *,
    ties: str = "first",
) -> Any:  # fmt: skip
    """Law: `max_pool` of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool(
        "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices,
        ties,
    )  # fmt: skip


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


def _avg_pool(
    what: str, axes: int, input: ArrayLike, kernel_size: Sizes, stride: Sizes | None,
    padding: Padding, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> Tensor:  # fmt: skip
    if divisor_override == 0:
        raise ArgumentError(f"{what}: divisor_override must not be 0")
    x, added = batched(floating(input, what), axes, what)
    sizes = x.shape[2:]
    window = pool_window(kernel_size, stride, padding, 1, ceil_mode, input_size=sizes, op=what)
    counts = pool_divisors(
        kernel_size, stride, padding, ceil_mode, count_include_pad, input_size=sizes, op=what
    )
    d = _reciprocals(counts, divisor_override, str(x.dtype))
    return unbatched(apply(_mean_form(window, x.shape[0], x.shape[1], sizes), x, d), added)


@operation
def avg_pool(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
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
    axes = floating(input, "avg_pool").ndim - 2
    return _avg_pool(
        "avg_pool", axes, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


@operation
def avg_pool1d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Law: `avg_pool` of (N, C, W) or (C, W)."""
    return _avg_pool(
        "avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


@operation
def avg_pool2d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Law: `avg_pool` of (N, C, H, W) or (C, H, W)."""
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


@operation
def avg_pool3d(
    input: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Law: `avg_pool` of (N, C, D, H, W) or (C, D, H, W)."""
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip


# Adaptive and global pools: window i of P reads the cells from ⌊i·H/P⌋ up to ⌈(i+1)·H/P⌉.


def _adaptive_sizes(
    what: str, axes: int, output_size: int | Sequence[int | None] | None, sizes: Shape
) -> Shape:
    given = (output_size,) * axes if isinstance(output_size, int | None) else tuple(output_size)
    if len(given) != axes:
        raise ArgumentError(f"{what}: output_size", expected=f"{axes} sizes", got=str(given))
    wanted = tuple(h if p is None else int(p) for p, h in zip(given, sizes, strict=True))
    if any(p < 1 for p in wanted) or 0 in sizes:
        raise ShapeError(f"{what}: sizes must be at least 1", got=f"{sizes} to {wanted}")
    return wanted


def _spans(size: int, outputs: int) -> list[tuple[int, int]]:
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


@functools.lru_cache(maxsize=256)
def _averages(size: int, outputs: int, dtype: str) -> Tensor:
    """The matrix u[p, h] = 1 / length of window p where it holds h."""
    u = np.zeros((outputs, size), dtype)
    for p, (start, stop) in enumerate(_spans(size, outputs)):
        u[p, start:stop] = 1.0 / (stop - start)
    return Tensor(u)


@functools.lru_cache(maxsize=1024)
def axis_matrices_form(name: str, shape: Shape, outputs: Shape) -> Form:
    """z[n, c, p, q] = Σ u0[p, h] · u1[q, w] · x[n, c, h, w]: a matrix along every spatial axis."""
    axes = range(len(outputs))
    words = {"x": "n c " + " ".join(f"h{i}" for i in axes)}
    words |= {f"u{i}": f"p{i} h{i}" for i in axes}
    words["z"] = "n c " + " ".join(f"p{i}" for i in axes)
    loops = {"n": shape[0], "c": shape[1]}
    loops |= {f"h{i}": shape[2 + i] for i in axes} | {f"p{i}": outputs[i] for i in axes}
    shapes = {"x": shape, "z": (*shape[:2], *outputs)}
    shapes |= {f"u{i}": (outputs[i], shape[2 + i]) for i in axes}
    return declare(name, **words).bind(0, "z", shapes, loops)


def _adaptive_avg_pool(what: str, axes: int, input: ArrayLike, output_size: Any) -> Tensor:
    x, added = batched(floating(input, what), axes, what)
    sizes = x.shape[2:]
    outputs = _adaptive_sizes(what, axes, output_size, sizes)
    if all(h % p == 0 for h, p in zip(sizes, outputs, strict=True)):
        kernel = tuple(h // p for h, p in zip(sizes, outputs, strict=True))
        return unbatched(_avg_pool(what, axes, x, kernel, None, 0, False, True, None), added)
    us = [_averages(h, p, str(x.dtype)) for h, p in zip(sizes, outputs, strict=True)]
    return unbatched(apply(axis_matrices_form(what, x.shape, outputs), x, *us), added)


@operation
def adaptive_avg_pool1d(input: ArrayLike, output_size: Any) -> Tensor:
    """Law: means over P windows that share the axis evenly; (N, C, W) or (C, W)."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


@operation
def adaptive_avg_pool2d(input: ArrayLike, output_size: Any) -> Tensor:
    """Law: means over P × Q windows that share the plane evenly; None keeps an axis's size."""
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@operation
def adaptive_avg_pool3d(input: ArrayLike, output_size: Any) -> Tensor:
    """Law: means over windows that share the volume evenly; None keeps an axis's size."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def _adaptive_max_pool(
    what: str, axes: int, input: ArrayLike, output_size: Any, return_indices: bool
) -> Any:
    x, added = batched(floating(input, what), axes, what)
    sizes = x.shape[2:]
    outputs = _adaptive_sizes(what, axes, output_size, sizes)
    cells, places = [], []
    spans = (_spans(h, p) for h, p in zip(sizes, outputs, strict=True))
    for box in itertools.product(*spans):
        part = getitem(x, (Ellipsis, *(slice(*span) for span in box)))
        flat = reshape(part, (*x.shape[:2], math.prod(part.shape[2:])))
        cells.append(amax(flat, -1))
        inner = np.unravel_index(argmax(flat, -1).data, part.shape[2:])
        starts = [start for start, _ in box]
        at = tuple(i + start for i, start in zip(inner, starts, strict=True))
        places.append(np.ravel_multi_index(at, sizes))
    shape = (*x.shape[:2], *outputs)
    values = unbatched(reshape(stack(cells, -1), shape), added)
    if not return_indices:
        return values
    return values, unbatched(Tensor(np.stack(places, -1).reshape(shape)), added)


@operation
def adaptive_max_pool1d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """Law: largest cells of P windows that share the axis evenly; indices as in max_pool."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


@operation
def adaptive_max_pool2d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """Law: largest cells of P × Q windows that share the plane evenly; indices as in max_pool."""
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


@operation
def adaptive_max_pool3d(input: ArrayLike, output_size: Any, return_indices: bool = False) -> Any:
    """Law: largest cells of windows that share the volume evenly; indices as in max_pool."""
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


@operation
def global_avg_pool(input: ArrayLike) -> Tensor:
    """Law: the mean of every plane, (N, C, spatial...) to (N, C, 1...)."""
    x = as_tensor(input)
    return mean(x, tuple(range(2, x.ndim)), True)


@operation
def global_max_pool(input: ArrayLike, *, ties: str = "first") -> Tensor:
    """Law: the largest cell of every plane, (N, C, spatial...) to (N, C, 1...)."""
    x = floating(input, "global_max_pool")
    return amax(x, tuple(range(2, x.ndim)), True, ties=ties)


# Unpool: each cell of the output takes the value that was put there, or 0


def _max_unpool(
    what: str, axes: int, input: ArrayLike, indices: ArrayLike, kernel_size: Sizes,
    stride: Sizes | None, padding: Padding, output_size: Sequence[int] | None,
) -> Tensor:  # fmt: skip
    x, added = batched(floating(input, what), axes, what)
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


@operation
def max_unpool1d(
    input: ArrayLike, indices: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None,
    padding: Padding = 0, output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Law: z[indices[p]] = x[p], 0 elsewhere; the last of equal indices stays. (N, C, W)."""
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool2d(
    input: ArrayLike, indices: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None,
    padding: Padding = 0, output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Law: z[indices[p]] = x[p], 0 elsewhere; the last of equal indices stays. (N, C, H, W)."""
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@operation
def max_unpool3d(
    input: ArrayLike, indices: ArrayLike, kernel_size: Sizes, stride: Sizes | None = None,
    padding: Padding = 0, output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Law: z[indices[p]] = x[p], 0 elsewhere; the last of equal indices stays. (N, C, D, H, W)."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
