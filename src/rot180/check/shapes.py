"""Integers that people guess: output_padding, divisors of means, overlaps, rules of padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rot180.core import Array
from rot180.errors import Rot180Error
from rot180.ops import conv_transpose
from rot180.window import Window, pool_divisors, pool_window, resolve_padding, transposed
from rot180.window.arguments import Integers, integers

__all__ = [
    "DivisorMap",
    "OutputPadding",
    "OverlapMap",
    "PaddingRule",
    "divisors",
    "output_paddings",
    "overlap",
    "padding_rules",
]


@dataclass(frozen=True)
class OutputPadding:
    """One way to reach an output size with a transposed convolution.

    Attributes:
        stride: S per axis.
        padding: cells cut off at both ends, per axis.
        output_padding: ρ per axis: rows at the end that the convolution's stride would leave over.
        reach: how many products the last row of each axis sums: real rows, no zeros, where
            this is more than 0.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    reach: tuple[int, ...]

    def __str__(self) -> str:
        words = (_join(v) for v in (self.stride, self.padding, self.output_padding))
        s, p, o = words
        zeros = "" if min(self.reach) else ", the last row sees no input: only the bias"
        return f"stride {s}, padding {p}, output_padding {o}{zeros}"


def output_paddings(
    input_size: Integers, output_size: Integers, kernel_size: Integers,
    stride: Integers | None = None, dilation: Integers = 1, *, axes: int = 2,
) -> tuple[OutputPadding, ...]:  # fmt: skip
    """Every (padding, output_padding) with which a transposed convolution has the wanted size.

    Law: H = (P − 1)·S − 2A + D·(R − 1) + ρ + 1 with 0 ≤ ρ < max(S, D).

    Args:
        input_size: P: one int for all axes, or one per axis.
        output_size: the wanted H.
        kernel_size: R.
        stride: S; None tries 1 to 4.
        dilation: D.
        axes: the number of spatial axes.

    Returns:
        The solutions with the same padding on all axes, small output_padding first.

    >>> for found in output_paddings(4, 8, 3, stride=2): print(found)
    stride 2x2, padding 1x1, output_padding 1x1
    """
    small = integers("input size", input_size, axes, minimum=1)
    large = integers("output size", output_size, axes, minimum=1)
    kernel = integers("kernel_size", kernel_size, axes, minimum=1)
    gaps = integers("dilation", dilation, axes, minimum=1)
    strides = range(1, 5) if stride is None else [stride]
    found = []
    for given in strides:
        step = integers("stride", given, axes, minimum=1)
        effective = [d * (k - 1) + 1 for d, k in zip(gaps, kernel, strict=True)]
        for padding in range(max(effective)):
            base = [
                (p - 1) * s - 2 * padding + e
                for p, s, e in zip(small, step, effective, strict=True)
            ]
            rest = tuple(h - b for h, b in zip(large, base, strict=True))
            limits = [max(s, d) for s, d in zip(step, gaps, strict=True)]
            if all(0 <= r < limit for r, limit in zip(rest, limits, strict=True)):
                pads = (padding,) * axes
                window = Window.of(kernel, step, padding, gaps, axes=axes)
                reach = _last_reach(window, small, rest)
                found.append(OutputPadding(step, pads, rest, reach))
    return tuple(sorted(found, key=lambda f: (sum(f.output_padding), sum(f.padding))))


def _last_reach(window: Window, small: tuple[int, ...], rest: tuple[int, ...]) -> tuple[int, ...]:
    convolution, sizes = transposed(window, small, rest)
    counts = []
    for axis, size in zip(convolution.axes, sizes, strict=True):
        counts.append(sum(1 for _, _, h in axis.taps(size) if h == size - 1))
    return tuple(counts)


@dataclass(frozen=True)
class DivisorMap:
    """What a mean pool divides by, forward, and what every input cell weighs, backward.

    Attributes:
        divisors: of every position.
        weights: of every input cell: the sum of 1 / divisor over the windows that read it.
    """

    divisors: Array
    weights: Array

    def __str__(self) -> str:
        return (
            f"divisors\n{_table(self.divisors)}\nweight of each input cell\n{_table(self.weights)}"
        )

    def save(self, path: str | Path) -> Path:
        """A picture of both maps.

        Args:
            path: where; its ending chooses the format.
        """
        from rot180.check.figures import draw_planes, save_figure

        panels: list[tuple[str, Array, Array | None]] = [
            ("divisor of each window", self.divisors, None),
            ("weight of each input cell", self.weights, None),
        ]
        return save_figure(draw_planes(panels, 2), path)


