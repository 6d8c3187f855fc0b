"""Which inputs tell mistakes apart: the smallest shape for a catalogue, or for a few names."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.check.catalogue import Family, Trial, family_of
from rot180.check.mistake import Case, Change, Mistake
from rot180.check.search import variants
from rot180.core import Array
from rot180.errors import ArgumentError, Rot180Error

__all__ = [
    "DiscriminatingShape",
    "applies",
    "collisions",
    "discriminating_shape",
    "made_by",
    "trial_case",
]

Mistakes = tuple[Mistake, ...]


def made_by(case: Case, mistakes: Mistakes) -> Iterator[Array]:
    """The gradients that one mistake, or two together, make in a case."""
    first, *others = mistakes
    gradient = first.gradient
    for change, array in variants(case, first):
        if not others:
            yield from [array] if array is not None else _read(case, gradient, change)
            continue
        (second,) = others
        if second.factor is not None:
            factor = second.factor(case)
            made = [array] if array is not None else _read(case, gradient, change)
            yield from (factor * a for a in made if factor is not None)
            continue
        for other, _ in variants(case, second):
            if change is not None and other is not None and not change.keys() & other.keys():
                yield from _read(case, gradient, {**change, **other})


def _read(case: Case, gradient: str, change: Change | None) -> Iterator[Array]:
    """What a change makes: with the right shape, and with its own where that is another one."""
    role = case.roles[gradient]
    reading = case.relation.changed(**(change or {}))
    for shape in dict.fromkeys((case.relation.shape(role), reading.natural(role))):
        made = reading.compute(role, case.given(gradient), shape)
        if made is not None:
            yield made


def trial_case(family: Family, operation: str, trial: Trial, seed: int = 0) -> Case | None:
    """A case with random arrays of a trial's sizes; None where the sizes do not fit together."""
    rng = np.random.default_rng(seed)
    options = dict(trial.options)
    try:
        arrays = family.draw(operation, trial, rng)
        z = family.forward(operation, arrays, options)
        arrays["g"] = rng.standard_normal(z.shape)
        return family.prepare(operation, arrays, options)
    except Rot180Error:
        return None


def collisions(
    case: Case, gradient: str, candidates: Sequence[Mistakes]
) -> tuple[set[frozenset[str]], set[str]]:
    """Which candidates cannot be told apart in a case, and which do not show at all.

    Returns:
        Pairs of names with an array in common, and names of candidates that only make the right
        gradient, or none of its shape.
    """
    right = case.answers[gradient].value
    peak = float(case.answers[gradient].size.max(initial=0))
    seen: list[tuple[str, tuple[int, ...], float]] = []
    hidden = set()
    for mistakes in candidates:
        name = " and ".join(m.name for m in mistakes)
        shown = False
        for array in made_by(case, mistakes):
            if array.shape == right.shape and np.abs(array - right).max(initial=0) <= 1e-9 * peak:
                continue
            shown = True
            seen.append((name, array.shape, _fingerprint(array)))
        if not shown:
            hidden.add(name)
    pairs = set()
    for (a, shape_a, value_a), (b, shape_b, value_b) in itertools.combinations(seen, 2):
        if a != b and shape_a == shape_b and abs(value_a - value_b) <= 1e-9 * (1 + abs(value_a)):
            pairs.add(frozenset((a, b)))
    return pairs, hidden


def _fingerprint(array: Array) -> float:
    """One number that differs where arrays differ: a product with fixed random numbers."""
    return float(np.vdot(_weights(array.size), array.reshape(-1)))


@functools.lru_cache(maxsize=64)
def _weights(size: int) -> Array:
    return np.random.default_rng(size).standard_normal(size)


