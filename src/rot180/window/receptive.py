"""The receptive field of a chain of windows: which input cells an output can see at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rot180.errors import ArgumentError
from rot180.window.arguments import check_sizes, integer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rot180.window.window import Window

__all__ = ["ReceptiveField", "receptive_field"]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Output p sees, along an axis, the input cells start + jump·p, ..., start + jump·p + size − 1.

    Attributes:
        size: cells of the field per axis, from the first to the last.
        jump: input cells between the fields of neighbouring outputs.
        start: the first cell of output 0; negative in the padding.

    >>> from rot180.window import Window
    >>> field = ReceptiveField.identity(1).then(Window.of((3,), stride=2, padding=1))
    >>> field.then(Window.of((3,)))
    ReceptiveField(size=(7,), jump=(2,), start=(-1,))
    """

    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]

    @staticmethod
    def identity(axes: int) -> ReceptiveField:
        """The field of the input itself: every cell sees one cell, itself.

        Raises:
            ArgumentError: axes below 1.
        """
        axes = integer("axes", axes, minimum=1, op="receptive field")
        return ReceptiveField(size=(1,) * axes, jump=(1,) * axes, start=(0,) * axes)

    def then(self, window: Window) -> ReceptiveField:
        """The field after one more window: size + (e−1)·jump, jump·S, start − A·jump.

        Raises:
            ShapeError: a window with another number of axes.
        """
        check_sizes(self.size, len(window.axes), op="receptive field")
        layers = list(zip(window.axes, self.size, self.jump, self.start, strict=True))
        return ReceptiveField(
            size=tuple(size + (axis.effective - 1) * jump for axis, size, jump, _ in layers),
            jump=tuple(jump * axis.stride for axis, _, jump, _ in layers),
            start=tuple(start - axis.before * jump for axis, _, jump, start in layers),
        )

    def span(self, output: tuple[int, ...]) -> tuple[range, ...]:
        """The input cells between the first and the last that one output can see, per axis.

        Cells outside of the input are padding; inside a span, dilation leaves cells out.

        Raises:
            ShapeError: not one index per axis.

        >>> from rot180.window import Window
        >>> receptive_field([Window.of((3, 3), padding=1)] * 2).span((0, 4))
        (range(-2, 3), range(2, 7))
        """
        check_sizes(output, len(self.size), op="receptive field")
        firsts = [
            start + jump * p for start, jump, p in zip(self.start, self.jump, output, strict=True)
        ]
        return tuple(
            range(first, first + size) for first, size in zip(firsts, self.size, strict=True)
        )


def receptive_field(windows: Iterable[Window]) -> ReceptiveField:
    """The field of the last of a chain of windows on the input of the first.

    Raises:
        ArgumentError: no windows.
        ShapeError: windows that differ in their number of axes.

    >>> from rot180.window import Window
    >>> receptive_field([Window.of((5, 5)), Window.of((2, 2), stride=2)] * 2)
    ReceptiveField(size=(16, 16), jump=(4, 4), start=(0, 0))
    """
    field: ReceptiveField | None = None
    for window in windows:
        if field is None:
            field = ReceptiveField.identity(len(window.axes))
        field = field.then(window)
    if field is None:
        raise ArgumentError("receptive field: no windows", expected="at least one window")
    return field
