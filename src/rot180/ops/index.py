"""Indexing. Slices and numbers are affine index maps (forms); arrays of indices are selects."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rot180.core import (
    Affine,
    Along,
    Array,
    ArrayLike,
    Cells,
    Form,
    Map,
    Operand,
    Rows,
    Take,
    Tensor,
    apply,
    define_method,
    look,
    pointwise,
)
from rot180.core import expression as e
from rot180.core.modes import state
from rot180.core.symbol import as_symbol
from rot180.errors import ArgumentError, GraphError, ShapeError
from rot180.ops.operands import as_tensor, cast, normal_axis, require_integers
from rot180.ops.registry import operation
from rot180.ops.shape import cat, reshape

__all__ = ["embedding", "getitem", "index_select", "one_hot", "take_along_axis"]

Step = tuple[int, int, int] | int | None
"""A slice (start, step, count), a position, or None for a new axis."""


@define_method("getitem")
@operation
def getitem(input: ArrayLike, key: Any) -> Tensor:
    """Law: z = x[key] with NumPy's rules; repeated indices add their gradients up.

    Numbers, slices, `...` and None give a view; arrays (integer or bool) give a copy.

    Raises:
        ShapeError: out of range, or more indices than axes.
    """
    x = as_tensor(input)
    given = key if isinstance(key, tuple) else (key,)
    rows = _traced_rows(given)
    if rows is not None:
        return _select(x, normal_axis(len(given) - 1, x.ndim, "getitem"), rows, "getitem")
    keys = tuple(map(_plain, given))
    steps = _basic(keys, x.shape)
    if steps is not None:
        return apply(_slice_form(x.shape, steps), x)
    index = keys if isinstance(key, tuple) else keys[0]
    try:
        cells = np.arange(x.size).reshape(x.shape)[index]
    except IndexError as problem:
        raise ShapeError(f"getitem: {problem}", got=f"shape {x.shape}") from None
    return apply(Take("getitem", Cells(x.shape)), x, Tensor(np.asarray(cells)))


def _traced_rows(keys: tuple[Any, ...]) -> Tensor | None:
    """While tracing: an integer tensor as the last key behind full slices, which chooses rows."""
    *before, last = keys
    if not isinstance(last, Tensor) or as_symbol(last.data) is None:
        return None
    whole = all(isinstance(k, slice) and k == slice(None) for k in before)
    return last if whole and last.dtype.kind in "iu" else None


def _plain(key: Any) -> Any:
    if isinstance(key, Tensor):
        key = key.data
    if isinstance(key, np.ndarray | np.generic) and key.ndim == 0 and key.dtype.kind in "iu":
        return int(key)
    return np.asarray(key) if isinstance(key, list) else key


def _basic(keys: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Step, ...] | None:
    """The steps along every axis where the key holds only numbers, slices, `...` and None."""
    if not all(k is None or k is ... or (isinstance(k, int | slice) and not isinstance(k, bool))
               for k in keys):  # fmt: skip
        return None
    named = sum(1 for k in keys if k is not None and k is not ...)
    dots = sum(1 for k in keys if k is ...)
    if named > len(shape) or dots > 1:
        raise ShapeError(
            "getitem: too many indices" if dots <= 1 else "getitem: more than one ...",
            expected=f"at most {len(shape)}",
            got=str(named),
        )
    filled = list(keys) if dots else [*keys, ...]
    at = next(i for i, k in enumerate(filled) if k is ...)
    filled[at : at + 1] = [slice(None)] * (len(shape) - named)
    steps: list[Step] = []
    axis = 0
    for k in filled:
        if k is None:
            steps.append(None)
            continue
        size = shape[axis]
        if isinstance(k, slice):
            start, stop, step = k.indices(size)
            steps.append((start, step, len(range(start, stop, step))))
        elif -size <= k < size:
            steps.append(k % size)
        else:
            raise ShapeError(
                f"getitem: index {k} out of range on axis {axis}",
                expected=f"{-size} to {size - 1}",
                got=str(k),
            )
        axis += 1
    return tuple(steps)


@functools.lru_cache(maxsize=4096)
def _slice_form(shape: tuple[int, ...], steps: tuple[Step, ...]) -> Form:
    """y[i] = x[start + step·i]."""
    x_axes, y_axes, y_shape = [], [], []
    loops: list[tuple[str, int]] = []
    for step in steps:
        if step is None:
            y_axes.append(Affine((), 0))
            y_shape.append(1)
        elif isinstance(step, int):
            x_axes.append(Affine((), step))
        else:
            start, stride, count = step
            loop = f"i{len(loops)}"
            loops.append((loop, count))
            x_axes.append(Affine(((loop, stride),), start))
            y_axes.append(Affine(((loop, 1),), 0))
            y_shape.append(count)
    operands = (Operand("x", tuple(x_axes), shape), Operand("y", tuple(y_axes), tuple(y_shape)))
    return Form("getitem", operands, tuple(loops), "y")


@define_method("setitem")
def _setitem(x: Tensor, key: Any, value: ArrayLike) -> None:
    """Write in place. Only outside the graph: a gradient through it would need the old values."""
    if (x.requires_grad and state.grad) or (isinstance(value, Tensor) and value.requires_grad):
        raise GraphError(
            "setitem: writing in place has no gradient here",
            rule="use rt.where or rt.cat, or write under no_grad()",
        )
    keys = tuple(_plain(k) for k in key) if isinstance(key, tuple) else _plain(key)
    x.writable()[keys] = value.data if isinstance(value, Tensor) else value


@operation
def take_along_axis(input: ArrayLike, indices: ArrayLike, axis: int) -> Tensor:
    """Law: z[.., i, ..] = x[.., indices[.., i, ..], ..] along one axis (torch.gather).

    Args:
        input: x.
        indices: integers, with as many axes as x and the same sizes on the others (or 1).
        axis: the axis.

    Raises:
        ShapeError: out of range, or another number of axes.
    """
    x = as_tensor(input)
    index = require_integers(as_tensor(indices), "take_along_axis")
    at = normal_axis(axis, x.ndim, "take_along_axis")
    others = [s for a, s in enumerate(x.shape) if a != at]
    if index.ndim != x.ndim or others != [s for a, s in enumerate(index.shape) if a != at]:
        raise ShapeError(
            f"take_along_axis: indices must have the sizes of x on all axes but {at}",
            expected=str(x.shape),
            got=str(index.shape),
        )
    from_front = _from_front(index, x.shape[at], "take_along_axis")
    return apply(Take("take_along_axis", Along(x.shape, at)), x, from_front)


def _from_front(index: Tensor, size: int, what: str) -> Tensor:
    """Indices in range, counted from the front: those below 0 count from the end."""
    look(functools.partial(_require_range, what, -size, size), index)
    wide = cast(index, np.dtype(np.int64))
    return wide if index.dtype.kind == "u" else apply(_wrapping(size), wide)


@functools.lru_cache(maxsize=256)
def _wrapping(size: int) -> Map:
    return pointwise("index", lambda i: e.where(i < 0, i + size, i))


def _require_range(what: str, low: int, high: int, index: Array) -> None:
    if index.size and (index.min() < low or index.max() >= high):
        bad = index[(index < low) | (index >= high)].flat[0]
        raise ShapeError(f"{what}: index out of range", expected=f"0 to {high - 1}", got=str(bad))


@operation
def index_select(input: ArrayLike, axis: int, indices: ArrayLike) -> Tensor:
    """Law: whole slices of one axis, in the order of the indices; repeated ones add up."""
    x = as_tensor(input)
    at = normal_axis(axis, x.ndim, "index_select")
    index = require_integers(as_tensor(indices), "index_select")
    return _select(x, at, index, "index_select")


def _select(x: Tensor, axis: int, index: Tensor, what: str) -> Tensor:
    return apply(Take(what, Rows(x.shape, axis)), x, _from_front(index, x.shape[axis], what))


@operation
def embedding(input: ArrayLike, weight: ArrayLike, padding_idx: int | None = None) -> Tensor:
    """Law: z[i] = weight[input[i]]; the gradient of a row is the sum over the places that read it.

    Args:
        input: integers of any shape.
        weight: (count, size).
        padding_idx: a row that receives no gradient.

    Raises:
        ShapeError: an index outside 0 to count − 1.
    """
    index, w = require_integers(as_tensor(input), "embedding"), as_tensor(weight)
    count = w.shape[0]
    look(functools.partial(_require_range, "embedding", 0, count), index)
    if padding_idx is not None:
        row = normal_axis(padding_idx, count, "embedding padding_idx")
        w = cat([w[:row], w[row : row + 1].detach(), w[row + 1 :]])
    return apply(Take("embedding", Rows(w.shape)), w, index)


@operation
def one_hot(input: ArrayLike, num_classes: int = -1) -> Tensor:
    """Law: e(y): 1 at the index, 0 elsewhere, on a new last axis (int64, no gradient).

    Args:
        input: integers from 0.
        num_classes: size of the new axis; -1 means the largest index + 1.
    """
    index = require_integers(as_tensor(input), "one_hot")
    count = num_classes
    if num_classes == -1:
        count = int(index.data.max()) + 1 if index.size else 0
    look(functools.partial(_require_one_hot, count), index)
    column = reshape(index, (*index.shape, 1))
    return cast(column == Tensor(np.arange(count, dtype=index.dtype)), np.dtype(np.int64))


def _require_one_hot(count: int, index: Array) -> None:
    if index.size and (index.min() < 0 or index.max() >= count):
        raise ArgumentError(
            "one_hot: index out of range", expected=f"0 to {count - 1}", got=str(index.max())
        )
