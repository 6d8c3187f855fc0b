"""Windows of pools: `ceil_mode`, the limit on padding, and the divisors of the mean."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rot180.errors import ArgumentError, ShapeError
from rot180.window.arguments import Integers, check_sizes, integers
from rot180.window.axis import Axis
from rot180.window.window import Window

if TYPE_CHECKING:
    from rot180.window.padding import Padding

__all__ = ["pool_divisors", "pool_window"]


def pool_window(
    kernel: Integers,
    stride: Integers | None = None,
    padding: Padding = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    *,
    input_size: tuple[int, ...],
    op: str = "pool",
) -> Window:
    """The window of a pool, `ceil_mode` resolved into more padding after.

    With `ceil_mode` the last window may reach beyond the padded input, unless it would start in
    the padding after the input: then it is dropped.

    Args:
        kernel: taps R: one int for every axis, or one per axis.
        stride: S, likewise; None means the kernel.
        padding: as in `Window.of`; at most half the effective kernel, and no crop.
        dilation: D, likewise; 1 means no gaps.
        ceil_mode: round the number of outputs up instead of down.
        input_size: H of every axis.
        op: the operation an error message names.

    Raises:
        ArgumentError: padding out of range, or no integers.
        ShapeError: no output, or an output whose window holds no input cell.

    >>> pool_window(2, ceil_mode=True, input_size=(5,)).name
    'k2-s2-p0.1-d1-g1'
    """
    given = _given(kernel, stride, padding, dilation, input_size, op)
    return _resolve(given, bool(ceil_mode), tuple(input_size), op)


def pool_divisors(
    kernel: Integers,
    stride: Integers | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    input_size: tuple[int, ...],
    op: str = "pool",
) -> tuple[tuple[int, ...], ...]:
    """The cells that a mean pool counts, per axis and output; a divisor is their product.

    A window is clipped to the padded input (`count_include_pad`; what `ceil_mode` adds beyond
    the padding is never counted) or to the input itself.

    Args:
        kernel: as in `pool_window`, and so are `stride`, `padding`, `ceil_mode`, `input_size`.
        stride: S.
        padding: A and B.
        ceil_mode: round the number of outputs up.
        count_include_pad: count the padding cells too.
        input_size: H of every axis.
        op: the operation an error message names.

    Returns:
        For every axis a tuple with P counts: output (p, q) is divided by counts[0][p]·counts[1][q].

    Raises:
        ArgumentError: padding out of range, or no integers.
        ShapeError: no output.

    >>> pool_divisors(3, 2, 1, ceil_mode=True, input_size=(6,))
    ((3, 3, 3, 2),)
    >>> pool_divisors(3, 2, 1, ceil_mode=True, count_include_pad=False, input_size=(6,))
    ((2, 3, 3, 1),)
    """
    given = _given(kernel, stride, padding, 1, input_size, op)
    return _divisors(given, bool(ceil_mode), bool(count_include_pad), tuple(input_size), op)


def _given(
    kernel: Integers,
    stride: Integers | None,
    padding: Padding,
    dilation: Integers,
    input_size: tuple[int, ...],
    op: str,
) -> Window:
    """The window as the arguments say it, before `ceil_mode`."""
    axes = len(input_size)
    kernel = integers("kernel_size", kernel, axes, minimum=1, op=op)
    stride = kernel if stride is None else stride
    return Window.of(kernel, stride, padding, dilation, axes=axes, input_size=input_size, op=op)


@lru_cache(maxsize=4096)
def _resolve(given: Window, ceil_mode: bool, sizes: tuple[int, ...], op: str) -> Window:
    check_sizes(sizes, len(given.axes), op=op)
    return Window(
        tuple(
            _pool_axis(axis, ceil_mode, size, i, op)
            for i, (axis, size) in enumerate(zip(given.axes, sizes, strict=True))
        )
    )


def _pool_axis(axis: Axis, ceil_mode: bool, size: int, index: int, op: str) -> Axis:
    limit = axis.effective // 2
    for side, value in (("before", axis.before), ("after", axis.after)):
        if not 0 <= value <= limit:
            raise ArgumentError(
                f"{op}: padding {side} axis {index} out of range",
                arithmetic=f"effective kernel {axis.dilation}*({axis.kernel}-1)+1 = "
                f"{axis.effective}, half of it {axis.effective} // 2 = {limit}",
                expected=f"0 <= padding <= {limit}",
                got=str(value),
                rule="padding of a pool is at most half the effective kernel, so that every "
                "window holds input cells; to crop, slice the input",
            )
    if ceil_mode:
        axis = _ceil_axis(axis, size)
    outputs = axis.output_size(size, op=op, axis=index)
    # Only a window that starts before the input, with taps further apart than it is long, can
    # miss all of it. (No loop over all outputs: there may be billions.)
    starting_before = min(outputs, -(-axis.before // axis.stride))
    for p in range(starting_before if size < axis.dilation else 0):
        if not axis.live_taps(p, size):
            first, last = axis.position(p, 0), axis.position(p, axis.kernel - 1)
            raise ShapeError(
                f"{op}: output {p} along axis {index} has no input cell in its window",
                arithmetic=f"its taps lie at {first}, ..., {last} in steps of {axis.dilation}",
                expected=f"a tap within 0..{size - 1}",
                got="none",
                rule="a pool chooses among, or averages, at least one cell",
            )
    return axis


def _ceil_axis(axis: Axis, size: int) -> Axis:
    """More padding after, so that what a stride leaves over becomes one more output."""
    room = size + axis.before + axis.after - axis.effective
    outputs = -(-room // axis.stride) + 1
    last_start = (outputs - 1) * axis.stride
    if last_start >= size + axis.before:  # it would start in the padding after the input
        return axis
    return Axis(
        kernel=axis.kernel,
        stride=axis.stride,
        dilation=axis.dilation,
        before=axis.before,
        after=last_start + axis.effective - size - axis.before,
    )


@lru_cache(maxsize=4096)
def _divisors(
    given: Window, ceil_mode: bool, count_include_pad: bool, sizes: tuple[int, ...], op: str
) -> tuple[tuple[int, ...], ...]:
    resolved = _resolve(given, ceil_mode, sizes, op)
    counts = []
    for axis, last, size in zip(given.axes, resolved.axes, sizes, strict=True):
        low, high = (-axis.before, size + axis.after) if count_include_pad else (0, size)
        starts = [last.position(p, 0) for p in range(last.output_size(size))]
        counts.append(tuple(min(s + axis.kernel, high) - max(s, low) for s in starts))
    return tuple(counts)
