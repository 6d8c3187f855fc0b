"""Strided windows: an operand seen over the loops of its form, without a copy.

An affine index is a stride: loop ℓ with coefficient c on an axis of stride t moves c·t bytes. So
the patches of an image, a turned kernel (coefficient −1), a dilated gradient (coefficient S) and a
crop (a constant) are all views of the same memory. Cells out of range are made real by zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rot180.core import Affine, Array, Operand

__all__ = [
    "Border",
    "border",
    "bordered",
    "cells",
    "contiguous_run",
    "empty_in_order",
    "is_plain",
    "window_view",
]

Border = tuple[tuple[int, int], ...]


def is_plain(operand: Operand, extents: Mapping[str, int]) -> bool:
    """Whether each axis is one loop, from end to end: the array itself is the view."""
    loops = operand.loops
    return len(loops) == len(operand.axes) and all(
        axis.terms == ((loop, 1),) and axis.constant == 0 and extents[loop] == size
        for axis, loop, size in zip(operand.axes, loops, operand.shape, strict=True)
    )


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


def bordered(array: Array, sides: Border) -> Array:
    """The array with a border of zeros (itself, where no side has one)."""
    if not any(before or after for before, after in sides):
        return array
    shape = [
        size + before + after for size, (before, after) in zip(array.shape, sides, strict=True)
    ]
    wide = empty_in_order(shape, array.strides, array.dtype, zero=True)
    inside = zip(sides, array.shape, strict=True)
    wide[tuple(slice(before, before + size) for (before, _), size in inside)] = array
    return wide


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
