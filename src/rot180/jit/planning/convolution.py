"""Convolution: which family serves a form of a convolution, by a model that can be read.

The model counts vector operations. Direct: C·K·taps products for every position. Winograd: for each
tile t² products for every pair (c, k), and the transforms of the tile for every c and every k. The
smaller number wins, where the family's error bound allows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rot180.core import Form
from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.layout import Planes
from rot180.jit.families.direct import Direct
from rot180.jit.families.phases import Phase, forward_phases, input_phases
from rot180.jit.families.tiling import Tiling
from rot180.jit.families.winograd import Correlate
from rot180.jit.families.winograd_stages import InverseTiles, MultiplyPoints, TransformTiles
from rot180.jit.families.winograd_tiles import CorrelateSquares, squares
from rot180.jit.families.winograd_transforms import TransformWeights
from rot180.jit.planning.task import Call, Halo, Places, Temporary

__all__ = ["Geometry", "by_tiles", "choose", "geometry", "halo", "lower_conv"]

TRANSFORMS = {
    (2, 3): (40.0, 30.0), (4, 3): (190.0, 140.0), (4, 5): (420.0, 240.0), (2, 7): (420.0, 150.0),
}  # fmt: skip
"""Tiles (m, r): vector operations for a tile of each input channel, and of each output channel."""

OF_ONE = {(2, 3): (85.0, 85.0, 90.0), (4, 3): (215.0, 215.0, 160.0)}
"""The same for a square of tiles of a single image, whose cells have to be dealt out; and for each
vector of weights, whose transform serves one image only.
"""


@dataclass(frozen=True)
class Geometry:
    """The integers of a convolution form, axis by axis.

    Attributes:
        images, groups, channels, filters: N, groups, and C and K of one group.
        sizes, positions, kernel: H.., P.., R..
        stride, dilation, before: S, D, A.
        turned: whether the kernel is read from its end.
    """

    images: int
    groups: int
    channels: int
    filters: int
    sizes: tuple[int, ...]
    positions: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    turned: bool

    @property
    def weight(self) -> tuple[int, int, int]:
        """Elements between neighbouring filters, channels and groups of the weight."""
        taps = math.prod(self.kernel)
        return self.channels * taps, taps, self.filters * self.channels * taps

    @property
    def tilings(self) -> tuple[Tiling, ...]:
        """Those of Winograd's families that apply: r×r taps, stride 1, one group."""
        if len(self.kernel) != 2 or self.stride != (1, 1) or self.groups != 1 or self.turned:
            return ()
        rows, columns = self.dilation
        found = (Tiling(m, r, (rows, columns)) for m, r in TRANSFORMS if self.kernel == (r, r))
        return tuple(found)


def geometry(form: Form) -> Geometry | None:
    """Read the integers out of a form that was declared as a convolution, None for another."""
    operands = {o.name: o for o in form.operands}
    if form.name != "conv" or set(operands) != {"x", "w", "z"}:
        return None
    x, w, z, extents = operands["x"], operands["w"], operands["z"], form.extents
    axes = len(x.shape) - 2
    stride, dilation, before = [], [], []
    for i in range(axes):
        terms = dict(x.axes[2 + i].terms)
        stride.append(terms[f"p{i}"])
        dilation.append(terms[f"r{i}"])
        before.append(-x.axes[2 + i].constant)
    kernel = tuple(w.shape[2:])
    turned = any(dict(axis.terms).get(f"r{i}") == -1 for i, axis in enumerate(w.axes[2:]))
    return Geometry(
        x.shape[0], extents["j"], extents["c"], extents["k"], tuple(x.shape[2:]),
        tuple(z.shape[2:]), kernel, tuple(stride), tuple(dilation), tuple(before), turned,
    )  # fmt: skip


def _reach(phases: tuple[Phase, ...], stride: tuple[int, ...], sizes: tuple[int, ...]) -> Halo:
    """How far the taps of some phases reach over the edges of planes of these sizes."""
    before, after = [0] * len(sizes), [0] * len(sizes)
    for phase in phases:
        if all(taps.count for taps in phase.taps):
            for axis, (taps, size) in enumerate(zip(phase.taps, sizes, strict=True)):
                last = (phase.counts[axis] - 1) * stride[axis]
                before[axis] = max(before[axis], -taps.shift)
                after[axis] = max(after[axis], last + taps.last - (size - 1))
    return tuple(before), tuple(after)


