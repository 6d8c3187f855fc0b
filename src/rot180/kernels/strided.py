"""Strided windows: an operand seen over the loops of its form, without a copy.

An affine index is a stride: loop ℓ with coefficient c on an axis of stride t moves c·t bytes. So
the patches of an image, a turned kernel (coefficient −1), a dilated gradient (coefficient S) and a
crop (a constant) are all views of the same memory. Cells out of range are made real by zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rot180.core import Affine, Array, Operand

__all__ = [
    "Border",
    "Index",
    "border",
    "bordered",
    "cells",
    "contiguous_run",
    "empty_in_order",
    "plain_index",
    "window_view",
]

Border = tuple[tuple[int, int], ...]
Index = tuple[int | slice | EllipsisType, ...]


def plain_index(operand: Operand, extents: Mapping[str, int]) -> Index | None:
    """The index that shows an array over its loops, where each axis is one loop or one cell.

    None where some axis is more than that: a window, a part, a step.
    """
    if len(operand.loops) != sum(1 for axis in operand.axes if axis.terms):
        return None
    index: list[int | slice | EllipsisType] = []
    for axis, size in zip(operand.axes, operand.shape, strict=True):
        if not axis.terms and 0 <= axis.constant < size:
            index.append(axis.constant)
            continue
        if len(axis.terms) != 1 or axis.constant:
            return None
        ((loop, coefficient),) = axis.terms
        if coefficient != 1 or extents[loop] != size:
            return None
        index.append(slice(None))
    return (*index, ...)  # with the dots, an index of numbers gives an array without axes


def border(operand: Operand, extents: Mapping[str, int]) -> Border:
    """How many cells before and behind each axis the loops reach beyond the array."""
    spans = [axis.span(extents) for axis in operand.axes]
    return tuple(
        (max(0, -low), max(0, high - size + 1))
        for (low, high), size in zip(spans, operand.shape, strict=True)
    )


def empty_in_order(
    shape: Sequence[int], strides: Sequence[int], dtype: np.dtype[Any], zero: bool = False
) -> Array:
    """A new array whose axes lie in memory in the order that the given strides have."""
    order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    inner = [shape[axis] for axis in order]
    made = np.zeros(inner, dtype) if zero else np.empty(inner, dtype)
    return made.transpose(np.argsort(order)) if order else made


def bordered(array: Array, sides: Border, inner: int | None = None) -> Array:
    """The array with a border of zeros, and an axis innermost in memory where one is named.

    The array itself, where there is nothing to do.
    """
    wide = any(before or after for before, after in sides)
    strides = [abs(stride) for stride in array.strides]
    if inner is not None and array.shape[inner] > 1 and strides[inner] > array.itemsize:
        strides[inner] = 0
    elif not wide:
        return array
    shape = [
        size + before + after for size, (before, after) in zip(array.shape, sides, strict=True)
    ]
    made = empty_in_order(shape, strides, array.dtype, zero=wide)
    inside = zip(sides, array.shape, strict=True)
    made[tuple(slice(before, before + size) for (before, _), size in inside)] = array
    return made


def window_view(
    array: Array,
    axes: Sequence[Affine],
    sides: Border,
    loops: Sequence[str],
    extents: Mapping[str, int],
) -> Array:
    """A view of a bordered array over the given loops."""
    strides = dict.fromkeys(loops, 0)
    start = []
    for axis, stride, (before, _) in zip(axes, array.strides, sides, strict=True):
        start.append(slice(axis.constant + before, None))
        for loop, coefficient in axis.terms:
            strides[loop] += coefficient * stride
    shape = [extents[loop] for loop in loops]
    return as_strided(array[tuple(start)], shape, [strides[loop] for loop in loops])


def contiguous_run(strides: Sequence[int], shape: Sequence[int], itemsize: int) -> int:
    """How many cells at the end of an index lie side by side in memory."""
    run = 1
    for stride, extent in zip(reversed(strides), reversed(shape), strict=True):
        if extent != 1 and stride != run * itemsize:
            break
        run *= extent
    return run


def cells(loops: Sequence[str], extents: Mapping[str, int]) -> int:
    """The number of points of some loops."""
    return math.prod(extents[loop] for loop in loops)
