"""Dropout: a random choice of cells to keep. The mask is drawn; what follows it is a map."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rot180.core import ArrayLike, Map, Tensor, apply, default_generator, pointwise
from rot180.core import expression as e
from rot180.errors import ArgumentError
from rot180.ops.batches import batched, unbatched
from rot180.ops.operands import broadcast, floating
from rot180.ops.registry import operation

__all__ = ["dropout", "dropout1d", "dropout2d", "dropout3d"]


@functools.lru_cache(maxsize=64)
def _keep(p: float) -> Map:
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return pointwise("dropout", lambda x, mask: e.where(mask, x * scale, 0.0))


def _mask(shape: tuple[int, ...], p: float, generator: np.random.Generator | None) -> Tensor:
    drawn = (generator or default_generator()).random(shape, dtype=np.float32)
    return Tensor(drawn >= p)


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
    axes: int, input: ArrayLike, p: float, training: bool, generator: Any, what: str
) -> Tensor:
    x = _checked(input, p, what)
    if not training or p == 0.0:
        return x
    x, added = batched(x, axes, what)
    mask = broadcast(_mask((*x.shape[:2], *(1,) * axes), p, generator), x.shape)
    return unbatched(apply(_keep(float(p)), x, mask), added)


@operation
def dropout1d(
    input: ArrayLike, p: float = 0.5, training: bool = True, *,
    generator: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Law: dropout of whole channels of each image, (N, C, W) or (C, W)."""
    return _channels(1, input, p, training, generator, "dropout1d")


@operation
def dropout2d(
    input: ArrayLike, p: float = 0.5, training: bool = True, *,
    generator: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Law: dropout of whole channels of each image, (N, C, H, W) or (C, H, W)."""
    return _channels(2, input, p, training, generator, "dropout2d")


@operation
def dropout3d(
    input: ArrayLike, p: float = 0.5, training: bool = True, *,
    generator: np.random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Law: dropout of whole channels of each image, (N, C, D, H, W) or (C, D, H, W)."""
    return _channels(3, input, p, training, generator, "dropout3d")
