"""Random numbers from a counter, by NumPy: splitmix64 in blocks that stay in the cache."""

from __future__ import annotations

import functools
import math

import numpy as np

from rot180.core import Array, Draw, run

__all__ = ["draw"]

_BLOCK = 16384
_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@functools.cache
def _steps() -> Array:
    """(i + 1) · step for the cells of a block."""
    return np.asarray(np.arange(1, _BLOCK + 1, dtype=np.uint64) * np.uint64(_STEP))


@run.register
def draw(kind: Draw, key: Array) -> Array:
    """Uniform float32 numbers in [0, 1) from a key: see `core.Draw`."""
    cells = math.prod(kind.shape)
    result = np.empty(cells, np.float32)
    mixed, moved = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    for start in range(0, cells, _BLOCK):
        count = min(_BLOCK, cells - start)
        z, t = mixed[:count], moved[:count]
        offset = (int(key) + start * _STEP) & _MASK
        np.add(_steps()[:count], np.uint64(offset), out=z)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            np.right_shift(z, np.uint64(shift), out=t)
            np.bitwise_xor(z, t, out=z)
            np.multiply(z, np.uint64(factor), out=z)
        np.right_shift(z, np.uint64(31), out=t)
        np.bitwise_xor(z, t, out=z)
        np.right_shift(z, np.uint64(40), out=z)
        np.multiply(z.astype(np.float32), np.float32(2.0**-24), out=result[start : start + count])
    return result.reshape(kind.shape)
