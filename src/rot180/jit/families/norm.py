"""Batch norm in training: z = (x − μ) · rstd · weight + bias (+ residual, ReLU), and its gradient.

    for channel in this part's share
        for block:  m = mean, M2 = Σ (x − m)² of the plane (two passes while it is in cache);
                    merged into the mean and M2 so far
        rstd = 1 / √(M2 / n + eps);  the running values move on
        for block, cells:  z = relu((x − μ) · (rstd · weight) + bias + residual)

    for channel in this part's share
        for block, cells:  g = g where z > 0;  dbias += g;  dot += g · (x − μ)
        dweight = dot · rstd
        for block, cells:  dx = rstd · weight · (g − dbias / n − (x − μ) · rstd² · dot / n)

A part owns its channels, so nothing is merged between threads. The mean of a plane is exact enough
to be subtracted, and means of planes are merged by their differences: no E[x²] − E[x]² anywhere.
Without a residual the sign of z is found out from x again, as it was computed, instead of read.

Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
variances, 1979.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import (
    cells_of,
    fresh,
    merged,
    outer,
    over,
    ranges,
    spread,
    summed,
    sums,
)
from rot180.jit.emission.target import Target
from rot180.jit.families.moments import affine, channel_moments

__all__ = ["BatchNorm", "BatchNormGrad"]


@dataclass(frozen=True)
class BatchNorm:
    """z, and the mean and rstd of every channel; the running values are written in place.

    Attributes:
        x, z: where input and output lie.
        residual: where what is added lies, if anything.
        relu: keep the positive part only.
        affine: whether there are weight and bias.
        running: whether there are running values.
        momentum: weight of the new value in the running ones.
        eps: added to the variance.
    """

    x: Planes
    z: Planes
    residual: Planes | None = None
    relu: bool = False
    affine: bool = True
    running: bool = True
    momentum: float = 0.1
    eps: float = 1e-5
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (
            "x",
            *(("weight", "bias") if self.affine else ()),
            *(("residual",) if self.residual else ()),
            "z",
            "mean",
            "rstd",
            *(("running_mean", "running_var") if self.running else ()),
        )

    def emit(self, name: str, target: Target) -> Any:
        """The first loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.channels)
        with k.loop(first, after) as c:
            mean, rstd = self._finish(k, c, *channel_moments(k, self.x, c))
            scale, bias = self._scale(k, c, rstd)
            with k.loop(0, self.x.blocks) as block:
                self._normalise(k, block, c, mean, scale, bias)
        return k.finish()

    def _finish(self, k: Emitter, c: Index, mean: Any, squares: Any) -> tuple[Any, Any]:
        """From the moments of a channel: write mean and rstd, move the running values."""
        count = self.x.images * cells_of(self.x)
        variance = k.mul(squares, k.constant(1.0 / count, 1))
        root = k.intrinsic("sqrt", k.add(variance, k.constant(self.eps, 1)))
        rstd = k.div(k.constant(1.0, 1), root)
        k.store(mean, "mean", c)
        k.store(rstd, "rstd", c)
        if self.running:
            unbiased = k.mul(squares, k.constant(1.0 / max(1, count - 1), 1))
            for array, new in (("running_mean", mean), ("running_var", unbiased)):
                kept = k.mul(k.load(array, c, 1), k.constant(1.0 - self.momentum, 1))
                k.store(k.fma(new, k.constant(self.momentum, 1), kept), array, c)
        return mean, rstd

    def _scale(self, k: Emitter, c: Index, rstd: Any) -> tuple[Any, Any]:
        """(rstd · weight, bias)."""
        if not self.affine:
            return rstd, k.constant(0.0, 1)
        return k.mul(rstd, k.load("weight", c, 1)), k.load("bias", c, 1)

    def _normalise(
        self, k: Emitter, block: Index, c: Index, mean: Any, scale: Any, bias: Any
    ) -> None:
        x, z, *rest = merged(self.x, self.z, *([self.residual] if self.residual else []))
        with outer(k, x, z, *rest) as rows:
            starts = [
                k.at((block, p.stack), (c, p.plane), row)
                for p, row in zip((x, z, *rest), rows, strict=True)
            ]
            one = functools.partial(self._cell, k, starts, mean, scale, bias)
            over(k, x.sizes[-1], x.block, one, 2)

    def _cell(
        self, k: Emitter, starts: list[Index], mean: Any, scale: Any, bias: Any,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        at = [k.at(start, (q, self.x.block)) for start in starts]
        value = affine(k, k.load("x", at[0], lanes), mean, scale, bias)
        if self.residual:
            value = k.add(value, k.load("residual", at[2], lanes))
        k.store(k.relu(value) if self.relu else value, "z", at[1])


@dataclass(frozen=True)
class BatchNormGrad:
    """dx, dweight and dbias from g, x and what the forward pass wrote.

    Attributes:
        g, x, dx: where they lie.
        z: where the output lies, if its sign is to be read (there was a residual and a ReLU).
        residual: where the gradient of the residual goes, if there was one.
        relu: whether there was a ReLU.
        affine: whether there are weight and bias.
    """

    g: Planes
    x: Planes
    dx: Planes
    z: Planes | None = None
    residual: Planes | None = None
    relu: bool = False
    affine: bool = True
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (
            "g",
            "x",
            *(("z",) if self.z else ()),
            "mean",
            "rstd",
            *(("weight",) if self.affine else ()),
            *(("bias",) if self.affine and self._found_out else ()),
            "dx",
            *(("dresidual",) if self.residual else ()),
            *(("dweight", "dbias") if self.affine else ()),
        )

    @property
    def _found_out(self) -> bool:
        """Whether the sign of z is computed from x."""
        return self.relu and self.z is None

    def emit(self, name: str, target: Target) -> Any:
        """The second loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.channels)
        with k.loop(first, after) as c:
            channel = self._channel(k, c)
            totals = [k.variable(k.constant(0.0, self.x.block)) for _ in range(2)]
            with k.loop(0, self.x.blocks) as block:
                for total, found in zip(totals, self._sums(k, channel, block), strict=True):
                    total.set(k.add(total.get(), found))
            dbias, dot = (k.total(total.get()) for total in totals)
            level, slope = self._finish(k, channel, dbias, dot)
            for begin, end, live in ranges(self.x):
                with k.loop(begin, end) as block:
                    self._write(k, channel, block, live, level, slope)
        return k.finish()

    def _channel(self, k: Emitter, c: Index) -> _Channel:
        mean, rstd = k.load("mean", c, 1), k.load("rstd", c, 1)
        scale = k.mul(rstd, k.load("weight", c, 1)) if self.affine else rstd
        bias = k.load("bias", c, 1) if self.affine and self._found_out else k.constant(0.0, 1)
        return _Channel(c, mean, rstd, scale, bias)

    def _finish(self, k: Emitter, channel: _Channel, dbias: Any, dot: Any) -> tuple[Any, Any]:
        """From the sums of a channel: write dweight and dbias; what dx is made with."""
        if self.affine:
            k.store(k.mul(dot, channel.rstd), "dweight", channel.number)
            k.store(dbias, "dbias", channel.number)
        count = k.constant(1.0 / (self.x.images * cells_of(self.x)), 1)
        level = k.mul(k.mul(channel.scale, dbias), count)
        squared = k.mul(channel.rstd, channel.rstd)
        return level, k.mul(k.mul(k.mul(channel.scale, squared), dot), count)

    def _planes(self, *more: Planes) -> list[Planes]:
        return merged(self.g, self.x, *([self.z] if self.z else []), *more)

    def _given(self, k: Emitter, channel: _Channel, at: list[Index], lanes: int) -> tuple[Any, Any]:
        """(g where z > 0, x − mean) of one vector."""
        g, x = k.load("g", at[0], lanes), k.load("x", at[1], lanes)
        delta = k.sub(x, spread(k, channel.mean, lanes))
        if self.relu:
            z = (
                k.load("z", at[2], lanes)
                if self.z
                else affine(k, x, channel.mean, channel.scale, channel.bias)
            )
            zero = k.constant(0.0, lanes)
            g = k.select(k.builder.fcmp_ordered(">", z, zero), g, zero)
        return g, delta

    def _sums(self, k: Emitter, channel: _Channel, block: Index) -> list[Any]:
        """Σ g and Σ g · (x − mean) over the planes of a block, for each of its images."""
        planes = self._planes(*([self.residual] if self.residual else []))
        found = sums(k, planes[0].sizes[-1], planes[0].block, 2)
        with outer(k, *planes) as rows:
            starts = channel.starts(k, planes, block, rows)
            add = functools.partial(self._add, k, channel, starts, found)
            over(k, planes[0].sizes[-1], planes[0].block, add, len(found[0]))
        return [summed(k, ways, planes[0].block) for ways in found]

    def _add(
        self, k: Emitter, channel: _Channel, starts: list[Index], found: list[list[Variable]],
        q: Index, lanes: int, new: Any, way: int,
    ) -> None:  # fmt: skip
        at = [k.at(start, (q, self.x.block)) for start in starts]
        g, delta = self._given(k, channel, at, lanes)
        if self.residual:
            k.store(g, "dresidual", at[-1])
        g = fresh(k, g, new)
        found[0][way].set(k.add(found[0][way].get(), g))
        found[1][way].set(k.fma(g, delta, found[1][way].get()))

    def _write(
        self, k: Emitter, channel: _Channel, block: Index, live: int, level: Any, slope: Any
    ) -> None:
        planes = self._planes(self.dx)
        with outer(k, *planes) as rows:
            starts = channel.starts(k, planes, block, rows)
            one = functools.partial(self._cell, k, channel, starts, level, slope, live)
            over(k, planes[0].sizes[-1], planes[0].block, one, 2)

    def _cell(
        self, k: Emitter, channel: _Channel, starts: list[Index], level: Any, slope: Any, live: int,
        q: Index, lanes: int, *_: object,
    ) -> None:  # fmt: skip
        at = [k.at(start, (q, self.x.block)) for start in starts]
        g, delta = self._given(k, channel, at, lanes)
        back = k.fma(spread(k, slope, lanes), delta, spread(k, level, lanes))
        value = k.sub(k.mul(spread(k, channel.scale, lanes), g), back)
        # Images that do not count must not give anything to what sums over images.
        value = fresh(k, value, range(live)) if live < self.x.block else value
        k.store(value, "dx", at[-1])


@dataclass(frozen=True)
class _Channel:
    """What is the same for all cells of a channel."""

    number: Index
    mean: Any
    rstd: Any
    scale: Any
    bias: Any

    def starts(
        self, k: Emitter, planes: list[Planes], block: Index, rows: list[Index]
    ) -> list[Index]:
        """Where a row starts in each of the planes."""
        return [
            k.at((block, p.stack), (self.number, p.plane), row)
            for p, row in zip(planes, rows, strict=True)
        ]
