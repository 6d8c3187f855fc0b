"""Batch norm block by block: the same laws as in `norm`, cut where all images are needed at once.

    for block, channel:  mean and M2 of each plane            while the convolution's result is hot
    for channel:         merged; rstd; the running values move on           a moment for all threads
    for block, channel:  z = relu((x − μ) · scale + bias + residual)        hot for what reads z

and back: sums of g and g · (x − μ) of each plane; dweight, dbias, level and slope of each channel;
dx. The planes' numbers are as many as there are images and channels, so the cut costs nothing, and
the kernels before and after it go through the images block by block with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.rows import merged, shares
from rot180.jit.emission.target import Target
from rot180.jit.families.moments import merged_moments, plane_moments
from rot180.jit.families.norm import BatchNorm, BatchNormGrad

__all__ = ["FinishMoments", "FinishSums", "GradPlanes", "NormPlanes", "PlaneMoments", "PlaneSums"]


@dataclass(frozen=True)
class PlaneMoments(ByBlocks, BatchNorm):
    """Mean and M2 of every plane: (block, channel, B) each."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("x", "means", "squares")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a plane."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        (x,) = merged(self.x)
        first, after = k.share(x.blocks * x.channels)
        with k.loop(first, after) as unit:
            mean, squares = plane_moments(k, x, k.at((unit, x.plane)), 1)
            k.store(mean, "means", k.at((unit, x.block)))
            k.store(squares, "squares", k.at((unit, x.block)))
        return k.finish()


@dataclass(frozen=True)
class FinishMoments(BatchNorm):
    """Mean and rstd of every channel from the moments of its planes; the running values move."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        running = ("running_mean", "running_var") if self.running else ()
        return ("means", "squares", "mean", "rstd", *running)

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a channel."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        x = self.x
        first, after = k.share(x.channels)
        with k.loop(first, after) as c:

            def given(block: Any) -> tuple[Any, Any]:
                at = k.at((block, x.channels * x.block), (c, x.block))
                return k.load("means", at, x.block), k.load("squares", at, x.block)

            self._finish(k, c, *merged_moments(k, merged(x)[0], given))
        return k.finish()


@dataclass(frozen=True)
class NormPlanes(ByBlocks, BatchNorm):
    """z from x, mean and rstd."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        affine = ("weight", "bias") if self.affine else ()
        return ("x", "mean", "rstd", *affine, *(("residual",) if self.residual else ()), "z")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a plane."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            block, c = k.divmod(unit, self.x.channels)
            scale, bias = self._scale(k, c, k.load("rstd", c, 1))
            self._normalise(k, block, c, k.load("mean", c, 1), scale, bias)
        return k.finish()


@dataclass(frozen=True)
class PlaneSums(ByBlocks, BatchNormGrad):
    """Σ g and Σ g · (x − mean) of every plane: (block, channel, B) each; dresidual on the way."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (*self._given_arrays, *(("dresidual",) if self.residual else ()), "sums", "dots")

    @property
    def _given_arrays(self) -> tuple[str, ...]:
        sign = ("bias",) if self.affine and self._found_out else ()
        affine = ("weight",) if self.affine else ()
        return ("g", "x", *(("z",) if self.z else ()), "mean", "rstd", *affine, *sign)

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a plane."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.x.blocks * self.x.channels)
        with k.loop(first, after) as unit:
            block, c = k.divmod(unit, self.x.channels)
            found = self._sums(k, self._channel(k, c), block)
            for array, value in zip(("sums", "dots"), found, strict=True):
                k.store(value, array, k.at((unit, self.x.block)))
        return k.finish()


@dataclass(frozen=True)
class FinishSums(BatchNormGrad):
    """dweight, dbias, and level and slope of every channel, from the sums of its planes."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        affine = ("weight", "dweight", "dbias") if self.affine else ()
        sign = ("bias",) if self.affine and self._found_out else ()
        return ("sums", "dots", "mean", "rstd", *affine, *sign, "level", "slope")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a channel."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        x = self.x
        first, after = k.share(x.channels)
        with k.loop(first, after) as c:
            totals = {a: k.variable(k.constant(0.0, x.block)) for a in ("sums", "dots")}
            with k.loop(0, x.blocks) as block:
                at = k.at((block, x.channels * x.block), (c, x.block))
                for array, total in totals.items():
                    total.set(k.add(total.get(), k.load(array, at, x.block)))
            dbias, dot = (k.total(total.get()) for total in totals.values())
            level, slope = self._finish(k, self._channel(k, c), dbias, dot)
            k.store(level, "level", c)
            k.store(slope, "slope", c)
        return k.finish()


@dataclass(frozen=True)
class GradPlanes(PlaneSums):
    """dx from g, x, level and slope."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (*self._given_arrays, "level", "slope", "dx")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a plane."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        for first, after, live in shares(k, self.x, self.x.channels):
            with k.loop(first, after) as unit:
                block, c = k.divmod(unit, self.x.channels)
                level, slope = k.load("level", c, 1), k.load("slope", c, 1)
                self._write(k, self._channel(k, c), block, live, level, slope)
        return k.finish()
