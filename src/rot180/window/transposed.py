"""Transposed convolution: the input gradient of a window used as a forward pass, and its sizes.

The window is that of the convolution it is the adjoint of. Its input has the convolution's P cells,
its output H of the convolution's cells; several H give the same P, and `output_padding` chooses
among them: it is the remainder ρ, the cells of the convolution's padded input that its stride
leaves over; nothing is padded with zeros.
"""

from __future__ import annotations

from functools import lru_cache

from rot180.errors import ArgumentError, ShapeError
from rot180.window.arguments import Integers, check_sizes, integers
from rot180.window.axis import Axis
from rot180.window.window import Window

__all__ = ["output_padding_for", "transposed"]


def transposed(
    window: Window,
    input_size: tuple[int, ...],
    output_padding: Integers = 0,
    *,
    op: str = "conv_transpose",
) -> tuple[Window, tuple[int, ...]]:
    """The output size of a transposed convolution, and the convolution it is the adjoint of.

    The output has (P−1)·S − A − B + D·(R−1) + output_padding + 1 cells.

    Args:
        window: kernel, stride, padding, dilation and groups as given to the transposed convolution.
        input_size: P of every axis.
        output_padding: ρ, one int for every axis or one per axis; below max(stride, dilation).
        op: the operation an error message names.

    Returns:
        The convolution's window and the output size H of every axis. The window is the one given,
        but where the dilation lets output_padding reach the stride: then the convolution
        of H cells would have more than P outputs, and a crop after the input takes them away.
        `window.output_size(sizes)` is `input_size`, always.

    Raises:
        ArgumentError: output_padding out of range.
        ShapeError: an empty input or output, or not one size per axis.

    >>> window, sizes = transposed(Window.of((3, 3), stride=2, padding=1), (4, 4), 1)
    >>> sizes, window.output_size(sizes), window.remainder(sizes)
    ((8, 8), (4, 4), (1, 1))
    """
    axes = len(window.axes)
    extra = integers("output_padding", output_padding, axes, minimum=0, op=op)
    return _transposed(window, tuple(input_size), extra, op)


@lru_cache(maxsize=4096)
def _transposed(
    window: Window, input_size: tuple[int, ...], extra: tuple[int, ...], op: str
) -> tuple[Window, tuple[int, ...]]:
    check_sizes(input_size, len(window.axes), op=op)
    sizes, convolution = [], []
    for i, (axis, outputs, rest) in enumerate(zip(window.axes, input_size, extra, strict=True)):
        limit = max(axis.stride, axis.dilation)
        if rest >= limit:
            raise ArgumentError(
                f"{op}: output_padding of axis {i} out of range",
                arithmetic=f"max(stride, dilation) = max({axis.stride}, {axis.dilation}) = {limit}",
                expected=f"0 <= output_padding < {limit}",
                got=str(rest),
                rule="output_padding is the remainder of the convolution's sizes, no zero padding; "
                "a stride leaves fewer cells over than itself",
            )
        size = _smallest(axis, outputs) + rest
        if outputs < 1 or size < 1:
            raise ShapeError(
                f"{op}: no {'input' if outputs < 1 else 'output'} along axis {i}",
                arithmetic=f"({outputs} - 1)*{axis.stride} - ({axis.before}) - ({axis.after})"
                f" + {axis.effective} + {rest} = {size}",
                expected="at least 1 cell of input and output",
                rule="the padding of a transposed convolution is cut off its output",
            )
        sizes.append(size)
        convolution.append(
            Axis(
                kernel=axis.kernel,
                stride=axis.stride,
                dilation=axis.dilation,
                before=axis.before,
                after=axis.after - rest // axis.stride * axis.stride,
            )
        )
    return Window(tuple(convolution), window.groups), tuple(sizes)


def output_padding_for(
    window: Window,
    input_size: tuple[int, ...],
    output_size: tuple[int, ...],
    *,
    op: str = "conv_transpose",
) -> tuple[int, ...]:
    """The output_padding with which `transposed` gives the wanted output size.

    Args:
        window: kernel, stride, padding and dilation of the transposed convolution.
        input_size: P of every axis.
        output_size: the wanted H of every axis.
        op: the operation an error message names.

    Raises:
        ShapeError: no output_padding gives this size, or not one size per axis.

    >>> output_padding_for(Window.of((3, 3), stride=2, padding=1), (4, 4), (8, 7))
    (1, 0)
    """
    check_sizes(input_size, len(window.axes), op=op)
    check_sizes(output_size, len(window.axes), op=op)
    found = []
    sizes = zip(window.axes, input_size, output_size, strict=True)
    for i, (axis, outputs, size) in enumerate(sizes):
        smallest = _smallest(axis, outputs)
        largest = smallest + max(axis.stride, axis.dilation) - 1
        if not smallest <= size <= largest:
            raise ShapeError(
                f"{op}: output size of axis {i} cannot be reached",
                arithmetic=f"({outputs} - 1)*{axis.stride} - ({axis.before}) - ({axis.after})"
                f" + {axis.effective} = {smallest} without output_padding",
                expected=f"a size from {smallest} to {largest}",
                got=str(size),
                rule="output_padding is at least 0 and below max(stride, dilation); change the "
                "padding for other sizes",
            )
        found.append(size - smallest)
    return tuple(found)


def _smallest(axis: Axis, outputs: int) -> int:
    """The smallest H whose convolution has P outputs: S·(P−1) + e − A − B."""
    return axis.stride * (outputs - 1) + axis.effective - axis.before - axis.after