def _phases(g: Geometry, output: str) -> tuple[Phase, ...]:
    if output == "z":
        return forward_phases(g.kernel, g.dilation, g.before, g.positions, g.turned)
    return input_phases(g.kernel, g.stride, g.dilation, g.before, g.sizes, g.turned)


def _overhang(g: Geometry, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """By how much tiles of any of the families pass the end of each axis."""
    found = [tiling.overhang(sizes) for tiling in g.tilings]
    return tuple(map(max, *found, (0,) * len(sizes))) if found else (0,) * len(sizes)


def halo(g: Geometry, output: str) -> dict[str, Halo]:
    """The zeros that a form read for `output` needs around each of its inputs x and z."""
    ones = (1,) * len(g.kernel)
    over, back = _overhang(g, g.positions), _overhang(g, g.sizes)
    forward = _reach(_phases(g, "z"), g.stride, g.sizes)
    x = (forward[0], tuple(a + b for a, b in zip(forward[1], over, strict=True)))
    if output == "z":
        return {"x": x}
    if output == "w":
        return {"x": x, "z": ((0,) * len(over), over)}
    reach = _reach(_phases(g, "x"), ones, g.positions)
    return {"z": (reach[0], tuple(a + b for a, b in zip(reach[1], back, strict=True)))}


WORTH = 2.0
"""By how much tiles of eight points must win: below that their rounding is not worth the gain."""


def _costs(g: Geometry, output: str) -> dict[Tiling | None, float]:
    """Vector operations of one block of images: by direct sums (None), and by tiles."""
    inputs, outputs = (g.filters, g.channels) if output == "x" else (g.channels, g.filters)
    made = g.sizes if output == "x" else g.positions
    # rows of taps that reach no cell are left out; columns of them are not
    lines, *columns = g.positions if output == "z" else (
        g.positions[0], *(h / s for h, s in zip(g.sizes[1:], g.stride[1:], strict=True))
    )  # fmt: skip
    direct = inputs * outputs * math.prod(g.kernel) * lines * math.prod(columns) * g.groups
    found: dict[Tiling | None, float] = {None: float(direct)}
    for tiling in g.tilings:
        by_input, by_output = TRANSFORMS[tiling.outputs, tiling.taps]
        transforms = by_input * inputs + by_output * outputs
        products = tiling.points * inputs * outputs * 1.15
        cost = math.prod(tiling.counts(made)) * (products + transforms)
        if tiling.cells < 8 or WORTH * cost <= direct:
            found[tiling] = cost
    return found


def _costs_of_one(g: Geometry, output: str, lanes: int) -> dict[Tiling | None, float]:
    """The same for a single image, by what fits into its rows."""
    inputs, outputs = (g.filters, g.channels) if output == "x" else (g.channels, g.filters)
    made = g.sizes if output == "x" else g.positions
    row = vectors(made[-1], lanes, 1, spare=True)
    rows = math.prod(g.positions) / g.positions[-1] * row.count * max(row.lanes / lanes, 0.5)
    found: dict[Tiling | None, float] = {
        None: inputs * outputs * math.prod(g.kernel) * rows * g.groups
    }
    for tiling in g.tilings:
        count, sides = squares(tiling, made, lanes), (tiling.outputs, tiling.taps)
        if count is not None and sides in OF_ONE:
            by_input, by_output, by_weights = OF_ONE[sides]
            transforms = by_input * inputs + by_output * outputs
            products = tiling.points * inputs * outputs
            weights = by_weights * inputs * outputs / lanes
            found[tiling] = math.prod(count) * (products + transforms) + weights
    return found


def by_tiles(g: Geometry, planes: Planes, places: Places) -> bool:
    """Whether Winograd's families may serve."""
    lanes = places.target.lanes(places.dtypes[-1])
    return bool(g.tilings) and planes.block == lanes and places.precision != "direct"


def _least(costs: dict[Tiling | None, float], tiles: bool) -> tuple[Tiling | None, str]:
    """The tiles that cost least, None for direct; and the reason in words."""
    if not tiles:
        return None, f"direct, {costs[None] / 1e3:.0f}k vector operations a block"
    best = min(costs, key=lambda tiling: costs[tiling])
    words = {tiling: f"winograd {tiling}" if tiling else "direct" for tiling in costs}
    told = ", ".join(f"{words[tiling]} {cost / 1e3:.0f}k" for tiling, cost in costs.items())
    return best, f"{words[best]} of {told} vector operations a block"


def choose(g: Geometry, output: str, planes: Planes, places: Places) -> tuple[Tiling | None, str]:
    """The tiles of Winograd's families for z or x, None for direct; and the reason in words."""
    if planes.block > 1:
        return _least(_costs(g, output), by_tiles(g, planes, places))
    costs = _costs_of_one(g, output, places.target.lanes(places.dtypes[-1]))
    return _least(costs, len(costs) > 1 and places.precision != "direct")


def lower_conv(
    g: Geometry, output: str, values: dict[str, int], dtype: str, places: Places, *,
    bias: int | None = None, relu: bool = False, mask: int | None = None,
    plus: int | None = None,
) -> tuple[list[Call], str]:  # fmt: skip
    """The calls for a form read for z or x.

    Args:
        g: the convolution.
        output: "z" or "x".
        values: the numbers of x, w and z.
        dtype: the float type.
        places: layouts and target.
        bias: a value with a number for each channel of the output.
        relu: keep the positive part only.
        mask: the result of a ReLU: 0 where it is not positive.
        plus: a value that is added.

    Returns:
        The calls, and the reason for the choice.
    """
    planes = {
        name: places.planes[values[name]] for name in ("x", "z") if values[name] in places.planes
    }
    tiling, why = choose(g, output, next(iter(planes.values())), places)
    given, made = ("x", "z") if output == "z" else ("z", "x")
    arrays: dict[str, int | Temporary] = {"x": values[given], "z": values[made]}
    if bias is not None:
        arrays["bias"] = bias
    if mask is not None:
        arrays["mask"] = mask
    if plus is not None:
        arrays["plus"] = plus
    masks, addend = (None if n is None else places.planes[n] for n in (mask, plus))
    tail = (bias is not None, relu, masks, addend, dtype)
    by_filter, by_channel, by_group = g.weight
    if tiling is not None:
        before = _before(g, output, tiling)
        form = (tiling, planes[given], planes[made], before, output == "x", *tail)
        one, lanes = planes[made].block == 1, places.target.lanes(np.dtype(dtype))
        correlate = CorrelateSquares(*form, lanes) if one else Correlate(*form)
        return _winograd(g, output, correlate, arrays, values["w"], places), why
    steps3 = (
        (by_filter, by_channel, by_group) if output == "z" else (by_channel, by_filter, by_group)
    )
    kernel = Direct(
        planes[given], planes[made], g.groups, steps3,
        g.stride if output == "z" else (1,) * len(g.kernel),
        _phases(g, output), *tail,
    )  # fmt: skip
    return [Call(kernel, {**arrays, "w": values["w"]}, ("z",))], why


def _before(g: Geometry, output: str, tiling: Tiling) -> tuple[int, int]:
    """The padding before the correlation that a reading is."""
    axes = zip(g.before, tiling.dilation, strict=True)
    rows, columns = (a if output == "z" else d * (tiling.taps - 1) - a for a, d in axes)
    return rows, columns


def _winograd(
    g: Geometry, output: str, correlate: Correlate, arrays: dict[str, int | Temporary], w: int,
    places: Places,
) -> list[Call]:  # fmt: skip
    """Transformed weights, and the correlation: whole, or loop by loop for few groups of tiles."""
    tiling, dtype, target = correlate.tiling, correlate.dtype, places.target
    transform = TransformWeights(tiling, g.filters, g.channels, output == "x", dtype)
    u = Temporary("u", tiling.points * tiling.pairs(g.filters, g.channels), dtype)
    first = Call(transform, {"w": w, "u": u}, ("u",))
    if correlate.units(target) >= places.parts:
        scratch = Temporary("scratch", correlate.scratch(target), dtype, each=True)
        whole = Call(correlate, {**arrays, "u": u, "scratch": scratch}, ("z", "scratch"))
        return [first, whole]
    tiles, product = TransformTiles(correlate), MultiplyPoints(correlate)
    sizes = (points.size for points in tiles.places(target))
    v, m = (Temporary(name, size, dtype) for name, size in zip("vm", sizes, strict=True))
    made = {name: value for name, value in arrays.items() if name != "x"}
    return [
        first,
        Call(tiles, {"x": arrays["x"], "v": v}, ("v",)),
        Call(product, {"u": u, "v": v, "m": m}, ("m",)),
        Call(InverseTiles(correlate), {**made, "m": m}, ("z",)),
    ]
