"""Conversion: every image arrives at its lane and back, the halo stays, dead lanes are 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, run

from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.convert import Pack, Unpack
from rot180.jit.families.halo import ClearHalo

SHAPES = [
    (1, 1, (1,)), (3, 2, (5, 7)), (16, 3, (8, 8)), (19, 5, (3, 17)), (33, 2, (4, 3, 5)),
    (7, 10, ()),
]  # fmt: skip


def planes_of(shape: tuple[int, int, tuple[int, ...]], block: int, halo: bool) -> Planes:
    n, c, sizes = shape
    before, after = ((1,) * len(sizes), (2,) * len(sizes)) if halo else ((), ())
    return Planes(n, c, sizes, block, before, after)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("halo", [False, True])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("target", RUNNABLE)
def test_pack_and_unpack(
    target: str, one: bool, halo: bool, shape: tuple[int, int, tuple[int, ...]], dtype: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    planes = planes_of(shape, block, halo)
    # The same places, with the images that fill up the last block seen as cells.
    full = replace(planes, images=planes.blocks * block)
    n, c, sizes = shape
    x = rng.standard_normal((n, c, *sizes)).astype(dtype)
    scale, shift = rng.standard_normal((2, c)).astype(dtype)
    for parts in (1, 2, 3):
        z = run(Pack(planes, dtype=dtype), {"x": given(x), "z": blank(full, dtype)}, target, parts)
        np.testing.assert_array_equal(z["z"][:n], x)
        assert not z["z"][n:].any()
        arrays = {"x": given(x), "scale": given(scale), "shift": given(shift)}
        z = run(Pack(planes, True, dtype), {**arrays, "z": blank(full, dtype)}, target, parts)
        ones = (1, c, *(1 for _ in sizes))
        expected = x * scale.reshape(ones) + shift.reshape(ones)
        tight = 4 * np.finfo(dtype).eps
        np.testing.assert_allclose(z["z"][:n], expected, rtol=tight, atol=tight)
        assert not z["z"][n:].any()
        there = {"x": given(x, planes), "z": blank((n, c, *sizes), dtype)}
        back = run(Unpack(planes, dtype), there, target, parts)
        np.testing.assert_array_equal(back["z"], x)


@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_halo_and_nothing_else_is_cleared(
    block: int, shape: tuple[int, int, tuple[int, ...]], rng: np.random.Generator
) -> None:
    planes = planes_of(shape, block, True)
    whole = rng.standard_normal((planes.blocks, planes.channels, *planes.extents, block))
    inside = (slice(None),) * 2 + tuple(slice(1, 1 + n) for n in planes.sizes)
    expected = np.zeros_like(whole)
    expected[inside] = whole[inside]
    for target in RUNNABLE:
        buffer = Buffer(whole.ravel(), Planes(1, 1, (whole.size,), 1), True)
        made = run(ClearHalo(planes, "float64"), {"x": buffer}, target, 2)
        np.testing.assert_array_equal(made["x"].ravel(), expected.ravel())


def test_other_processors_are_compiled_for() -> None:
    planes = Planes(5, 2, (3, 4), 4, (1, 1), (1, 1))
    for kernel in (Pack(planes, True), Unpack(planes), ClearHalo(planes)):
        assert code_of(kernel, TARGETS["neon"])
