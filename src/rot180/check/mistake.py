"""Mistake: one entry of the catalogue, as data; and the case that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rot180.check.reading import Reading
from rot180.core import Array

__all__ = ["Answer", "Case", "Change", "Mistake"]

Change = Mapping[str, Any]
"""Fields of a `Reading` and their wrong values."""


@dataclass(frozen=True)
class Answer:
    """A right gradient.

    Attributes:
        value: the gradient.
        size: the sum of the absolute terms of each cell, which noise is relative to.
    """

    value: Array
    size: Array


@dataclass
class Case:
    """An operation at given arrays, with its right gradients. All arrays are float64.

    Attributes:
        operation: its name, such as "conv2d".
        arrays: operands and the upstream gradient g by name.
        options: the operation's other arguments.
        answers: the right gradients by name: "dx", "dw", "db".
        facts: the counts that factors are made of, by name ("N", "positions", "taps", ...).
        reading: how a windowed operation is read; None for others.
        roles: for each gradient the operand of the form that it is read for.
        factors: for each role the array that stands there.
        extra: what only the operation's own mistakes need.
    """

    operation: str
    arrays: dict[str, Array]
    options: dict[str, Any]
    answers: dict[str, Answer] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    reading: Reading | None = None
    roles: dict[str, str] = field(default_factory=dict)
    factors: dict[str, Array] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def relation(self) -> Reading:
        """The reading of a windowed operation."""
        assert self.reading is not None
        return self.reading

    def given(self, gradient: str) -> dict[str, Array]:
        """The operands of the form, without the unknown."""
        return {r: a for r, a in self.factors.items() if r != self.roles[gradient]}


Wrong = Callable[[Case], Iterable[Any]]


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    Attributes:
        name: as people would say it.
        gradient: which gradient it spoils.
        group: the group of the catalogue.
        algebra: one line: what is, and what should be.
        fix: what to change.
        changes: for a windowed operation: the wrong readings it shows as.
        arrays: for any operation: the wrong gradients it shows as.
        factor: where it is nothing but a factor: which.
        cost: simpler explanations cost less and are named first.
        ranks: numbers of spatial axes at which it exists; None: at all.
    """

    name: str
    gradient: str
    group: str
    algebra: str
    fix: str
    changes: Callable[[Case], Iterable[Change]] | None = None
    arrays: Callable[[Case], Iterable[Array]] | None = None
    factor: Callable[[Case], float | None] | None = None
    cost: int = 10
    ranks: tuple[int, ...] | None = None
