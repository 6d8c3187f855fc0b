"""Shape operations: the same cells at other places. All of them are forms with one factor."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence

import numpy as np

from rot180.core import ArrayLike, Form, Rows, Sum, Take, Tensor, apply, declare, define_method
from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.ops.operands import Axes, as_tensor, normal_axes, normal_axis, pick_axis
from rot180.ops.operands import broadcast as _broadcast
from rot180.ops.registry import operation

__all__ = [
    "broadcast_to",
    "cat",
    "chunk",
    "concatenate",
    "flatten",
    "flip",
    "movedim",
    "permute",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "transpose",
    "unflatten",
    "unsqueeze",
]

Shape = tuple[int, ...]


def _one_shape(shape: tuple[int | Sequence[int], ...]) -> Shape:
    """`f(x, 2, 3)` and `f(x, (2, 3))` mean the same."""
    sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape
    return tuple(operator.index(size) for size in sizes)  # type: ignore[arg-type]


# Reshape: flat cell f of x is flat cell f of y. Both shapes are cut into common factors, the loops;
# the index of an axis is affine in them. Where one axis straddles another, x is flattened first.


def _cuts(shape: Shape) -> list[int]:
    """Products of the last axes: where a flat index is cut, from the right."""
    cuts = [1]
    for size in reversed(shape):
        cuts.append(cuts[-1] * size)
    return cuts


@functools.lru_cache(maxsize=4096)
def _reshape_form(x: Shape, y: Shape) -> Form | None:
    cuts = sorted(set(_cuts(x)) | set(_cuts(y)))
    if any(high % low for low, high in itertools.pairwise(cuts)):
        return None
    extents = [high // low for low, high in itertools.pairwise(cuts)][::-1]
    loops = {f"i{n}": extent for n, extent in enumerate(extents)}
    return declare("reshape", x=_digits(x, extents), y=_digits(y, extents)).bind(
        0, "y", {"x": x, "y": y}, loops
    )


def _digits(shape: Shape, extents: list[int]) -> str:
    """The index of every axis in the digits (loops) that make it up."""
    words, n = [], 0
    for size in shape:
        word, rest = "", size
        while rest > 1:
            rest //= extents[n]
            word += f"+{rest}*i{n}"
            n += 1
        words.append(word.lstrip("+") or "0")
    return " ".join(words)


def _same_size(x: Shape, y: Shape) -> Shape:
    if y.count(-1) > 1:
        raise ShapeError("reshape: at most one size may be -1", got=str(y))
    if -1 in y:
        known = -math.prod(y)
        cells = math.prod(x)
        if known == 0 or cells % known:
            raise ShapeError(
                "reshape: no size fits for -1",
                arithmetic=f"{' * '.join(map(str, x)) or 1} = {cells} cells, divided by {known}",
                got=f"{x} to {y}",
            )
        y = tuple(cells // known if size == -1 else size for size in y)
    if math.prod(x) != math.prod(y) or any(size < 0 for size in y):
        raise ShapeError(
            "reshape: the number of cells must stay",
            arithmetic=f"{' * '.join(map(str, x)) or 1} = {math.prod(x)}, "
            f"{' * '.join(map(str, y)) or 1} = {math.prod(y)}",
            got=f"{x} to {y}",
        )
    return y


def _reshape(x: Tensor, shape: Shape) -> Tensor:
    if shape == x.shape:
        return x
    if 0 in shape:
        return apply(_empty_form(x.shape, shape), x)
    form = _reshape_form(x.shape, shape)
    if form is not None:
        return apply(form, x)
    return _reshape(_reshape(x, (x.size,)), shape)


def _empty_form(x: Shape, y: Shape) -> Form:
    words = (" ".join("0" if size == 1 else "i" for size in shape) for shape in (x, y))
    return declare("reshape", x=next(words), y=next(words)).bind(0, "y", {"x": x, "y": y}, {"i": 0})


@define_method("reshape")
@operation
def reshape(input: ArrayLike, *shape: int | Sequence[int]) -> Tensor:
    """Law: flat cell f of z is flat cell f of x, both in row-major order.

    Args:
        input: x.
        shape: sizes, as numbers or one sequence; one of them may be -1 (whatever fits).

    Raises:
        ShapeError: the number of cells differs.
    """
    x = as_tensor(input)
    return _reshape(x, _same_size(x.shape, _one_shape(shape)))


@define_method("flatten")
@operation
def flatten(input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Law: the axes from start_dim to end_dim (inclusive) become one."""
    x = as_tensor(input)
    if x.ndim == 0:
        return _reshape(x, (1,))
    first = normal_axis(start_dim, x.ndim, "flatten")
    last = normal_axis(end_dim, x.ndim, "flatten")
    if first > last:
        raise ShapeError("flatten: start_dim behind end_dim", got=f"{start_dim} and {end_dim}")
    merged = math.prod(x.shape[first : last + 1])
    return _reshape(x, (*x.shape[:first], merged, *x.shape[last + 1 :]))


