"""Dropout layers; in evaluation they pass their input on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import rot180.nn.functional as F
from rot180.nn.arguments import probability
from rot180.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from rot180.core import ArrayLike, Tensor

__all__ = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]


class Dropout(Module):
    """Each cell becomes 0 with probability p, the others x / (1 − p). Srivastava et al., 2014.

    Args:
        p: the probability, 0 to 1.
        generator: where the choice comes from; the default generator when not given.

    Raises:
        ArgumentError: p outside 0 to 1.
    """

    function: ClassVar[Callable[..., Tensor]] = staticmethod(F.dropout)

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        self.p = probability(self, p)
        self.generator = generator

    def forward(self, input: ArrayLike) -> Tensor:
        """The same shape."""
        function = type(self).function
        return function(input, self.p, self.training, generator=self.generator)


class Dropout1d(Dropout):
    """`Dropout` of whole channels of (N, C, W), each image by itself."""

    function = staticmethod(F.dropout1d)


class Dropout2d(Dropout):
    """`Dropout` of whole channels of (N, C, H, W), each image by itself."""

    function = staticmethod(F.dropout2d)


class Dropout3d(Dropout):
    """`Dropout` of whole channels of (N, C, D, H, W), each image by itself."""

    function = staticmethod(F.dropout3d)
