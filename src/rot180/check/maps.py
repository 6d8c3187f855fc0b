"""Maps: what a mean pool divides by, and where a transposed convolution paints twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rot180.core import Array
from rot180.ops import conv_transpose
from rot180.window import pool_divisors, pool_window
from rot180.window.arguments import Integers, integers

__all__ = ["DivisorMap", "OverlapMap", "divisors", "overlap"]


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


def _table(array: Array) -> str:
    """Numbers in rows, at most two axes."""
    rows = np.atleast_2d(array) if array.ndim <= 2 else array.reshape(-1, array.shape[-1])
    return "\n".join("  " + " ".join(f"{value:2.3g}" for value in row) for row in rows)
