"""Products of factors: strided arrays over named loops, multiplied and summed pairwise.

A product over loops of both factors that nothing else needs is a (batched) matrix product by BLAS.
The loops of each side of a matrix are fused in the order in which they lie in memory, so that the
one copy that BLAS needs of a window view moves runs as long as the memory allows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from rot180.core import Array, Operand
from rot180.kernels.plan import Extents, Loops
from rot180.kernels.strided import cells, contiguous_run

__all__ = ["Factor", "aligned_to", "multiplied", "summed"]

Factor = tuple[Array, Loops]
"""An array and the loop that each of its axes is."""

FEW = 128
"""Up to so many terms are summed by adding slices, faster than reducing short strided axes."""


def summed(factor: Factor, keep: frozenset[str], extents: Extents) -> Factor:
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


def multiplied(
    a: Factor, b: Factor, later: frozenset[str], result: Operand, extents: Extents
) -> Factor:
    """Multiply two factors and sum over the loops that end here."""
    a = summed(a, later.union(b[1]), extents)
    b = summed(b, later.union(a[1]), extents)
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
    return aligned_to(a, loops) * aligned_to(b, loops), loops


def aligned_to(factor: Factor, loops: Loops) -> Array:
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
