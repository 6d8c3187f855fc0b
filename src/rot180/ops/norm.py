"""Normalisation: composed of means, squares and a root, so that its gradient is that of the whole.

    z = (x − mean) / √(var + eps) · weight + bias

In training, mean and variance depend on x, and the composition's gradient contains the terms that
come back through both. In evaluation they are constants: the gradient is g · weight / √(var + eps).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from rot180.core import ArrayLike, Map, Tensor, apply, assign, no_grad, pointwise
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.elementwise import clip, rsqrt, square
from rot180.ops.operands import floating
from rot180.ops.reduce import mean, norm
from rot180.ops.registry import operation
from rot180.ops.shape import reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "normalize"]


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """(mean, x − mean, biased variance) over the axes, which stay with extent 1."""
    centre = mean(x, axes, True)
    deviation = x - centre
    return centre, deviation, mean(square(deviation), axes, True)


def _per_channel(value: ArrayLike, channels: int, ndim: int, what: str) -> Tensor:
    t = floating(value, what)
    if t.shape != (channels,):
        raise ShapeError(
            f"{what}: one number a channel", expected=f"({channels},)", got=str(t.shape)
        )
    return reshape(t, (channels, *(1,) * (ndim - 2)))


def _affine(centred: Tensor, scale: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    z = centred * (scale if weight is None else scale * weight)
    return z if bias is None else z + bias


@operation
def batch_norm(
    input: ArrayLike,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Law: z = (x − μ) / √(σ² + eps) · weight + bias, μ and σ² of each channel over all else.

    Args:
        input: (N, C, ...).
        running_mean: (C,), written in place in training.
        running_var: (C,), written in place in training (with the unbiased variance).
        weight: (C,), 1 by default.
        bias: (C,), 0 by default.
        training: normalise by the batch (biased variance) instead of the running values.
        momentum: weight of the new value in the running ones, a number or a tensor of one.
        eps: added to the variance.

    Raises:
        ShapeError: fewer than two cells a channel in training, or a size that is not C.

    Source: Ioffe and Szegedy, Batch normalization, 2015.
    """
    what = "batch_norm"
    x = floating(input, what)
    if x.ndim < 2:
        raise ShapeError(f"{what}: input", expected="(N, C, ...)", got=str(x.shape))
    channels = x.shape[1]
    w = None if weight is None else _per_channel(weight, channels, x.ndim, what)
    b = None if bias is None else _per_channel(bias, channels, x.ndim, what)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError(f"{what}: evaluation needs running_mean and running_var")
        centre = _per_channel(running_mean, channels, x.ndim, what)
        spread = _per_channel(running_var, channels, x.ndim, what)
        return _affine(x - centre, rsqrt(spread + eps), w, b)
    cells = x.size // channels if channels else 0
    if cells == 1:
        raise ShapeError(
            f"{what}: one cell a channel has no variance in training",
            arithmetic=f"{' · '.join(map(str, x.shape))} cells / {channels} channels = 1",
            rule="use a larger batch, or evaluation mode",
        )
    if cells == 0:  # nothing to normalise by; gradients are 0 and not NaN
        return _affine(x, Tensor(np.ones((), x.dtype)), w, b)
    centre, deviation, variance = _moments(x, (0, *range(2, x.ndim)))
    _update(running_mean, centre, momentum)
    _update(running_var, variance, momentum, cells / (cells - 1))
    return _affine(deviation, rsqrt(variance + eps), w, b)


def _update(
    running: Tensor | None, new: Tensor, momentum: float | Tensor, factor: float = 1.0
) -> None:
    if running is None:
        return
    if not isinstance(running, Tensor):
        raise ArgumentError(
            "batch statistics are written in place",
            expected="a Tensor",
            got=type(running).__name__,
            rule="wrap the array: rt.tensor(array) shares its memory",
        )
    with no_grad():
        value = reshape(new.detach(), running.shape)
        if isinstance(momentum, Tensor):
            kept = running.detach() * (1.0 - momentum)
            assign(running, kept + value * (momentum * factor))
        else:
            assign(running, apply(_running(float(momentum), factor), running.detach(), value))


