"""Convolution layers: one class for any number of axes, and its adjoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.arguments import count, window_arguments
from rot180.nn.init import fans, init_by_name, uniform_around
from rot180.nn.module import Module
from rot180.nn.parameter import Parameter
from rot180.window import output_padding_for, resolve_padding, transposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rot180.core import ArrayLike, Tensor

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
_MODES = ("correlation", "convolution")
# Large enough for every window; only integers are computed with it.
_ANY_SIZE = 1 << 24


class _Convolution(Module):
    """What a convolution and its adjoint share: the checks, weight and bias, and their start."""

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]

    in_channels: int
    out_channels: int
    groups: int
    weight: Parameter
    bias: Parameter | None

    def _one_of(self, name: str, value: str, allowed: Sequence[str]) -> str:
        if value not in allowed:
            raise ArgumentError(
                f"{type(self).__name__}: {name}", expected=" or ".join(allowed), got=repr(value)
            )
        return value

    def _channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        self.in_channels = count(self, "in_channels", in_channels)
        self.out_channels = count(self, "out_channels", out_channels)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{type(self).__name__}: groups must divide the channels",
                arithmetic=f"in_channels {in_channels} mod {groups} = {in_channels % groups}, "
                f"out_channels {out_channels} mod {groups} = {out_channels % groups}",
                expected="0 and 0",
            )

    def _make(
        self,
        shape: tuple[int, ...],
        bias: bool,
        init: str,
        generator: np.random.Generator | None,
    ) -> None:
        self.weight = Parameter(np.empty(shape, np.float32))
        init_by_name(init)(self.weight, generator)
        self.bias = Parameter(np.zeros(self.out_channels, np.float32)) if bias else None
        if self.bias is not None and init == "default":
            uniform_around(self.bias, fans(self.weight)[0], generator)


class Conv(_Convolution):
    """Correlation of (N, in_channels, spatial...) with a learned kernel, plus a learned bias.

    z[n, k, p] = b[k] + Σ_{c, r} w[k, c, r] · x[n, c, S·p + D·r − A], the same in 1, 2 and 3 axes.

    Args:
        in_channels: C.
        out_channels: K.
        kernel_size: R, one int or one per axis.
        stride: S, likewise.
        padding: A and B: an int, one per axis, (before, after) pairs, or "valid", "same", "full",
            "same_upper", "same_lower".
        dilation: D, 1 is none.
        groups: channels are cut into so many groups that do not see each other; divides both.
        bias: whether to add b.
        padding_mode: what padding is filled with: "zeros", "reflect", "replicate" or "circular".
        mode: "correlation", or "convolution", which turns the kernel by 180 degrees first.
        init: name of the weight's initialiser (`init_by_name`); any but "default" starts b at 0.
        generator: where the first values come from; the default generator when not given.

    Attributes:
        weight: (K, C / groups, taps...).
        bias: (K,) or None.

    Raises:
        ArgumentError: an argument out of range, or groups that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        mode: str = "correlation",
        init: str = "default",
        generator: np.random.Generator | None = None,
    ) -> None:
        window = window_arguments(self, self.axes, kernel_size, stride, padding, dilation, groups)
        self._channels(in_channels, out_channels, groups)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.padding_mode = self._one_of("padding_mode", padding_mode, _PADDING_MODES)
        self.mode = self._one_of("mode", mode, _MODES)
        shape = (out_channels, in_channels // groups, *window.kernel)
        self._make(shape, bias, init, generator)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, K, positions...); N may be absent."""
        padding = self.padding
        if self.padding_mode != "zeros":
            pairs = resolve_padding(
                padding,
                self.weight.shape[2:],
                self.stride,
                self.dilation,
                np.shape(input)[-self.axes :],
                axes=self.axes,
                op=type(self).__name__,
            )
            input = F.pad(input, pairs, mode=self.padding_mode)
            padding = 0
        function = type(self).function
        return function(
            input,
            self.weight,
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
            self.mode,
        )


class Conv1d(Conv):
    """`Conv` of (N, C, W), one axis: the arguments are described there."""

    axes = 1
    function = staticmethod(F.conv1d)


class Conv2d(Conv):
    """`Conv` of (N, C, H, W), two axes: the arguments are described there."""

    axes = 2
    function = staticmethod(F.conv2d)


class Conv3d(Conv):
    """`Conv` of (N, C, D, H, W), three axes: the arguments are described there."""

    axes = 3
    function = staticmethod(F.conv3d)


class ConvTranspose(_Convolution):
    """The adjoint of a convolution as a layer (not its inverse): each input cell adds a kernel.

    The output has (P − 1)·S − A − B + D·(R − 1) + output_padding + 1 cells per axis. Note that
    PyTorch's order of arguments differs from the convolution's; name what comes after kernel_size.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: R, one int or one per axis.
        stride: S, likewise: input cells lie S output cells apart.
        padding: A and B: so many cells of the full result are cut off.
        output_padding: the remainder of the convolution that this one is the adjoint of; more rows
            at the end, no zero padding. Below max(stride, dilation).
        groups: channels are cut into so many groups that do not see each other; divides both.
        bias: whether to add a number per output channel.
        dilation: D, 1 is none.
        padding_mode: only "zeros".
        mode: "correlation", or "convolution", which turns the kernel by 180 degrees first.
        init: name of the weight's initialiser (`init_by_name`); any but "default" starts b at 0.
        generator: where the first values come from; the default generator when not given.

    Attributes:
        weight: (in_channels, out_channels / groups, taps...).
        bias: (out_channels,) or None.

    Raises:
        ArgumentError: an argument out of range, or groups that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        mode: str = "correlation",
        init: str = "default",
        generator: np.random.Generator | None = None,
    ) -> None:
        window = window_arguments(self, self.axes, kernel_size, stride, padding, dilation, groups)
        self._channels(in_channels, out_channels, groups)
        transposed(window, (_ANY_SIZE,) * self.axes, output_padding, op=type(self).__name__)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.output_padding = output_padding
        self.groups = groups
        self.dilation = dilation
        self.padding_mode = self._one_of("padding_mode", padding_mode, ("zeros",))
        self.mode = self._one_of("mode", mode, _MODES)
        shape = (in_channels, out_channels // groups, *window.kernel)
        self._make(shape, bias, init, generator)

    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, in_channels, spatial...) to (N, out_channels, cells...); N may be absent.

        Args:
            input: the input.
            output_size: the cells wanted per axis, which chooses the output_padding.

        Raises:
            ShapeError: a size that no output_padding gives; the possible ones are named.
        """
        extra = self.output_padding
        if output_size is not None:
            window = window_arguments(
                self,
                self.axes,
                self.kernel_size,
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
            )
            extra = output_padding_for(
                window, tuple(np.shape(input)[-self.axes :]), tuple(output_size[-self.axes :])
            )
        function = type(self).function
        return function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            self.mode,
        )


class ConvTranspose1d(ConvTranspose):
    """`ConvTranspose` of (N, C, W), one axis: the arguments are described there."""

    axes = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(ConvTranspose):
    """`ConvTranspose` of (N, C, H, W), two axes: the arguments are described there."""

    axes = 2
    function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(ConvTranspose):
    """`ConvTranspose` of (N, C, D, H, W), three axes: the arguments are described there."""

    axes = 3
    function = staticmethod(F.conv_transpose3d)
