"""The window behind a declaration: stride, dilation and padding read back out of its index maps.

A form that reads x at S·p + D·r − A has a window, whatever its other operands are; a select over
windows carries its own. So the views work on any such operation, not on a list of names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rot180.core import Form, Kind, Operand, Select, Windows
from rot180.window import Axis, Window

__all__ = ["Patches", "patches_of", "window_of"]

_POSITION, _TAP = re.compile(r"p\d+"), re.compile(r"r\d+")


@dataclass(frozen=True)
class Patches:
    """The windowed operand of a form, seen from outside.

    Attributes:
        large: the operand that is read at S·p + D·r − A ("x" of a convolution).
        small: the operand that has the positions p ("z").
        kernel: the operand that has the taps r ("w"); None for a mean pool or patches.
        window: the integers; `after` is chosen so that sizes fit.
        turned: whether the kernel is read from its end (mode "convolution").
    """

    large: Operand
    small: Operand
    kernel: Operand | None
    window: Window
    turned: bool


def patches_of(form: Form) -> Patches | None:
    """The window of a form, None where it has none."""
    large = next((o for o in form.operands if _windowed(o)), None)
    if large is None:
        return None
    spatial = [axis for axis in large.axes if _roles(axis.terms) is not None]
    small = next((o for o in form.operands if o is not large and _has(o, _POSITION)
                  and len(o.axes) == len(large.axes)), None)  # fmt: skip
    if small is None:
        return None
    kernel = next((o for o in form.operands if o not in (large, small) and _has(o, _TAP)), None)
    extents = form.extents
    axes = []
    for axis, size in zip(spatial, large.shape[-len(spatial) :], strict=True):
        roles = _roles(axis.terms)
        if roles is None:
            return None
        (p, stride), (r, dilation) = roles
        axes.append(_axis(size, extents[p], extents[r], stride, dilation, -axis.constant))
    turned = kernel is not None and any(c < 0 for a in kernel.axes for _, c in a.terms)
    return Patches(large, small, kernel, Window(tuple(axes)), turned)


def _axis(size: int, outputs: int, taps: int, stride: int, dilation: int, before: int) -> Axis:
    effective = dilation * (taps - 1) + 1
    reach = (outputs - 1) * stride + effective
    # Padding is taken to be even, and what is left over a remainder, where that is possible.
    even = 0 <= size + 2 * before - reach < stride
    after = before if even else max(reach - size - before, -max(0, size + before - reach))
    if not even and size + before - reach >= 0:
        after = 0 if size + before - reach < stride else reach - size - before
    return Axis(taps, stride, dilation, before, after)


def _roles(
    terms: tuple[tuple[str, int], ...],
) -> tuple[tuple[str, int], tuple[str, int]] | None:
    position = [t for t in terms if _POSITION.fullmatch(t[0])]
    tap = [t for t in terms if _TAP.fullmatch(t[0])]
    return (position[0], tap[0]) if len(position) == len(tap) == 1 else None


def _windowed(operand: Operand) -> bool:
    return any(_roles(axis.terms) is not None for axis in operand.axes)


def _has(operand: Operand, loops: re.Pattern[str]) -> bool:
    return any(loops.fullmatch(loop) for axis in operand.axes for loop, _ in axis.terms)


def window_of(kind: Kind) -> Window | None:
    """The window of an operation, None where it has none."""
    if isinstance(kind, Select) and isinstance(kind.choice, Windows):
        return kind.choice.window
    if isinstance(kind, Form):
        found = patches_of(kind)
        return None if found is None else found.window
    return None