@functools.lru_cache(maxsize=64)
def _running(momentum: float, factor: float) -> Map:
    """(1 − momentum) · old + momentum · factor · new."""
    return pointwise("running", lambda x, y: x * (1 - momentum) + y * (momentum * factor))


@operation
def layer_norm(
    input: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Law: z = (x − μ) / √(σ² + eps) · weight + bias, μ and σ² over the last axes of each cell.

    Args:
        input: (.., normalized_shape).
        normalized_shape: sizes of the last axes.
        weight: of that shape.
        bias: of that shape.
        eps: added to the variance.

    Source: Ba, Kiros and Hinton, Layer normalization, 2016.
    """
    what = "layer_norm"
    x = floating(input, what)
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not sizes or x.shape[-len(sizes) :] != sizes:
        raise ShapeError(f"{what}: last axes of the input", expected=str(sizes), got=str(x.shape))
    _, deviation, variance = _moments(x, tuple(range(x.ndim - len(sizes), x.ndim)))
    z = deviation * rsqrt(variance + eps)
    for value in (weight, bias):
        if value is not None and floating(value, what).shape != sizes:
            raise ShapeError(
                f"{what}: weight and bias",
                expected=str(sizes),
                got=str(floating(value, what).shape),
            )
    z = z if weight is None else z * floating(weight, what)
    return z if bias is None else z + floating(bias, what)


@operation
def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Law: z = (x − μ) / √(σ² + eps) · weight + bias, μ and σ² of each image and group of channels.

    Args:
        input: (N, C, ...).
        num_groups: divides C.
        weight: (C,).
        bias: (C,).
        eps: added to the variance.

    Source: Wu and He, Group normalization, 2018.
    """
    what = "group_norm"
    x = floating(input, what)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(
            f"{what}: groups must divide the channels", got=f"{num_groups} groups, input {x.shape}"
        )
    batch, channels = x.shape[:2]
    grouped = reshape(x, (batch, num_groups, channels // num_groups, *x.shape[2:]))
    _, deviation, variance = _moments(grouped, tuple(range(2, grouped.ndim)))
    z = reshape(deviation * rsqrt(variance + eps), x.shape)
    z = z if weight is None else z * _per_channel(weight, channels, x.ndim, what)
    return z if bias is None else z + _per_channel(bias, channels, x.ndim, what)


@operation
def instance_norm(
    input: ArrayLike,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Law: z = (x − μ) / √(σ² + eps) · weight + bias, μ and σ² of each image and channel.

    Args:
        input: (N, C, spatial...).
        running_mean: (C,), as in batch_norm, updated with the mean over the images.
        running_var: (C,), likewise.
        weight: (C,).
        bias: (C,).
        use_input_stats: normalise by the image instead of the running values.
        momentum: weight of the new value in the running ones, a number or a tensor of one.
        eps: added to the variance.

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016.
    """
    what = "instance_norm"
    x = floating(input, what)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.ndim < 3:
        raise ShapeError(f"{what}: input", expected="(N, C, spatial...)", got=str(x.shape))
    channels, axes = x.shape[1], tuple(range(2, x.ndim))
    cells = x.size // max(1, x.shape[0] * channels)
    if cells == 1:
        raise ShapeError(f"{what}: one cell a channel has no variance", got=str(x.shape))
    centre, deviation, variance = _moments(x, axes)
    if x.size:
        _update(running_mean, mean(centre, 0, True), momentum)
        _update(running_var, mean(variance, 0, True), momentum, cells / (cells - 1))
    w = None if weight is None else _per_channel(weight, channels, x.ndim, what)
    b = None if bias is None else _per_channel(bias, channels, x.ndim, what)
    return _affine(deviation, rsqrt(variance + eps), w, b)


@operation
def normalize(input: ArrayLike, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """Law: z = x / max(‖x‖_p, eps) along an axis."""
    x = floating(input, "normalize")
    return x / clip(norm(x, p, axis, True), eps)
