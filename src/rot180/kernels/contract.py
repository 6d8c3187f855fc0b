"""A form by NumPy: strided windows, matrix products, and placing.

1. Every factor becomes a strided view over its loops (patches are such a view; nothing is copied).
2. Factors are contracted pairwise: loops of both factors that the rest still needs are a batch,
   loops that end here are summed, and the product is one (batched) BLAS matrix product.
   The loops of each matrix side are fused in the order in which they lie in memory, so the one copy
   that BLAS needs of a window view moves runs that are as long as the memory allows.
3. The product is placed into the output. Where several loops meet on one output axis
   (h = S·p + D·r − A read for h), positions p are written as a strided slice, once for each tap r;
   or the axis is solved for p first (`gather`), where that moves fewer cells.

Steps 1 to 3 run over a part of the batch at a time where the patches would not fit into the cache.
What follows from the form alone is worked out once and kept (`_Plan`).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rot180.core import Affine, Array, Form, Operand, Sum, run
from rot180.kernels.gather import as_gather
from rot180.kernels.strided import (
    Border,
    Index,
    border,
    bordered,
    cells,
    contiguous_run,
    empty_in_order,
    plain_index,
    window_view,
)

__all__ = ["add_up", "contract"]

Extents = Mapping[str, int]
Loops = tuple[str, ...]
Factor = tuple[Array, Loops]

PATCH_CELLS = 1 << 20
"""How many cells of patches are made at a time: 4 MiB in float32 (benchmarks/NOTES.md)."""

BATCH = 8
"""A batch of so many images is laid innermost in memory before patches are made of it."""

FEW = 128
"""Up to so many terms are summed by adding slices, faster than reducing short strided axes."""


@run.register
def contract(form: Form, *arrays: Array) -> Array:
    """Compute a form: the array of the operand in output position."""
    plan = _plan(form)
    if plan.is_reshape:
        return arrays[0].reshape(form.result.shape)
    if plan.is_empty:
        return np.zeros(form.result.shape, np.result_type(*arrays))
    if plan.part_loop is not None:
        return _contract_by_parts(plan, arrays)
    return _contract_whole(plan, arrays)


def _contract_whole(plan: _Plan, arrays: Sequence[Array]) -> Array:
    extents = plan.form.extents
    product = _factor(arrays[0], plan.inputs[0], extents)
    for i in range(1, len(arrays)):
        factor = _factor(arrays[i], plan.inputs[i], extents)
        product = _pair(product, factor, plan.later[i], plan.form.result, extents)
    array, loops = _summed(product, plan.wanted, extents)
    if plan.repeats != 1:
        array = array * plan.repeats
    return _place((array, loops), plan, extents)


@run.register
def add_up(kind: Sum, *arrays: Array) -> Array:
    """Compute a sum of forms: each input is added into the cells that its form names."""
    out = np.zeros(kind.forms[0].result.shape, np.result_type(*arrays))
    for form, array in zip(kind.forms, arrays, strict=True):
        plan = _plan(form)
        if not plan.is_empty:
            extents, result = plan.form.extents, plan.result
            source, loops = _factor(array, plan.inputs[0], extents)
            target = window_view(out, result.operand.axes, result.sides, loops, extents)
            target += source
    return out


# What follows from a form alone


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an operand lies over the loops.

    Attributes:
        operand: its shape and its axes.
        loops: what its axes depend on, in their order.
        index: shows the array over its loops without strides, where that is possible.
        sides: cells that the loops reach beyond the array.
        batch: the axis that windows do not touch and that is to lie innermost in memory: patches
            are then copied in runs of whole batches. None where no patches are made.
    """

    operand: Operand
    loops: Loops
    index: Index | None
    sides: Border
    batch: int | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything about a form that does not depend on where its arrays lie in memory.

    Attributes:
        form: the form as it is computed.
        inputs: the factors.
        result: the output.
        is_reshape: input and output are the same loops in row-major order, cut differently.
        is_empty: some loop has no points.
        later: for each input, the loops that the inputs behind it or the output read.
        wanted: the loops of the output.
        repeats: points of the loops that no operand reads.
        taps: loops to step through when placing.
        once: placing writes every output cell exactly once.
        part_loop: a loop to take in parts, None where one go is best.
        part_size: how much of it at a time.
    """

    form: Form
    inputs: tuple[_Layout, ...]
    result: _Layout
    is_reshape: bool
    is_empty: bool
    later: tuple[frozenset[str], ...]
    wanted: frozenset[str]
    repeats: int
    taps: Loops
    once: bool
    part_loop: str | None
    part_size: int


@functools.lru_cache(maxsize=4096)
def _plan(form: Form) -> _Plan:
    is_empty = 0 in form.extents.values()
    form = form if is_empty else as_gather(_without_single_points(form))
    extents = form.extents
    inputs = tuple(_layout(form, operand, is_empty) for operand in form.inputs)
    result = _layout(form, form.result, is_empty)
    wanted = frozenset(result.loops)
    later = tuple(wanted.union(*(x.loops for x in inputs[i + 1 :])) for i in range(len(inputs)))
    unused = set(extents) - wanted - {loop for x in inputs for loop in x.loops}
    taps = _taps(form.result.axes, extents)
    part_loop, part_size = (None, 0) if is_empty else _parts(form)
    return _Plan(
        form,
        inputs,
        result,
        _is_reshape(form),
        is_empty,
        later,
        wanted,
        cells(tuple(unused), extents),
        taps,
        not (taps or is_empty) and cells(result.loops, extents) == _room(result),
        part_loop,
        part_size,
    )


def _room(layout: _Layout) -> int:
    """The cells of an operand with its border: what placing may write to."""
    sides = zip(layout.operand.shape, layout.sides, strict=True)
    return math.prod(size + before + after for size, (before, after) in sides)


def _without_single_points(form: Form) -> Form:
    """The same form without loops of one point: their index is always 0 (a single group, say)."""
    single = {loop for loop, extent in form.loops if extent == 1}
    if not single:
        return form
    operands = tuple(
        Operand(
            o.name,
            tuple(
                Affine(tuple(term for term in axis.terms if term[0] not in single), axis.constant)
                for axis in o.axes
            ),
            o.shape,
        )
        for o in form.operands
    )
    loops = tuple((loop, extent) for loop, extent in form.loops if loop not in single)
    return Form(form.name, operands, loops, form.output)


def _layout(form: Form, operand: Operand, is_empty: bool) -> _Layout:
    extents = form.extents
    sides = () if is_empty else border(operand, extents)
    batch = _batch_axis(form, operand)
    return _Layout(operand, operand.loops, plain_index(operand, extents), sides, batch)


def _batch_axis(form: Form, operand: Operand) -> int | None:
    """The first axis of an operand of windows that is one loop, if that loop is long enough."""
    extents = form.extents
    if len(form.inputs) != 2 or not any(_overlaps(axis, extents) for axis in operand.axes):
        return None
    x, y = form.inputs
    if not set(x.loops) & set(y.loops) - set(form.result.loops):
        return None
    for i, axis in enumerate(operand.axes):
        if len(axis.terms) == 1 and axis.terms[0][1] == 1 and extents[axis.terms[0][0]] >= BATCH:
            return i
    return None


def _is_reshape(form: Form) -> bool:
    if len(form.inputs) != 1:
        return False
    (x,), y = form.inputs, form.result
    total = cells(tuple(form.extents), form.extents)
    return x.loops == y.loops and all(
        math.prod(o.shape) == total and _is_row_major(o, form.extents) for o in (x, y)
    )


def _is_row_major(operand: Operand, extents: Extents) -> bool:
    for axis, size in zip(operand.axes, operand.shape, strict=True):
        radix = 1
        for loop, coefficient in reversed(axis.terms):
            if coefficient != radix:
                return False
            radix *= extents[loop]
        if axis.constant or radix != size:
            return False
    return True


def _factor(array: Array, layout: _Layout, extents: Extents) -> Factor:
    if layout.index is not None:
        # An index of slices only would make a view of the array for nothing.
        whole = len(layout.loops) == array.ndim
        return array if whole else array[layout.index], layout.loops
    wide = bordered(array, layout.sides, layout.batch)
    axes = layout.operand.axes
    return window_view(wide, axes, layout.sides, layout.loops, extents), layout.loops


# Sums and products of factors


def _summed(factor: Factor, keep: frozenset[str], extents: Extents) -> Factor:
    """Sum over the loops that nothing else needs."""
    array, loops = factor
    gone = [loop for loop in loops if loop not in keep]
    if not gone:
        return factor
    kept = tuple(loop for loop in loops if loop in keep)
    axes = tuple(loops.index(loop) for loop in gone)
    terms = cells(gone, extents)
    if 1 < terms <= FEW and array.size >= 4 * terms * terms:
        moved = np.moveaxis(array, axes, range(len(axes)))
        slices = (moved[point] for point in itertools.product(*(range(extents[g]) for g in gone)))
        total = next(slices) + next(slices)
        for term in slices:
            total += term
        return total, kept
    return np.asarray(array.sum(axis=axes)), kept


def _pair(a: Factor, b: Factor, later: frozenset[str], result: Operand, extents: Extents) -> Factor:
    """Multiply two factors and sum over the loops that end here."""
    a = _summed(a, later.union(b[1]), extents)
    b = _summed(b, later.union(a[1]), extents)
    both = [loop for loop in a[1] if loop in b[1]]
    ends = [loop for loop in both if loop not in later]
    if not ends:
        return _times(a, b)
    batch = [loop for loop in both if loop in later]
    rows = [loop for loop in b[1] if loop not in both]
    columns = [loop for loop in a[1] if loop not in both]
    if _rows_lie_inside(result, rows, columns, ends, extents):
        a, b, rows, columns = b, a, columns, rows
    big = a if a[0].size >= b[0].size else b
    batch, ends = _by_memory(big, batch), _by_memory(big, ends)
    rows, columns = _by_memory(b, rows), _by_memory(a, columns)
    left = _matrix(b, batch, rows, ends, extents)
    right = _matrix(a, batch, ends, columns, extents)
    loops = (*batch, *rows, *columns)
    product: Array = np.matmul(left, right)
    return product.reshape([extents[loop] for loop in loops]), loops


def _times(a: Factor, b: Factor) -> Factor:
    """The product without a sum."""
    if len(b[1]) > len(a[1]):
        a, b = b, a
    loops = (*(loop for loop in b[1] if loop not in a[1]), *a[1])
    return _aligned(a, loops) * _aligned(b, loops), loops


def _aligned(factor: Factor, loops: Loops) -> Array:
    """The factor with its loops in the given order, axes of extent 1 where it has none."""
    array, own = factor
    if own == loops:
        return array
    moved: Array = array.transpose([own.index(loop) for loop in loops if loop in own])
    if len(own) == len(loops):
        return moved
    spread: Array = moved[tuple(slice(None) if loop in own else None for loop in loops)]
    return spread


def _rows_lie_inside(
    result: Operand,
    rows: Sequence[str],
    columns: Sequence[str],
    ends: Sequence[str],
    extents: Extents,
) -> bool:
    """Whether the rows are to lie innermost in memory: those of the result's last axis are.

    Where the sum is longer than both sides, BLAS is faster with the shorter side innermost.
    """
    high, wide, depth = (cells(loops, extents) for loops in (rows, columns, ends))
    if depth > max(high, wide) and high != wide:
        return high < wide
    last = result.axes[-1].terms if result.axes else ()
    if len(last) == 1:
        return last[0][0] in rows
    return high > wide


def _by_memory(factor: Factor, loops: Sequence[str]) -> list[str]:
    """Loops in the order in which they lie in memory, the widest stride first."""
    if len(loops) < 2:
        return list(loops)
    array, own = factor
    return sorted(loops, key=lambda loop: -abs(array.strides[own.index(loop)]))


def _matrix(
    factor: Factor,
    batch: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    extents: Extents,
) -> Array:
    """The factor as a (batch of) matrices; if it must be copied, in the order of longer runs."""
    array, own = factor
    batches = [cells(batch, extents)] if batch else []
    high, wide = cells(rows, extents), cells(columns, extents)
    straight: Array = array.transpose([own.index(loop) for loop in (*batch, *rows, *columns)])
    turned: Array = array.transpose([own.index(loop) for loop in (*batch, *columns, *rows)])
    if _run(turned) > _run(straight):
        return np.swapaxes(turned.reshape([*batches, wide, high]), -1, -2)
    return straight.reshape([*batches, high, wide])


def _run(array: Array) -> int:
    return contiguous_run(array.strides, array.shape, array.itemsize)


# Placing into the output


def _place(product: Factor, plan: _Plan, extents: Extents) -> Array:
    _, loops = product
    result = plan.result
    shape = result.operand.shape
    if result.index is not None and plan.once:
        aligned = _aligned(product, result.loops)
        dense = tuple(extents[loop] for loop in result.loops)
        aligned = aligned if aligned.shape == dense else np.broadcast_to(aligned, dense)
        return aligned if dense == shape else aligned.reshape(shape)
    wide = _output(product, result, zero=not plan.once)
    rest = dict.fromkeys(loop for loop in (*loops, *result.loops) if loop not in plan.taps)
    order = (*plan.taps, *rest)
    target = window_view(wide, result.operand.axes, result.sides, order, extents)
    source = _aligned(product, order)
    if plan.taps:
        steps = [extents[loop] for loop in plan.taps]
        source = np.broadcast_to(source, (*steps, *source.shape[len(steps) :]))
        for tap in itertools.product(*map(range, steps)):
            part = target[tap]
            part += source[tap]
    else:
        target[...] = source
    inside = zip(result.sides, shape, strict=True)
    return wide[tuple(slice(before, before + size) for (before, _), size in inside)]


def _output(product: Factor, result: _Layout, zero: bool) -> Array:
    """The array to place into, its axes in memory in the order of the product's loops."""
    array, loops = product
    sizes = zip(result.operand.shape, result.sides, strict=True)
    shape = [size + before + after for size, (before, after) in sizes]

    def stride(axis: Affine) -> int:
        own = [loop for loop, _ in axis.terms if loop in loops]
        return max((abs(array.strides[loops.index(loop)]) for loop in own), default=0)

    strides = [stride(axis) for axis in result.operand.axes]
    return empty_in_order(shape, strides, array.dtype, zero)


