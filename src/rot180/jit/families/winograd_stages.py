"""Winograd's three loops as kernels of their own: for fewer groups of tiles than threads.

Then the threads cannot take groups; they share the tiles of all images to transform them, wait for
each other, share the points ξ to multiply, wait, and share the tiles again:

    V[ξ, c, tile] = Bᵀ x B    |    M[ξ, k, tile] = Σ_c U[ξ, c, k] · V[ξ, c, tile]    |    z = Aᵀ M A
    V = Bᵀ x B, Y = A g Aᵀ    |    dU[ξ, k, c] = Σ_rows Y[ξ, row, k] · V[ξ, row, c]

Layers of many channels and few positions are like this. No thread reads all weights, and dU, which
is larger than anything else, is written once and by one thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.target import Target
from rot180.jit.families.winograd import Correlate, Points
from rot180.jit.families.winograd_weight import Turned, WeightGrad

__all__ = ["InverseTiles", "MultiplyPoints", "SumPoints", "TransformTiles", "TurnTiles"]


@dataclass(frozen=True)
class _OfCorrelate:
    """One loop of a correlation.

    Attributes:
        whole: what it is a loop of.
    """

    whole: Correlate

    @property
    def dtype(self) -> str:
        """The float type."""
        return self.whole.dtype

    @property
    def tiles(self) -> int:
        """Those of all blocks of images."""
        return self.whole.x.blocks * math.prod(self.whole.tiles)

    def points(self, target: Target) -> tuple[Points, Points]:
        """V and M."""
        return self.whole.points(self.tiles, target.lanes(np.dtype(self.dtype)))


@dataclass(frozen=True)
class TransformTiles(_OfCorrelate):
    """V of all tiles."""

    arrays = ("x", "v")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, _ = self.points(target)
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.transform(k, block, tile, ("v", v, unit))
        return k.finish()


@dataclass(frozen=True)
class MultiplyPoints(_OfCorrelate):
    """M of all tiles."""

    arrays = ("u", "v", "m")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a point."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, m = self.points(target)
        with k.loop(*k.share(self.whole.tiling.points)) as xi:
            self.whole.multiply(k, xi, ("v", v), ("m", m))
        return k.finish()


@dataclass(frozen=True)
class InverseTiles(_OfCorrelate):
    """z out of M, with the tail."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """M, and what the correlation itself needs behind U."""
        return ("m", *self.whole.arrays[2:-1])

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        _, m = self.points(target)
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.inverse(k, block, tile, ("m", m, unit))
        return k.finish()


@dataclass(frozen=True)
class _OfWeightGrad:
    """One loop of a weight gradient.

    Attributes:
        whole: what it is a loop of.
    """

    whole: WeightGrad

    @property
    def dtype(self) -> str:
        """The float type."""
        return self.whole.dtype

    @property
    def tiles(self) -> int:
        """Those of all blocks of images."""
        return self.whole.x.blocks * math.prod(self.whole.tiles)

    def turned(self, target: Target) -> tuple[Turned, Turned]:
        """V and Y."""
        return self.whole.turned(self.tiles, target.lanes(np.dtype(self.dtype)))


@dataclass(frozen=True)
class TurnTiles(_OfWeightGrad):
    """V and Y of all tiles."""

    arrays = ("x", "g", "v", "y", "scratch")

    def scratch(self, target: Target) -> int:
        """One turned tile."""
        return self.whole.tiling.points * target.lanes(np.dtype(self.dtype)) ** 2

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, y = self.turned(target)
        scratch = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.turn(k, (block, tile, unit), ("v", v), ("y", y), scratch)
        return k.finish()


@dataclass(frozen=True)
class SumPoints(_OfWeightGrad):
    """dU out of V and Y, and db."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("v", "y", "du", *(("db",) if self.whole.bias else ()))

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a point; the first part sums db."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, y = self.turned(target)
        with k.loop(*k.share(self.whole.tiling.points)) as xi:
            self.whole.multiply(k, xi, ("v", v), ("y", y), 0, False)
        if self.whole.bias:
            with k.when(k.part, "==", 0):
                self.whole.add_bias(k, ("y", y), 0, False)
        return k.finish()
