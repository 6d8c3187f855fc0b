"""A form by NumPy: strided windows, matrix products, and placing.

1. Every factor becomes a strided view over its loops (patches are such a view; nothing is copied).
2. Factors are contracted pairwise: loops of both factors that the rest still needs are a batch,
   loops that end here are summed, and the product is one (batched) BLAS matrix product.
   The loops of each matrix side are fused in the order in which they lie in memory, so the one copy
   that BLAS needs of a window view moves runs that are as long as the memory allows.
3. The product is placed into the output. Where several loops meet on one output axis
   (h = S·p + D·r − A read for h), positions p are written as a strided slice, once for each tap r.

Steps 1 to 3 run over a part of the batch at a time where the patches would not fit into the cache.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rot180.core import Affine, Array, Form, Operand, Sum, run
from rot180.kernels.strided import (
    border,
    bordered,
    cells,
    contiguous_run,
    empty_in_order,
    is_plain,
    window_view,
)

__all__ = ["add_up", "contract"]

Extents = Mapping[str, int]
Loops = tuple[str, ...]
Factor = tuple[Array, Loops]

PATCH_CELLS = 1 << 18
"""How many cells of patches are made at a time: 1 MiB in float32, what a core's own cache holds."""

FEW = 128
"""Up to so many terms are summed by adding slices, which beats a reduction over short strided axes."""


@run.register
def contract(form: Form, *arrays: Array) -> Array:
    """Compute a form: the array of the operand in output position."""
    if _is_reshape(form):
        return arrays[0].reshape(form.result.shape)
    if 0 in form.extents.values():
        return np.zeros(form.result.shape, np.result_type(*arrays))
    loop, step = _parts(form)
    if loop is None:
        return _contract_whole(form, arrays)
    return _contract_by_parts(form, arrays, loop, step)


def _contract_whole(form: Form, arrays: Sequence[Array]) -> Array:
    extents, result = form.extents, form.result
    factors = [
        _factor(array, operand, extents) for array, operand in zip(arrays, form.inputs, strict=True)
    ]
    wanted = set(result.loops)
    product = factors[0]
    for i, factor in enumerate(factors[1:], start=1):
        later = wanted.union(*(loops for _, loops in factors[i + 1 :]))
        product = _pair(product, factor, later, result, extents)
    product = _summed(product, wanted, extents)
    unused = set(extents) - wanted - {loop for o in form.inputs for loop in o.loops}
    if unused:
        product = product[0] * cells(tuple(unused), extents), product[1]
    return _place(product, result, extents)


@functools.lru_cache(maxsize=4096)
def _is_reshape(form: Form) -> bool:
    """Whether input and output are the same loops in row-major order, cut into axes differently."""
    if len(form.inputs) != 1:
        return False
    (x,), y = form.inputs, form.result
    return x.loops == y.loops and all(_is_row_major(o, form.extents) for o in (x, y))


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


def _factor(array: Array, operand: Operand, extents: Extents) -> Factor:
    if is_plain(operand, extents):
        return array, operand.loops
    sides = border(operand, extents)
    wide = bordered(array, sides)
    return window_view(wide, operand.axes, sides, operand.loops, extents, {}), operand.loops


# Sums and products of factors


def _summed(factor: Factor, keep: set[str], extents: Extents) -> Factor:
    """Sum over the loops that nothing else needs."""
    array, loops = factor
    gone = [loop for loop in loops if loop not in keep]
    if not gone:
        return factor
    kept = tuple(loop for loop in loops if loop in keep)
    axes = tuple(loops.index(loop) for loop in gone)
    taps = cells(gone, extents)
    if 1 < taps <= FEW and kept and array.size // taps >= 4 * taps:
        moved = np.moveaxis(array, axes, range(len(axes)))
        terms = (moved[tap] for tap in itertools.product(*(range(extents[loop]) for loop in gone)))
        total = next(terms) + next(terms)
        for term in terms:
            total += term
        return total, kept
    return np.asarray(array.sum(axis=axes)), kept


def _pair(a: Factor, b: Factor, later: set[str], result: Operand, extents: Extents) -> Factor:
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
    inner = _inner_side(result, rows, columns, extents)
    if inner == "rows":
        a, b, rows, columns = b, a, columns, rows
    big = max(a, b, key=lambda factor: factor[0].size)
    batch, ends = _by_memory(big, batch), _by_memory(big, ends)
    rows, columns = _by_memory(b, rows), _by_memory(a, columns)
    left = _matrix(b, batch, rows, ends, extents)
    right = _matrix(a, batch, ends, columns, extents)
    product = np.matmul(left, right)
    loops = (*batch, *rows, *columns)
    return product.reshape([extents[loop] for loop in loops]), loops


def _times(a: Factor, b: Factor) -> Factor:
    """The product without a sum."""
    if len(b[1]) > len(a[1]):
        a, b = b, a
    loops = (*(loop for loop in b[1] if loop not in a[1]), *a[1])
    if loops != a[1]:
        return _aligned(a, loops) * _aligned(b, loops), loops
    return a[0] * _aligned(b, loops), loops


def _aligned(factor: Factor, loops: Loops) -> Array:
    """The factor with its loops in the given order, axes of extent 1 where it has none."""
    array, own = factor
    moved = array.transpose([own.index(loop) for loop in loops if loop in own])
    index = tuple(slice(None) if loop in own else None for loop in loops)
    return moved[index]


