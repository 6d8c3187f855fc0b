"""Paddings that people guess: output_padding solved, and the rules of padding side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rot180.errors import Rot180Error
from rot180.window import Window, resolve_padding, transposed
from rot180.window.arguments import Integers, integers

__all__ = ["OutputPadding", "PaddingRule", "output_paddings", "padding_rules"]


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


def _join(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))
