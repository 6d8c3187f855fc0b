"""Winograd's weight gradient: sums over all images and tiles, of several workers, and db."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from convs import Conv, error, images
from harness import RUNNABLE, blank, code_of, given, run
from test_winograd import BOUNDS, CASES, EVERY, EXACT, REAL, lanes, tiling_of

from rot180.jit.emission.target import TARGETS
from rot180.jit.engine import Code
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd_transforms import InverseWeights
from rot180.jit.families.winograd_weight import Clear, WeightGrad


def kernel_of(conv: Conv, tile: int, block: int, dtype: str, bias: bool = True) -> WeightGrad:
    x, g = (conv.planes(name, "w", block) for name in "xz")
    return WeightGrad(tiling_of(conv, tile), x, g, conv.geometry.before, bias, dtype)  # type: ignore[arg-type]


def gradients(
    conv: Conv, tile: int, dtype: str, target: str, parts: int, threads: bool = False
) -> tuple[Any, Any]:
    """dw and db, by one worker for each part."""
    sweep = kernel_of(conv, tile, lanes(target, dtype), dtype)
    buffers = {
        "x": images(conv.arrays["x"], sweep.x, 7, dtype),
        "g": images(conv.arrays["z"], sweep.g, 0, dtype),
        "du": given(np.zeros(sweep.size * parts, dtype), written=True),
        "db": given(np.zeros(sweep.filters * parts, dtype), written=True),
    }
    made = run(sweep, buffers, target, parts, threads)
    inverse = InverseWeights(sweep.tiling, conv.c, conv.k, parts, True, dtype)
    found = run(
        inverse,
        {
            "du": given(made["du"]),
            "sums": given(made["db"]),
            "dw": blank(conv.arrays["w"].shape, dtype),
            "db": blank((conv.k,), dtype),
        },
        target,
        parts,
    )
    return found["dw"], found["db"]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("tile", "conv"), EVERY, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_definition(tile: int, dtype: str, conv: Conv, target: str) -> None:
    bound = (BOUNDS if dtype == "float32" else EXACT)[tiling_of(conv, tile).cells]
    for parts in (1, 2, 3):
        dw, db = gradients(conv, tile, dtype, target, parts)
        assert error(dw, conv.expected("w")) < bound
        assert error(db, conv.arrays["z"].sum((0, 2, 3))) < bound


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("conv", REAL, ids=str)
def test_real_layers(conv: Conv, tile: int) -> None:
    dw, db = gradients(conv, tile, "float32", RUNNABLE[0], 2, threads=True)
    assert error(dw, conv.expected("w")) < BOUNDS[tile + 2]
    assert error(db, conv.arrays["z"].sum((0, 2, 3))) < BOUNDS[tile + 2]


@pytest.mark.slow
@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize("parts", [1, 2])
def test_long_sums(parts: int, tile: int) -> None:
    """All positions of a large batch, with numbers of one sign: nothing cancels."""
    conv = Conv(512, 16, 16, (32, 32), 3, padding=1, positive=True)
    dw, db = gradients(conv, tile, "float32", RUNNABLE[0], parts, threads=True)
    assert error(dw, conv.expected("w")) < BOUNDS[tile + 2]
    assert error(db, conv.arrays["z"].sum((0, 2, 3))) < BOUNDS[tile + 2]


@pytest.mark.parametrize("tile", [2, 4])
def test_in_a_segment_each_block_is_a_part_of_some_worker(tile: int) -> None:
    target, dtype = RUNNABLE[-1], "float32"
    conv = Conv(18, 3, 5, (6, 7), 3, padding=1)
    sweep = kernel_of(conv, tile, lanes(target), dtype)
    x = images(conv.arrays["x"], sweep.x, 7, dtype).flat
    g = images(conv.arrays["z"], sweep.g, 0, dtype).flat
    du, db = np.zeros((2, sweep.size), dtype), np.zeros((2, sweep.filters), dtype)
    scratch = np.full(2 * sweep.scratch(TARGETS[target]), np.nan, dtype)
    arrays = {"x": x, "g": g, "du": du, "db": db, "scratch": scratch}
    code = Code(TARGETS[target])
    code.add(code_of(sweep, TARGETS[target]))
    word = ctypes.c_int64
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, word, word, word)(code.address("kernel"))
    table = (ctypes.c_void_p * 5)(*(arrays[name].ctypes.data for name in sweep.arrays))
    assert sweep.by_blocks > 2
    for block in range(sweep.by_blocks):
        function(table, block, sweep.by_blocks, block % 2)
    assert du.any(axis=1).all()
    inverse = InverseWeights(sweep.tiling, conv.c, conv.k, 2, True, dtype)
    buffers = {"du": given(du), "sums": given(db), "dw": blank(conv.arrays["w"].shape, dtype)}
    made = run(inverse, {**buffers, "db": blank((conv.k,), dtype)}, target)
    assert error(made["dw"], conv.expected("w")) < BOUNDS[tile + 2]
    assert error(made["db"], conv.arrays["z"].sum((0, 2, 3))) < BOUNDS[tile + 2]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clear(dtype: str, target: str) -> None:
    for parts in (1, 3):
        made = run(
            Clear(lanes(target) * 5, dtype),
            {"z": blank((lanes(target) * 5,), dtype)},
            target,
            parts,
        )
        assert (made["z"] == 0).all()


@pytest.mark.parametrize("tile", [2, 4])
def test_other_processors_are_compiled_for(tile: int) -> None:
    for kernel in (
        kernel_of(CASES[2], tile, lanes("neon"), "float32"),
        InverseWeights(Tiling(tile), 5, 7, 2, True),
        Clear(64),
    ):
        assert code_of(kernel, TARGETS["neon"])