@dataclass(frozen=True)
class DiscriminatingShape:
    """The answer of `rot180.check.discriminating_shape`.

    Attributes:
        operation: of which.
        shapes: of every operand.
        options: of the operation.
        confused: pairs of names that even this shape does not tell apart.
        hidden: names of mistakes that do not show here.
        mistakes: how many were told apart.
    """

    operation: str
    shapes: dict[str, tuple[int, ...]]
    options: dict[str, Any]
    confused: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    mistakes: int

    def __bool__(self) -> bool:
        return not self.confused and not self.hidden

    def __str__(self) -> str:
        given = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        lines = [f"{self.operation}: {given}" + (f", {options}" if options else "")]
        lines.append(f"  tells {self.mistakes} mistakes from each other and from right")
        lines += [f"  not told apart: {a} / {b}" for a, b in self.confused]
        lines += [f"  does not show: {name}" for name in self.hidden]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "operation": self.operation,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "options": self.options,
            "confused": [list(pair) for pair in self.confused],
            "hidden": list(self.hidden),
            "mistakes": self.mistakes,
        }

    def arrays(self, seed: int = 0) -> dict[str, Array]:
        """Random operands of these shapes, and an upstream gradient g.

        Args:
            seed: of the numbers.
        """
        trial = Trial(tuple(self.shapes.items()), tuple(self.options.items()))
        case = trial_case(family_of(self.operation), self.operation, trial, seed)
        assert case is not None
        return case.arrays


def discriminating_shape(operation: str) -> DiscriminatingShape:
    """The smallest inputs that tell every known mistake of an operation from every other.

    Args:
        operation: such as "conv2d".

    Returns:
        The shapes, the options, and `arrays()`; false where a few mistakes stay together, which
        are named. Of all sizes tried the one with the fewest of them, and then the fewest cells.

    Raises:
        ArgumentError: an operation without a catalogue.

    >>> print(discriminating_shape("linear"))
    linear: x (3, 4), w (4, 4), b (4,)
      tells 22 mistakes from each other and from right
    """
    return _discriminating(operation)


@functools.lru_cache(maxsize=64)
def _discriminating(operation: str) -> DiscriminatingShape:
    family = family_of(operation)
    best: tuple[int, DiscriminatingShape] | None = None
    for trial in family.trials(operation):
        case = trial_case(family, operation, trial)
        if case is None:
            continue
        confused: set[frozenset[str]] = set()
        hidden: set[str] = set()
        count = 0
        if best is not None and _missed_at_least(family, case) >= best[0]:
            continue
        for gradient, _ in family.gradients:
            candidates = [(m,) for m in family.mistakes_of(gradient) if applies(m, case)]
            if gradient in case.answers:
                pairs, unseen = collisions(case, gradient, candidates)
                confused |= pairs
                hidden |= unseen
                count += len(candidates)
        missed = len(confused) + len(hidden)
        if best is None or missed < best[0]:
            pairs_of_names = tuple(sorted((min(p), max(p)) for p in confused))
            found = DiscriminatingShape(
                operation, dict(trial.shapes), dict(trial.options), pairs_of_names,
                tuple(sorted(hidden)), count - len(hidden),
            )  # fmt: skip
            best = (missed, found)
        if missed == 0:
            break
    if best is None:
        raise ArgumentError(f"discriminating_shape: no sizes for {operation!r}")
    return best[1]


def _missed_at_least(family: Family, case: Case) -> int:
    """What is missed by the integers alone: readings that stay the same, factors that are equal."""
    known = [m for m in family.mistakes if applies(m, case)]
    values = [(m.gradient, m.factor(case)) for m in known if m.factor is not None]
    equal = sum(a == b for a, b in itertools.combinations(values, 2))
    if case.reading is None:
        return equal
    right = case.relation
    same = [
        m
        for m in known
        if m.changes is not None
        and all(right.changed(**change) == right for change in m.changes(case))
    ]
    return equal + len(same)


def applies(mistake: Mistake, case: Case) -> bool:
    """Whether an entry belongs to this operation: its rank, the counts it needs, its arrays."""
    if mistake.factor is not None:
        return mistake.factor(case) is not None
    if mistake.changes is not None:
        return mistake.ranks is None or case.relation.rank in mistake.ranks
    return next(variants(case, mistake), None) is not None
