"""Legality: a plan is held to its laws before any of it is compiled. Native code asks nothing.

* Every array of every kernel has a buffer, at least as large as what the kernel reaches, of
  floats where it computes in them.
* Buffers of the arena begin at cache lines, inside of it, with the slack behind them.
* What holds one block of images is used in a segment only, and each thread has its own.
* Rows of a segment are together and go by the same blocks; threads outside of one are as many as
  the plan has.
"""

from __future__ import annotations

import functools
import math
from dataclasses import fields
from typing import Any, NoReturn

import numpy as np

from rot180.errors import TraceError
from rot180.jit.emission.access import Access
from rot180.jit.emission.layout import Columns, Layout, Planes
from rot180.jit.emission.target import Target
from rot180.jit.families.direct import Direct
from rot180.jit.families.direct_weight import DirectWeight
from rot180.jit.families.turned_weight import TurnedWeight
from rot180.jit.families.winograd import Correlate
from rot180.jit.families.winograd_stages import (
    InverseTiles,
    MultiplyPoints,
    SumPoints,
    TransformTiles,
    TurnTiles,
)
from rot180.jit.families.winograd_transforms import InverseWeights, TransformWeights
from rot180.jit.families.winograd_weight import Clear, WeightGrad
from rot180.jit.planning.arena import ALIGNMENT
from rot180.jit.planning.plan import Plan, Row

__all__ = ["check_plan", "reach"]


def check_plan(plan: Plan) -> None:
    """Hold a plan to the laws above.

    Raises:
        TraceError: a law is broken; names the task and the array.
    """
    for name, buffer in plan.buffers.items():
        if buffer.offset is None:
            continue
        inside = buffer.offset >= 0 and buffer.spans(plan.parts)[-1][1] <= plan.size - ALIGNMENT
        if not inside or buffer.offset % ALIGNMENT or buffer.each % ALIGNMENT:
            where = f"{buffer} in {plan.size} bytes"
            _broken(f"buffer {name}", "a cache line inside of the arena", where)
    left = 0
    for row in plan.rows:
        if (left == 0) != (row.span > 0):
            _broken(row.title, f"a segment with {left} more calls", f"span {row.span}")
        left = (left or row.span) - 1
        _check_row(plan, row, row.span != 1)
    if left:
        _broken("the last segment", "all of its calls", f"{left} less")


