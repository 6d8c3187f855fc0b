"""Padding: zeros by a form (y[i + A] = x[i]), other borders by choosing a cell to show there."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from rot180.core import ArrayLike, Form, Rows, Take, Tensor, apply, declare
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.elementwise import where
from rot180.ops.operands import as_tensor
from rot180.ops.registry import operation

__all__ = ["pad"]

Pairs = tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=1024)
def _zero_form(shape: tuple[int, ...], pairs: Pairs) -> Form:
    """y[i + A] = x[i]; read for x it is the crop. Negative sides crop."""
    loops = {f"i{axis}": size for axis, size in enumerate(shape)}
    words = [f"i{axis}+{a}" if a >= 0 else f"i{axis}-{-a}" for axis, (a, _) in enumerate(pairs)]
    target = tuple(size + a + b for size, (a, b) in zip(shape, pairs, strict=True))
    form = declare("pad", x=" ".join(loops), y=" ".join(words))
    return form.bind(0, "y", {"x": shape, "y": target}, loops)


def _source(
    mode: str, size: int, before: int, after: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For every cell of the padded axis, the cell of x that it shows; negative sides crop."""
    if mode == "circular":  # what is cropped away does not come round again
        kept = _kept(size, before, after)
        return max(-before, 0) + np.arange(-max(before, 0), kept + max(after, 0)) % kept
    index = np.arange(-before, size + after)
    if mode == "replicate":
        return np.clip(index, 0, size - 1)
    period = max(1, 2 * (size - 1))
    folded = np.abs(index) % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(index)


def _kept(size: int, before: int, after: int) -> int:
    return size + min(before, 0) + min(after, 0)


def _pairs(pad: Sequence[int] | Sequence[Sequence[int]], ndim: int) -> Pairs:
    """A pair for every axis, from PyTorch's order (last axis first) or from pairs in axis order."""
    if len(pad) and not isinstance(pad[0], int | np.integer):
        named = [(int(p[0]), int(p[1])) for p in pad]  # type: ignore[index]
    else:
        flat = [int(p) for p in pad]  # type: ignore[arg-type]
        if len(flat) % 2:
            raise ArgumentError(
                "pad: sides come in pairs", expected="an even number", got=str(flat)
            )
        named = list(zip(flat[::2], flat[1::2], strict=True))[::-1]
    if len(named) > ndim:
        raise ShapeError(
            "pad: more pairs than axes", expected=f"at most {ndim}", got=str(len(named))
        )
    return ((0, 0),) * (ndim - len(named)) + tuple(named)


@operation
def pad(
    input: ArrayLike,
    pad: Sequence[int] | Sequence[Sequence[int]],
    mode: str = "constant",
    value: float = 0.0,
) -> Tensor:
    """Law: a border around x of a constant, or of cells of x: z[i + A] = x[f(i)].

    Args:
        input: x.
        pad: PyTorch's flat order (last axis first: left, right, top, bottom, ...), or pairs
            (before, after) for the last axes in their own order. Negative sides crop.
        mode: "constant"; "reflect" (1234 → 32 1234 32), "replicate" (11 1234 44),
            "circular" (34 1234 12).
        value: the constant.

    Raises:
        ShapeError: "reflect" of more than size − 1 cells, "circular" of more than the size, or more
            pairs than axes.

    >>> pad([1.0, 2.0, 3.0], (2, 1), mode="reflect")
    tensor([3., 2., 1., 2., 3., 2.])
    """
    x = as_tensor(input)
    pairs = _pairs(pad, x.ndim)
    if mode == "constant":
        if any(s + a + b < 0 for s, (a, b) in zip(x.shape, pairs, strict=True)):
            raise ShapeError("pad: cropped to less than nothing", got=f"{x.shape} by {pairs}")
        z = apply(_zero_form(x.shape, pairs), x) if any(map(any, pairs)) else x
        return z if value == 0 or not any(map(any, pairs)) else where(_inside(x, pairs), z, value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ArgumentError(
            "pad: mode", expected='"constant", "reflect", "replicate" or "circular"', got=repr(mode)
        )
    for axis, (a, b) in enumerate(pairs):
        if a or b:
            _check_border(mode, axis, x.shape[axis], a, b)
            record = Tensor(_source(mode, x.shape[axis], a, b))
            x = apply(Take(f"pad_{mode}", Rows(x.shape, axis)), x, record)
    return x


def _check_border(mode: str, axis: int, size: int, before: int, after: int) -> None:
    limit = {"reflect": size - 1, "circular": _kept(size, before, after)}.get(mode)
    too_wide = limit is not None and max(before, after) > limit
    if too_wide or size == 0 or size + before + after < 0:
        raise ShapeError(
            f"pad: {mode} border of axis {axis}",
            arithmetic=f"{size} + {before} + {after} = {size + before + after}",
            expected="cells to show" + ("" if limit is None else f", at most {limit} on a side"),
            got=f"{before} and {after} for size {size}",
        )


def _inside(x: Tensor, pairs: Pairs) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    target = [s + a + b for s, (a, b) in zip(x.shape, pairs, strict=True)]
    mask = np.zeros(target, np.bool_)
    box = (slice(max(a, 0), t - max(b, 0)) for t, (a, b) in zip(target, pairs, strict=True))
    mask[tuple(box)] = True
    return mask
