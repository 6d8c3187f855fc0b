"""Reductions: sums are forms (an index that the output lacks), largest cells are selects."""

from __future__ import annotations

import functools
import math

import numpy as np

from rot180.core import (
    Along,
    ArrayLike,
    Form,
    Map,
    Select,
    Tensor,
    apply,
    choose,
    declare,
    define_method,
    pointwise,
)
from rot180.core import expression as e
from rot180.errors import ArgumentError, ShapeError
from rot180.ops import elementwise as ew
from rot180.ops.operands import Axes, as_tensor, cast, floating, normal_axes, normal_axis, pick_axis
from rot180.ops.registry import operation
from rot180.ops.shape import permute, reshape

__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "std",
    "sum",
    "var",
]


@functools.lru_cache(maxsize=4096)
def _sum_form(shape: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> Form:
    """y[i] = Σ_j x[i, j]; read for x it repeats y along j."""
    loops = {f"i{axis}": size for axis, size in enumerate(shape)}
    words, sizes = [], []
    for axis, size in enumerate(shape):
        if axis not in axes:
            words.append(f"i{axis}")
            sizes.append(size)
        elif keep:
            words.append("0")
            sizes.append(1)
    form = declare("sum", x=" ".join(loops), y=" ".join(words))
    return form.bind(0, "y", {"x": shape, "y": tuple(sizes)}, loops)


@define_method("sum")
@operation
def sum(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, dim: Axes = None,
    keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = Σ x over the axes (all by default). bool and integers are added up in int64."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = as_tensor(input)
    if x.dtype.kind in "bui" and x.dtype != np.uint64:
        x = cast(x, np.dtype(np.int64))
    axes = normal_axes(axis, x.ndim, "sum")
    return apply(_sum_form(x.shape, axes, keep), x) if axes or x.ndim == 0 else x


@define_method("mean")
@operation
def mean(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, dim: Axes = None,
    keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = Σ x / m over the axes (all by default), m cells each. No cells: NaN."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = floating(input, "mean")
    axes = normal_axes(axis, x.ndim, "mean")
    cells = math.prod(x.shape[a] for a in axes)
    return sum(x, axes, keep) * (1.0 / cells if cells else math.nan)


@define_method("var")
@operation
def var(
    input: ArrayLike, axis: Axes = None, correction: float = 1, keepdims: bool | None = None, *,
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = Σ (x − mean)² / (m − correction); correction 1 is unbiased, 0 biased."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = floating(input, "var")
    axes = normal_axes(axis, x.ndim, "var")
    cells = math.prod(x.shape[a] for a in axes)
    deviation = ew.square(x - mean(x, axes, True))
    free = cells - correction
    return sum(deviation, axes, keep) * (1.0 / free if free > 0 else math.nan)


@define_method("std")
@operation
def std(
    input: ArrayLike, axis: Axes = None, correction: float = 1, keepdims: bool | None = None, *,
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = √var(x)."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return ew.sqrt(var(input, axis, correction, keep))


@operation
def norm(
    input: ArrayLike, p: float = 2.0, axis: Axes = None, keepdims: bool | None = None, *,
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = (Σ |x|^p)^(1/p), with slope 0 for a zero vector; p = ∞ is the largest |x|."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = floating(input, "norm")
    if p == math.inf:
        return amax(ew.abs(x), axis, keep)
    if p <= 0:
        raise ArgumentError("norm: order", expected="p > 0 or infinity", got=str(p))
    if p == 1:
        return sum(ew.abs(x), axis, keep)
    power = ew.square(x) if p == 2 else ew.abs(x) ** p
    return apply(_root(float(p)), sum(power, axis, keep))


@functools.lru_cache(maxsize=64)
def _root(p: float) -> Map:
    """s^(1/p) with slope 0 at 0: the norm of a zero vector, where every direction is as good."""

    def body(s: e.Expression) -> e.Expression:
        safe = e.where(e.equal(s, 0.0), 1.0, s)
        return e.where(e.equal(s, 0.0), 0.0, safe ** (1.0 / p))

    return pointwise("norm", body)


@operation
def prod(input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, dim: Axes = None,
         keepdim: bool | None = None) -> Tensor:  # fmt: skip
    """Law: z = Π x over the axes (all by default), by halves: log₂ m multiplications of tensors."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = as_tensor(input)
    axes = normal_axes(axis, x.ndim, "prod")
    flat, kept, _ = _last_axis(x, axes)
    cells = flat.shape[-1]
    while cells > 1:
        half = cells // 2
        pairs = flat[..., :half] * flat[..., half : 2 * half]
        if cells % 2:
            tail = flat[..., 2 * half :]
            pairs = pairs * _padded_one(tail, half)
        flat, cells = pairs, half
    if cells == 0:
        result = Tensor(np.ones(flat.shape[:-1], x.dtype))
    else:
        result = flat[..., 0]
    return reshape(result, _kept_shape(x.shape, axes)) if keep else reshape(result, kept)


def _padded_one(tail: Tensor, cells: int) -> Tensor:
    """The tail in front of ones, so that it multiplies the first cell only."""
    first = np.zeros(cells, np.bool_)
    first[0] = True
    return ew.where(first, tail, 1.0)


def _kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def _last_axis(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...], int]:
    """X with the given axes merged into the last one, the other sizes, and the merged size."""
    rest = tuple(axis for axis in range(x.ndim) if axis not in axes)
    kept = tuple(x.shape[axis] for axis in rest)
    merged = math.prod(x.shape[axis] for axis in axes)
    moved = x if axes == tuple(range(x.ndim))[len(rest) :] else permute(x, rest + tuple(axes))
    return reshape(moved, (*kept, merged)), kept, merged


# Largest and smallest cells


def _extreme(x: Tensor, axis: Axes, keep: bool, largest: bool, ties: str, what: str) -> Tensor:
    if ties not in ("first", "all", "split"):
        raise ArgumentError(f"{what}: ties", expected='"first", "all" or "split"', got=repr(ties))
    axes = normal_axes(axis, x.ndim, what)
    if x.ndim == 0:
        return x
    _require_cells(x, axes, what)
    if len(axes) == 1:
        flat, kept, at = x, x.shape[: axes[0]] + x.shape[axes[0] + 1 :], axes[0]
    else:
        flat, kept, _ = _last_axis(x, axes)
        at = flat.ndim - 1
    values, _ = choose(Select(what, Along(flat.shape, at, ties), largest), flat)
    return reshape(values, _kept_shape(x.shape, axes) if keep else kept)


def _require_cells(x: Tensor, axes: tuple[int, ...], what: str) -> None:
    if any(x.shape[axis] == 0 for axis in axes):
        raise ShapeError(
            f"{what}: there is no largest or smallest of no cells", got=f"shape {x.shape}"
        )


@define_method("amax")
@operation
def amax(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, ties: str = "first",
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = the largest cell over the axes; NaN wins.

    Args:
        input: x.
        axis: axes to reduce, all by default.
        keepdims: keep them with extent 1.
        ties: who gets the gradient: "first" (default), "all" of the largest, or "split" evenly.
        dim: another word for axis.
        keepdim: another word for keepdims.
    """
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _extreme(as_tensor(input), axis, keep, True, ties, "amax")


@define_method("amin")
@operation
def amin(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, ties: str = "first",
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = the smallest cell over the axes; NaN wins. `ties` as in amax."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _extreme(as_tensor(input), axis, keep, False, ties, "amin")


@define_method("max")
@operation
def max(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, ties: str = "first",
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = the largest cell over the axes, as amax (where it is: argmax)."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _extreme(as_tensor(input), axis, keep, True, ties, "max")


@define_method("min")
@operation
def min(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, ties: str = "first",
    dim: Axes = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = the smallest cell over the axes, as amin (where it is: argmin)."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _extreme(as_tensor(input), axis, keep, False, ties, "min")


def _position(x: Tensor, axis: int | None, keep: bool, what: str, largest: bool) -> Tensor:
    """The record of the choice of a largest or smallest cell; without axis, in the flat order."""
    shape: tuple[int, ...]
    if axis is None:
        _require_cells(x, tuple(range(x.ndim)), what)
        source, at, shape = reshape(x.detach(), (x.size,)), 0, ()
    else:
        source, at = x.detach(), normal_axis(axis, x.ndim, what)
        _require_cells(x, (at,), what)
        shape = x.shape[:at] + x.shape[at + 1 :]
    _, record = choose(Select(what, Along(source.shape, at), largest), source)
    return record if keep and axis is not None else reshape(record, shape)


@define_method("argmax")
@operation
def argmax(
    input: ArrayLike, axis: int | None = None, keepdims: bool | None = None, *,
    dim: int | None = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: the position of the largest cell, the first of equal ones (int64, no gradient)."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _position(as_tensor(input), axis, keep, "argmax", True)


@define_method("argmin")
@operation
def argmin(
    input: ArrayLike, axis: int | None = None, keepdims: bool | None = None, *,
    dim: int | None = None, keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: the position of the smallest cell, the first of equal ones (int64, no gradient)."""
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    return _position(as_tensor(input), axis, keep, "argmin", False)


# Not NaN and not infinite, or 0: what is subtracted from itself must not be NaN.
_FINITE = pointwise("finite", lambda x: e.where(e.absolute(x) < math.inf, x, 0.0))


@operation
def logsumexp(
    input: ArrayLike, axis: Axes = None, keepdims: bool | None = None, *, dim: Axes = None,
    keepdim: bool | None = None,
) -> Tensor:  # fmt: skip
    """Law: z = ln Σ e^x = m + ln Σ e^(x−m) for any m; m = max x keeps it from overflowing.

    The sum of no cells is 0, and its logarithm −∞.
    """
    axis, keep = pick_axis(axis, dim, keepdims, keepdim)
    x = floating(input, "logsumexp")
    axes = normal_axes(axis, x.ndim, "logsumexp")
    empty = Tensor(np.zeros(_kept_shape(x.shape, axes), x.dtype))
    shift = apply(_FINITE, amax(x.detach(), axes, True)) if x.size else empty
    total = ew.log(sum(ew.exp(x - shift), axes, True)) + shift
    return (
        total if keep else reshape(total, tuple(s for a, s in enumerate(x.shape) if a not in axes))
    )
