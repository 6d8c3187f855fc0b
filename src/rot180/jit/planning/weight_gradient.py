"""Weight gradients: which family reads a convolution for w, by the model of the other readings.

Vector operations of a whole batch. Direct, lanes are images: C·K·taps products for every position,
and each cell of dw is a sum over lanes. Turned, lanes are filters: K counts in whole vectors, and g
is turned; but no sum crosses lanes, and those that wait between chunks are fewer. Winograd: t²
products of every tile for every pair (c, k), where lanes are channels, so C counts in whole
vectors; and the transforms of the tile for every c and k, where tiles are turned as well.
"""

from __future__ import annotations

import math

import numpy as np

from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.layout import Cells, Columns, Planes
from rot180.jit.emission.target import Target
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.direct_weight import DirectWeight
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.turned_weight import TurnedWeight
from rot180.jit.families.winograd_stages import SumPoints, TurnTiles
from rot180.jit.families.winograd_tiles import squares
from rot180.jit.families.winograd_tiles_weight import WeightGradSquares
from rot180.jit.families.winograd_transforms import InverseWeights
from rot180.jit.families.winograd_weight import Clear, WeightGrad
from rot180.jit.planning.convolution import Geometry, by_tiles
from rot180.jit.planning.task import Call, Places, Temporary

__all__ = ["choose_weight", "linear_weight", "lower_weight"]

TURNED = {(2, 3): 200.0, (4, 3): 450.0, (4, 5): 850.0, (2, 7): 800.0}
"""Tiles (m, r): vector operations for a tile of each channel of both sides."""

OF_ONE = {(2, 3): (100.0, 90.0), (4, 3): (240.0, 130.0)}
"""The same for a square of tiles of a single image; and for each vector of dw, whose transform back
serves one image only.
"""

TOTAL, WRITE = 3.5, 12.0
"""Operations for the sum over the lanes of a vector, and to write a vector of dw."""

GATHERED = 2.5
"""Operations for a product with numbers that do not lie side by side."""

FAR = 12.0
"""Operations until a vector of x or g is there, where they come from memory: turning, which reads g
plane by plane and asks for it in advance, has most of it behind it."""

WAIT = (1.0, 6.0)
"""Operations to store or to load a sum that waits: in the second cache, and beyond it."""


def _waits(sums: int, chunks: int, dtype: str, target: Target) -> float:
    """Operations of each sum between chunks."""
    far = sums * np.dtype(dtype).itemsize > target.level2
    return 2 * (chunks - 1) * WAIT[far]


