"""Convolutions in a plan: the integers of a form, the halo that readings need, and the choice."""

from __future__ import annotations

import numpy as np
import pytest
from convs import Conv
from test_direct import CASES

from rot180.core import Form
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.tiling import Tiling
from rot180.jit.planning.convolution import choose, geometry, halo
from rot180.jit.planning.task import Places
from rot180.jit.planning.weight_gradient import choose_weight
from rot180.ops.conv import PATCHES


@pytest.mark.parametrize("conv", CASES, ids=str)
def test_the_halo_is_as_wide_as_the_window_reaches(conv: Conv) -> None:
    """Of all cells that a reading touches, the outermost are the edges of the halo."""
    g = conv.geometry
    for axis, (size, count) in enumerate(zip(g.sizes, g.positions, strict=True)):
        reached = [
            g.stride[axis] * p + g.dilation[axis] * r - g.before[axis]
            for p in range(count) for r in range(g.kernel[axis])
        ]  # fmt: skip
        over = max((tiling.overhang(g.positions)[axis] for tiling in g.tilings), default=0)
        before, after = halo(g, "z")["x"]
        assert before[axis] == max(0, -min(reached))
        assert after[axis] == max(0, max(reached) - (size - 1)) + over
        assert halo(g, "w")["x"][0][axis] == before[axis]


@pytest.mark.parametrize("output", ["z", "x", "w"])
@pytest.mark.parametrize("conv", CASES, ids=str)
def test_the_geometry_is_the_same_from_every_reading(conv: Conv, output: str) -> None:
    assert geometry(conv.form.wrt(output)) == conv.geometry


def test_other_forms_are_no_convolutions() -> None:
    loops = {"n": 1, "c": 2, "p0": 3, "r0": 2}
    shapes = {"x": (1, 2, 4), "y": (1, 2, 2, 3)}
    form = PATCHES.bind(1, "y", shapes, loops, S0=1, D0=1, A0=0)
    assert isinstance(form, Form)
    assert geometry(form) is None


def choice(conv: Conv, output: str, precision: str = "fast", block: int = 16) -> Tiling | str:
    """The tiles, or the name of what serves without."""
    planes = {name: conv.planes(name, output, block) for name in "xz"}
    dtypes = {-1: np.dtype("float32")}
    where = Places(TARGETS["avx512"], 2, {}, {}, dtypes, precision)
    g = conv.geometry
    found, why = (
        choose_weight(g, planes, where)
        if output == "w"
        else choose(g, output, planes["z" if output == "x" else "x"], where)
    )
    name = why.split(" of ")[0].split(",")[0]
    assert ("winograd" in name) == isinstance(found, Tiling)
    return found if isinstance(found, Tiling) else name


@pytest.mark.parametrize("output", ["z", "x", "w"])
def test_winograd_where_it_applies(output: str) -> None:
    wide = Conv(64, 64, 64, (32, 32), 3, padding=1)
    assert isinstance(choice(wide, output), Tiling)
    assert not isinstance(choice(wide, output, "direct"), Tiling)
    whole = [Conv(1, 64, 64, (n, n), 3, padding=1) for n in (32, 28, 14, 8, 7)]
    found = [choice(conv, output, block=1) for conv in whole]
    tiles = [m.outputs if isinstance(m, Tiling) else 0 for m in found]
    assert tiles == [4, 0, 4, 2, 2]
    for other in (
        Conv(64, 64, 64, (32, 32), 3, 2, 1),
        Conv(64, 64, 64, (32, 32), 3, padding=1, groups=2),
        Conv(64, 64, 64, (32, 32), (3, 5), padding=1),
        Conv(64, 64, 64, (32, 32), 3, padding=1, mode="convolution"),
    ):
        assert not isinstance(choice(other, output), Tiling)


def test_weight_gradients_with_lanes_along_filters() -> None:
    """Where dw is large and positions are few; not where filters would leave lanes empty."""
    assert choice(Conv(16, 512, 2048, (7, 7), 1), "w") == "turned"
    assert choice(Conv(16, 512, 512, (14, 14), 3, 2, 1), "w") == "turned"
    assert choice(Conv(1, 32, 64, (7, 7), 3, 1, 1), "w", "direct", block=1) == "turned"
    assert choice(Conv(16, 64, 64, (28, 28), 3, 1, 1, groups=64), "w") == "direct"
    assert choice(Conv(16, 1, 6, (28, 28), 5, 1, 2), "w") == "direct"
    assert choice(Conv(1, 2, 1, (28, 28), 7, 1, 3), "w", block=1) == "direct"
