"""Arguments as users write them (an int, a tuple, a NumPy integer) made into tuples of int.

One int means every axis; a tuple has one entry per axis, in the order of the array's axes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import SupportsIndex, TypeAlias

from rot180.errors import ArgumentError, ShapeError

__all__ = ["Integers", "check_sizes", "count_axes", "integer", "integers"]

Integers: TypeAlias = SupportsIndex | Iterable[SupportsIndex]


def integer(name: str, value: object, *, minimum: int | None = None, op: str = "window") -> int:
    """One integer argument: a Python int or what converts to one exactly, never a bool or float.

    Raises:
        ArgumentError: not an integer, or below `minimum`.

    >>> integer("stride", 2, minimum=1)
    2
    """
    if type(value) is not int:
        # "bool" is NumPy's too, which older versions take for an integer.
        is_bool = type(value).__name__ in ("bool", "bool_")
        if is_bool or not hasattr(value, "__index__"):
            raise _no_integer(name, value, op)
        try:
            value = operator.index(value)
        except TypeError:  # an array of several integers has __index__ too
            raise _no_integer(name, value, op) from None
    if minimum is not None and value < minimum:
        raise ArgumentError(
            f"{op}: {name} out of range",
            expected=f"{name} >= {minimum}",
            got=str(value),
            rule=_MEANING.get(name, ""),
        )
    return value


_MEANING = {
    "kernel_size": "a window has at least one tap along every axis",
    "stride": "neighbouring outputs read windows that lie stride >= 1 cells apart",
    "dilation": "neighbouring taps read cells that lie dilation >= 1 cells apart; 1 means no gaps",
    "groups": "the channels are cut into groups >= 1 equal parts; 1 means all see all",
}


def _no_integer(name: str, value: object, op: str) -> ArgumentError:
    return ArgumentError(
        f"{op}: {name} is no integer",
        expected="an int, or a tuple with one int per axis",
        got=f"{value!r} ({type(value).__name__})",
    )


def integers(
    name: str, value: object, axes: int, *, minimum: int | None = None, op: str = "window"
) -> tuple[int, ...]:
    """One integer per axis; a single integer is meant for every axis.

    Raises:
        ArgumentError: no integers, too few or too many of them, or one below `minimum`.

    >>> integers("stride", 2, 3)
    (2, 2, 2)
    """
    if type(value) is not int and isinstance(value, Iterable) and not isinstance(value, str):
        entries = tuple(integer(name, entry, minimum=minimum, op=op) for entry in value)
        if len(entries) != axes:
            raise ArgumentError(
                f"{op}: {name} has the wrong length",
                expected=f"one int, or {axes} for {axes} spatial axes",
                got=f"{len(entries)}: {entries}",
            )
        return entries
    return (integer(name, value, minimum=minimum, op=op),) * axes


def count_axes(axes: object, candidates: Iterable[object], *, op: str = "window") -> int:
    """The number of spatial axes: as given, else the length of the first tuple among `candidates`.

    Raises:
        ArgumentError: nothing tells the number of axes, or it is below 1.
    """
    if axes is not None:
        return integer("axes", axes, minimum=1, op=op)
    for value in candidates:
        if isinstance(value, (tuple, list)):
            return integer("number of axes", len(value), minimum=1, op=op)
    raise ArgumentError(
        f"{op}: the number of spatial axes is unknown",
        expected="a tuple such as kernel=(3, 3), or axes=2",
        got="single integers only",
    )


def check_sizes(sizes: tuple[int, ...], axes: int, *, op: str = "window") -> None:
    """Hold `sizes` to one entry per axis.

    Raises:
        ShapeError: too few or too many sizes.
    """
    if len(sizes) != axes:
        raise ShapeError(
            f"{op}: the window and the input differ in their number of spatial axes",
            expected=f"{axes} spatial sizes",
            got=f"{len(sizes)}: {tuple(sizes)}",
        )
