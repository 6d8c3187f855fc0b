"""What follows from a form alone: worked out once for each form, and kept.

A form is first rewritten where that saves work (loops of one point are dropped, a scattered output
may become a gather). Then a plan says how every operand lies over the loops, what is summed when,
how the output is written, and in which parts a product with windows is taken so that its patches
stay in the cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rot180.core import Affine, Form, Operand
from rot180.kernels.gather import as_gather
from rot180.kernels.strided import Border, Index, border, cells, plain_index

__all__ = ["Extents", "Layout", "Loops", "Plan", "axis_of", "part_plan", "plan"]

Extents = Mapping[str, int]
Loops = tuple[str, ...]

PATCH_CELLS = 1 << 20
"""How many cells of patches are made at a time: 4 MiB in float32 (benchmarks/NOTES.md)."""

BATCH = 8
"""A batch of so many images is laid innermost in memory before patches are made of it."""


@dataclass(frozen=True, slots=True)
class Layout:
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
class Plan:
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
    inputs: tuple[Layout, ...]
    result: Layout
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
def plan(form: Form) -> Plan:
    """The plan of a form."""
    if 0 in form.extents.values():
        return _planned(form, is_empty=True)
    return _planned(as_gather(_without_single_points(form)), is_empty=False)


@functools.lru_cache(maxsize=4096)
def part_plan(form: Form, loop: str, extent: int) -> Plan:
    """The plan of a form over a part of one loop; its inputs are cut over the loops already."""
    operands = []
    for o in form.operands:
        i = axis_of(o, loop)
        plain = i is not None and o.axes[i] == Affine(((loop, 1),))
        shape = (*o.shape[:i], extent, *o.shape[i + 1 :]) if plain and i is not None else o.shape
        operands.append(Operand(o.name, o.axes, shape))
    loops = tuple((name, extent if name == loop else size) for name, size in form.loops)
    return _planned(Form(form.name, tuple(operands), loops, form.output), is_empty=False)


def _planned(form: Form, is_empty: bool) -> Plan:
    extents = form.extents
    inputs = tuple(_layout(form, operand, is_empty) for operand in form.inputs)
    result = _layout(form, form.result, is_empty)
    wanted = frozenset(result.loops)
    later = tuple(wanted.union(*(x.loops for x in inputs[i + 1 :])) for i in range(len(inputs)))
    unused = set(extents) - wanted - {loop for x in inputs for loop in x.loops}
    taps = _taps(form.result.axes, extents)
    part_loop, part_size = (None, 0) if is_empty else _parts(form)
    return Plan(
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


def _room(layout: Layout) -> int:
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


def _layout(form: Form, operand: Operand, is_empty: bool) -> Layout:
    extents = form.extents
    sides = () if is_empty else border(operand, extents)
    batch = _batch_axis(form, operand)
    return Layout(operand, operand.loops, plain_index(operand, extents), sides, batch)


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


def _overlaps(axis: Affine, extents: Extents) -> bool:
    """Whether several points of the loops meet in one cell, as those of a window do.

    The channels of a group (j·C + c) do not: they are a reshape.
    """
    return not _is_injective(axis.terms, extents)


def axis_of(operand: Operand, loop: str) -> int | None:
    """The axis of an operand that a loop moves along, None where it does not depend on it."""
    return next((i for i, axis in enumerate(operand.axes) if loop in dict(axis.terms)), None)


def _parts(form: Form) -> tuple[str | None, int]:
    """A loop to take in parts, and how much of it at a time; None where one go is best.

    Only products with windows are cut: the factor (or the product) over all loops is what is large.
    Cut are positions of the windows, else channels, else the batch, which lies innermost.
    """
    extents = form.extents
    windowed = [o for o in form.operands if any(_overlaps(axis, extents) for axis in o.axes)]
    if not windowed or len(form.inputs) < 2:
        return None, 0
    size = max(cells(o.loops, extents) for o in windowed)
    if size <= 2 * PATCH_CELLS:
        return None, 0
    needed = -(-size // PATCH_CELLS)
    cuttable = [loop for loop in form.loops if _can_cut(form, loop[0], windowed)]
    for loop, extent in sorted(cuttable, key=lambda item: _preference(form, item[0], windowed)):
        if extent >= needed:
            return loop, max(1, extent * PATCH_CELLS // size)
    longest, extent = max(cuttable, key=lambda item: item[1], default=("", 1))
    return (longest, 1) if extent > 1 else (None, 0)


def _can_cut(form: Form, loop: str, windowed: Sequence[Operand]) -> bool:
    """Whether parts of a loop are parts of what is large, and do not meet in the output."""
    i = axis_of(form.result, loop)
    plain = i is None or form.result.axes[i] == Affine(((loop, 1),))
    return plain and all(loop in o.loops for o in windowed)


def _preference(form: Form, loop: str, windowed: Sequence[Operand]) -> tuple[bool, int]:
    """Positions of windows first (the longest loop of their axis), then the last loops."""
    extents = form.extents
    axes = [axis for o in windowed for axis in o.axes if _overlaps(axis, extents)]
    longest = [max(axis.terms, key=lambda term: extents[term[0]])[0] for axis in axes]
    is_position = loop in longest
    names = list(extents)
    return not is_position, names.index(loop) if is_position else -names.index(loop)
