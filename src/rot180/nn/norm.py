"""Normalisation layers, with running statistics where they belong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import rot180.nn.functional as F
from rot180.core import ArrayLike, Tensor, assign
from rot180.errors import ArgumentError, ShapeError
from rot180.nn.arguments import count
from rot180.nn.module import Module
from rot180.nn.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
]


def _ones(shape: tuple[int, ...]) -> Parameter:
    return Parameter(np.ones(shape, np.float32))


def _zeros(shape: tuple[int, ...]) -> Parameter:
    return Parameter(np.zeros(shape, np.float32))


class _PerChannel(Module):
    """Weight, bias and running statistics of every channel, under PyTorch's names."""

    ndims: ClassVar[tuple[int, ...]]

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def _make(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
    ) -> None:
        self.num_features = count(self, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = _ones((num_features,)) if affine else None
        self.bias = _zeros((num_features,)) if affine else None
        starts: dict[str, np.ndarray[Any, Any]] = {
            "running_mean": np.zeros(num_features, np.float32),
            "running_var": np.ones(num_features, np.float32),
            "num_batches_tracked": np.zeros((), np.int64),
        }
        for name, start in starts.items():
            self.register_buffer(name, Tensor(start) if track_running_stats else None)

    def _check_input(self, shape: tuple[int, ...], channel: int) -> None:
        if len(shape) not in self.ndims or shape[channel] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: input",
                expected=f"{' or '.join(map(str, self.ndims))} axes and {self.num_features} "
                "channels",
                got=f"shape {shape}",
            )

    def _next_momentum(self) -> float | Tensor:
        """Count a batch; how much its statistics weigh (1 / count for a cumulative average)."""
        batches, running = self.num_batches_tracked, self.running_mean
        if batches is None or running is None:
            return 0.0
        assign(batches, batches + 1)
        return 1.0 / batches.astype(running.dtype) if self.momentum is None else self.momentum


class BatchNorm(_PerChannel):
    """z = (x − μ) / √(σ² + eps) · weight + bias, with μ and σ² of each channel.

    In training they are those of the batch, and running averages are kept; in evaluation they are
    the running averages. Ioffe and Szegedy, 2015.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the new value in the running averages (Keras means the old one's), None
            for the average over all batches.
        affine: whether weight and bias are learned (from 1 and 0).
        track_running_stats: whether to keep running averages; without, evaluation uses the batch.

    Attributes:
        weight: (C,) or None.
        bias: (C,) or None.
        running_mean: (C,) or None.
        running_var: (C,) or None; of unbiased variances.
        num_batches_tracked: how many batches they have seen.

    Raises:
        ArgumentError: num_features below 1.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self._make(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, ...) to the same shape."""
        self._check_input(np.shape(input), 1)
        momentum = self._next_momentum() if self.training else 0.0
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """`BatchNorm` of (N, C) or (N, C, W): the arguments are described there."""

    ndims = (2, 3)


class BatchNorm2d(BatchNorm):
    """`BatchNorm` of (N, C, H, W): the arguments are described there."""

    ndims = (4,)


class BatchNorm3d(BatchNorm):
    """`BatchNorm` of (N, C, D, H, W): the arguments are described there."""

    ndims = (5,)


class InstanceNorm(_PerChannel):
    """z = (x − μ) / √(σ² + eps) · weight + bias, with μ and σ² of each image and channel.

    Ulyanov, Vedaldi and Lempitsky, 2016.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the new value in the running averages, None for the average over all.
        affine: whether weight and bias are learned.
        track_running_stats: whether to keep running averages, which evaluation then uses.

    Attributes:
        weight: (C,) or None, as are bias, running_mean and running_var.

    Raises:
        ArgumentError: num_features below 1.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        self._make(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to the same shape; N may be absent."""
        shape = np.shape(input)
        single = len(shape) == self.ndims[0]
        self._check_input(shape, 0 if single else 1)
        momentum = self._next_momentum() if self.training else 0.0
        result = F.instance_norm(
            F.unflatten(input, 0, (1, -1)) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )
        return F.flatten(result, 0, 1) if single else result


class InstanceNorm1d(InstanceNorm):
    """`InstanceNorm` of (N, C, W) or (C, W): the arguments are described there."""

    ndims = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """`InstanceNorm` of (N, C, H, W) or (C, H, W): the arguments are described there."""

    ndims = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """`InstanceNorm` of (N, C, D, H, W) or (C, D, H, W): the arguments are described there."""

    ndims = (4, 5)


class LayerNorm(Module):
    """z = (x − μ) / √(σ² + eps) · weight + bias, with μ and σ² over the last axes of each example.

    Ba, Kiros and Hinton, 2016.

    Args:
        normalized_shape: sizes of the last axes, an int for one.
        eps: added to the variance.
        elementwise_affine: whether a weight is learned,
        bias: and a bias beside it.

    Attributes:
        weight: normalized_shape or None.
        bias: normalized_shape or None.

    Raises:
        ArgumentError: a size below 1.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        sizes = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        if not sizes or math.prod(sizes) < 1 or min(sizes) < 1:
            raise ArgumentError(
                "LayerNorm: normalized_shape", expected="sizes >= 1", got=repr(normalized_shape)
            )
        self.normalized_shape = sizes
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = _ones(sizes) if elementwise_affine else None
        self.bias = _zeros(sizes) if elementwise_affine and bias else None

    def forward(self, input: ArrayLike) -> Tensor:
        """(..., normalized_shape) to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm(Module):
    """z = (x − μ) / √(σ² + eps) · weight + bias, with μ and σ² of each image and group of channels.

    Wu and He, 2018.

    Args:
        num_groups: divides num_channels.
        num_channels: C.
        eps: added to the variance.
        affine: whether weight and bias are learned.

    Attributes:
        weight: (C,) or None.
        bias: (C,) or None.

    Raises:
        ArgumentError: groups that do not divide the channels.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True
    ) -> None:
        self.num_groups = count(self, "num_groups", num_groups)
        self.num_channels = count(self, "num_channels", num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                "GroupNorm: num_groups must divide num_channels",
                arithmetic=f"{num_channels} mod {num_groups} = {num_channels % num_groups}",
                expected="0",
            )
        self.eps = eps
        self.affine = affine
        self.weight = _ones((num_channels,)) if affine else None
        self.bias = _zeros((num_channels,)) if affine else None

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, ...) to the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)