def _check_row(plan: Plan, row: Row, segment: bool) -> None:
    kernel = row.call.kernel
    blocks = getattr(kernel, "by_blocks", 0)
    if row.parts != blocks if segment else not 1 <= row.parts <= plan.parts:
        _broken(row.title, f"{blocks} blocks" if segment else f"≤ {plan.parts}", f"{row.parts}")
    if len(kernel.arrays) != len(row.arrays):
        _broken(row.title, f"arrays {kernel.arrays}", f"{row.arrays}")
    needed = reach(kernel, plan.target)
    for array, name in zip(kernel.arrays, row.arrays, strict=True):
        buffer = plan.buffers.get(name)
        if buffer is None:
            _broken(f"{row.title}, array {array}", "a buffer", f"none of name {name}")
        size = needed.get(array, 0) * (plan.parts if array == "scratch" else 1)
        if buffer.each:  # what a thread goes through block by block
            if not segment or not 0 < buffer.bytes < buffer.each:
                _broken(
                    f"{row.title}, array {array}", "a segment, and room for a block", f"{buffer}"
                )
            size = -(-size // blocks)
        if buffer.size < size:
            _broken(f"{row.title}, array {array}", f"{size} elements", f"{buffer.size}")
        floats = np.dtype(buffer.dtype).kind == "f"
        if array in _layouts(kernel) and floats and buffer.dtype != kernel.dtype:
            _broken(f"{row.title}, array {array}", kernel.dtype, buffer.dtype)


def _broken(where: str, expected: str, got: str) -> NoReturn:
    raise TraceError(f"plan: {where}", expected=expected, got=got)


def _layouts(kernel: Any) -> dict[str, int]:
    """Elements of every array that a field of its name says the layout of."""
    found = {}
    for field in fields(kernel):
        value = getattr(kernel, field.name)
        if isinstance(value, Planes | Layout):
            found[field.name] = value.size
        if isinstance(value, Columns):
            found[field.name] = value.features.size
    return {array: size for array, size in found.items() if array in kernel.arrays}


@functools.singledispatch
def reach(kernel: Any, target: Target) -> dict[str, int]:
    """Elements of its arrays that a kernel may touch, as far as its descriptor says."""
    found = _layouts(kernel)
    for access in (*getattr(kernel, "reads", ()), *getattr(kernel, "writes", ())):
        if isinstance(access, Access):
            found[access.name] = max(found.get(access.name, 0), _last(access, kernel.extents) + 1)
    layouts = getattr(kernel, "layouts", ())
    if len(layouts) == len(kernel.arrays):
        found |= {array: one.size for array, one in zip(kernel.arrays, layouts, strict=True)}
    if "scratch" in kernel.arrays:
        found["scratch"] = kernel.scratch(target)
    return found


def _last(access: Access, extents: tuple[int, ...]) -> int:
    """The largest offset of a nest, -1 where it has no rounds."""
    if not math.prod(extents):
        return -1
    offset = access.origin
    for loop, (extent, stride) in enumerate(zip(extents, access.strides, strict=True)):
        if access.block > 1 and loop == access.image:
            blocks = -(-extent // access.block)
            offset += (blocks - 1) * stride + min(extent, access.block) - 1
        else:
            offset += max(0, (extent - 1) * stride)
    return offset


def _lanes(kernel: Any, target: Target) -> int:
    return target.lanes(np.dtype(kernel.dtype))


@reach.register
def _(kernel: Direct, target: Target) -> dict[str, int]:
    filter_, channel, group = kernel.weight
    tap = max(
        (
            sum(max(place for _, place in taps) for taps in phase.taps)
            for phase in kernel.phases
            if all(taps.count for taps in phase.taps)
        ),
        default=-1,
    )
    filters, channels = (p.channels // kernel.groups for p in (kernel.z, kernel.x))
    last = (kernel.groups - 1) * group + (filters - 1) * filter_ + (channels - 1) * channel + tap
    return {**_layouts(kernel), "w": last + 1, "bias": kernel.z.channels}


@reach.register
def _(kernel: DirectWeight | TurnedWeight, target: Target) -> dict[str, int]:
    cells = kernel.g.channels * kernel.channels * math.prod(kernel.kernel)
    scratch = kernel.scratch(target) if isinstance(kernel, TurnedWeight) else 0
    sums = kernel.sums(target)
    return {**_layouts(kernel), "dw": cells, "sums": sums, "scratch": scratch}


@reach.register
def _(kernel: TransformWeights, target: Target) -> dict[str, int]:
    w = kernel.filters * kernel.channels * kernel.tiling.taps**2
    u = kernel.tiling.points * kernel.tiling.pairs(kernel.filters, kernel.channels)
    return {"w": w, "u": u}


@reach.register
def _(kernel: Correlate, target: Target) -> dict[str, int]:
    u = kernel.tiling.points * kernel.tiling.pairs(kernel.x.channels, kernel.z.channels)
    more = {"u": u, "bias": kernel.z.channels, "scratch": kernel.scratch(target)}
    return {**_layouts(kernel), **more}


@reach.register
def _(kernel: WeightGrad, target: Target) -> dict[str, int]:
    more = {"du": kernel.size, "db": kernel.filters, "scratch": kernel.scratch(target)}
    return {**_layouts(kernel), **more}


@reach.register
def _(kernel: TransformTiles | MultiplyPoints | InverseTiles, target: Target) -> dict[str, int]:
    v, m = kernel.places(target)
    return {**reach(kernel.whole, target), "v": v.size, "m": m.size}


@reach.register
def _(kernel: TurnTiles | SumPoints, target: Target) -> dict[str, int]:
    v, y = kernel.places(target)
    found = {**reach(kernel.whole, target), "v": v.size, "y": y.size}
    return {**found, "scratch": kernel.scratch(target)} if isinstance(kernel, TurnTiles) else found


@reach.register
def _(kernel: InverseWeights, target: Target) -> dict[str, int]:
    lanes = _lanes(kernel, target)
    columns, rows = (-(-n // lanes) * lanes for n in (kernel.channels, kernel.filters))
    du = kernel.workers * kernel.tiling.points * kernel.tiling.pairs(kernel.filters, columns)
    dw = kernel.filters * kernel.channels * kernel.tiling.taps**2
    return {"du": du, "dw": dw, "sums": kernel.workers * rows, "db": kernel.filters}


@reach.register
def _(kernel: Clear, target: Target) -> dict[str, int]:
    return {"z": kernel.size}
