"""Arguments of operations: tensors out of what users pass, shapes that fit, axes that exist.

Broadcasting is a form of its own (`x` read without the new loops), whose gradient is the sum over
them, so no other operation needs to know that shapes differ.
"""

from __future__ import annotations

import functools
import numbers
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.core import (
    ArrayLike,
    Form,
    Map,
    Tensor,
    apply,
    declare,
    pointwise,
    require_float,
    tensor,
)
from rot180.errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "Axes",
    "along",
    "apply_map",
    "as_tensor",
    "broadcast",
    "cast",
    "floating",
    "normal_axes",
    "normal_axis",
    "operands",
    "pick_axis",
]

Axes = int | Sequence[int] | None


def as_tensor(x: ArrayLike) -> Tensor:
    """The tensor itself, or a new leaf around an array or number."""
    return x if isinstance(x, Tensor) else tensor(x)


def floating(x: ArrayLike, what: str) -> Tensor:
    """A float tensor, or a DTypeError that names the operation."""
    t = as_tensor(x)
    require_float(t.data, what)
    return t


def _is_number(x: ArrayLike) -> bool:
    return isinstance(x, numbers.Real | np.bool_)


def operands(*xs: ArrayLike) -> tuple[Tensor, ...]:
    """Tensors of one data type: numbers take the tensors' type, integers and bools join floats.

    Two float types are not mixed: the operation will refuse them.
    """
    made = [None if _is_number(x) else as_tensor(x) for x in xs]
    dtypes = [t.dtype for t in made if t is not None]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if floats:
        target = floats[0]
    elif any(isinstance(x, numbers.Real) and not isinstance(x, numbers.Integral) for x in xs):
        target = np.dtype(np.float32)
    elif dtypes:
        target = np.result_type(*dtypes)
        if target == np.bool_ and any(type(x) is int for x in xs):
            target = np.dtype(np.int64)
    else:
        target = np.result_type(*(np.asarray(x).dtype for x in xs))
    return tuple(_in_type(x, t, target) for x, t in zip(xs, made, strict=True))


def _in_type(x: ArrayLike, t: Tensor | None, target: np.dtype[Any]) -> Tensor:
    if t is None:
        return Tensor(np.asarray(x, dtype=target))
    return t if t.dtype.kind == "f" else cast(t, target)


def cast(x: Tensor, target: np.dtype[Any]) -> Tensor:
    """X in another data type."""
    return x if x.dtype == target else apply(_cast(str(target), str(x.dtype)), x)


@functools.lru_cache(maxsize=64)
def _cast(target: str, source: str) -> Map:
    return pointwise("astype", lambda x: x, target, source)


_EXPAND = "expand"


@functools.lru_cache(maxsize=4096)
def _expand_form(source: tuple[int, ...], shape: tuple[int, ...]) -> Form:
    """y[i, j] = x[j]: loops that x does not have repeat it. Read for x it is the sum over them."""
    missing = len(shape) - len(source)
    words = ["0" if size == 1 else f"i{axis + missing}" for axis, size in enumerate(source)]
    loops = {f"i{axis}": size for axis, size in enumerate(shape)}
    form = declare(_EXPAND, x=" ".join(words), y=" ".join(loops))
    return form.bind(0, "y", {"x": source, "y": shape}, loops)


@functools.lru_cache(maxsize=4096)
def _along_form(shape: tuple[int, ...], axis: int) -> Form:
    """y[i0, i1, ..] = x[i of the axis]."""
    loops = {f"i{a}": size for a, size in enumerate(shape)}
    form = declare(_EXPAND, x=f"i{axis}", y=" ".join(loops))
    return form.bind(0, "y", {"x": (shape[axis],), "y": shape}, loops)


def along(x: Tensor, shape: tuple[int, ...], axis: int) -> Tensor:
    """A vector laid along one axis of a shape, repeated on all others: a bias for each channel."""
    return apply(_along_form(shape, axis), x)


def broadcast(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """X repeated to a shape that it broadcasts to."""
    return x if x.shape == shape else apply(_expand_form(x.shape, shape), x)


def apply_map(kind: Map, *xs: Tensor) -> Tensor:
    """Apply a map to operands that broadcast together.

    Raises:
        ShapeError: they do not, with the axis at which they differ.
    """
    first = xs[0].shape
    if all(x.shape == first for x in xs):
        return apply(kind, *xs)
    shape = _common_shape(kind.name, *(x.shape for x in xs))
    fit = (x if x.ndim == 0 and not x.requires_grad else broadcast(x, shape) for x in xs)
    return apply(kind, *fit)


@functools.lru_cache(maxsize=4096)
def _common_shape(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"{name}: shapes do not broadcast together",
            got=" and ".join(map(str, shapes)),
            rule="aligned at the last axis, sizes must be equal or 1",
        ) from None


def pick_axis(axis: Any, dim: Any, keepdims: Any = None, keepdim: Any = None) -> tuple[Any, bool]:
    """NumPy's words (axis, keepdims) or PyTorch's (dim, keepdim); not both.

    Returns:
        The axis or axes, and whether to keep them with extent 1.
    """
    if axis is not None and dim is not None:
        raise ArgumentError("give axis= or dim=, not both; they are the same argument")
    if keepdims is not None and keepdim is not None:
        raise ArgumentError("give keepdims= or keepdim=, not both; they are the same argument")
    keep = keepdims if keepdims is not None else keepdim
    return (axis if axis is not None else dim), bool(keep)


def normal_axis(axis: int, ndim: int, what: str) -> int:
    """An axis counted from the front.

    Raises:
        ShapeError: there is no such axis.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        raise ArgumentError(f"{what}: an axis is an integer", got=repr(axis)) from None
    if not -ndim <= number < ndim:
        raise ShapeError(
            f"{what}: no axis {number}",
            expected=f"{-ndim} to {ndim - 1}" if ndim else "no axis at all",
            got=f"axis {number} of {ndim} axes",
        )
    return number % ndim


def normal_axes(axes: Axes, ndim: int, what: str) -> tuple[int, ...]:
    """Axes counted from the front, each once; None means all.

    Raises:
        ShapeError: there is no such axis, or one is named twice.
    """
    if axes is None:
        return tuple(range(ndim))
    given = (axes,) if isinstance(axes, int | np.integer) else tuple(axes)
    found = tuple(normal_axis(int(axis), ndim, what) for axis in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"{what}: an axis is named twice", got=str(given))
    return found


def require_integers(x: Tensor, what: str) -> Tensor:
    """An integer tensor, or a DTypeError that names the argument."""
    if x.dtype.kind not in "iu":
        raise DTypeError(
            f"{what}: indices are integers", expected="an integer type", got=str(x.dtype)
        )
    return x