def divisors(
    input_size: tuple[int, ...], kernel_size: Integers, stride: Integers | None = None,
    padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
) -> DivisorMap:  # fmt: skip
    """The divisor of every window of a mean pool; forward and backward use the same.

    Args:
        input_size: H per axis.
        kernel_size: R.
        stride: S, the kernel's size by default.
        padding: A and B.
        ceil_mode: also a last window that is cut off by the end.
        count_include_pad: count the padding's cells.

    >>> print(divisors((4, 4), 3, 2, 1, count_include_pad=False))
    divisors
      4  6
      6  9
    weight of each input cell
      0.25 0.417 0.167 0.167
      0.417 0.694 0.278 0.278
      0.167 0.278 0.111 0.111
      0.167 0.278 0.111 0.111
    """
    sizes = tuple(input_size)
    counts = pool_divisors(
        kernel_size, stride, padding, ceil_mode, count_include_pad, input_size=sizes
    )
    window = pool_window(kernel_size, stride, padding, 1, ceil_mode, input_size=sizes)
    divisor, weight = np.ones(()), np.ones(())
    for axis, count, size in zip(window.axes, counts, sizes, strict=True):
        shares = np.zeros(size)
        for p, _, h in axis.taps(size):
            shares[h] += 1 / count[p]
        divisor = np.multiply.outer(divisor, np.array(count))
        weight = np.multiply.outer(weight, shares)
    return DivisorMap(divisor, weight)


@dataclass(frozen=True)
class OverlapMap:
    """How often the kernel of a transposed convolution paints over every output cell.

    Attributes:
        counts: products that each output cell sums (per input channel).
        is_even: whether all cells away from the border sum as many.
        advice: what to do where they do not.
    """

    counts: Array
    is_even: bool
    advice: str

    def __bool__(self) -> bool:
        return self.is_even

    def __str__(self) -> str:
        return f"{_table(self.counts)}\n{self.advice}"

    def save(self, path: str | Path) -> Path:
        """A picture of the map.

        Args:
            path: where; its ending chooses the format.
        """
        from rot180.check.figures import draw_planes, save_figure

        return save_figure(
            draw_planes([("products of each output cell", self.counts, None)], 1), path
        )


def overlap(
    input_size: tuple[int, ...], kernel_size: Integers, stride: Integers = 1, padding: Any = 0,
    output_padding: int | Sequence[int] = 0, dilation: Integers = 1,
) -> OverlapMap:  # fmt: skip
    """The overlap map of a transposed convolution: an uneven one shows as a checkerboard.

    Args:
        input_size: P per axis.
        kernel_size: R.
        stride: S.
        padding: cells cut off.
        output_padding: ρ.
        dilation: D.

    >>> print(overlap((3,), 3, 2))
      1  1  2  1  2  1  1
    uneven: kernel 3 is no multiple of stride 2 (checkerboard); resize and convolve, or
    kernel 2 or 4
    """
    sizes = tuple(input_size)
    axes = len(sizes)
    kernel = integers("kernel_size", kernel_size, axes, minimum=1)
    step = integers("stride", stride, axes, minimum=1)
    gaps = integers("dilation", dilation, axes, minimum=1)
    ones = np.ones((1, 1, *sizes))
    made = conv_transpose(
        ones, np.ones((1, 1, *kernel)), None, step, padding, output_padding, 1, gaps
    )
    counts = np.rint(made.data[0, 0]).astype(int)
    uneven = [(k, s) for k, s, d in zip(kernel, step, gaps, strict=True) if not _is_even(k, s, d)]
    if not uneven:
        return OverlapMap(
            counts, True, "even: away from the border every cell sums as many products"
        )
    k, s = uneven[0]
    less = k // s * s
    options = " or ".join(str(n) for n in (less, less + s) if n)
    return OverlapMap(
        counts, False,
        f"uneven: kernel {k} is no multiple of stride {s} (checkerboard); resize and convolve, "
        f"or kernel {options}",
    )  # fmt: skip


def _is_even(kernel: int, stride: int, dilation: int) -> bool:
    """Whether every residue class of output cells meets as many taps."""
    classes = [0] * stride
    for r in range(kernel):
        classes[dilation * r % stride] += 1
    return len(set(classes)) == 1


