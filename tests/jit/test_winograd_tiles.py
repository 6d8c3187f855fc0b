"""Winograd for single images: squares of tiles, all targets, tails, under guard."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from convs import Conv, Tails, error
from harness import RUNNABLE, code_of, run
from test_winograd import BOUNDS, EXACT, buffers_of, kernel_of, lanes

from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd_tiles import CorrelateSquares, squares

CASES = [
    (4, Conv(2, 3, 5, (14, 14), 3, padding=1)),
    (4, Conv(1, 4, 35, (16, 15), 3, padding=1)),
    (4, Conv(3, 5, 2, (32, 15), 3, padding=1)),
    (4, Conv(1, 4, 3, (48, 16), 3, padding=((0, 2), (1, 1)))),
    (2, Conv(1, 17, 16, (7, 8), 3, padding=1)),
    (2, Conv(2, 6, 40, (8, 32), 3, padding=((2, 0), (0, 2)))),
    (2, Conv(1, 1, 1, (8, 8), 3, padding=1)),
    (2, Conv(1, 3, 2, (8, 8), 5, padding=2)),
]
EVERY = [
    (tile, conv, target, dtype)
    for (tile, conv), target, dtype in itertools.product(CASES, RUNNABLE, ("float32", "float64"))
    if lanes(target, dtype) >= 4
]


def squares_of(
    conv: Conv, tile: int, output: str, target: str, dtype: str = "float32", **tail: Any
) -> CorrelateSquares:
    """The kernel of `test_winograd` for single images."""
    one = vars(kernel_of(conv, tile, output, 1, dtype, **tail))
    return CorrelateSquares(**one, lanes=lanes(target, dtype))


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize(("tile", "conv", "target", "dtype"), EVERY, ids=str)
def test_by_definition(tile: int, conv: Conv, output: str, target: str, dtype: str) -> None:
    kernel = squares_of(conv, tile, output, target, dtype)
    buffers = buffers_of(conv, kernel, output, target)
    for parts in (1, 3, 16):
        made = run(kernel, buffers, target, parts)["z"]
        bounds = BOUNDS if dtype == "float32" else EXACT
        assert error(made, conv.expected(output)) < bounds[kernel.tiling.cells]


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("target", RUNNABLE[::2])
@pytest.mark.parametrize(("tile", "conv"), CASES[:6:2], ids=str)
def test_tails(tile: int, conv: Conv, target: str, output: str, rng: np.random.Generator) -> None:
    whole = squares_of(conv, tile, output, target).z
    other = Planes(whole.images, whole.channels, whole.sizes, 1, (1, 0), (0, 2))
    tails = Tails(whole, rng, other)
    for chosen in [("bias", "relu"), ("mask",), ("plus", "relu"), ("bias", "plus", "mask")]:
        kernel = squares_of(conv, tile, output, target, **tails.fields(chosen))
        buffers = buffers_of(conv, kernel, output, target) | tails.buffers(chosen)
        expected = tails.expected(conv.expected(output), chosen)
        made = run(kernel, buffers, target, 2)["z"]
        assert error(made, expected) < BOUNDS[kernel.tiling.cells], chosen


def test_a_part_of_a_segment_is_an_image() -> None:
    conv = Conv(5, 3, 40, (14, 16), 3, padding=1)
    kernel = squares_of(conv, 4, "z", RUNNABLE[0])
    buffers = buffers_of(conv, kernel, "z", RUNNABLE[0])
    made = run(kernel, buffers, RUNNABLE[0], kernel.by_blocks)["z"]
    assert error(made, conv.expected("z")) < BOUNDS[kernel.tiling.cells]


@pytest.mark.parametrize("size", range(1, 40))
def test_squares_fill_the_plane(size: int) -> None:
    for tile, number in itertools.product((2, 4), (4, 8, 16)):
        found = squares(Tiling(tile), (size, size), number)
        if found is not None:
            for along, tiles in zip(found, (number // 4, 4), strict=True):
                assert (along * tiles - 1) * tile < size <= along * tiles * tile
            assert found[1] == 1 or found[1] * 4 * tile == size


def test_other_processors_are_compiled_for() -> None:
    assert code_of(squares_of(CASES[0][1], 4, "z", "neon"), TARGETS["neon"])