@operation
def unflatten(input: ArrayLike, axis: int, sizes: Sequence[int]) -> Tensor:
    """Law: one axis becomes several, the inverse of flatten; one size may be -1."""
    x = as_tensor(input)
    at = normal_axis(axis, x.ndim, "unflatten")
    inner = _same_size((x.shape[at],), tuple(sizes))
    return _reshape(x, (*x.shape[:at], *inner, *x.shape[at + 1 :]))


@define_method("squeeze")
@operation
def squeeze(input: ArrayLike, axis: Axes = None, *, dim: Axes = None) -> Tensor:
    """Law: axes of extent 1 are left out (all of them, or the named ones)."""
    axis, _ = pick_axis(axis, dim)
    x = as_tensor(input)
    gone = {a for a in normal_axes(axis, x.ndim, "squeeze") if x.shape[a] == 1}
    return _reshape(x, tuple(size for a, size in enumerate(x.shape) if a not in gone))


@define_method("unsqueeze")
@operation
def unsqueeze(input: ArrayLike, axis: int | None = None, *, dim: int | None = None) -> Tensor:
    """Law: a new axis of extent 1 stands at `axis` of the result."""
    axis, _ = pick_axis(axis, dim)
    if axis is None:
        raise ArgumentError("unsqueeze: axis is needed")
    x = as_tensor(input)
    at = normal_axis(axis, x.ndim + 1, "unsqueeze")
    return _reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


# Permute: the same loops in another order. It is its own kind of adjoint: the inverse order.


@functools.lru_cache(maxsize=4096)
def _permute_form(shape: Shape, axes: tuple[int, ...]) -> Form:
    loops = {f"i{axis}": size for axis, size in enumerate(shape)}
    words = declare("permute", x=" ".join(loops), y=" ".join(f"i{axis}" for axis in axes))
    target = tuple(shape[axis] for axis in axes)
    return words.bind(0, "y", {"x": shape, "y": target}, loops)


@define_method("permute")
@operation
def permute(input: ArrayLike, *axes: int | Sequence[int]) -> Tensor:
    """Law: axis i of z is axis axes[i] of x (a view)."""
    x = as_tensor(input)
    order = normal_axes(_one_shape(axes), x.ndim, "permute")
    if len(order) != x.ndim:
        raise ShapeError("permute: every axis once", expected=f"{x.ndim} axes", got=str(order))
    return x if order == tuple(range(x.ndim)) else apply(_permute_form(x.shape, order), x)


@define_method("transpose")
@operation
def transpose(input: ArrayLike, axis0: int = -2, axis1: int = -1) -> Tensor:
    """Law: two axes change places (a view)."""
    x = as_tensor(input)
    order = list(range(x.ndim))
    i, j = normal_axis(axis0, x.ndim, "transpose"), normal_axis(axis1, x.ndim, "transpose")
    order[i], order[j] = j, i
    return permute(x, order)


