"""Group, layer and instance norm: mean and deviation of each image's own cells.

    for (block, group of channels) in this part's share
        m, M2 over the channels of the group and their cells;  rstd = 1 / √(M2 / n + eps)
        for its channels, cells:  z = relu((x − m) · rstd · weight + bias)

    for (block, group) in this part's share
        h = weight · (g where z > 0);  level = Σ h;  slope = Σ h · (x − m)
        for its channels, cells:  dx = rstd · (h − level / n − (x − m) · rstd² · slope / n)

Weights of channels: Σ g and Σ g · (x − m) · rstd of every image and channel are known on the way to
level and slope, and written; `BiasGrad` adds them up over the images. Weights of cells:

    for channel of a group in this part's share, for its cells
        dbias = Σ g,  dweight = Σ g · (x − m) · rstd   over images and groups

Instance norm has groups of one channel. Layer norm has one group, and a weight for each cell of it;
over the last axes only, those before them count as channels (`last_axes`). With B images in the
lanes no sum crosses lanes but those of the parameters.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import (
    cells_of,
    fresh,
    merged,
    outer,
    over,
    shares,
    spread,
    summed,
    sums,
)
from rot180.jit.emission.target import Target
from rot180.jit.families.moments import plane_moments

__all__ = ["GroupNorm", "GroupNormGrad", "GroupNormParameterGrad", "last_axes"]


def last_axes(planes: Planes, axes: int) -> Planes:
    """The same places with all but the last axes as channels; those must have no halo.

    >>> last_axes(Planes(2, 3, (4, 5), 1), 1)
    Planes(images=2, channels=12, sizes=(5,), block=1, before=(0,), after=(0,))
    """
    lead = len(planes.sizes) - axes
    if any((*planes.before[:lead], *planes.after[:lead])):
        raise ValueError("axes with a halo are no channels")
    channels = planes.channels * math.prod(planes.sizes[:lead])
    behind = planes.sizes[lead:], planes.before[lead:], planes.after[lead:]
    return Planes(planes.images, channels, behind[0], planes.block, *behind[1:])


@dataclass(frozen=True)
class _Norm:
    """What the three kernels have in common.

    Attributes:
        x: where the input lies.
        z: where the output lies (forward), or the upstream gradient (backward).
        group: channels of one group.
        weights: "" for none, "channel" for one of each channel, "cell" for one of each cell of a
            group.
        relu: there is a ReLU behind.
    """

    x: Planes
    z: Planes
    group: int
    weights: str = "channel"
    relu: bool = False

    @property
    def groups(self) -> int:
        """Groups of one image."""
        return self.x.channels // self.group

    @property
    def count(self) -> int:
        """Cells of one group."""
        return self.group * cells_of(self.x)

    def planes(self, *more: Planes) -> list[Planes]:
        """x, z and others, and the weights of the cells of a group, with rows of equal length."""
        return merged(self.x, self.z, *more, Planes(1, self.group, self.x.sizes, 1))

    def parameter(self, k: Emitter, array: str, c: Index, own: Index, at: Index, lanes: int) -> Any:
        """A parameter of one vector: of channel `own` + c, or of the cells from `at` on."""
        if self.weights == "channel":
            return k.splat(k.load(array, k.at(own, c), 1), lanes)
        if self.x.block == 1:
            return k.load(array, at, lanes)
        return k.splat(k.load(array, at, 1), lanes)

    def starts(
        self, k: Emitter, planes: list[Planes], block: Index, first: Index, c: Index,
        rows: list[Index],
    ) -> list[Index]:  # fmt: skip
        """Where a row of channel first + c starts in each of the planes."""
        *images, weights = zip(planes, rows, strict=True)
        found = [k.at((block, p.stack), (first, p.plane), (c, p.plane), row) for p, row in images]
        return [*found, k.at((c, weights[0].plane), weights[1])]

    def places(self, k: Emitter, starts: list[Index], q: Index) -> list[Index]:
        """Where cell q of a row stands in each of the planes."""
        return [*(k.at(s, (q, self.x.block)) for s in starts[:-1]), k.at(starts[-1], q)]


@dataclass(frozen=True)
class GroupNorm(ByBlocks, _Norm):
    """z, and the mean and rstd of every image and group, which lie like (N, groups) in blocks.

    Attributes:
        eps: added to the variance.
    """

    eps: float = 1e-5
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", *(("weight", "bias") if self.weights else ()), "z", "mean", "rstd")

    def emit(self, name: str, target: Target) -> Any:
        """The first loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        planes = self.planes()
        x, lanes = planes[0], self.x.block
        first, after = k.share(x.blocks * self.groups)
        with k.loop(first, after) as unit:
            block, group = k.divmod(unit, self.groups)
            own = k.at((group, self.group))
            start = k.at((block, x.stack), (own, x.plane))
            mean, squares = plane_moments(k, x, start, self.group)
            variance = k.mul(squares, k.constant(1.0 / self.count, lanes))
            root = k.intrinsic("sqrt", k.add(variance, k.constant(self.eps, lanes)))
            rstd = k.div(k.constant(1.0, lanes), root)
            k.store(mean, "mean", k.at((unit, lanes)))
            k.store(rstd, "rstd", k.at((unit, lanes)))
            with k.loop(0, self.group) as c, outer(k, *planes) as rows:
                starts = self.starts(k, planes, block, own, c, rows)
                one = functools.partial(self._cell, k, starts, own, c, mean, rstd)
                over(k, x.sizes[-1], x.block, one, 2)
        return k.finish()

    def _cell(
        self, k: Emitter, starts: list[Index], own: Index, c: Index, mean: Any, rstd: Any,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        source, goal, at = self.places(k, starts, q)
        delta = k.sub(k.load("x", source, lanes), spread(k, mean, lanes))
        value = k.mul(delta, spread(k, rstd, lanes))
        if self.weights:
            weight, bias = (
                self.parameter(k, array, c, own, at, lanes) for array in ("weight", "bias")
            )
            value = k.fma(value, weight, bias)
        k.store(k.relu(value) if self.relu else value, "z", goal)


@dataclass(frozen=True)
class _Backward(_Norm):
    """What both gradients have in common: z is where the upstream gradient lies."""

    def given(
        self, k: Emitter, places: list[Index], own: Index, c: Index, mean: Any, rstd: Any,
        lanes: int,
    ) -> tuple[Any, Any]:  # fmt: skip
        """(g where the output was positive, (x − mean) · rstd) of one vector."""
        delta = k.sub(k.load("x", places[0], lanes), spread(k, mean, lanes))
        normal = k.mul(delta, spread(k, rstd, lanes))
        g = k.load("g", places[1], lanes)
        if self.relu:
            z, zero = normal, k.constant(0.0, lanes)
            if self.weights:
                weight, bias = (
                    self.parameter(k, array, c, own, places[-1], lanes)
                    for array in ("weight", "bias")
                )
                z = k.fma(normal, weight, bias)
            g = k.select(k.builder.fcmp_ordered(">", z, zero), g, zero)
        return g, normal

    @property
    def read(self) -> tuple[str, ...]:
        """Names of the arrays that both read."""
        weight = ("weight",) if self.weights else ()
        bias = ("bias",) if self.weights and self.relu else ()
        return ("g", "x", "mean", "rstd", *weight, *bias)


@dataclass(frozen=True)
class GroupNormGrad(ByBlocks, _Backward):
    """dx from g, x and what the forward pass wrote.

    Weights of channels: "sums" and "dots" lie like (N, C) in blocks; added up over the images they
    are dbias and dweight.

    Attributes:
        dx: where it goes; where x lies, if None.
    """

    dx: Planes | None = None
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (*self.read, "dx", *(("sums", "dots") if self.weights == "channel" else ()))

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        planes = self.planes(self.dx or self.x)
        x, lanes = planes[0], self.x.block
        for first, after, live in shares(k, x, self.groups):
            with k.loop(first, after) as unit:
                block, group = k.divmod(unit, self.groups)
                own = k.at((group, self.group))
                mean, rstd = (k.load(a, k.at((unit, lanes)), lanes) for a in ("mean", "rstd"))
                totals = [k.variable(k.constant(0.0, lanes)) for _ in range(2)]
                with k.loop(0, self.group) as c:
                    found = sums(k, x.sizes[-1], lanes, 2)
                    with outer(k, *planes) as rows:
                        starts = self.starts(k, planes, block, own, c, rows)
                        add = functools.partial(self._add, k, starts, own, c, mean, rstd, found)
                        over(k, x.sizes[-1], lanes, add, len(found[0]))
                    self._close(k, block, k.at(own, c), found, totals)
                share = k.constant(1.0 / self.count, lanes)
                level, slope = (k.mul(total.get(), share) for total in totals)
                with k.loop(0, self.group) as c, outer(k, *planes) as rows:
                    starts = self.starts(k, planes, block, own, c, rows)
                    one = functools.partial(
                        self._cell, k, starts, own, c, mean, rstd, level, slope, live
                    )
                    over(k, x.sizes[-1], lanes, one, 2)
        return k.finish()

    def _close(
        self, k: Emitter, block: Index, channel: Index, found: list[list[Variable]],
        totals: list[Variable],
    ) -> None:  # fmt: skip
        """The sums of one channel join those of its group; those without weight are written."""
        lanes = self.x.block
        for array, ways, total in zip(("sums", "dots"), found, totals, strict=True):
            value = summed(k, ways, lanes)
            if self.weights == "channel":
                k.store(value, array, k.at((block, self.x.channels * lanes), (channel, lanes)))
                value = k.mul(value, k.splat(k.load("weight", channel, 1), lanes))
            total.set(k.add(total.get(), value))

    def _through(
        self, k: Emitter, places: list[Index], own: Index, c: Index, mean: Any, rstd: Any,
        lanes: int,
    ) -> tuple[Any, Any]:  # fmt: skip
        """(weight · g, (x − mean) · rstd)."""
        g, normal = self.given(k, places, own, c, mean, rstd, lanes)
        if self.weights:
            g = k.mul(g, self.parameter(k, "weight", c, own, places[-1], lanes))
        return g, normal

    def _add(
        self, k: Emitter, starts: list[Index], own: Index, c: Index, mean: Any, rstd: Any,
        found: list[list[Variable]], q: Index, lanes: int, new: Any, way: int,
    ) -> None:  # fmt: skip
        given = self._through if self.weights == "cell" else self.given
        g, normal = given(k, self.places(k, starts, q), own, c, mean, rstd, lanes)
        g = fresh(k, g, new)
        found[0][way].set(k.add(found[0][way].get(), g))
        found[1][way].set(k.fma(g, normal, found[1][way].get()))

    def _cell(
        self, k: Emitter, starts: list[Index], own: Index, c: Index, mean: Any, rstd: Any,
        level: Any, slope: Any, live: int, q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        places = self.places(k, starts, q)
        h, normal = self._through(k, places, own, c, mean, rstd, lanes)
        back = k.fma(normal, spread(k, slope, lanes), spread(k, level, lanes))
        value = k.mul(k.sub(h, back), spread(k, rstd, lanes))
        # Images that do not count must not give anything to what sums over images.
        value = fresh(k, value, range(live)) if live < self.x.block else value
        k.store(value, "dx", places[2])


@dataclass(frozen=True)
class GroupNormParameterGrad(_Backward):
    """dweight and dbias of weights of cells, from g, x and what the forward pass wrote."""

    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (*(self.read if self.relu else self.read[:4]), "dweight", "dbias")

    def emit(self, name: str, target: Target) -> Any:
        """The third loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        planes = self.planes()
        first, after = k.share(self.group)
        with k.loop(first, after) as c, outer(k, *planes) as rows:
            one = functools.partial(self._cell, k, planes, rows, c)
            over(k, planes[0].sizes[-1], self.x.block, one)
        return k.finish()

    def _cell(
        self, k: Emitter, planes: list[Planes], rows: list[Index], c: Index,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        """The sums of the weights of one cell (B images), or of neighbouring cells (B = 1)."""
        block_of = self.x.block
        totals = [k.variable(k.constant(0.0, lanes)) for _ in range(2)]
        with k.loop(0, self.x.blocks) as block, k.loop(0, self.groups) as group:
            where = k.at((block, self.groups * block_of), (group, block_of))
            mean, rstd = (k.load(array, where, block_of) for array in ("mean", "rstd"))
            own = k.at((group, self.group))
            places = self.places(k, self.starts(k, planes, block, own, c, rows), q)
            g, normal = self.given(k, places, own, c, mean, rstd, lanes)
            totals[0].set(k.add(totals[0].get(), g))
            totals[1].set(k.fma(g, normal, totals[1].get()))
        at = k.at((c, planes[-1].plane), rows[-1], q)
        for array, total in zip(("dbias", "dweight"), totals, strict=True):
            k.store(total.get() if block_of == 1 else k.total(total.get()), array, at)
