"""Convolution: one declaration, read for each of its operands.

    T(x, w, z) = Σ  z[n, k, p..] · w[k, c, r..] · x[n, c, S·p + D·r − A ..]

| read for | is called                         | in words                                          |
| -------- | --------------------------------- | ------------------------------------------------- |
| z        | conv                              | correlation of x with w                           |
| x        | conv_input_grad, conv_transpose   | full correlation of the upstream gradient with    |
|          |                                   | the kernel turned by 180 degrees                  |
| w        | conv_weight_grad                  | correlation of x with the upstream gradient       |

Nobody programs the rotation: h = S·p + D·r − A is solved for another unknown, that is all. Stride
in one reading is dilation in the next; rows that a stride leaves over are cells no output reads.

`mode="convolution"` reads the kernel from its end, as MATLAB and SciPy do; its backward pass is
then the correlation. Arrays are (N, C, spatial...), kernels (K, C / groups, taps...).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from rot180.core import ArrayLike, Form, Tensor, apply, declare
from rot180.errors import ArgumentError, ShapeError
from rot180.ops.batches import batched, unbatched
from rot180.ops.family import Member, member
from rot180.ops.operands import along, floating
from rot180.ops.registry import operation
from rot180.ops.shape import reshape
from rot180.window import Window, transposed

__all__ = [
    "CONVOLUTION",
    "CORRELATION",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_input_grad",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "conv_weight_grad",
    "fold",
    "unfold",
]

Sizes = int | Sequence[int]
Padding = Any
"""An int, one per axis, (before, after) pairs, or one of `window.PADDING_WORDS`."""

CORRELATION = declare(
    "conv", x="n j*C+c {S*p+D*r-A}", w="j*K+k c {r}", z="n j*K+k {p}"
)  # fmt: skip
CONVOLUTION = declare(
    "conv", x="n j*C+c {S*p+D*r-A}", w="j*K+k c {L-r}", z="n j*K+k {p}"
)  # fmt: skip
PATCHES = declare("unfold", x="n c {S*p+D*r-A}", y="n c {r} {p}")

_DECLARATIONS = {"correlation": CORRELATION, "convolution": CONVOLUTION}


def window_sizes(window: Window) -> dict[str, int]:
    """The integers of a window under the names that declarations use."""
    sizes: dict[str, int] = {}
    for i, axis in enumerate(window.axes):
        sizes |= {f"S{i}": axis.stride, f"D{i}": axis.dilation, f"A{i}": axis.before}
        sizes[f"L{i}"] = axis.kernel - 1
    return sizes


def window_loops(window: Window, outputs: Sequence[int]) -> dict[str, int]:
    """The loops over positions p and taps r of every axis."""
    loops = {f"p{i}": size for i, size in enumerate(outputs)}
    return loops | {f"r{i}": size for i, size in enumerate(window.kernel)}


@functools.lru_cache(maxsize=4096)
def _form(
    mode: str, window: Window, batch: int, channels: int, filters: int, sizes: tuple[int, ...]
) -> Form:
    """The form with all integers put in, read for z (the forward pass).

    Args:
        mode: "correlation" or "convolution".
        window: kernel, stride, dilation, padding, groups.
        batch: N.
        channels: input channels of one group.
        filters: output channels of one group.
        sizes: spatial sizes of x.
    """
    outputs = window.output_size(sizes)
    groups = window.groups
    loops = {"n": batch, "j": groups, "c": channels, "k": filters}
    shapes = {
        "x": (batch, groups * channels, *sizes),
        "w": (groups * filters, channels, *window.kernel),
        "z": (batch, groups * filters, *outputs),
    }
    return _DECLARATIONS[mode].bind(
        len(sizes),
        "z",
        shapes,
        loops | window_loops(window, outputs),
        C=channels,
        K=filters,
        **window_sizes(window),
    )


def _check_mode(what: str, mode: str) -> None:
    if mode not in _DECLARATIONS:
        raise ArgumentError(
            f"{what}: mode", expected='"correlation" or "convolution"', got=repr(mode)
        )


def _check_channels(what: str, groups: int, channels: int, w: Tensor) -> None:
    filters, own = w.shape[:2]
    if channels == 0 or filters == 0 or 0 in w.shape:
        raise ShapeError(
            f"{what}: zero channels or taps", got=f"{channels} input channels, weight {w.shape}"
        )
    if groups < 1 or filters % groups or channels % groups:
        raise ArgumentError(
            f"{what}: groups must divide input and output channels",
            arithmetic=f"{channels} and {filters} channels, {groups} groups",
        )
    if own * groups != channels:
        raise ShapeError(
            f"{what}: channels of input and weight differ",
            arithmetic=f"weight {w.shape} reads {own} channels · {groups} groups = {own * groups}",
            expected=f"{own * groups} input channels",
            got=str(channels),
            rule="weight is (K, C / groups, taps...)",
        )


def _weight(weight: ArrayLike, what: str, axes: int | None) -> tuple[Tensor, int]:
    w = floating(weight, what)
    spatial = w.ndim - 2 if axes is None else axes
    if spatial < 1 or w.ndim != spatial + 2:
        raise ShapeError(
            f"{what}: number of axes of the weight",
            expected=f"2 + {'spatial axes' if axes is None else axes}",
            got=f"shape {w.shape}",
        )
    return w, spatial


def _with_bias(z: Tensor, bias: ArrayLike | None, what: str) -> Tensor:
    if bias is None:
        return z
    b = floating(bias, what)
    filters = z.shape[1]
    if b.shape != (filters,):
        raise ShapeError(f"{what}: bias", expected=f"({filters},)", got=str(b.shape))
    return z + along(b, z.shape, 1)


def _conv(
    which: Member,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    mode: str = "correlation",
) -> Tensor:
    """Law: z[n, k, p] = b[k] + Σ_{c, r} w[k, c, r] · x[n, c, S·p + D·r − A], in any number of axes.

    Cells of x out of range count as 0. The output has P = ⌊(H + A + B − e) / S⌋ + 1 positions per
    axis, with e = D·(R − 1) + 1.

    Args:
        input: (N, C, spatial...), or (C, spatial...) without a batch.
        weight: (K, C / groups, taps...); its axes say how many are spatial.
        bias: (K,).
        stride: S, one for all axes or one per axis.
        padding: A and B: an int, one per axis, (before, after) pairs, or "valid", "same"
            (stride 1), "full", "same_upper", "same_lower".
        dilation: D, 1 is none.
        groups: channels are cut into so many groups that do not see each other.
        mode: "correlation", or "convolution", which turns the kernel by 180 degrees first.

    Returns:
        (N, K, positions...).

    Raises:
        ShapeError: sizes that do not fit; the message prints the arithmetic.
        ArgumentError: groups, stride, padding or dilation out of their range.
        DTypeError: integers, or float32 and float64 mixed.

    >>> conv([[1.0, 2.0, 4.0, 8.0]], [[[1.0, 10.0]]])
    tensor([[21., 42., 84.]])
    """
    what = which.name
    _check_mode(what, mode)
    w, spatial = _weight(weight, what, which.axes)
    x, added = batched(floating(input, what), spatial, what)
    _check_channels(what, groups, x.shape[1], w)
    sizes = x.shape[2:]
    window = Window.of(
        w.shape[2:], stride, padding, dilation, groups, axes=spatial, input_size=sizes, op=what
    )
    window.output_size(sizes, op=what)
    form = _form(mode, window, x.shape[0], w.shape[1], w.shape[0] // groups, sizes)
    return unbatched(_with_bias(apply(form, x, w), bias, what), added)


conv = member(_conv, "conv")
conv1d = member(_conv, "conv1d", 1)
conv2d = member(_conv, "conv2d", 2)
conv3d = member(_conv, "conv3d", 3)


# The same form, read for x


@operation
def conv_input_grad(
    input_size: Sequence[int], weight: ArrayLike, grad_output: ArrayLike, stride: Sizes = 1,
    padding: Padding = 0, dilation: Sizes = 1, groups: int = 1, mode: str = "correlation",
) -> Tensor:  # fmt: skip
    """Law: δx[n, c, h] = Σ w[k, c, r] · g[n, k, p] over all p, r with S·p + D·r − A = h.

    Args:
        input_size: the shape of x, (N, C, spatial...).
        weight: as in conv.
        grad_output: g, of the shape of conv's output.
        stride: as in conv.
        padding: as in conv.
        dilation: as in conv.
        groups: as in conv.
        mode: as in conv.

    Returns:
        The gradient with respect to the input, shape `input_size`; itself differentiable.
    """
    what = "conv_input_grad"
    _check_mode(what, mode)
    w, g = floating(weight, what), floating(grad_output, what)
    form = _known(
        what, tuple(input_size), w.shape, g.shape, stride, padding, dilation, groups, mode
    )
    return apply(form.wrt("x"), w, g)


@operation
def conv_weight_grad(
    input: ArrayLike, weight_size: Sequence[int], grad_output: ArrayLike, stride: Sizes = 1,
    padding: Padding = 0, dilation: Sizes = 1, groups: int = 1, mode: str = "correlation",
) -> Tensor:  # fmt: skip
    """Law: δw[k, c, r] = Σ x[n, c, S·p + D·r − A] · g[n, k, p] over n and p.

    Args:
        input: x, as in conv.
        weight_size: the shape of w, (K, C / groups, taps...).
        grad_output: g, of the shape of conv's output.
        stride: as in conv.
        padding: as in conv.
        dilation: as in conv.
        groups: as in conv.
        mode: as in conv.

    Returns:
        The gradient with respect to the weight, shape `weight_size`; itself differentiable.
    """
    what = "conv_weight_grad"
    _check_mode(what, mode)
    x, g = floating(input, what), floating(grad_output, what)
    form = _known(
        what, x.shape, tuple(weight_size), g.shape, stride, padding, dilation, groups, mode
    )
    return apply(form.wrt("w"), x, g)


def _known(
    what: str, x: tuple[int, ...], w: tuple[int, ...], g: tuple[int, ...], stride: Sizes,
    padding: Padding, dilation: Sizes, groups: int, mode: str,
) -> Form:  # fmt: skip
    """The form whose three shapes are given; they are checked against each other."""
    spatial = len(w) - 2
    if spatial < 1 or len(x) != len(w):
        raise ShapeError(f"{what}: input and weight need as many axes", got=f"{x} and {w}")
    sizes = x[2:]
    window = Window.of(
        w[2:], stride, padding, dilation, groups, axes=spatial, input_size=sizes, op=what
    )
    if x[1] != w[1] * groups or w[0] % groups:
        raise ShapeError(
            f"{what}: channels of input and weight differ",
            arithmetic=f"{w[1]} channels · {groups} groups = {w[1] * groups}",
            expected=f"{w[1] * groups} input channels",
            got=str(x[1]),
        )
    expected = (x[0], w[0], *window.output_size(sizes, op=what))
    if g != expected:
        raise ShapeError(f"{what}: shape of grad_output", expected=str(expected), got=str(g))
    return _form(mode, window, x[0], w[1], w[0] // groups, sizes)


def _conv_transpose(
    which: Member,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
    mode: str = "correlation",
) -> Tensor:
    """Law: the input gradient of `conv`, used as a forward pass (an adjoint, not an inverse).

    z[n, c, h] = b[c] + Σ w[k, c, r] · x[n, k, p] over p, r with S·p + D·r − A = h; the output has
    (P − 1)·S − A − B + D·(R − 1) + output_padding + 1 cells per axis.

    Args:
        input: (N, C, spatial...), or without a batch.
        weight: (C, K / groups, taps...); its axes say how many are spatial.
        bias: (K,).
        stride: S.
        padding: A and B: so many cells of the full result are cut off.
        output_padding: the remainder of the convolution that this is the adjoint of: rows at the
            end that fewer inputs reach. It is no zero padding. Below max(stride, dilation).
        groups: as in conv.
        dilation: D.
        mode: as in conv.

    Returns:
        (N, K, cells...).
    """
    what = which.name
    _check_mode(what, mode)
    w, spatial = _weight(weight, what, which.axes)
    g, added = batched(floating(input, what), spatial, what)
    if g.shape[1] != w.shape[0] or groups < 1 or w.shape[0] % groups or 0 in w.shape:
        raise ShapeError(
            f"{what}: channels of input, weight and groups",
            arithmetic=f"{g.shape[1]} input channels, weight {w.shape}, {groups} groups",
            rule="weight is (C, K / groups, taps...), and groups divides C",
        )
    given = Window.of(w.shape[2:], stride, padding, dilation, groups, axes=spatial, op=what)
    window, sizes = transposed(given, g.shape[2:], output_padding, op=what)
    form = _form(mode, window, g.shape[0], w.shape[1], w.shape[0] // groups, sizes)
    z = apply(form.wrt("x"), w, g)
    return unbatched(_with_bias(z, bias, what), added)


conv_transpose = member(_conv_transpose, "conv_transpose")
conv_transpose1d = member(_conv_transpose, "conv_transpose1d", 1)
conv_transpose2d = member(_conv_transpose, "conv_transpose2d", 2)
conv_transpose3d = member(_conv_transpose, "conv_transpose3d", 3)


# Patches: the form of a convolution without its kernel


@functools.lru_cache(maxsize=4096)
def _patches_form(window: Window, batch: int, channels: int, sizes: tuple[int, ...]) -> Form:
    outputs = window.output_size(sizes, op="unfold")
    shapes = {
        "x": (batch, channels, *sizes),
        "y": (batch, channels, *window.kernel, *outputs),
    }
    loops = {"n": batch, "c": channels} | window_loops(window, outputs)
    return PATCHES.bind(len(sizes), "y", shapes, loops, **window_sizes(window))


@operation
def unfold(
    input: ArrayLike, kernel_size: Sizes, dilation: Sizes = 1, padding: Padding = 0,
    stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Law: the patches of x as columns: M[n, (c, r), p] = x[n, c, S·p + D·r − A] (im2col).

    Args:
        input: (N, C, spatial...) or (C, spatial...); an int `kernel_size` means two spatial axes.
        kernel_size: R per axis.
        dilation: D.
        padding: A and B, as in conv.
        stride: S.

    Returns:
        (N, C · taps, positions).
    """
    x = floating(input, "unfold")
    axes = 2 if isinstance(kernel_size, int) else len(kernel_size)
    x, added = batched(x, axes, "unfold")
    window = Window.of(
        kernel_size, stride, padding, dilation, axes=axes, input_size=x.shape[2:], op="unfold"
    )
    form = _patches_form(window, x.shape[0], x.shape[1], x.shape[2:])
    patches = apply(form, x)
    taps, positions = _count(window.kernel), _count(patches.shape[2 + axes :])
    columns = reshape(patches, (x.shape[0], x.shape[1] * taps, positions))
    return unbatched(columns, added)


