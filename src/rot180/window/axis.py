"""One spatial axis of a window: the relation h = S·p + D·r − A, its sizes and its two adjoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rot180.errors import ShapeError
from rot180.window.arguments import integer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Axis", "InputGradient", "WeightGradient"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a window: output p reads, with tap r, the cell h = S·p + D·r − A.

    Args:
        kernel: R, the number of taps, at least 1.
        stride: S, cells between neighbouring outputs, at least 1.
        dilation: D, cells between neighbouring taps, at least 1 (1 means no gaps).
        before: A, zeros put before the input; negative crops cells away.
        after: B, zeros put after the input; negative crops cells away.

    Raises:
        ArgumentError: no integer, or one below its minimum.

    >>> axis = Axis(kernel=4, stride=3, before=2, after=2)
    >>> axis.output_size(5), axis.remainder(5)
    (2, 2)
    >>> list(axis.taps(5))
    [(0, 2, 0), (0, 3, 1), (1, 0, 1), (1, 1, 2), (1, 2, 3), (1, 3, 4)]
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        # Stored as Python ints (NumPy's compare equal but print and serialise differently).
        put = object.__setattr__
        put(self, "kernel", integer("kernel_size", self.kernel, minimum=1))
        put(self, "stride", integer("stride", self.stride, minimum=1))
        put(self, "dilation", integer("dilation", self.dilation, minimum=1))
        put(self, "before", integer("padding", self.before))
        put(self, "after", integer("padding", self.after))

    @property
    def effective(self) -> int:
        """Effective kernel e = D·(R−1) + 1: the cells from the first tap to the last.

        >>> Axis(kernel=3, dilation=2).effective
        5
        """
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int, *, op: str = "window", axis: int = 0) -> int:
        """P = ⌊(H+A+B−e)/S⌋ + 1 for an input of `size` cells.

        Args:
            size: H, the number of input cells.
            op: the operation an error message names.
            axis: the axis an error message names.

        Raises:
            ShapeError: the effective kernel is larger than the padded input, H+A+B < e, or the
                input has no cells.

        >>> Axis(kernel=5).output_size(28)
        24
        """
        room = size + self.before + self.after - self.effective
        if room < 0 or size < 1:
            raise self._no_output(size, op, axis)
        return room // self.stride + 1

    def remainder(self, size: int, *, op: str = "window", axis: int = 0) -> int:
        """ρ = (H+A+B−e) mod S: the cells at the end that no window reaches.

        Raises:
            ShapeError: the effective kernel is larger than the padded input.

        >>> Axis(kernel=3, stride=2).remainder(6)
        1
        """
        room = size + self.before + self.after - self.effective
        if room < 0 or size < 1:
            raise self._no_output(size, op, axis)
        return room % self.stride

    def position(self, p: int, r: int) -> int:
        """Cell h = S·p + D·r − A that output p reads with tap r; outside of 0..H−1 it is 0.

        >>> Axis(kernel=3, stride=2, before=1).position(0, 0)
        -1
        """
        return self.stride * p + self.dilation * r - self.before

    def live_taps(self, p: int, size: int) -> range:
        """The taps r with which output p reads a real cell, 0 <= S·p + D·r − A < H.

        >>> Axis(kernel=3, before=1, after=1).live_taps(0, 5)
        range(1, 3)
        """
        first = self.stride * p - self.before
        start = max(0, -(first // self.dilation))
        stop = min(self.kernel, -((first - size) // self.dilation))
        return range(start, stop)

    def taps(self, size: int) -> Iterator[tuple[int, int, int]]:
        """The relation itself: all (p, r, h) with h = S·p + D·r − A a cell of the input.

        Ordered by p, then r. The sum of w[r]·x[h] over those of one p is the forward pass, of
        w[r]·g[p] over those of one h the input gradient, of g[p]·x[h] over those of one r the
        weight gradient.

        Raises:
            ShapeError: the effective kernel is larger than the padded input.

        >>> list(Axis(kernel=2).taps(3))
        [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)]
        """
        outputs = self.output_size(size)
        return (
            (p, r, self.position(p, r)) for p in range(outputs) for r in self.live_taps(p, size)
        )

    def arithmetic(self, size: int) -> str:
        """The computation of the output size with the numbers put in, also where there is none.

        >>> Axis(kernel=3, stride=2, before=1, after=1).arithmetic(6)
        '(6 + 1 + 1 - 3) // 2 + 1 = 3'
        """
        room = size + self.before + self.after - self.effective
        before, after = (f"- {-n}" if n < 0 else f"+ {n}" for n in (self.before, self.after))
        return (
            f"({size} {before} {after} - {self.effective}) // {self.stride} + 1"
            f" = {room // self.stride + 1}"
        )

    def input_gradient(self, size: int) -> InputGradient:
        """The same relation read for h: dilate g by S, pad it, correlate with the turned kernel.

        Raises:
            ShapeError: the effective kernel is larger than the padded input.

        >>> Axis(kernel=4, stride=3, before=2, after=2).input_gradient(5)
        InputGradient(dilate=3, window=Axis(kernel=4, stride=1, dilation=1, before=1, after=3))
        """
        rest = self.effective - 1
        window = Axis(
            kernel=self.kernel,
            dilation=self.dilation,
            before=rest - self.before,
            after=rest - self.after + self.remainder(size),
        )
        return InputGradient(dilate=self.stride, window=window)

    def weight_gradient(self, size: int) -> WeightGradient:
        """The same relation read for r: correlate x with g dilated by S, moving on by D.

        Raises:
            ShapeError: the effective kernel is larger than the padded input.

        >>> record = Axis(kernel=4, stride=3, before=2, after=2).weight_gradient(5)
        >>> record.window
        Axis(kernel=2, stride=1, dilation=3, before=2, after=2)
        >>> record.taps, record.surplus
        (4, 2)
        """
        window = Axis(
            kernel=self.output_size(size),
            stride=self.dilation,
            dilation=self.stride,
            before=self.before,
            after=self.after,
        )
        surplus = self.remainder(size) // self.dilation
        return WeightGradient(dilate=self.stride, window=window, taps=self.kernel, surplus=surplus)

    def _no_output(self, size: int, op: str, axis: int) -> ShapeError:
        if size < 1:
            return ShapeError(
                f"{op}: no input along axis {axis}", expected="at least 1 cell", got=str(size)
            )
        return ShapeError(
            f"{op}: no output along axis {axis}",
            arithmetic=self.arithmetic(size),
            expected=f"an input of at least {self.effective - self.before - self.after}",
            got=str(size),
            rule="the effective kernel dilation*(kernel-1)+1 must fit into the padded input",
        )


@dataclass(frozen=True, slots=True)
class InputGradient:
    """How the input gradient is a correlation: its stride is the forward dilation of g.

    Attributes:
        dilate: S; g of P cells becomes S·(P−1)+1 cells, with zeros between.
        window: correlate the dilated g by this window with the kernel turned by 180 degrees
            (tap R−1−r); the result has exactly the H cells of the input. Its padding
            (e−1−A, e−1−B+ρ) is a crop where it is negative, and independent of the stride
            but for the remainder ρ.
    """

    dilate: int
    window: Axis


@dataclass(frozen=True, slots=True)
class WeightGradient:
    """How the weight gradient is a correlation: of the input, by g dilated by S.

    Attributes:
        dilate: S; g of P cells becomes S·(P−1)+1 cells, with zeros between (the window's dilation
            says the same, so g itself is handed over as the window's kernel).
        window: correlate x by this window with g as its kernel: R + surplus cells.
        taps: R, the cells to keep: the first ones.
        surplus: ⌊ρ/D⌋, the cells at the end that belong to no tap.
    """

    dilate: int
    window: Axis
    taps: int
    surplus: int