@operation
def movedim(input: ArrayLike, source: int, destination: int) -> Tensor:
    """Law: one axis moves to another place, the others keep their order (a view)."""
    x = as_tensor(input)
    i, j = (normal_axis(a, x.ndim, "movedim") for a in (source, destination))
    order = [axis for axis in range(x.ndim) if axis != i]
    order.insert(j, i)
    return permute(x, order)


@define_method("broadcast_to")
@operation
def broadcast_to(input: ArrayLike, *shape: int | Sequence[int]) -> Tensor:
    """Law: x repeated along new axes and axes of extent 1; the gradient is the sum over them.

    A size of -1 keeps that of x.

    Raises:
        ShapeError: x does not broadcast to the shape.
    """
    x, sizes = as_tensor(input), _one_shape(shape)
    missing = len(sizes) - x.ndim
    if missing >= 0:
        own = (1,) * missing + x.shape
        sizes = tuple(o if s == -1 else s for o, s in zip(own, sizes, strict=True))
    if missing < 0 or any(o not in (1, s) for o, s in zip(own, sizes, strict=True)):
        raise ShapeError(
            "broadcast_to: shapes do not fit",
            got=f"{x.shape} to {sizes}",
            rule="aligned at the last axis, sizes must be equal or 1 in the source",
        )
    return _broadcast(x, sizes)


@operation
def repeat(input: ArrayLike, *counts: int | Sequence[int]) -> Tensor:
    """Law: z[i] = x[i mod size]: x side by side `counts` times along each axis (torch.repeat)."""
    x, times = as_tensor(input), _one_shape(counts)
    if len(times) < x.ndim:
        raise ShapeError(
            "repeat: a count for each axis", expected=f"{x.ndim} or more", got=str(times)
        )
    own = (1,) * (len(times) - x.ndim) + x.shape
    pairs = [n for size in own for n in (1, size)]
    wide = [n for count, size in zip(times, own, strict=True) for n in (count, size)]
    laid = _broadcast(_reshape(x, tuple(pairs)), tuple(wide))
    return _reshape(laid, tuple(c * s for c, s in zip(times, own, strict=True)))


@functools.lru_cache(maxsize=4096)
def _flip_form(shape: Shape, axes: tuple[int, ...]) -> Form:
    """y[i] = x[n − 1 − i]: an index with coefficient −1. On all axes of a kernel: rot180."""
    loops = {f"i{axis}": size for axis, size in enumerate(shape)}
    words = [f"{size - 1}-i{a}" if a in axes else f"i{a}" for a, size in enumerate(shape)]
    form = declare("flip", x=" ".join(words), y=" ".join(loops))
    return form.bind(0, "y", {"x": shape, "y": shape}, loops)


@define_method("flip")
@operation
def flip(input: ArrayLike, axis: Axes = None, *, dims: Axes = None) -> Tensor:
    """Law: z[i] = x[n − 1 − i] along the axes (all by default)."""
    axis, _ = pick_axis(axis, dims)
    x = as_tensor(input)
    axes = normal_axes(axis, x.ndim, "flip")
    return apply(_flip_form(x.shape, axes), x) if x.size and axes else x


@operation
def roll(input: ArrayLike, shifts: int, axis: int, *, dim: int | None = None) -> Tensor:
    """Law: z[(i + shifts) mod n] = x[i] along one axis."""
    x = as_tensor(input)
    at = normal_axis(axis if dim is None else dim, x.ndim, "roll")
    size = x.shape[at]
    order = np.arange(size) if size == 0 else (np.arange(size) - shifts) % size
    return apply(Take("roll", Rows(x.shape, at)), x, Tensor(order))


# Joining and cutting. Joining adds every operand into its own place, so it is a sum of forms, and
# its gradient with respect to an operand is that form read the other way: the cut.


