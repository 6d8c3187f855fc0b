"""A form by NumPy: strided windows, matrix products, and placing.

1. Every factor becomes a strided view over its loops (patches are such a view; nothing is copied).
2. Factors are contracted pairwise: loops of both factors that the rest still needs are a batch,
   loops that end here are summed, and the product is one (batched) BLAS matrix product.
   The loops of each matrix side are fused in the order in which they lie in memory, so the one copy
   that BLAS needs of a window view moves runs that are as long as the memory allows.
3. The product is placed into the output. Where several loops meet on one output axis
   (h = S·p + D·r − A read for h), positions p are written as a strided slice, once for each tap r;
   or the axis is solved for p first (`gather`), where that moves fewer cells.

Steps 2 and 3 run over a part of a loop at a time where the patches would not fit into the cache.
What follows from the form alone is worked out once and kept (`plan`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from rot180.core import Affine, Array, Form, Sum, run
from rot180.kernels.plan import Extents, Layout, Plan, axis_of, part_plan, plan
from rot180.kernels.product import Factor, aligned_to, multiplied, summed
from rot180.kernels.strided import bordered, empty_in_order, window_view

__all__ = ["add_up", "contract"]


@run.register
def contract(form: Form, *arrays: Array) -> Array:
    """Compute a form: the array of the operand in output position."""
    p = plan(form)
    if p.is_reshape:
        return arrays[0].reshape(form.result.shape)
    if p.is_empty:
        return np.zeros(form.result.shape, np.result_type(*arrays))
    extents = p.form.extents
    factors = [_factor(array, x, extents) for array, x in zip(arrays, p.inputs, strict=True)]
    if p.part_loop is not None:
        return _by_parts(p, p.part_loop, factors)
    return _place(_product(p, factors), p)


def _product(p: Plan, factors: Sequence[Factor]) -> Factor:
    """All factors multiplied, and summed over the loops that the output lacks."""
    extents = p.form.extents
    product = factors[0]
    for factor, later in zip(factors[1:], p.later[1:], strict=True):
        product = multiplied(product, factor, later, p.form.result, extents)
    array, loops = summed(product, p.wanted, extents)
    return (array * p.repeats if p.repeats != 1 else array), loops


def _by_parts(p: Plan, loop: str, factors: Sequence[Factor]) -> Array:
    """The form over parts of one loop: they stand side by side in the output, or are added up."""
    extent, step = p.form.extents[loop], p.part_size
    axis = axis_of(p.form.result, loop)
    total: Array | None = None
    for start in range(0, extent, step):
        stop = min(start + step, extent)
        part = part_plan(p.form, loop, stop - start)
        made = _place(_product(part, [_cut(f, loop, start, stop) for f in factors]), part)
        if axis is None:
            total = made if total is None else np.add(total, made, out=total)
            continue
        if total is None:
            total = empty_in_order(p.form.result.shape, made.strides, made.dtype)
        total[(slice(None),) * axis + (slice(start, stop),)] = made
    assert total is not None
    return total


def _cut(factor: Factor, loop: str, start: int, stop: int) -> Factor:
    array, loops = factor
    if loop not in loops:
        return factor
    return array[(slice(None),) * loops.index(loop) + (slice(start, stop),)], loops


@run.register
def add_up(kind: Sum, *arrays: Array) -> Array:
    """Compute a sum of forms: each input is added into the cells that its form names."""
    out = np.zeros(kind.forms[0].result.shape, np.result_type(*arrays))
    for form, array in zip(kind.forms, arrays, strict=True):
        p = plan(form)
        if not p.is_empty:
            extents, result = p.form.extents, p.result
            source, loops = _factor(array, p.inputs[0], extents)
            target = window_view(out, result.operand.axes, result.sides, loops, extents)
            target += source
    return out


def _factor(array: Array, layout: Layout, extents: Extents) -> Factor:
    if layout.index is not None:
        # An index of slices only would make a view of the array for nothing.
        whole = len(layout.loops) == array.ndim
        return array if whole else array[layout.index], layout.loops
    wide = bordered(array, layout.sides, layout.batch)
    axes = layout.operand.axes
    return window_view(wide, axes, layout.sides, layout.loops, extents), layout.loops


# Placing into the output


def _place(product: Factor, p: Plan) -> Array:
    _, loops = product
    result, extents = p.result, p.form.extents
    shape = result.operand.shape
    if result.index is not None and p.once:
        aligned = aligned_to(product, result.loops)
        dense = tuple(extents[loop] for loop in result.loops)
        aligned = aligned if aligned.shape == dense else np.broadcast_to(aligned, dense)
        return aligned if dense == shape else aligned.reshape(shape)
    wide = _output(product, result, zero=not p.once)
    rest = dict.fromkeys(loop for loop in (*loops, *result.loops) if loop not in p.taps)
    order = (*p.taps, *rest)
    target = window_view(wide, result.operand.axes, result.sides, order, extents)
    source = aligned_to(product, order)
    if p.taps:
        steps = [extents[loop] for loop in p.taps]
        source = np.broadcast_to(source, (*steps, *source.shape[len(steps) :]))
        for tap in itertools.product(*map(range, steps)):
            part = target[tap]
            part += source[tap]
    else:
        target[...] = source
    inside = zip(result.sides, shape, strict=True)
    return wide[tuple(slice(before, before + size) for (before, _), size in inside)]


def _output(product: Factor, result: Layout, zero: bool) -> Array:
    """The array to place into, its axes in memory in the order of the product's loops."""
    array, loops = product
    sizes = zip(result.operand.shape, result.sides, strict=True)
    shape = [size + before + after for size, (before, after) in sizes]

    def stride(axis: Affine) -> int:
        own = [loop for loop, _ in axis.terms if loop in loops]
        return max((abs(array.strides[loops.index(loop)]) for loop in own), default=0)

    strides = [stride(axis) for axis in result.operand.axes]
    return empty_in_order(shape, strides, array.dtype, zero)
