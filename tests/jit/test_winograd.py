"""Winograd: transformed weights and correlation, all tiles, dilation, every overhang."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convs import Conv, Tails, error, images
from harness import RUNNABLE, Buffer, blank, code_of, given, run

from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd import Correlate
from rot180.jit.families.winograd_transforms import TransformWeights

BOUNDS = {4: 1e-5, 6: 5e-5, 8: 5e-5}
EXACT = {4: 1e-14, 6: 1e-13, 8: 1e-13}
"""By the cells of a tile along an axis."""

IMAGES = (5, 16, 19, 2, 17, 9, 33, 5, 3)
PADDING = (1, 0, 1, 2, 1, 1, 0, 1, 1)
SIZES = [(3, 3), (4, 5), (6, 7), (8, 9), (10, 11), (13, 12), (5, 14), (16, 3), (15, 17)]
CHANNELS = [(1, 5), (3, 16), (5, 1), (16, 3), (17, 5), (64, 17), (3, 3), (1, 1), (5, 64)]
CASES = [
    *(
        Conv(n, c, k, sizes, 3, padding=p)
        for n, (c, k), sizes, p in zip(IMAGES, CHANNELS, SIZES, PADDING, strict=True)
    ),
    Conv(6, 4, 6, (6, 9), 3, padding=((2, 0), (0, 1))),
    Conv(17, 3, 5, (9, 12), 3, padding=2, dilation=2),
    Conv(3, 5, 17, (11, 13), 3, padding=((1, 3), (0, 2)), dilation=(3, 1)),
    Conv(4, 2, 3, (9, 11), 3, padding=1, dilation=4),
]  # fmt: skip
WIDE = [
    Conv(5, 3, 16, (7, 8), 5, padding=2),
    Conv(17, 17, 3, (5, 9), 5),
    Conv(2, 1, 5, (12, 11), 5, padding=((3, 1), (0, 4))),
    Conv(3, 6, 4, (13, 10), 5, padding=2, dilation=(1, 2)),
]
WIDER = [
    Conv(5, 3, 16, (7, 8), 7, padding=3),
    Conv(2, 17, 1, (9, 12), 7, padding=((0, 6), (2, 1))),
    Conv(17, 2, 3, (16, 13), 7, padding=3, dilation=2),
]
EVERY = [
    *((tile, conv) for tile in (2, 4) for conv in (*CASES, *WIDE)),
    *((2, conv) for conv in WIDER),
]
REAL = [
    Conv(128, 16, 16, (32, 32), 3, padding=1),
    Conv(128, 32, 32, (16, 16), 3, padding=1),
    Conv(128, 64, 64, (8, 8), 3, padding=1),
    Conv(64, 16, 32, (13, 13), 3),
    Conv(16, 128, 128, (8, 8), 3, padding=1),
    Conv(16, 300, 280, (7, 7), 3, padding=1),
    Conv(16, 96, 96, (14, 14), 5, padding=2),
]


def lanes(target: str, dtype: str = "float32") -> int:
    return TARGETS[target].lanes(np.dtype(dtype))


def tiling_of(conv: Conv, outputs: int) -> Tiling:
    g = conv.geometry
    return Tiling(outputs, g.kernel[0], g.dilation)  # type: ignore[arg-type]


def transformed(
    conv: Conv, tiling: Tiling, output: str, dtype: str, target: str, parts: int
) -> Any:
    g = conv.geometry
    kernel = TransformWeights(tiling, g.filters, g.channels, output == "x", dtype)
    w = given(conv.arrays["w"].astype(dtype))
    u = blank((tiling.points, tiling.pairs(g.filters, g.channels)), dtype)
    return run(kernel, {"w": w, "u": u}, target, parts)["u"]


def kernel_of(conv: Conv, tile: int, output: str, block: int, dtype: str, **tail: Any) -> Correlate:
    source = "x" if output == "z" else "z"
    read, made = (conv.planes(name, output, block) for name in (source, output))
    g = conv.geometry
    if output == "z":
        before = g.before
    else:
        axes = zip(g.kernel, g.dilation, g.before, strict=True)
        before = tuple(d * (r - 1) - a for r, d, a in axes)
    return Correlate(
        tiling_of(conv, tile), read, made, before, output == "x", dtype=dtype, **tail  # type: ignore[arg-type]
    )  # fmt: skip


def buffers_of(conv: Conv, kernel: Correlate, output: str, target: str) -> dict[str, Buffer]:
    source = "x" if output == "z" else "z"
    return {
        "x": images(conv.arrays[source], kernel.x, np.nan, kernel.dtype),
        "u": given(transformed(conv, kernel.tiling, output, kernel.dtype, target, 1)),
        "z": blank(kernel.z, kernel.dtype),
    }


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(
    ("tile", "conv"),
    [*((tile, CASES[n]) for tile in (2, 4) for n in (1, 4, 5)), (2, WIDE[0])],
    ids=str,
)
@pytest.mark.parametrize("output", ["z", "x"])
def test_transformed_weights(conv: Conv, output: str, tile: int, target: str) -> None:
    tiling = tiling_of(conv, tile)
    _, g, _ = tiling.matrices
    g_numbers = np.array([[float(c) for c in row] for row in g])
    w = conv.arrays["w"]
    w = w if output == "z" else w[:, :, ::-1, ::-1]
    expected = np.einsum("ar,kcrs,bs->abkc", g_numbers, w, g_numbers).reshape(-1, *w.shape[:2])
    for dtype, bound in (("float32", 1e-6), ("float64", 1e-14)):
        for parts in (1, 3):
            made = transformed(conv, tiling, output, dtype, target, parts)
            pairs = made[:, : w.shape[0] * w.shape[1]].reshape(expected.shape)
            assert error(pairs, expected) < bound


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("tile", "conv"), EVERY, ids=str)
@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_definition(tile: int, dtype: str, output: str, conv: Conv, target: str) -> None:
    kernel = kernel_of(conv, tile, output, lanes(target, dtype), dtype)
    buffers = buffers_of(conv, kernel, output, target)
    for parts in (1, 3):
        made = run(kernel, buffers, target, parts)["z"]
        bounds = BOUNDS if dtype == "float32" else EXACT
        assert error(made, conv.expected(output)) < bounds[kernel.tiling.cells]


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("target", RUNNABLE[::2])
@pytest.mark.parametrize("conv", [CASES[2], CASES[9], CASES[10]], ids=str)
def test_tails(conv: Conv, target: str, tile: int, output: str, rng: np.random.Generator) -> None:
    whole = kernel_of(conv, tile, output, lanes(target), "float32").z
    other = Planes(whole.images, whole.channels, whole.sizes, whole.block, (1, 0), (0, 2))
    tails = Tails(whole, rng, other)
    for chosen in [
        ("bias",),
        ("bias", "relu"),
        ("mask",),
        ("plus", "relu"),
        ("bias", "plus", "mask"),
    ]:
        kernel = kernel_of(conv, tile, output, lanes(target), "float32", **tails.fields(chosen))
        buffers = buffers_of(conv, kernel, output, target) | tails.buffers(chosen)
        expected = tails.expected(conv.expected(output), chosen)
        made = run(kernel, buffers, target, 2)["z"]
        assert error(made, expected) < BOUNDS[kernel.tiling.cells], chosen


@pytest.mark.parametrize("tile", [2, 4])
def test_a_part_of_a_segment_is_a_block(tile: int) -> None:
    target = RUNNABLE[-1]
    conv = Conv(37, 3, 4, (6, 7), 3, padding=1)
    kernel = kernel_of(conv, tile, "z", lanes(target), "float32")
    made = run(kernel, buffers_of(conv, kernel, "z", target), target, kernel.by_blocks)["z"]
    assert error(made, conv.expected("z")) < BOUNDS[kernel.tiling.cells]


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("conv", REAL, ids=str)
def test_real_layers(conv: Conv, output: str, tile: int) -> None:
    target = RUNNABLE[0]
    kernel = kernel_of(conv, tile, output, lanes(target), "float32")
    buffers = buffers_of(conv, kernel, output, target)
    made = run(kernel, buffers, target, 2, threads=True)["z"]
    assert error(made, conv.expected(output)) < BOUNDS[kernel.tiling.cells]


@pytest.mark.parametrize("tile", [2, 4])
def test_other_processors_are_compiled_for(tile: int) -> None:
    assert code_of(kernel_of(CASES[2], tile, "z", lanes("neon"), "float32"), TARGETS["neon"])
