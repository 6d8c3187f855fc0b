"""The rest: lanes of the last block of images that no image fills.

What families write there they know to be harmless; a generic nest may leave it as it was, or make
what is not finite of zeros (log 0). Sums over images run over whole vectors, so it becomes 0.

for channel in this part's share
    for cell of the plane of the last block:  z[cell, images that are not there] = 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target

__all__ = ["ClearRest"]


@dataclass(frozen=True)
class ClearRest:
    """0 in the dead lanes of every cell of z; the halo stays as it is."""

    z: Planes
    dtype: str = "float32"

    arrays = ("z",)

    @property
    def by_blocks(self) -> int:
        """Its work units are ordered by blocks of images: how many there are."""
        return self.z.blocks

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; a work unit is a channel of a block; the last one's count."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        z = self.z
        first, after = k.share(z.blocks * z.channels)
        with k.loop(k.maximum(first, (z.blocks - 1) * z.channels), after) as unit:
            self._clear(k, k.at((unit, z.plane), z.origin()), 0)
        return k.finish()

    def _clear(self, k: Emitter, start: Index, axis: int) -> None:
        z = self.z
        if axis < len(z.sizes):
            with k.loop(0, z.sizes[axis]) as i:
                self._clear(k, k.at(start, (i, z.steps[axis])), axis + 1)
            return
        for lane in range(z.images - (z.blocks - 1) * z.block, z.block):
            k.store(k.constant(0.0, 1), "z", k.at(start, lane))