@dataclass(frozen=True)
class PaddingRule:
    """A rule of padding at given sizes.

    Attributes:
        rule: the word, or "padding n".
        padding: (before, after) per axis.
        output_size: P per axis.
        remainder: cells at the end that no window reads.
        gradient_padding: how the dilated gradient is padded in the backward pass.
        used_by: where it is the rule.
        note: why it does not apply here.
    """

    rule: str
    padding: tuple[tuple[int, int], ...]
    output_size: tuple[int, ...]
    remainder: tuple[int, ...]
    gradient_padding: tuple[tuple[int, int], ...]
    used_by: str
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return f"{self.rule:11} {self.note}"
        pads = " x ".join(f"{a}+{b}" for a, b in self.padding)
        back = " x ".join(f"{a}+{b}" for a, b in self.gradient_padding)
        return (
            f"{self.rule:11} {pads:11} -> {_join(self.output_size):7} left over "
            f"{_join(self.remainder)}, gradient padded {back}  ({self.used_by})"
        )


_RULES = (
    ("valid", "MATLAB, TensorFlow, SciPy"),
    ("same", "PyTorch, stride 1"),
    ("same_upper", "TensorFlow, JAX, ONNX: an odd cell goes after"),
    ("same_lower", "ONNX: an odd cell goes before"),
    ("full", "MATLAB, SciPy"),
)


def padding_rules(
    input_size: tuple[int, ...], kernel_size: Integers, stride: Integers = 1, dilation: Integers = 1
) -> tuple[PaddingRule, ...]:
    """The rules of padding side by side: where the odd cell goes, and what the gradient is padded.

    Args:
        input_size: H per axis.
        kernel_size: R.
        stride: S.
        dilation: D.

    >>> for rule in padding_rules((6,), 3, 2): print(rule)
    valid       0+0         -> 2       left over 1, gradient padded 2+3  (MATLAB, TensorFlow, SciPy)
    same        needs stride 1
    same_upper  0+1         -> 3       left over 0, gradient padded 2+1  (TensorFlow, JAX, ONNX: an odd cell goes after)
    same_lower  1+0         -> 3       left over 0, gradient padded 1+2  (ONNX: an odd cell goes before)
    full        2+2         -> 4       left over 1, gradient padded 0+1  (MATLAB, SciPy)
    symmetric   1+1         -> 3       left over 1, gradient padded 1+2  (PyTorch, Caffe: padding=(kernel - 1) // 2)
    """  # noqa: E501
    sizes = tuple(input_size)
    axes = len(sizes)
    kernel = integers("kernel_size", kernel_size, axes, minimum=1)
    step = integers("stride", stride, axes, minimum=1)
    gaps = integers("dilation", dilation, axes, minimum=1)
    half = tuple((d * (k - 1) // 2,) * 2 for d, k in zip(gaps, kernel, strict=True))
    given: list[tuple[str, Any, str]] = [(word, word, used) for word, used in _RULES]
    given.append(("symmetric", half, "PyTorch, Caffe: padding=(kernel - 1) // 2"))
    return tuple(
        _rule(name, padding, kernel, step, gaps, sizes, used) for name, padding, used in given
    )


def _rule(
    name: str, padding: Any, kernel: tuple[int, ...], step: tuple[int, ...],
    gaps: tuple[int, ...], sizes: tuple[int, ...], used: str,
) -> PaddingRule:  # fmt: skip
    try:
        pairs = resolve_padding(padding, kernel, step, gaps, sizes)
        window = Window.of(kernel, step, pairs, gaps, axes=len(sizes))
        outputs, left = window.output_size(sizes), window.remainder(sizes)
    except Rot180Error as error:
        note = "needs stride 1" if name == "same" else str(error)
        return PaddingRule(name, (), (), (), (), used, note)
    back = tuple((g.window.before, g.window.after) for g in window.input_gradient(sizes))
    return PaddingRule(name, pairs, outputs, left, back, used)


def _table(array: Array) -> str:
    """Numbers in rows, at most two axes."""
    rows = np.atleast_2d(array) if array.ndim <= 2 else array.reshape(-1, array.shape[-1])
    return "\n".join("  " + " ".join(f"{value:2.3g}" for value in row) for row in rows)


def _join(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))
