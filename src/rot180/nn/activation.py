"""Activations as layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable

    from rot180.core import ArrayLike, Tensor

__all__ = [
    "ELU",
    "GELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


class Plain(Module):
    """A function of the input alone."""

    function: ClassVar[Callable[[ArrayLike], Tensor]]

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        function = type(self).function
        return function(input)


class ReLU(Plain):
    """z = max(0, x), with slope 0 at 0."""

    function = staticmethod(F.relu)


class ReLU6(Plain):
    """z = min(max(0, x), 6)."""

    function = staticmethod(F.relu6)


class SiLU(Plain):
    """z = x · sigmoid(x)."""

    function = staticmethod(F.silu)


class Sigmoid(Plain):
    """z = 1 / (1 + e^−x)."""

    function = staticmethod(F.sigmoid)


class Tanh(Plain):
    """z = (e^x − e^−x) / (e^x + e^−x)."""

    function = staticmethod(F.tanh)


class Softsign(Plain):
    """z = x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Hardswish(Plain):
    """z = x · min(max(0, x + 3), 6) / 6."""

    function = staticmethod(F.hardswish)


class Hardsigmoid(Plain):
    """z = min(max(0, x + 3), 6) / 6."""

    function = staticmethod(F.hardsigmoid)


class LeakyReLU(Module):
    """z = x where x > 0, else negative_slope · x.

    Args:
        negative_slope: the slope on the left.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        return F.leaky_relu(input, self.negative_slope)


class ELU(Module):
    """z = x where x > 0, else alpha · (e^x − 1).

    Args:
        alpha: minus the limit on the left.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        return F.elu(input, self.alpha)


class GELU(Module):
    """z = x · Φ(x) with the normal distribution Φ.

    Args:
        approximate: "none", or "tanh" for the approximation by tanh.

    Raises:
        ArgumentError: another word.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ArgumentError("GELU: approximate", expected="none or tanh", got=repr(approximate))
        self.approximate = approximate

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        return F.gelu(input, self.approximate)


class Softplus(Module):
    """z = ln(1 + e^(beta·x)) / beta, a smooth ReLU.

    Args:
        beta: sharpness.
        threshold: accepted for PyTorch's sake; the function is exact everywhere.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(Module):
    """z = min(max(min_val, x), max_val).

    Args:
        min_val: lower bound.
        max_val: upper bound.
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not min_val < max_val:
            raise ArgumentError(
                "Hardtanh: bounds", expected="min_val < max_val", got=f"{min_val}, {max_val}"
            )
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: ArrayLike) -> Tensor:
        """The function of every cell."""
        return F.hardtanh(input, self.min_val, self.max_val)


class AlongAxis(Module):
    """A function along one axis."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, axis: int | None = None, *, dim: int | None = None) -> None:
        if axis is not None and dim is not None:
            raise ArgumentError(f"{type(self).__name__}: give axis= or dim=, not both")
        self.axis = axis if axis is not None else dim

    def forward(self, input: ArrayLike) -> Tensor:
        """The same shape."""
        function = type(self).function
        return function(input, self.axis)


class Softmax(AlongAxis):
    """z = e^x / Σ e^x along an axis.

    `CrossEntropyLoss` contains it: a network that is trained with that loss ends in plain logits.

    Args:
        axis: the axis (PyTorch's `dim`), the last when not given.
    """

    function = staticmethod(F.softmax)


class LogSoftmax(AlongAxis):
    """z = x − ln Σ e^x along an axis.

    Args:
        axis: the axis (PyTorch's `dim`), the last when not given.
    """

    function = staticmethod(F.log_softmax)
