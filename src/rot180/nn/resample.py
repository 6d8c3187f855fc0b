"""Layers that change the grid: upsampling, pixel shuffle, patches and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.arguments import count
from rot180.nn.module import Module

if TYPE_CHECKING:
    from rot180.core import ArrayLike, Tensor

__all__ = ["Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample"]

_MODES = ("nearest", "nearest-exact", "linear", "bilinear", "trilinear")


class Upsample(Module):
    """More cells per axis, by the nearest cell or by a line between two.

    Args:
        size: cells per axis, or
        scale_factor: how many times as many as before.
        mode: "nearest", "nearest-exact", "linear", "bilinear" or "trilinear".
        align_corners: for the linear modes: let the corner cells keep their values.

    Raises:
        ArgumentError: both or neither of size and scale_factor, or an unknown mode.
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ArgumentError("Upsample: give exactly one of size and scale_factor")
        if mode not in _MODES:
            raise ArgumentError("Upsample: mode", expected=" or ".join(_MODES), got=repr(mode))
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, larger...)."""
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)


class PixelShuffle(Module):
    """Channels become pixels: (N, C·F², H, W) to (N, C, H·F, W·F).

    Args:
        upscale_factor: F.
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = count(self, "upscale_factor", upscale_factor)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C·F², H, W) to (N, C, H·F, W·F)."""
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Module):
    """Pixels become channels: (N, C, H·F, W·F) to (N, C·F², H, W).

    Args:
        downscale_factor: F.
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = count(self, "downscale_factor", downscale_factor)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, H·F, W·F) to (N, C·F², H, W)."""
        return F.pixel_unshuffle(input, self.downscale_factor)


class Unfold(Module):
    """Patches as columns (im2col): (N, C, spatial...) to (N, C · taps, positions).

    Args:
        kernel_size: R, one int (two axes) or one per axis.
        dilation: D, 1 is none.
        padding: A and B.
        stride: S.
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C · taps, positions)."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns added back into the cells they were taken from (col2im), the adjoint of `Unfold`.

    Args:
        output_size: spatial sizes of the result.
        kernel_size: R, one int (two axes) or one per axis.
        dilation: D, 1 is none.
        padding: A and B.
        stride: S.
    """

    def __init__(
        self,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> None:
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C · taps, positions) to (N, C, output_size...)."""
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
