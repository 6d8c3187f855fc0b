"""Weight gradients: which family reads a convolution for w, by the model of the other readings.

Vector operations of one block of images. Direct: C·K·taps products for every position. Winograd:
t² products of every tile for every pair (c, k), where lanes are channels, so C counts in whole
vectors; and the transforms of the tile for every c and k, where tiles are turned as well.
"""

from __future__ import annotations

import math

from rot180.jit.emission.layout import Planes
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.direct_weight import DirectWeight
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd_weight import Clear, InverseWeights, WeightGrad
from rot180.jit.planning.convolution import Geometry, by_tiles, least
from rot180.jit.planning.task import Call, Places, Temporary

__all__ = ["choose_weight", "lower_weight"]

TURNED = {(2, 3): 200.0, (4, 3): 450.0, (2, 5): 420.0}
"""Tiles (m, r): vector operations for a tile of each channel of both sides."""


def _costs(g: Geometry, lanes: int) -> dict[Tiling | None, float]:
    """Vector operations of one block of images: by direct sums (None), and by tiles."""
    direct = g.groups * g.channels * g.filters * math.prod(g.kernel) * math.prod(g.positions)
    found: dict[Tiling | None, float] = {None: float(direct)}
    columns, rows = (-(-n // lanes) * lanes for n in (g.channels, g.filters))
    for tiling in g.tilings:
        products = tiling.points * g.filters * columns * 1.15
        transforms = TURNED[tiling.outputs, tiling.taps] * (columns + rows)
        found[tiling] = math.prod(tiling.counts(g.positions)) * (products + transforms)
    return found


def choose_weight(g: Geometry, planes: Planes, places: Places) -> tuple[Tiling | None, str]:
    """The tiles of Winograd's family, None for direct; and the reason in words."""
    costs = _costs(g, places.target.lanes(places.dtypes[-1]))
    return least(costs, by_tiles(g, planes, places))


def lower_weight(
    g: Geometry, values: dict[str, int], dtype: str, places: Places, bias: int | None = None
) -> tuple[list[Call], str]:
    """The calls for a form read for w.

    Args:
        g: the convolution.
        values: the numbers of x, w and z.
        dtype: the float type.
        places: layouts and target.
        bias: the value that the gradient of the bias becomes.

    Returns:
        The calls, and the reason for the choice.
    """
    planes = {name: places.planes[values[name]] for name in ("x", "z")}
    tiling, why = choose_weight(g, planes["x"], places)
    if tiling is not None:
        return _winograd(g, values, dtype, places, tiling, planes, bias), why
    kernel = DirectWeight(
        planes["x"], planes["z"], g.groups, g.kernel, g.stride, g.dilation, g.before, g.turned,
        dtype,
    )  # fmt: skip
    sums = Temporary("sums", kernel.sums(places.target), dtype)
    arrays: dict[str, int | Temporary] = {
        "x": values["x"], "g": values["z"], "dw": values["w"], "sums": sums,
    }  # fmt: skip
    calls = [Call(kernel, arrays, ("dw", "sums"))]
    if bias is not None:
        total = BiasGrad(planes["z"], dtype)
        calls.append(Call(total, {"g": values["z"], "db": bias}, ("db",)))
    return calls, why


def _winograd(
    g: Geometry, values: dict[str, int], dtype: str, places: Places, tiling: Tiling,
    planes: dict[str, Planes], bias: int | None,
) -> list[Call]:  # fmt: skip
    """The calls of Winograd's family: clear the sums, sweep over the tiles, transform back."""
    sweep = WeightGrad(tiling, planes["x"], planes["z"], g.before, bias is not None, dtype)  # type: ignore[arg-type]
    inverse = InverseWeights(tiling, g.channels, g.filters, places.parts, bias is not None, dtype)
    du = Temporary("du", sweep.size * places.parts, dtype)
    scratch = Temporary("scratch", sweep.scratch(places.target), dtype, each=True)
    calls = [
        Call(Clear(du.size, dtype), {"z": du}, ("z",)),
        Call(
            sweep,
            {"x": values["x"], "g": values["z"], "du": du, "scratch": scratch},
            ("du", "db", "scratch"),
        ),
        Call(inverse, {"du": du, "dw": values["w"]}, ("dw", "db")),
    ]
    if bias is None:
        return calls
    sums = Temporary("sums", sweep.filters * places.parts, dtype)
    clear, sweep_call, finish = calls
    return [
        clear,
        Call(Clear(sums.size, dtype), {"z": sums}, ("z",)),
        Call(sweep_call.kernel, {**sweep_call.arrays, "db": sums}, sweep_call.writes),
        Call(finish.kernel, {**finish.arrays, "sums": sums, "db": bias}, finish.writes),
    ]
