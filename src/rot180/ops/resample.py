"""Resampling: nearest is a choice, linear a matrix along each axis, pixel shuffle a form."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.core import ArrayLike, Form, Rows, Take, Tensor, apply, declare
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.adaptive import axis_matrices_form
from rot180.ops.operands import floating
from rot180.ops.registry import operation

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle", "upsample"]

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


@functools.lru_cache(maxsize=256)
def _linear_matrix(size: int, outputs: int, scale: float, corners: bool, dtype: str) -> Tensor:
    """u[i, h]: output i lies between two cells of x and takes of each what the other is away."""
    i = np.arange(outputs, dtype=np.float64)
    if corners:
        place = i * ((size - 1) / (outputs - 1) if outputs > 1 else 0.0)
    else:
        place = np.maximum((i + 0.5) * scale - 0.5, 0.0)
    low = np.minimum(np.floor(place).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    part = place - low
    u = np.zeros((outputs, size), dtype)
    rows = np.arange(outputs)
    np.add.at(u, (rows, low), (1.0 - part).astype(dtype))
    np.add.at(u, (rows, high), part.astype(dtype))
    return Tensor(u)


def _nearest(size: int, outputs: int, scale: float, exact: bool) -> Tensor:
    i = np.arange(outputs, dtype=np.float64) + (0.5 if exact else 0.0)
    return Tensor(np.minimum(np.floor(i * scale).astype(np.int64), size - 1))


def _scales(
    sizes: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Output sizes, and how many input cells an output cell is wide."""
    axes = len(sizes)
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: give size or scale_factor, one of them")
    if size is not None:
        outputs = (size,) * axes if isinstance(size, int) else tuple(size)
        factors: tuple[float, ...] | None = None
    else:
        given = (scale_factor,) * axes if isinstance(scale_factor, int | float) else scale_factor
        factors = tuple(float(f) for f in given)
        outputs = tuple(math.floor(h * f) for h, f in zip(sizes, factors, strict=False))
    if len(outputs) != axes or any(p < 1 for p in outputs) or 0 in sizes:
        raise ShapeError(
            "interpolate: sizes", expected=f"{axes} of at least 1", got=f"{sizes} to {outputs}"
        )
    if factors is None or recompute:
        return outputs, tuple(h / p for h, p in zip(sizes, outputs, strict=True))
    return outputs, tuple(1.0 / f for f in factors)


@operation
def interpolate(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
) -> Tensor:
    """Law: z[i] = x[⌊i·s⌋] (nearest), or the line between the two cells around (i + ½)·s − ½.

    Args:
        input: (N, C, spatial...).
        size: output sizes.
        scale_factor: or how many times as many cells, rounded down.
        mode: "nearest", "nearest-exact" (⌊(i + ½)·s⌋), "linear", "bilinear", "trilinear".
        align_corners: linear modes only: the first and last cells of both lie on each other.
        recompute_scale_factor: take s from the rounded sizes.

    Returns:
        (N, C, output sizes...).
    """
    x = floating(input, "interpolate")
    axes = x.ndim - 2
    if axes < 1:
        raise ShapeError("interpolate: input", expected="(N, C, spatial...)", got=str(x.shape))
    outputs, scales = _scales(x.shape[2:], size, scale_factor, recompute_scale_factor)
    if mode in ("nearest", "nearest-exact"):
        for axis, (h, p, s) in enumerate(zip(x.shape[2:], outputs, scales, strict=True), start=2):
            record = _nearest(h, p, s, mode != "nearest")
            x = apply(Take("upsample", Rows(x.shape, axis)), x, record)
        return x
    if _LINEAR.get(mode) != axes:
        raise ArgumentError(
            "interpolate: mode",
            expected=f'"nearest", "nearest-exact" or the linear mode of {axes} axes',
            got=repr(mode),
        )
    us = [
        _linear_matrix(h, p, s, align_corners, str(x.dtype))
        for h, p, s in zip(x.shape[2:], outputs, scales, strict=True)
    ]
    return apply(axis_matrices_form("upsample", x.shape, outputs), x, *us)


@operation
def upsample(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Law: as interpolate, under the name of the layer."""
    return interpolate(input, size, scale_factor, mode, align_corners)


_SHUFFLE = declare("pixel_shuffle", x="n c*F*F+i*F+j h w", y="n c h*F+i w*F+j")


@functools.lru_cache(maxsize=256)
def _shuffle_form(lead: int, channels: int, height: int, width: int, factor: int) -> Form:
    shapes = {
        "x": (lead, channels * factor * factor, height, width),
        "y": (lead, channels, height * factor, width * factor),
    }
    loops = {"n": lead, "c": channels, "h": height, "w": width, "i": factor, "j": factor}
    return _SHUFFLE.bind(0, "y", shapes, loops, F=factor)


def _planes(x: Tensor, what: str) -> tuple[Tensor, tuple[int, ...]]:
    """X with all axes before (C, H, W) merged, and their sizes."""
    if x.ndim < 3:
        raise ShapeError(f"{what}: input", expected="(.., C, H, W)", got=str(x.shape))
    lead = x.shape[:-3]
    return x.reshape((math.prod(lead), *x.shape[-3:])), lead


@operation
def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> Tensor:
    """Law: z[c, h·F + i, w·F + j] = x[c·F² + i·F + j, h, w]: channels become pixels.

    Raises:
        ShapeError: F² does not divide the channels.
    """
    x, lead = _planes(floating(input, "pixel_shuffle"), "pixel_shuffle")
    n, c, h, w = x.shape
    f = upscale_factor
    if f < 1 or c % (f * f):
        raise ShapeError(
            "pixel_shuffle: channels",
            arithmetic=f"{c} mod ({f} · {f}) = {c % (f * f) if f else c}",
            rule="the factor squared must divide the channels",
        )
    z = apply(_shuffle_form(n, c // (f * f), h, w, f), x)
    return z.reshape((*lead, *z.shape[1:]))


@operation
def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> Tensor:
    """Law: the inverse of pixel_shuffle, which is also its adjoint: the same form read for x.

    Raises:
        ShapeError: F does not divide height and width.
    """
    y, lead = _planes(floating(input, "pixel_unshuffle"), "pixel_unshuffle")
    n, c, h, w = y.shape
    f = downscale_factor
    if f < 1 or h % f or w % f:
        raise ShapeError(
            "pixel_unshuffle: sizes", got=f"{h} x {w}", rule=f"the factor {f} must divide both"
        )
    z = apply(_shuffle_form(n, c, h // f, w // f, f).wrt("x"), y)
    return z.reshape((*lead, *z.shape[1:]))
