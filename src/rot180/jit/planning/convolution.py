"""Convolution: which family serves a form of a convolution, by a model that can be read.

The model counts vector operations. Direct: C·K·taps products for every position. Winograd: for each
tile t² products for every pair (c, k), and the transforms of the tile for every c and every k. The
smaller number wins, where the family's error bound allows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rot180.core import Form
from rot180.jit.emission.layout import Planes
from rot180.jit.families import direct
from rot180.jit.families.direct import Direct
from rot180.jit.families.winograd import Correlate, TransformWeights
from rot180.jit.planning.task import Call, Halo, Places, Temporary

__all__ = ["Geometry", "by_tiles", "choose", "geometry", "halo", "least", "lower_conv"]

TRANSFORMS = {2: (40.0, 30.0), 4: (190.0, 140.0)}
"""Vector operations for a tile of each input channel, and of each output channel."""


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
    def square(self) -> bool:
        """Whether Winograd's families apply: 3×3, stride 1, no dilation, one group."""
        return (
            self.kernel == (3, 3)
            and self.stride == self.dilation == (1, 1)
            and self.groups == 1
            and not self.turned
        )


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


def _reach(
    phases: tuple[direct.Phase, ...], stride: tuple[int, ...], sizes: tuple[int, ...]
) -> Halo:
    """How far the taps of some phases reach over the edges of planes of these sizes."""
    before, after = [0] * len(sizes), [0] * len(sizes)
    for phase in phases:
        if all(taps.count for taps in phase.taps):
            for axis, (taps, size) in enumerate(zip(phase.taps, sizes, strict=True)):
                last = (phase.counts[axis] - 1) * stride[axis]
                before[axis] = max(before[axis], -taps.shift)
                after[axis] = max(after[axis], last + taps.last - (size - 1))
    return tuple(before), tuple(after)


def _phases(g: Geometry, output: str) -> tuple[direct.Phase, ...]:
    if output == "z":
        return direct.forward_phases(g.kernel, g.dilation, g.before, g.positions, g.turned)
    return direct.input_phases(g.kernel, g.stride, g.dilation, g.before, g.sizes, g.turned)


def _overhang(sizes: tuple[int, ...], tile: int) -> tuple[int, ...]:
    return tuple(-size % tile for size in sizes)


def halo(g: Geometry, output: str) -> dict[str, Halo]:
    """The zeros that a form read for `output` needs around each of its inputs x and z."""
    ones = (1,) * len(g.kernel)
    over = _overhang(g.positions, 4) if g.square else (0,) * len(g.kernel)
    back = _overhang(g.sizes, 4) if g.square else (0,) * len(g.kernel)
    forward = _reach(_phases(g, "z"), g.stride, g.sizes)
    x = (forward[0], tuple(a + b for a, b in zip(forward[1], over, strict=True)))
    if output == "z":
        return {"x": x}
    if output == "w":
        return {"x": x, "z": ((0,) * len(over), over)}
    reach = _reach(_phases(g, "x"), ones, g.positions)
    return {"z": (reach[0], tuple(a + b for a, b in zip(reach[1], back, strict=True)))}


def _costs(g: Geometry, output: str) -> dict[int, float]:
    """Vector operations of one block of images: by direct sums (0), and by tiles of 2 and 4."""
    inputs, outputs = (g.filters, g.channels) if output == "x" else (g.channels, g.filters)
    made = g.sizes if output == "x" else g.positions
    found = {0: float(inputs * outputs * math.prod(g.kernel) * math.prod(g.positions) * g.groups)}
    for tile, (by_input, by_output) in TRANSFORMS.items():
        tiles = math.prod(-(-size // tile) for size in made)
        transforms = by_input * inputs + by_output * outputs
        products = (tile + 2) ** 2 * inputs * outputs * 1.15
        found[tile] = tiles * (products + transforms)
    return found


def by_tiles(g: Geometry, planes: Planes, places: Places) -> bool:
    """Whether Winograd's families may serve."""
    lanes = places.target.lanes(places.dtypes[-1])
    return g.square and planes.block == lanes and places.precision != "direct"


def least(costs: dict[int, float], tiles: bool) -> tuple[int, str]:
    """The tile that costs least, 0 for direct; and the reason in words."""
    best = min(costs, key=lambda tile: costs[tile]) if tiles else 0
    words = {0: "direct", 2: "winograd F(2×2)", 4: "winograd F(4×4)"}
    if not tiles:
        return 0, f"direct, {costs[0] / 1e3:.0f}k vector operations a block"
    told = ", ".join(f"{words[tile]} {cost / 1e3:.0f}k" for tile, cost in costs.items())
    return best, f"{words[best]} of {told} vector operations a block"


def choose(g: Geometry, output: str, planes: Planes, places: Places) -> tuple[int, str]:
    """The tile of Winograd's families for z or x, 0 for direct; and the reason in words."""
    return least(_costs(g, output), by_tiles(g, planes, places))


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
    tile, why = choose(g, output, next(iter(planes.values())), places)
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
    if tile:
        inputs, outputs = (g.channels, g.filters) if output == "z" else (g.filters, g.channels)
        steps = (by_channel, by_filter) if output == "z" else (by_filter, by_channel)
        rows, columns = g.before if output == "z" else tuple(2 - a for a in g.before)
        transform = TransformWeights(tile, inputs, outputs, *steps, output == "x", dtype)
        correlate = Correlate(
            tile,
            planes[given],
            planes[made],
            (rows, columns),
            *tail,
        )
        u = Temporary("u", (tile + 2) ** 2 * inputs * outputs, dtype)
        scratch = Temporary("scratch", correlate.scratch(places.target), dtype, each=True)
        return [
            Call(transform, {"w": values["w"], "u": u}, ("u",)),
            Call(correlate, {**arrays, "u": u, "scratch": scratch}, ("z", "scratch")),
        ], why
    steps3 = (
        (by_filter, by_channel, by_group) if output == "z" else (by_channel, by_filter, by_group)
    )
    kernel = Direct(
        planes[given], planes[made], g.groups, steps3,
        g.stride if output == "z" else (1,) * len(g.kernel),
        _phases(g, output), *tail,
    )  # fmt: skip
    return [Call(kernel, {**arrays, "w": values["w"]}, ("z",))], why
