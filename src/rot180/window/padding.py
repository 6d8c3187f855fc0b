"""Padding as users write it, made into (before, after) pairs: numbers, pairs and five words.

| word | before + after | where an odd cell goes |
| --- | --- | --- |
| valid | 0 | |
| full | (e−1) + (e−1) | every overlap of kernel and input gives an output |
| same | e−1 (PyTorch's rule), stride 1 only | after |
| same_upper | so that P = ⌈H/S⌉ (ONNX's and TensorFlow's rule) | after |
| same_lower | so that P = ⌈H/S⌉ | before |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsIndex, TypeAlias

from rot180.errors import ArgumentError
from rot180.window.arguments import Integers, count_axes, integer, integers

__all__ = ["PADDING_WORDS", "Padding", "padding_pairs", "resolve_padding"]

PADDING_WORDS = ("valid", "same", "full", "same_upper", "same_lower")

Padding: TypeAlias = (
    str | SupportsIndex | Iterable[SupportsIndex | tuple[SupportsIndex, SupportsIndex]]
)
Pairs: TypeAlias = tuple[tuple[int, int], ...]


def resolve_padding(
    padding: Padding,
    kernel: Integers,
    stride: Integers = 1,
    dilation: Integers = 1,
    input_size: Integers | None = None,
    *,
    axes: int | None = None,
    op: str = "window",
) -> Pairs:
    """The (before, after) pair of every axis.

    Args:
        padding: one int for all sides, a tuple with one int per axis, a tuple of (before, after)
            pairs, or a word of `PADDING_WORDS`. Negative numbers crop.
        kernel: taps R per axis.
        stride: S per axis.
        dilation: D per axis.
        input_size: H per axis; only "same_upper" and "same_lower" need it.
        axes: the number of spatial axes, where no argument is a tuple.
        op: the operation an error message names.

    Raises:
        ArgumentError: an unknown word, "same" with a stride, a missing input size, wrong lengths.

    >>> resolve_padding("same", (4, 3))
    ((1, 2), (1, 1))
    >>> resolve_padding("same_lower", (3,), stride=2, input_size=(6,))
    ((1, 0),)
    """
    axes = count_axes(axes, (kernel, stride, dilation, input_size, padding), op=op)
    return padding_pairs(
        padding,
        integers("kernel_size", kernel, axes, minimum=1, op=op),
        integers("stride", stride, axes, minimum=1, op=op),
        integers("dilation", dilation, axes, minimum=1, op=op),
        None if input_size is None else integers("input size", input_size, axes, op=op),
        op,
    )


def padding_pairs(
    padding: object,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    input_size: tuple[int, ...] | None,
    op: str,
) -> Pairs:
    """`resolve_padding` for arguments that are tuples of int already."""
    if type(padding) is int:
        return ((padding, padding),) * len(kernel)
    if isinstance(padding, str):
        return _word_pairs(padding, kernel, stride, dilation, input_size, op)
    if not isinstance(padding, Iterable):
        side = integer("padding", padding, op=op)
        return ((side, side),) * len(kernel)
    entries = tuple(padding)
    if len(entries) != len(kernel):
        raise ArgumentError(
            f"{op}: padding has the wrong length",
            expected=f"one int, {len(kernel)} ints or {len(kernel)} (before, after) pairs"
            f" for {len(kernel)} spatial axes",
            got=f"{len(entries)}: {entries}",
            rule="the two sides of one axis are a pair inside the tuple, as in ((1, 2),)",
        )
    return tuple(_pair(entry, op) for entry in entries)


def _pair(entry: object, op: str) -> tuple[int, int]:
    if isinstance(entry, Iterable) and not isinstance(entry, str):
        sides = tuple(integer("padding", side, op=op) for side in entry)
        if len(sides) != 2:
            raise ArgumentError(
                f"{op}: padding of one axis has the wrong length",
                expected="an int or a (before, after) pair",
                got=str(sides),
            )
        return (sides[0], sides[1])
    side = integer("padding", entry, op=op)
    return (side, side)


def _word_pairs(
    word: str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    input_size: tuple[int, ...] | None,
    op: str,
) -> Pairs:
    rests = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if word == "valid":
        return ((0, 0),) * len(kernel)
    if word == "full":
        return tuple((rest, rest) for rest in rests)
    if word == "same":
        if any(s != 1 for s in stride):
            raise _same_with_stride(rests, stride, input_size, op)
        return tuple((rest // 2, rest - rest // 2) for rest in rests)
    if word not in PADDING_WORDS:
        raise ArgumentError(
            f"{op}: unknown padding word",
            expected="a number, (before, after) pairs or one of " + ", ".join(PADDING_WORDS),
            got=repr(word),
        )
    if input_size is None:
        raise ArgumentError(
            f"{op}: padding {word!r} depends on the input size",
            expected="input_size, one int per spatial axis",
            got="none",
            rule="before + after = max((ceil(H/S) - 1)*S + dilation*(kernel-1) + 1 - H, 0)",
        )
    pairs = []
    for rest, s, size in zip(rests, stride, input_size, strict=True):
        total = _same_total(rest, s, size)
        less, more = total // 2, total - total // 2
        pairs.append((less, more) if word == "same_upper" else (more, less))
    return tuple(pairs)


def _same_total(rest: int, stride: int, size: int) -> int:
    """The padding that lets ⌈H/S⌉ windows of e = rest+1 cells fit; never a crop."""
    return max((-(-size // stride) - 1) * stride + rest + 1 - size, 0)


def _same_with_stride(
    rests: list[int], stride: tuple[int, ...], input_size: tuple[int, ...] | None, op: str
) -> ArgumentError:
    """The two rules that are both called "same" and agree only for stride 1."""
    fixed = [(rest // 2, rest - rest // 2) for rest in rests]
    if input_size is None:
        sized = ", ".join(
            f"max((ceil(H/{s}) - 1)*{s} + {rest + 1} - H, 0)"
            for rest, s in zip(rests, stride, strict=True)
        )
        candidate = f"'same_upper' pads {sized} in all, depending on the input size H"
    else:
        totals = [_same_total(*of) for of in zip(rests, stride, input_size, strict=True)]
        pairs = ", ".join(f"({total // 2}, {total - total // 2})" for total in totals)
        candidate = f"'same_upper' pads {pairs} for input size {input_size}"
    return ArgumentError(
        f"{op}: padding 'same' is ambiguous with stride {stride}",
        arithmetic=f"PyTorch's rule dilation*(kernel-1) pads {', '.join(map(str, fixed))}; "
        + candidate,
        expected="stride 1, or one of the two rules: the numbers as pairs, or 'same_upper'",
        got="'same'",
    )
