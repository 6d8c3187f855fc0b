"""Winograd's weight gradient for single images, whole and loop by loop, under guard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convs import Conv, error, images
from harness import blank, code_of, given, run
from test_winograd import BOUNDS, EXACT, lanes
from test_winograd_tiles import CASES, EVERY
from test_winograd_weight import kernel_of

from rot180.jit.emission.target import TARGETS
from rot180.jit.families.winograd_stages import SumPoints, TurnTiles
from rot180.jit.families.winograd_tiles_weight import WeightGradSquares
from rot180.jit.families.winograd_transforms import InverseWeights


def squares_of(conv: Conv, tile: int, target: str, dtype: str = "float32") -> WeightGradSquares:
    """The kernel of `test_winograd_weight` for single images."""
    return WeightGradSquares(**vars(kernel_of(conv, tile, 1, dtype)), lanes=lanes(target, dtype))


def gradients(whole: WeightGradSquares, conv: Conv, target: str, parts: int, staged: bool) -> Any:
    """dw and db; by one worker for each part, or by a dU that all make."""
    dtype, copies = whole.dtype, 1 if staged else parts
    start = {name: size * copies for name, size in (("du", whole.size), ("db", whole.filters))}
    sides = {"x": images(conv.arrays["x"], whole.x, np.nan, dtype)}
    sides["g"] = images(conv.arrays["z"], whole.g, 0, dtype)
    if staged:
        tiles, product = TurnTiles(whole), SumPoints(whole)
        v, y = (blank((turned.size,), dtype) for turned in tiles.places(TARGETS[target]))
        turned = run(tiles, {**sides, "v": v, "y": y}, target, parts)
        ends = {name: blank((size,), dtype) for name, size in start.items()}
        made = run(product, {**{n: given(a) for n, a in turned.items()}, **ends}, target, parts)
    else:
        ends = {n: given(np.zeros(size, dtype), written=True) for n, size in start.items()}
        made = run(whole, {**sides, **ends}, target, parts)
    found = {"du": given(made["du"]), "sums": given(made["db"])}
    found |= {"dw": blank(conv.arrays["w"].shape, dtype), "db": blank((conv.k,), dtype)}
    inverse = InverseWeights(whole.tiling, conv.c, conv.k, copies, True, dtype)
    return run(inverse, found, target, parts)


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize(("tile", "conv", "target", "dtype"), EVERY, ids=str)
def test_by_definition(tile: int, conv: Conv, target: str, dtype: str, staged: bool) -> None:
    whole = squares_of(conv, tile, target, dtype)
    bound = (BOUNDS if dtype == "float32" else EXACT)[whole.tiling.cells]
    for parts in (1, 3):
        made = gradients(whole, conv, target, parts, staged)
        assert error(made["dw"], conv.expected("w")) < bound
        assert error(made["db"], conv.arrays["z"].sum((0, 2, 3))) < bound


def test_other_processors_are_compiled_for() -> None:
    assert code_of(squares_of(CASES[0][1], 4, "neon"), TARGETS["neon"])
