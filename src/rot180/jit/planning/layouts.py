"""Layouts: which values stand in planes of images, with which halo; the others are row-major."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from rot180.core.kinds import Form
from rot180.core.program import Instruction, Program
from rot180.jit.emission.layout import Planes
from rot180.jit.planning.task import Halo, Task

__all__ = ["all_planes", "batched_values", "block_of", "float_of", "images_of"]


def images_of(program: Program) -> int:
    """N: the first size of the first input that has any."""
    return next(v.shape[0] for v in program.of_role("input") if v.shape)


def float_of(program: Program) -> np.dtype[Any]:
    """The float type that a program computes in."""
    return next(v.dtype for v in program.values if v.dtype.kind == "f")


def block_of(images: int, lanes: int) -> int:
    """B: whole vectors of images, unless too few images would fill them."""
    return lanes if images > lanes // 2 else 1


def all_planes(
    program: Program, tasks: list[Task], batched: Iterable[int], lanes: int, images: int
) -> dict[int, Planes]:
    """The planes of every value that stands in planes.

    Args:
        program: what is planned.
        tasks: which say what they need around their inputs, and what must lie alike.
        batched: the values.
        lanes: numbers in one vector.
        images: N.
    """
    halos = _halos(program, tasks, batched)
    block = block_of(images, lanes)
    flat = {number for task in tasks for pair in task.same.items() for number in pair}
    # rows without a halo run on into each other, which single images need for long vectors
    widest = _widest(program, halos) if block > 1 else {}
    planes: dict[int, Planes] = {}
    for number in batched:
        shape = program.value(number).shape
        halo = halos.get(number, ())
        if number not in flat and program.value(number).dtype.kind == "f":
            halo = widest.get(shape, halo)
        found = Planes(shape[0], shape[1], shape[2:], block, *halo)
        planes[number] = found if number in flat else _apart(found)
    for task in tasks:
        planes.update({number: planes[other] for number, other in task.like.items()})
    return planes


def batched_values(program: Program, images: int) -> dict[int, None]:
    """Values whose first axis is the images: they stand in planes. All others are row-major."""
    found: dict[int, None] = {}
    for value in program.of_role("input"):
        if value.dtype.kind == "f" and len(value.shape) >= 2 and value.shape[0] == images:
            found[value.number] = None
    for i in program.instructions:
        if i.phase == "update" or not any(n in found for n in i.inputs):
            continue
        for number in i.outputs:
            shape = program.value(number).shape
            if len(shape) >= 2 and shape[0] == images and _keeps_images(i, found):
                found[number] = None
    return found


def _keeps_images(i: Instruction, batched: Iterable[int]) -> bool:
    """Whether axis 0 of the result is axis 0 of an input in planes."""
    if not isinstance(i.kind, Form):
        return True
    first = i.kind.result.axes[0]
    return any(
        operand.axes and operand.axes[0] == first
        for operand, number in zip(i.kind.inputs, i.inputs, strict=True)
        if number in batched
    )


def _halos(program: Program, tasks: list[Task], batched: Iterable[int]) -> dict[int, Halo]:
    """The widest zeros that any task needs around each value in planes."""
    found: dict[int, Halo] = {}
    for task in tasks:
        for number, (before, after) in task.halos.items():
            if number not in batched:
                continue
            known = found.get(number, ((0,) * len(before), (0,) * len(after)))
            found[number] = (
                tuple(map(max, known[0], before)),
                tuple(map(max, known[1], after)),
            )
    return found


def _widest(program: Program, halos: dict[int, Halo]) -> dict[tuple[int, ...], Halo]:
    """One halo for all values of a shape: then they can use the same memory one after the other,
    and the zeros in it stay.
    """
    found: dict[tuple[int, ...], Halo] = {}
    for number, (before, after) in halos.items():
        shape = program.value(number).shape
        known = found.get(shape, (before, after))
        found[shape] = tuple(map(max, known[0], before)), tuple(map(max, known[1], after))
    return found


def _apart(planes: Planes) -> Planes:
    """Planes whose distance is no multiple of half a kilobyte and more: channels are read together,
    and those at such a distance would all fall into a few sets of the first cache.
    """
    if planes.block == 1 or not planes.sizes or planes.plane // planes.block % 16:
        return planes
    after = tuple(n + 1 for n in planes.after)
    return replace(planes, after=after)
