"""Dropout: a random choice of cells to keep.

A call draws one number from its generator, the key. The mask follows from the key and the place of
a cell alone (`core.Draw`), so a compiled step has the same mask and leaves the generator the same.
"""

from __future__ import annotations

import functools

import numpy as np

from rot180.core import (
    ArrayLike,
    Draw,
    Map,
    Tensor,
    apply,
    default_generator,
    from_host,
    pointwise,
)
from rot180.core import expression as e
from rot180.errors import ArgumentError
from rot180.ops.batches import batched, unbatched
from rot180.ops.family import Member, member
from rot180.ops.operands import broadcast, floating
from rot180.ops.registry import operation

__all__ = ["dropout", "dropout1d", "dropout2d", "dropout3d"]


@functools.lru_cache(maxsize=64)
def _keep(p: float) -> Map:
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return pointwise("dropout", lambda x, mask: e.where(mask, x * scale, 0.0))


@functools.lru_cache(maxsize=64)
def _lives(p: float) -> Map:
    return pointwise("dropout", lambda x: x >= p, "bool")


def _mask(shape: tuple[int, ...], p: float, generator: np.random.Generator | None) -> Tensor:
    source = generator or default_generator()
    key = from_host("dropout key", np.uint64, lambda: source.integers(2**64, dtype=np.uint64))
    return apply(_lives(float(p)), apply(Draw("dropout", shape), key))


def _checked(input: ArrayLike, p: float, what: str) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{what}: probability", expected="0 to 1", got=str(p))
    return floating(input, what)


@operation
def dropout(
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Law: z = mask · x / (1 − p), each cell kept with probability 1 − p; outside training z = x.

    Args:
        input: any shape.
        p: probability of 0; 1 gives zeros.
        training: whether to drop at all.
        generator: source of the mask, the default generator if None.

    Source: Srivastava et al., Dropout, 2014.
    """
    x = _checked(input, p, "dropout")
    if not training or p == 0.0:
        return x
    return apply(_keep(float(p)), x, _mask(x.shape, p, generator))


def _channels(
    which: Member,
    input: ArrayLike,
    p: float = 0.5,
    training: bool = True,
    *,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Law: dropout of whole channels of each image.

    Args:
        input: (N, C, spatial...), or without a batch.
        p: probability of 0 for a channel.
        training: whether to drop at all.
        generator: source of the mask, the default generator if None.

    Source: Tompson et al., Efficient object localization using convolutional networks, 2015.
    """
    x = _checked(input, p, which.name)
    if not training or p == 0.0:
        return x
    x, added = batched(x, which.axes or x.ndim - 2, which.name)
    mask = broadcast(_mask((*x.shape[:2], *(1,) * (x.ndim - 2)), p, generator), x.shape)
    return unbatched(apply(_keep(float(p)), x, mask), added)


dropout1d = member(_channels, "dropout1d", 1)
dropout2d = member(_channels, "dropout2d", 2)
dropout3d = member(_channels, "dropout3d", 3)
