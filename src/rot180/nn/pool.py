"""Pooling layers: one class of each kind for any number of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.arguments import count, pool_arguments
from rot180.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rot180.core import ArrayLike, Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

_TIES = ("first", "all", "split")


class MaxPool(Module):
    """The largest cell of every window; a NaN wins, and the gradient goes to the winner.

    Args:
        kernel_size: R, one int or one per axis.
        stride: S, likewise; the kernel size when not given.
        padding: A and B, at most half the effective kernel; never a winner.
        dilation: D, 1 is none.
        return_indices: also return each winner's place in its plane, for `MaxUnpool`.
        ceil_mode: let a last window reach beyond the padded input.
        ties: who receives the gradient among equals: the "first", "all", or "split" among them.

    Raises:
        ArgumentError: an argument out of range.
    """

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        ties: str = "first",
    ) -> None:
        pool_arguments(self, self.axes, kernel_size, stride, padding, dilation)
        if ties not in _TIES:
            raise ArgumentError(
                f"{type(self).__name__}: ties", expected=" or ".join(_TIES), got=repr(ties)
            )
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode
        self.ties = ties

    def forward(self, input: ArrayLike) -> Any:
        """(N, C, spatial...) to (N, C, positions...), with indices a pair of them."""
        function = type(self).function
        return function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            ties=self.ties,
        )


class MaxPool1d(MaxPool):
    """`MaxPool` of (N, C, W): the arguments are described there."""

    axes = 1
    function = staticmethod(F.max_pool1d)


class MaxPool2d(MaxPool):
    """`MaxPool` of (N, C, H, W): the arguments are described there."""

    axes = 2
    function = staticmethod(F.max_pool2d)


class MaxPool3d(MaxPool):
    """`MaxPool` of (N, C, D, H, W): the arguments are described there."""

    axes = 3
    function = staticmethod(F.max_pool3d)


class AvgPool(Module):
    """The mean of every window.

    Args:
        kernel_size: R, one int or one per axis.
        stride: S, likewise; the kernel size when not given.
        padding: A and B, at most half the kernel.
        ceil_mode: let a last window reach beyond the padded input.
        count_include_pad: divide by the cells of the window in the padded input, not in the input.
        divisor_override: divide by this instead.

    Raises:
        ArgumentError: an argument out of range.
    """

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        pool_arguments(self, self.axes, kernel_size, stride, padding)
        if divisor_override is not None:
            count(self, "divisor_override", divisor_override)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, positions...)."""
        function = type(self).function
        return function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool1d(AvgPool):
    """`AvgPool` of (N, C, W): the arguments are described there."""

    axes = 1
    function = staticmethod(F.avg_pool1d)


class AvgPool2d(AvgPool):
    """`AvgPool` of (N, C, H, W): the arguments are described there."""

    axes = 2
    function = staticmethod(F.avg_pool2d)


class AvgPool3d(AvgPool):
    """`AvgPool` of (N, C, D, H, W): the arguments are described there."""

    axes = 3
    function = staticmethod(F.avg_pool3d)


class AdaptiveAvgPool(Module):
    """Means over windows that share each axis evenly, whatever its size.

    Args:
        output_size: positions per axis, one int or one per axis; None keeps the input's.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, output_size...)."""
        function = type(self).function
        return function(input, self.output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """`AdaptiveAvgPool` of (N, C, W): the arguments are described there."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """`AdaptiveAvgPool` of (N, C, H, W): the arguments are described there."""

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """`AdaptiveAvgPool` of (N, C, D, H, W): the arguments are described there."""

    function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool(Module):
    """The largest cells of windows that share each axis evenly, whatever its size.

    Args:
        output_size: positions per axis, one int or one per axis; None keeps the input's.
        return_indices: also return each winner's place in its plane.
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: ArrayLike) -> Any:
        """(N, C, spatial...) to (N, C, output_size...), with indices a pair of them."""
        function = type(self).function
        return function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """`AdaptiveMaxPool` of (N, C, W): the arguments are described there."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """`AdaptiveMaxPool` of (N, C, H, W): the arguments are described there."""

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """`AdaptiveMaxPool` of (N, C, D, H, W): the arguments are described there."""

    function = staticmethod(F.adaptive_max_pool3d)


class MaxUnpool(Module):
    """Values put back where a max pool found them, 0 elsewhere.

    Args:
        kernel_size: R of the pool.
        stride: S of the pool; the kernel size when not given.
        padding: padding of the pool.
    """

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        pool_arguments(self, self.axes, kernel_size, stride, padding)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    def forward(
        self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """Values and indices (N, C, positions...) to (N, C, cells...).

        Args:
            input: the values.
            indices: their places, as the pool returned them.
            output_size: cells per axis, where the pool's window does not tell them.
        """
        function = type(self).function
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(MaxUnpool):
    """`MaxUnpool` of (N, C, W): the arguments are described there."""

    axes = 1
    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(MaxUnpool):
    """`MaxUnpool` of (N, C, H, W): the arguments are described there."""

    axes = 2
    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool):
    """`MaxUnpool` of (N, C, D, H, W): the arguments are described there."""

    axes = 3
    function = staticmethod(F.max_unpool3d)


class GlobalAvgPool(Module):
    """The mean of every plane, (N, C, spatial...) to (N, C, 1...)."""

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, 1...)."""
        return F.global_avg_pool(input)


class GlobalMaxPool(Module):
    """The largest cell of every plane, (N, C, spatial...) to (N, C, 1...)."""

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, 1...)."""
        return F.global_max_pool(input)