def _taps(axes: Sequence[Affine], extents: Extents) -> Loops:
    """The loops to step through so that what remains writes every output cell at most once."""
    stepped: list[str] = []
    for axis in axes:
        terms = sorted(axis.terms, key=lambda term: extents[term[0]])
        while not _is_injective(terms, extents):
            stepped.append(terms.pop(0)[0])
    return tuple(stepped)


def _is_injective(terms: Sequence[tuple[str, int]], extents: Extents) -> bool:
    """Whether different values of the loops always give different indices (a mixed radix)."""
    reach = 0
    for loop, coefficient in sorted(terms, key=lambda term: abs(term[1])):
        if abs(coefficient) <= reach:
            return False
        reach += abs(coefficient) * (extents[loop] - 1)
    return True


# Parts of a batch


def _overlaps(axis: Affine, extents: Extents) -> bool:
    """Whether several points of the loops meet in one cell, as those of a window do.

    The channels of a group (j·C + c) do not: they are a reshape.
    """
    return not _is_injective(axis.terms, extents)


def _parts(form: Form) -> tuple[str | None, int]:
    """A loop to take in parts, and how much of it at a time; None where one go is best.

    Only products with windows are cut: the factor (or product) over all loops is what is large.
    """
    extents = form.extents
    windowed = [o for o in form.operands if any(_overlaps(axis, extents) for axis in o.axes)]
    if not windowed or len(form.inputs) < 2:
        return None, 0
    size = max(cells(o.loops, extents) for o in windowed)
    if size <= 2 * PATCH_CELLS:
        return None, 0
    for loop, extent in form.loops:
        axes = [axis for o in form.operands for axis in o.axes if loop in dict(axis.terms)]
        plain = all(axis == Affine(((loop, 1),)) for axis in axes)
        if extent > 1 and plain and all(loop in o.loops for o in windowed):
            return loop, max(1, extent * PATCH_CELLS // size)
    return None, 0


def _contract_by_parts(plan: _Plan, arrays: Sequence[Array]) -> Array:
    form, loop = plan.form, plan.part_loop
    assert loop is not None
    extent, step = form.extents[loop], plan.part_size
    axis = _axis_of(form.result, loop)
    total: Array | None = None
    for start in range(0, extent, step):
        stop = min(start + step, extent)
        part = _part(form, loop, stop - start)
        cut = [
            array if (i := _axis_of(operand, loop)) is None else _slice(array, i, start, stop)
            for array, operand in zip(arrays, form.inputs, strict=True)
        ]
        made = _contract_whole(_plan(part), cut)
        if axis is None:
            total = made if total is None else np.add(total, made, out=total)
            continue
        if total is None:
            total = empty_in_order(form.result.shape, made.strides, made.dtype)
        _slice(total, axis, start, stop)[...] = made
    assert total is not None
    return total


def _slice(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _axis_of(operand: Operand, loop: str) -> int | None:
    return next((i for i, axis in enumerate(operand.axes) if loop in dict(axis.terms)), None)


@functools.lru_cache(maxsize=4096)
def _part(form: Form, loop: str, extent: int) -> Form:
    """The same form over a part of one plain loop."""
    operands = []
    for o in form.operands:
        i = _axis_of(o, loop)
        shape = o.shape if i is None else (*o.shape[:i], extent, *o.shape[i + 1 :])
        operands.append(Operand(o.name, o.axes, shape))
    loops = tuple((name, extent if name == loop else size) for name, size in form.loops)
    return Form(form.name, tuple(operands), loops, form.output)
