"""Checks of constructor arguments that need no input yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError
from rot180.window import Window, pool_window

if TYPE_CHECKING:
    from rot180.nn.module import Module

__all__ = ["count", "image_size", "pool_arguments", "probability", "window_arguments"]

# These words need the input's size.
_SIZED = ("same_upper", "same_lower")


def count(module: Module, name: str, value: int) -> int:
    """A number of channels, features or classes: at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ArgumentError(
            f"{type(module).__name__}: {name}", expected="an integer >= 1", got=repr(value)
        )
    return int(value)


def probability(module: Module, value: float, name: str = "p") -> float:
    """A probability: 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise ArgumentError(f"{type(module).__name__}: {name}", expected="0 to 1", got=repr(value))
    return float(value)


def window_arguments(
    module: Module, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Window:
    """The window of a convolution, checked as far as that goes without the input's size."""
    known = 0 if isinstance(padding, str) and padding in _SIZED else padding
    return Window.of(kernel, stride, known, dilation, groups, axes=axes, op=type(module).__name__)


def pool_arguments(
    module: Module, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> None:
    """Check the window of a pool on the smallest input that it fits."""
    name = type(module).__name__
    bare = Window.of(kernel, 1, 0, dilation, axes=axes, op=name)
    smallest = tuple(axis.effective for axis in bare.axes)
    pool_window(kernel, stride, padding, dilation, input_size=smallest, op=name)


def image_size(name: str, input_size: int | tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the images of a model."""
    sizes = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    if len(sizes) != 2 or min(sizes) < 1:
        raise ArgumentError(
            f"{name}: input_size", expected="an int >= 1 or a pair of them", got=repr(input_size)
        )
    return sizes[0], sizes[1]