def _inner_side(
    result: Operand, rows: Sequence[str], columns: Sequence[str], extents: Extents
) -> str:
    """Which side of the product is to lie innermost in memory: where the result's last axis is."""
    last = result.axes[-1].terms if result.axes else ()
    if len(last) == 1:
        return "rows" if last[0][0] in rows else "columns"
    return "rows" if cells(rows, extents) > cells(columns, extents) else "columns"


def _by_memory(factor: Factor, loops: Sequence[str]) -> list[str]:
    """Loops in the order in which they lie in memory, the widest stride first."""
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

    def ordered(*loops: str) -> Array:
        return array.transpose([own.index(loop) for loop in loops])

    shape = [extents[loop] for loop in batch]
    batches = [math.prod(shape)] if batch else []
    high, wide = cells(rows, extents), cells(columns, extents)
    straight = ordered(*batch, *rows, *columns)
    turned = ordered(*batch, *columns, *rows)
    if _run(turned) > _run(straight):
        return np.swapaxes(turned.reshape([*batches, wide, high]), -1, -2)
    return straight.reshape([*batches, high, wide])


def _run(array: Array) -> int:
    return contiguous_run(array.strides, array.shape, array.itemsize)


# Placing into the output


def _place(product: Factor, result: Operand, extents: Extents) -> Array:
    array, loops = product
    if is_plain(result, extents):
        aligned = _aligned(product, result.loops)
        return aligned if aligned.shape == result.shape else np.broadcast_to(aligned, result.shape)
    sides = border(result, extents)
    taps = _taps(result.axes, extents)
    room = math.prod(size + sum(side) for size, side in zip(result.shape, sides, strict=True))
    once = not taps and cells(result.loops, extents) == room
    wide = _output(product, result, sides, zero=not once)
    dense = tuple(dict.fromkeys(loop for loop in (*loops, *result.loops) if loop not in taps))
    for point in _points(taps, extents):
        target = window_view(wide, result.axes, sides, dense, extents, point)
        source = _aligned((array[_at(loops, point)], _without(loops, point)), dense)
        if taps:
            target += source
        else:
            target[...] = source
    inside = zip(sides, result.shape, strict=True)
    return wide[tuple(slice(before, before + size) for (before, _), size in inside)]


@run.register
def add_up(kind: Sum, *arrays: Array) -> Array:
    """Compute a sum of forms: each input is added into the cells that its form names."""
    out = np.zeros(kind.forms[0].result.shape, np.result_type(*arrays))
    for form, array in zip(kind.forms, arrays, strict=True):
        if array.size:
            result, loops = form.result, form.inputs[0].loops
            sides = border(result, form.extents)
            target = window_view(out, result.axes, sides, loops, form.extents, {})
            target += array
    return out


def _output(
    product: Factor, result: Operand, sides: tuple[tuple[int, int], ...], zero: bool
) -> Array:
    """The array to place into, its axes in memory in the order of the product's loops."""
    array, loops = product
    shape = [
        size + before + after for size, (before, after) in zip(result.shape, sides, strict=True)
    ]

    def stride(axis: Affine) -> int:
        own = [loop for loop, _ in axis.terms if loop in loops]
        return max((abs(array.strides[loops.index(loop)]) for loop in own), default=0)

    return empty_in_order(shape, [stride(axis) for axis in result.axes], array.dtype, zero)


def _taps(axes: Sequence[Affine], extents: Extents) -> tuple[str, ...]:
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


def _points(taps: Sequence[str], extents: Extents) -> Iterator[dict[str, int]]:
    for values in itertools.product(*(range(extents[loop]) for loop in taps)):
        yield dict(zip(taps, values, strict=True))


def _at(loops: Loops, point: Mapping[str, int]) -> tuple[int | slice, ...]:
    return tuple(point.get(loop, slice(None)) for loop in loops)


def _without(loops: Loops, point: Mapping[str, int]) -> Loops:
    return tuple(loop for loop in loops if loop not in point)


# Parts of a batch


@functools.lru_cache(maxsize=4096)
def _parts(form: Form) -> tuple[str | None, int]:
    """A loop to take in parts, and how much of it at a time; None where one go is best.

    Only products with windows are cut: the factor (or product) over all loops is what is large.
    """
    extents = form.extents
    windowed = [o for o in form.operands if any(len(axis.terms) > 1 for axis in o.axes)]
    if not windowed or len(form.inputs) < 2:
        return None, 0
    size = max(cells(o.loops, extents) for o in windowed)
    if size <= 2 * PATCH_CELLS:
        return None, 0
    for loop, extent in form.loops:
        axes = [axis for o in form.operands for axis in o.axes if loop in dict(axis.terms)]
        if (
            extent > 1
            and all(axis == Affine(((loop, 1),)) for axis in axes)
            and all(loop in o.loops for o in windowed)
        ):
            return loop, max(1, extent * PATCH_CELLS // size)
    return None, 0


def _contract_by_parts(form: Form, arrays: Sequence[Array], loop: str, step: int) -> Array:
    extent = form.extents[loop]
    total: Array | None = None
    axis = _axis_of(form.result, loop)
    for start in range(0, extent, step):
        stop = min(start + step, extent)
        part = _part(form, loop, stop - start)
        cut = [
            array if (i := _axis_of(operand, loop)) is None else _slice(array, i, start, stop)
            for array, operand in zip(arrays, form.inputs, strict=True)
        ]
        made = _contract_whole(part, cut)
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
