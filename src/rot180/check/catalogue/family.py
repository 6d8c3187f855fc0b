"""Families: the operations that can be diagnosed, what they take, and their mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rot180.check.mistake import Case, Mistake
from rot180.core import Array

__all__ = ["Family", "Trial"]

Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Trial:
    """Sizes at which mistakes may show.

    Attributes:
        shapes: of every operand but the upstream gradient.
        options: of the operation.
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def cells(self) -> int:
        """How many numbers it takes, ones that are not a cell's (a shape of ()) included."""
        total = 0
        for _, shape in self.shapes:
            count = 1
            for size in shape:
                count *= size
            total += count
        return total


@dataclass(frozen=True)
class Family:
    """Operations with the same operands and the same mistakes.

    Attributes:
        operations: their names.
        inputs: names of the operands in order.
        required: those that may not be missing.
        gradients: (gradient, operand) pairs.
        options: names of the arguments it understands.
        forward: (operation, arrays, options) → the output.
        prepare: (operation, arrays with g, options) → the case with its right gradients.
        mistakes: the catalogue.
        draw: (operation, trial, rng) → operands that make the mistakes show.
        trials: (operation) → sizes to try, small ones first.
        resizes: whether operands of other sizes make sense.
    """

    operations: tuple[str, ...]
    inputs: tuple[str, ...]
    required: tuple[str, ...]
    gradients: tuple[tuple[str, str], ...]
    options: tuple[str, ...]
    forward: Callable[[str, Arrays, Mapping[str, Any]], Array]
    prepare: Callable[[str, Arrays, Mapping[str, Any]], Case]
    mistakes: tuple[Mistake, ...]
    draw: Callable[[str, Trial, Any], dict[str, Array]]
    trials: Callable[[str], Iterator[Trial]]
    resizes: bool = True

    def mistakes_of(self, gradient: str) -> tuple[Mistake, ...]:
        """The mistakes that spoil one gradient."""
        return tuple(m for m in self.mistakes if m.gradient == gradient)
