"""The window of an operation: one `Axis` per spatial axis, and groups; a frozen description."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from rot180.errors import ArgumentError
from rot180.window.arguments import Integers, check_sizes, count_axes, integer, integers
from rot180.window.axis import Axis, InputGradient, WeightGradient
from rot180.window.padding import Padding, Pairs, padding_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """All integers of a windowed operation: what is hashed, named, compared and explained.

    Args:
        axes: one `Axis` per spatial axis, in the order of the array's axes.
        groups: the number of equal parts the channels are cut into.

    Attributes:
        kernel: taps R of every axis.
        stride: S of every axis.
        dilation: D of every axis.
        before: padding A of every axis.
        after: padding B of every axis.

    Raises:
        ArgumentError: no axes, or groups below 1.

    >>> window = Window.of((3, 3), stride=2, padding=1)
    >>> window.output_size((6, 5)), window.remainder((6, 5))
    ((3, 3), (1, 0))
    >>> window.name
    'k3x3-s2x2-p1.1x1.1-d1x1-g1'
    """

    axes: tuple[Axis, ...]
    groups: int = 1
    # Computed once, since eager operations ask for them in every call.
    kernel: tuple[int, ...] = field(init=False, repr=False, compare=False)
    stride: tuple[int, ...] = field(init=False, repr=False, compare=False)
    dilation: tuple[int, ...] = field(init=False, repr=False, compare=False)
    before: tuple[int, ...] = field(init=False, repr=False, compare=False)
    after: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "axes", tuple(self.axes))
        integer("number of axes", len(self.axes), minimum=1)
        put(self, "groups", integer("groups", self.groups, minimum=1))
        for name in ("kernel", "stride", "dilation", "before", "after"):
            put(self, name, tuple(getattr(axis, name) for axis in self.axes))

    @staticmethod
    def of(
        kernel: Integers,
        stride: Integers = 1,
        padding: Padding = 0,
        dilation: Integers = 1,
        groups: int = 1,
        *,
        axes: int | None = None,
        input_size: Integers | None = None,
        op: str = "window",
    ) -> Window:
        """A window from arguments as users write them.

        Args:
            kernel: taps R: one int for every axis, or one per axis.
            stride: S, likewise.
            padding: one int for all sides, one per axis, (before, after) pairs, or one of
                "valid", "same", "full", "same_upper", "same_lower"; negative numbers crop.
            dilation: D, likewise; 1 means no gaps.
            groups: the number of equal parts the channels are cut into.
            axes: the number of spatial axes, where no argument is a tuple.
            input_size: H per axis, for "same_upper" and "same_lower".
            op: the operation an error message names.

        Raises:
            ArgumentError: no integers, out of range, wrong lengths, an unknown word.

        >>> Window.of(3, padding="same_upper", stride=2, input_size=(6, 5)).before
        (0, 1)
        """
        axes = count_axes(axes, (kernel, stride, dilation, input_size, padding), op=op)
        kernel = integers("kernel_size", kernel, axes, minimum=1, op=op)
        stride = integers("stride", stride, axes, minimum=1, op=op)
        dilation = integers("dilation", dilation, axes, minimum=1, op=op)
        if input_size is not None:
            input_size = integers("input size", input_size, axes, op=op)
        pairs = padding_pairs(padding, kernel, stride, dilation, input_size, op)
        return _build(kernel, stride, dilation, pairs, integer("groups", groups, minimum=1, op=op))

    def output_size(self, sizes: tuple[int, ...], *, op: str = "window") -> tuple[int, ...]:
        """P = ⌊(H+A+B−e)/S⌋ + 1 of every axis.

        Args:
            sizes: H of every axis.
            op: the operation an error message names.

        Raises:
            ShapeError: a kernel larger than the padded input, or not one size per axis.

        >>> Window.of((5, 5)).output_size((28, 28))
        (24, 24)
        """
        check_sizes(sizes, len(self.axes), op=op)
        return tuple(
            axis.output_size(size, op=op, axis=i)
            for i, (axis, size) in enumerate(zip(self.axes, sizes, strict=True))
        )

    def remainder(self, sizes: tuple[int, ...], *, op: str = "window") -> tuple[int, ...]:
        """ρ = (H+A+B−e) mod S of every axis: the cells at the end that no window reaches.

        Raises:
            ShapeError: a kernel larger than the padded input, or not one size per axis.

        >>> Window.of((3, 3), stride=2).remainder((6, 7))
        (1, 0)
        """
        check_sizes(sizes, len(self.axes), op=op)
        return tuple(
            axis.remainder(size, op=op, axis=i)
            for i, (axis, size) in enumerate(zip(self.axes, sizes, strict=True))
        )

    def taps(
        self, sizes: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
        """The relation of all axes: every (p, r, h), each a tuple with one entry per axis.

        Raises:
            ShapeError: a kernel larger than the padded input, or not one size per axis.

        >>> list(Window.of((1, 2)).taps((1, 2)))
        [((0, 0), (0, 0), (0, 0)), ((0, 0), (0, 1), (0, 1))]
        """
        self.output_size(sizes)
        lists = [axis.taps(size) for axis, size in zip(self.axes, sizes, strict=True)]
        return (
            (tuple(t[0] for t in tap), tuple(t[1] for t in tap), tuple(t[2] for t in tap))
            for tap in itertools.product(*lists)
        )

    def input_gradient(self, sizes: tuple[int, ...]) -> tuple[InputGradient, ...]:
        """`Axis.input_gradient` of every axis.

        Raises:
            ShapeError: a kernel larger than the padded input, or not one size per axis.
        """
        self.output_size(sizes)
        return tuple(a.input_gradient(size) for a, size in zip(self.axes, sizes, strict=True))

    def weight_gradient(self, sizes: tuple[int, ...]) -> tuple[WeightGradient, ...]:
        """`Axis.weight_gradient` of every axis.

        Raises:
            ShapeError: a kernel larger than the padded input, or not one size per axis.
        """
        self.output_size(sizes)
        return tuple(a.weight_gradient(size) for a, size in zip(self.axes, sizes, strict=True))

    def arithmetic(self, sizes: tuple[int, ...]) -> tuple[str, ...]:
        """The output size of every axis as a computation with the numbers put in.

        >>> Window.of((3, 3), stride=2).arithmetic((6, 7))
        ('(6 + 0 + 0 - 3) // 2 + 1 = 2', '(7 + 0 + 0 - 3) // 2 + 1 = 3')
        """
        check_sizes(sizes, len(self.axes))
        return tuple(axis.arithmetic(size) for axis, size in zip(self.axes, sizes, strict=True))

    @property
    def name(self) -> str:
        """A short name that is safe as a file name everywhere; `parse` reads it back.

        Padding is before.after, and m stands for minus.

        >>> Window.of((5,), stride=2, padding=((2, -1),)).name
        'k5-s2-p2.m1-d1-g1'
        """
        pairs = zip(self.before, self.after, strict=True)
        parts = (
            "k" + "x".join(map(str, self.kernel)),
            "s" + "x".join(map(str, self.stride)),
            "p" + "x".join(f"{before}.{after}" for before, after in pairs).replace("-", "m"),
            "d" + "x".join(map(str, self.dilation)),
            f"g{self.groups}",
        )
        return "-".join(parts)

    @staticmethod
    def parse(name: str) -> Window:
        """The window of a `name`.

        Raises:
            ArgumentError: not a name that `name` would write.

        >>> Window.parse("k5-s2-p2.m1-d1-g1") == Window.of((5,), 2, ((2, -1),))
        True
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise _no_name(name, "kernel, stride, padding, dilation, groups in this order")
        kernel, stride, padding, dilation, groups = (part.split("x") for part in match.groups())
        if not len(kernel) == len(stride) == len(padding) == len(dilation):
            raise _no_name(name, "kernel, stride, padding and dilation have one entry per axis")
        sides = [pair.replace("m", "-").split(".") for pair in padding]
        return _build(
            tuple(map(int, kernel)),
            tuple(map(int, stride)),
            tuple(map(int, dilation)),
            tuple((int(before), int(after)) for before, after in sides),
            int(groups[0]),
        )


_COUNT = r"[1-9][0-9]{0,17}"
_COUNTS = rf"{_COUNT}(?:x{_COUNT})*"
_SIDE = rf"(?:0|m?{_COUNT})"
_NAME = re.compile(
    rf"k({_COUNTS})-s({_COUNTS})-p({_SIDE}\.{_SIDE}(?:x{_SIDE}\.{_SIDE})*)-d({_COUNTS})-g({_COUNT})"
)


def _no_name(name: str, rule: str) -> ArgumentError:
    return ArgumentError(
        "window: not the name of a window",
        expected="a name like 'k3x3-s2x2-p1.1x1.1-d1x1-g1' (m for minus)",
        got=repr(name),
        rule=rule,
    )


@lru_cache(maxsize=4096)
def _build(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pairs: Pairs,
    groups: int,
) -> Window:
    """One object per distinct window; the arguments are checked integers already."""
    axes = tuple(
        Axis(kernel=k, stride=s, dilation=d, before=before, after=after)
        for k, s, d, (before, after) in zip(kernel, stride, dilation, pairs, strict=True)
    )
    return Window(axes, groups)