@functools.lru_cache(maxsize=4096)
def _join(name: str, shapes: tuple[Shape, ...], axis: int) -> Sum:
    total = sum(shape[axis] for shape in shapes)
    forms, start = [], 0
    for shape in shapes:
        loops = {f"i{a}": size for a, size in enumerate(shape)}
        words = [f"i{a}+{start}" if a == axis else f"i{a}" for a in range(len(shape))]
        target = (*shape[:axis], total, *shape[axis + 1 :])
        form = declare(name, x=" ".join(loops), y=" ".join(words))
        forms.append(form.bind(0, "y", {"x": shape, "y": target}, loops))
        start += shape[axis]
    return Sum(name, tuple(forms))


@operation
def cat(tensors: Sequence[ArrayLike], axis: int = 0, *, dim: int | None = None) -> Tensor:
    """Law: the tensors one behind the other along an axis; each gradient is its slice of g.

    Raises:
        ShapeError: no tensors, or sizes that differ on another axis.
    """
    xs = [as_tensor(t) for t in tensors]
    if not xs:
        raise ShapeError("cat: nothing to join")
    at = normal_axis(axis if dim is None else dim, xs[0].ndim, "cat")
    shapes = tuple(x.shape for x in xs)
    if len({(*shape[:at], -1, *shape[at + 1 :]) for shape in shapes}) > 1:
        raise ShapeError(
            f"cat: sizes may differ along axis {at} only", got=" and ".join(map(str, shapes))
        )
    if len({x.dtype for x in xs}) > 1:
        raise DTypeError("cat: mixed data types", got=", ".join(str(x.dtype) for x in xs))
    return apply(_join("cat", shapes, at), *xs)


@operation
def concatenate(tensors: Sequence[ArrayLike], axis: int = 0) -> Tensor:
    """Law: as cat, under NumPy's name."""
    return cat(tensors, axis)


@operation
def stack(tensors: Sequence[ArrayLike], axis: int = 0, *, dim: int | None = None) -> Tensor:
    """Law: the tensors side by side along a new axis."""
    xs = [as_tensor(t) for t in tensors]
    if not xs:
        raise ShapeError("stack: nothing to join")
    at = axis if dim is None else dim
    return cat([unsqueeze(x, at) for x in xs], normal_axis(at, xs[0].ndim + 1, "stack"))


@define_method("split")
@operation
def split(
    input: ArrayLike, sizes: int | Sequence[int], axis: int = 0, *, dim: int | None = None
) -> tuple[Tensor, ...]:
    """Law: x cut along an axis into pieces of the given size (the last may be smaller) or sizes."""
    x = as_tensor(input)
    at = normal_axis(axis if dim is None else dim, x.ndim, "split")
    total = x.shape[at]
    if isinstance(sizes, int):
        if sizes < 1:
            raise ArgumentError("split: size of a piece", expected="at least 1", got=str(sizes))
        sizes = [min(sizes, total - start) for start in range(0, total, sizes)] or [0]
    if sum(sizes) != total:
        raise ShapeError(
            "split: the pieces must make up the axis",
            arithmetic=f"{' + '.join(map(str, sizes))} = {sum(sizes)}",
            expected=str(total),
        )
    pieces, start = [], 0
    for size in sizes:
        pieces.append(x[(slice(None),) * at + (slice(start, start + size),)])
        start += size
    return tuple(pieces)


@define_method("chunk")
@operation
def chunk(
    input: ArrayLike, chunks: int, axis: int = 0, *, dim: int | None = None
) -> tuple[Tensor, ...]:
    """Law: x cut along an axis into at most `chunks` equal pieces (the last may be smaller)."""
    x = as_tensor(input)
    at = normal_axis(axis if dim is None else dim, x.ndim, "chunk")
    if chunks < 1:
        raise ArgumentError("chunk: number of pieces", expected="at least 1", got=str(chunks))
    return split(x, max(1, -(-x.shape[at] // chunks)), at)