def _count(sizes: Sequence[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


@operation
def fold(
    input: ArrayLike, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1,
    padding: Padding = 0, stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Law: columns added back into the cells they were taken from: the adjoint of unfold (col2im).

    Args:
        input: (N, C · taps, positions), or without a batch.
        output_size: spatial sizes of the result.
        kernel_size: R per axis.
        dilation: D.
        padding: A and B.
        stride: S.

    Returns:
        (N, C, spatial...).

    Raises:
        ShapeError: rows that are no multiple of the taps, or columns that are not the positions.
    """
    m = floating(input, "fold")
    axes = next((len(a) for a in (output_size, kernel_size) if not isinstance(a, int)), 2)
    m, added = batched(m, 1, "fold")
    sizes = (output_size,) * axes if isinstance(output_size, int) else tuple(output_size)
    window = Window.of(
        kernel_size, stride, padding, dilation, axes=axes, input_size=sizes, op="fold"
    )
    taps, outputs = _count(window.kernel), window.output_size(sizes, op="fold")
    if m.shape[1] % taps or m.shape[2] != _count(outputs):
        raise ShapeError(
            "fold: shape of the columns",
            arithmetic=f"{m.shape[1]} rows of {taps} taps, "
            f"{' · '.join(map(str, outputs))} = {_count(outputs)} positions",
            expected=f"a multiple of {taps} rows and {_count(outputs)} columns",
            got=str(m.shape),
        )
    channels = m.shape[1] // taps
    patches = reshape(m, (m.shape[0], channels, *window.kernel, *outputs))
    form = _patches_form(window, m.shape[0], channels, sizes)
    return unbatched(apply(form.wrt("x"), patches), added)