def _uneven(tasks: int, parts: int) -> float:
    """By how much longer the part with the most tasks takes."""
    return -(-tasks // parts) * parts / tasks


def _direct(kernel: DirectWeight, target: Target, parts: int) -> float:
    lanes, g = target.lanes(np.dtype(kernel.dtype)), kernel.g
    row = vectors(g.sizes[-1], lanes, g.block)
    cells = g.channels * kernel.channels * math.prod(kernel.kernel)
    each = GATHERED if g.block == 1 and kernel.stride[-1] > 1 else 1.0
    waits = _waits(kernel.sums(target), kernel.chunks(target), kernel.dtype, target)
    one = g.blocks * kernel.rows * row.count * each + TOTAL + waits
    short = 0.5 if row.lanes < lanes else 1.0  # two fit where one whole vector does
    read = sum(p.channels * math.prod(p.extents) * p.blocks for p in (kernel.x, g)) * g.block
    far = FAR * read / lanes if read * np.dtype(kernel.dtype).itemsize > 32 * target.level2 else 0.0
    return cells * one * short * _uneven(math.prod(kernel.tasks(target)), parts) + far


def _inside(kernel: TurnedWeight) -> float:
    """The share of the products that read no halo: the others are left out."""
    found = 1.0
    for axis, (size, count) in enumerate(zip(kernel.x.sizes, kernel.g.sizes, strict=True)):
        stride, dilation = kernel.stride[axis], kernel.dilation[axis]
        taps = (dilation * r - kernel.before[axis] for r in range(kernel.kernel[axis]))
        live = sum(0 <= stride * p + tap < size for tap in taps for p in range(count))
        found *= live / (count * kernel.kernel[axis])
    return found


def _turned(kernel: TurnedWeight, target: Target, parts: int) -> float:
    tasks = kernel.tasks(target)
    wide = -(-kernel.filters // kernel.blocks(target).lanes) * kernel.groups
    steps = kernel.g.blocks * kernel.g.block * math.prod(kernel.g.sizes)
    waits = _waits(kernel.sums(target), kernel.rounds(target), kernel.dtype, target)
    turn = steps * kernel.turning(tasks[1])  # each part turns for itself
    sums = kernel.channels * kernel.taps * (steps * _inside(kernel) + WRITE + waits)
    return wide * (sums * _uneven(math.prod(tasks), parts) + turn)


def _winograd_costs(g: Geometry, lanes: int) -> dict[Tiling, float]:
    """By tiles; for one block of images."""
    columns, rows = (-(-n // lanes) * lanes for n in (g.channels, g.filters))
    found = {}
    for tiling in g.tilings:
        products = tiling.points * g.filters * columns * 1.15
        transforms = TURNED[tiling.outputs, tiling.taps] * (columns + rows)
        found[tiling] = math.prod(tiling.counts(g.positions)) * (products + transforms)
    return found


def _winograd_costs_of_one(g: Geometry, lanes: int) -> dict[Tiling, float]:
    """By squares of tiles that fit the plane; for one image."""
    columns, rows = (-(-n // lanes) * lanes for n in (g.channels, g.filters))
    found = {}
    for tiling in g.tilings:
        count, sides = squares(tiling, g.positions, lanes), (tiling.outputs, tiling.taps)
        if count is not None and sides in OF_ONE:
            each, back = OF_ONE[sides]
            products = tiling.points * g.filters * columns
            vectors = math.prod(count) * (products + each * (columns + rows))
            found[tiling] = vectors + back * g.filters * columns / lanes
    return found


Way = Tiling | DirectWeight | TurnedWeight


def _kernels(
    x: Cells, z: Cells, window: tuple[tuple[int, ...], ...], groups: int, turned: bool,
    dtype: str, places: Places,
) -> dict[Way, float]:  # fmt: skip
    """What can always be done, and what it costs."""
    kernel, stride, dilation, before = window
    direct = DirectWeight(x, z, groups, kernel, stride, dilation, before, turned, dtype)
    other = TurnedWeight(
        x, z, groups, kernel, stride, dilation, before, turned, places.parts, dtype
    )
    return {
        direct: _direct(direct, places.target, places.parts),
        other: _turned(other, places.target, places.parts),
    }


def _least(costs: dict[Way, float]) -> tuple[Way, str]:
    """What costs least, and the reason in words."""
    names = {DirectWeight: "direct", TurnedWeight: "turned"}
    words = {way: names.get(type(way), f"winograd {way}") for way in costs}
    best = min(costs, key=lambda way: costs[way])
    told = ", ".join(f"{words[way]} {cost / 1e3:.0f}k" for way, cost in costs.items())
    return best, f"{words[best]} of {told} vector operations"


def choose_weight(g: Geometry, planes: dict[str, Planes], places: Places) -> tuple[Way, str]:
    """The kernel that serves, or the tiles of Winograd's family; and the reason in words.

    Args:
        g: the convolution.
        planes: where x and z lie.
        places: target and types.
    """
    window = (g.kernel, g.stride, g.dilation, g.before)
    dtype = places.dtypes[-1]
    x, z = planes["x"], planes["z"]
    costs = _kernels(x, z, window, g.groups, g.turned, dtype.name, places)
    if by_tiles(g, x, places):
        tiles = _winograd_costs(g, places.target.lanes(dtype))
        costs |= {tiling: cost * x.blocks for tiling, cost in tiles.items()}
    elif x.block == 1 and places.precision != "direct":
        tiles = _winograd_costs_of_one(g, places.target.lanes(dtype))
        costs |= {tiling: cost * x.blocks for tiling, cost in tiles.items()}
    return _least(costs)


def _call(kernel: DirectWeight | TurnedWeight, values: dict[str, int], places: Places) -> Call:
    sums = Temporary("sums", kernel.sums(places.target), kernel.dtype)
    arrays: dict[str, int | Temporary] = {
        "x": values["x"], "g": values["z"], "dw": values["w"], "sums": sums,
    }  # fmt: skip
    if isinstance(kernel, DirectWeight):
        return Call(kernel, arrays, ("dw", "sums"))
    scratch = Temporary("scratch", kernel.scratch(places.target), kernel.dtype, each=True)
    return Call(kernel, {**arrays, "scratch": scratch}, ("dw", "sums", "scratch"))


def linear_weight(
    x: Columns, z: Columns, values: dict[str, int], dtype: str, places: Places
) -> tuple[list[Call], str]:
    """The same for a linear layer, a convolution with one tap."""
    way, why = _least(_kernels(x, z, ((1,), (1,), (1,), (0,)), 1, False, dtype, places))
    assert not isinstance(way, Tiling)
    return [_call(way, values, places)], why


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
    way, why = choose_weight(g, planes, places)
    if isinstance(way, Tiling):
        return _winograd(g, values, dtype, places, way, planes, bias), why
    calls = [_call(way, values, places)]
    if bias is not None:
        total = BiasGrad(planes["z"], dtype)
        calls.append(Call(total, {"g": values["z"], "db": bias}, ("db",)))
    return calls, why


def _winograd(
    g: Geometry, values: dict[str, int], dtype: str, places: Places, tiling: Tiling,
    planes: dict[str, Planes], bias: int | None,
) -> list[Call]:  # fmt: skip
    """The calls of Winograd's family: into dU, and back.

    Every thread sweeps over groups of tiles into a dU of its own, which is cleared first; where
    there are fewer groups than threads, or single images, one dU is made loop by loop.
    """
    target, biased, one = places.target, bias is not None, planes["x"].block == 1
    form = (tiling, planes["x"], planes["z"], g.before, biased, dtype)
    lanes = target.lanes(np.dtype(dtype))
    sweep = WeightGradSquares(*form, lanes) if one else WeightGrad(*form)  # type: ignore[arg-type]
    whole = not one and sweep.units(target) >= places.parts
    copies = places.parts if whole else 1
    du = Temporary("du", sweep.size * copies, dtype)
    sums = Temporary("sums", sweep.filters * copies, dtype)
    given: dict[str, int | Temporary] = {"x": values["x"], "g": values["z"]}
    made = {"du": du, "db": sums} if biased else {"du": du}
    if whole:
        scratch = Temporary("scratch", sweep.scratch(target), dtype, each=True)
        calls = [
            Call(Clear(cleared.size, dtype), {"z": cleared}, ("z",)) for cleared in made.values()
        ]
        arrays = {**given, **made, "scratch": scratch}
        calls.append(Call(sweep, arrays, (*made, "scratch")))
    else:
        tiles, product = TurnTiles(sweep), SumPoints(sweep)
        sizes = (turned.size for turned in tiles.places(target))
        v, y = (Temporary(name, size, dtype) for name, size in zip("vy", sizes, strict=True))
        scratch = Temporary("scratch", tiles.scratch(target), dtype, each=True)
        arrays = {**given, "v": v, "y": y, "scratch": scratch}
        calls = [
            Call(tiles, arrays, ("v", "y", "scratch")),
            Call(product, {"v": v, "y": y, **made}, tuple(made)),
        ]
    inverse = InverseWeights(tiling, g.channels, g.filters, copies, biased, dtype)
    ends: dict[str, int | Temporary] = {"du": du, "dw": values["w"]}
    if bias is not None:
        ends |= {"sums": sums, "db": bias}
    return [*calls, Call(inverse, ends, ("dw", "db") if biased else ("dw",))]
