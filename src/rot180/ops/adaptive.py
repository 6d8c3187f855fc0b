"""Adaptive and global pools: so many windows that share the axis evenly.

Window i of P reads the cells from ⌊i·H/P⌋ up to ⌈(i + 1)·H/P⌉. Where P divides H these are ordinary
pools; elsewhere the mean is a matrix along each axis, and the largest cell is taken slice by slice.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.core import ArrayLike, Form, Tensor, apply, declare
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.batches import unbatched
from rot180.ops.family import Member, member
from rot180.ops.index import getitem, index_select
from rot180.ops.operands import as_tensor, floating
from rot180.ops.pool import average, spatial
from rot180.ops.reduce import amax, argmax, mean
from rot180.ops.registry import operation
from rot180.ops.shape import reshape, stack

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "axis_matrices_form",
    "global_avg_pool",
    "global_max_pool",
]

Shape = tuple[int, ...]


def _adaptive_sizes(
    what: str, output_size: int | Sequence[int | None] | None, sizes: Shape
) -> Shape:
    axes = len(sizes)
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


def _adaptive_avg_pool(which: Member, input: ArrayLike, output_size: Any) -> Tensor:
    """Law: means over windows that share each axis evenly.

    Args:
        input: (N, C, spatial...), or without a batch.
        output_size: P, one for all axes or one per axis; None keeps an axis's size.

    Raises:
        ShapeError: a size below 1.
    """
    what = which.name
    x, added = spatial(input, which)
    sizes = x.shape[2:]
    outputs = _adaptive_sizes(what, output_size, sizes)
    if all(h % p == 0 for h, p in zip(sizes, outputs, strict=True)):
        kernel = tuple(h // p for h, p in zip(sizes, outputs, strict=True))
        return unbatched(average(which, x, kernel), added)
    us = [_averages(h, p, str(x.dtype)) for h, p in zip(sizes, outputs, strict=True)]
    return unbatched(apply(axis_matrices_form(what, x.shape, outputs), x, *us), added)


adaptive_avg_pool1d = member(_adaptive_avg_pool, "adaptive_avg_pool1d", 1)
adaptive_avg_pool2d = member(_adaptive_avg_pool, "adaptive_avg_pool2d", 2)
adaptive_avg_pool3d = member(_adaptive_avg_pool, "adaptive_avg_pool3d", 3)


def _adaptive_max_pool(
    which: Member, input: ArrayLike, output_size: Any, return_indices: bool = False
) -> Any:
    """Law: largest cells of windows that share each axis evenly.

    Args:
        input: (N, C, spatial...), or without a batch.
        output_size: P, one for all axes or one per axis; None keeps an axis's size.
        return_indices: also return where each winner is, as max_pool does.

    Raises:
        ShapeError: a size below 1.
    """
    what = which.name
    x, added = spatial(input, which)
    sizes = x.shape[2:]
    outputs = _adaptive_sizes(what, output_size, sizes)
    cells, places = [], []
    spans = (_spans(h, p) for h, p in zip(sizes, outputs, strict=True))
    plane = np.arange(math.prod(sizes)).reshape(sizes)
    for box in itertools.product(*spans):
        inside = tuple(slice(*span) for span in box)
        part = getitem(x, (Ellipsis, *inside))
        flat = reshape(part, (*x.shape[:2], math.prod(part.shape[2:])))
        cells.append(amax(flat, -1))
        if return_indices:
            places.append(index_select(plane[inside].reshape(-1), 0, argmax(flat, -1)))
    shape = (*x.shape[:2], *outputs)
    values = unbatched(reshape(stack(cells, -1), shape), added)
    if not return_indices:
        return values
    return values, unbatched(reshape(stack(places, -1), shape), added)


adaptive_max_pool1d = member(_adaptive_max_pool, "adaptive_max_pool1d", 1)
adaptive_max_pool2d = member(_adaptive_max_pool, "adaptive_max_pool2d", 2)
adaptive_max_pool3d = member(_adaptive_max_pool, "adaptive_max_pool3d", 3)


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
