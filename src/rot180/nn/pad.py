"""Borders around planes; negative padding crops, where the mode allows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.module import Module

if TYPE_CHECKING:
    from rot180.core import ArrayLike, Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class Pad(Module):
    """A border of some mode."""

    axes: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: Any) -> None:
        sides = tuple(padding) if isinstance(padding, Iterable) else (padding,) * (2 * self.axes)
        if len(sides) != 2 * self.axes:
            raise ArgumentError(
                f"{type(self).__name__}: padding",
                expected=f"one int or {2 * self.axes}: (before, after) per axis, last axis first",
                got=repr(padding),
            )
        self.padding = sides

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, larger...); N may be absent."""
        return F.pad(input, self.padding, self.mode)


class ConstantPad(Pad):
    """A border of a number."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, C, spatial...) to (N, C, larger...); N may be absent."""
        return F.pad(input, self.padding, self.mode, self.value)


class ZeroPad1d(Pad):
    """A border of 0, for (N, C, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 1
    mode = "constant"


class ZeroPad2d(Pad):
    """A border of 0, for (N, C, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 2
    mode = "constant"


class ZeroPad3d(Pad):
    """A border of 0, for (N, C, D, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 3
    mode = "constant"


class ReflectionPad1d(Pad):
    """A border of the cells mirrored at the border, without the border itself, for (N, C, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(Pad):
    """A border of the cells mirrored at the border, without the border itself, for (N, C, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(Pad):
    """A border of the cells mirrored at the border, without the border itself, for (N, C, D, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(Pad):
    """A border of the cell at the border, for (N, C, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(Pad):
    """A border of the cell at the border, for (N, C, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 2
    mode = "replicate"


class ReplicationPad3d(Pad):
    """A border of the cell at the border, for (N, C, D, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 3
    mode = "replicate"


class CircularPad1d(Pad):
    """A border of the cells of the other side, for (N, C, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 1
    mode = "circular"


class CircularPad2d(Pad):
    """A border of the cells of the other side, for (N, C, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 2
    mode = "circular"


class CircularPad3d(Pad):
    """A border of the cells of the other side, for (N, C, D, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
    """

    axes = 3
    mode = "circular"


class ConstantPad1d(ConstantPad):
    """A border of a number, for (N, C, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
        value: the number.
    """

    axes = 1


class ConstantPad2d(ConstantPad):
    """A border of a number, for (N, C, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
        value: the number.
    """

    axes = 2


class ConstantPad3d(ConstantPad):
    """A border of a number, for (N, C, D, H, W).

    Args:
        padding: cells on every side, or (before, after) of each axis, the last axis first.
        value: the number.
    """

    axes = 3
