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
from typing import Any, Generic, TypeVar

import numpy as np

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.target import Target
from rot180.jit.families.winograd import Correlate
from rot180.jit.families.winograd_weight import WeightGrad

__all__ = ["InverseTiles", "MultiplyPoints", "SumPoints", "TransformTiles", "TurnTiles"]


Whole = TypeVar("Whole", Correlate, WeightGrad)


@dataclass(frozen=True)
class _Loop(Generic[Whole]):
    """One loop of a correlation or of a weight gradient.

    Attributes:
        whole: what it is a loop of.
    """

    whole: Whole

    @property
    def dtype(self) -> str:
        """The float type."""
        return self.whole.dtype

    @property
    def tiles(self) -> int:
        """Those of all blocks of images."""
        return self.whole.x.blocks * math.prod(self.whole.tiles)

    def places(self, target: Target) -> Any:
        """Where the values of all tiles stand: V and M of a correlation, V and Y of a gradient."""
        return self.whole.places(self.tiles, target.lanes(np.dtype(self.dtype)))


@dataclass(frozen=True)
class TransformTiles(_Loop[Correlate]):
    """V of all tiles."""

    arrays = ("x", "v")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, _ = self.places(target)
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.transform(k, block, tile, ("v", v, unit))
        return k.finish()


@dataclass(frozen=True)
class MultiplyPoints(_Loop[Correlate]):
    """M of all tiles."""

    arrays = ("u", "v", "m")

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a point."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, m = self.places(target)
        with k.loop(*k.share(self.whole.tiling.points)) as xi:
            self.whole.multiply(k, xi, ("v", v), ("m", m))
        return k.finish()


@dataclass(frozen=True)
class InverseTiles(_Loop[Correlate]):
    """z out of M, with the tail."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """M, and what the correlation itself needs behind U."""
        return ("m", *self.whole.arrays[2:-1])

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        _, m = self.places(target)
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.inverse(k, block, tile, ("m", m, unit))
        return k.finish()


@dataclass(frozen=True)
class TurnTiles(_Loop[WeightGrad]):
    """V and Y of all tiles."""

    arrays = ("x", "g", "v", "y", "scratch")

    def scratch(self, target: Target) -> int:
        """One turned tile."""
        return self.whole.tiling.points * target.lanes(np.dtype(self.dtype)) ** 2

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a tile."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, y = self.places(target)
        scratch = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        with k.loop(*k.share(self.tiles)) as unit:
            block, tile = k.divmod(unit, math.prod(self.whole.tiles))
            self.whole.turn(k, (block, tile, unit), ("v", v), ("y", y), scratch)
        return k.finish()


@dataclass(frozen=True)
class SumPoints(_Loop[WeightGrad]):
    """dU out of V and Y, and db."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return ("v", "y", "du", *(("db",) if self.whole.bias else ()))

    def emit(self, name: str, target: Target) -> Any:
        """A work unit is a point; the first part sums db."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        v, y = self.places(target)
        with k.loop(*k.share(self.whole.tiling.points)) as xi:
            self.whole.multiply(k, xi, ("v", v), ("y", y), 0, False)
        if self.whole.bias:
            with k.when(k.part, "==", 0):
                self.whole.add_bias(k, ("y", y), 0, False)
        return k.finish()
