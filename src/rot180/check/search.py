"""Search: which known mistake makes exactly these arrays? Simple explanations first.

| level | explanation                                                                     |
| ----- | ------------------------------------------------------------------------------- |
| 1     | one mistake of the catalogue, factors such as 1/N among them                    |
| 2     | the right gradient flipped, its axes exchanged, shifted, or times some number   |
| 3     | one mistake, and a factor of the catalogue                                      |
| 4     | two mistakes that change different things (windowed operations)                 |
| 5     | one mistake, and some number                                                    |

The first level with an answer ends the search. Windowed mistakes are first computed for a single
image and channel, where the difference is largest; only what fits there is computed in full.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rot180.check.mistake import Case, Change, Mistake
from rot180.check.noise import floor
from rot180.check.reading import Reading
from rot180.core import Array

__all__ = ["Explanation", "Search", "variants"]

FLIPS, SHIFTS = 3, 3


@dataclass(frozen=True)
class Explanation:
    """What makes exactly the arrays that came.

    Attributes:
        mistakes: one entry of the catalogue, or two.
        value: the gradient that they make.
        cost: simple ones are low.
        text: for what is not in the catalogue: what it is, such as "0.37 times the right gradient".
        factor: a number in front that has no name.
        reading: for a windowed operation: how it was read.
    """

    mistakes: tuple[Mistake, ...]
    value: Array
    cost: int
    text: str = ""
    factor: float = 1.0
    reading: Reading | None = None

    @property
    def name(self) -> str:
        """The mistakes by name."""
        names = [m.name for m in self.mistakes]
        return " and ".join([*names, self.text] if self.text else names)


def variants(case: Case, mistake: Mistake) -> Iterator[tuple[Change | None, Array | None]]:
    """Every way a mistake shows in a case: a change of the reading, or an array."""
    if mistake.factor is not None:
        factor = mistake.factor(case)
        if factor is not None and factor != 1:
            yield None, factor * case.answers[mistake.gradient].value
    if mistake.changes is not None:
        for change in mistake.changes(case):
            yield change, None
    if mistake.arrays is not None:
        for array in mistake.arrays(case):
            yield None, np.asarray(array, np.float64)


@dataclass
class _Fit:
    """A variant in the part of the result that is looked at first."""

    mistake: Mistake
    change: Change | None
    part: Array
    seen: Array


@dataclass
class Search:
    """The search for one gradient.

    Attributes:
        case: the operation at its arrays.
        gradient: "dx", "dw", ...
        mistakes: the catalogue.
        user: the array that came.
        epsilon: the spacing of the data type it was computed in.
        extra_noise: what is allowed besides, as a share of the largest cell.
    """

    case: Case
    gradient: str
    mistakes: tuple[Mistake, ...]
    user: Array
    epsilon: float
    extra_noise: float = 0.0
    tried: int = 0
    nearest: tuple[float, str] = (0.0, "")
    _fits: list[_Fit] = field(default_factory=list)

    def __post_init__(self) -> None:
        answer = self.case.answers[self.gradient]
        self.right, self.size = answer.value, answer.size
        self.scale = float(self.size.max(initial=0))

    # What counts as equal

    def _allowed(self, value: Array) -> float:
        peak = max(self.scale, float(np.abs(value).max(initial=0)))
        return float(floor(np.asarray(peak), self.epsilon)) + self.extra_noise * peak

    def is_right(self) -> bool:
        """Whether the array is the right gradient, every cell within its own noise."""
        if self.user.shape != self.right.shape:
            return False
        allowed = floor(self.size, self.epsilon) + self.extra_noise * self.scale
        return bool((np.abs(self.user - self.right) <= allowed).all())

    def _equal(self, value: Array) -> bool:
        if value.shape != self.user.shape:
            return False
        return float(np.abs(self.user - value).max(initial=0)) <= self._allowed(value)

    def differs(self, value: Array) -> Array:
        """The cells that tell a wrong gradient from the right one."""
        return np.asarray(np.abs(value - self.right) > self._allowed(value))

    # The search

    def run(self) -> list[Explanation]:
        """All explanations of the simplest level that has one, the cheapest first."""
        self._fits = list(self._parts())
        levels = (self._single, self._transformed, self._factored, self._pairs, self._scaled)
        for level in levels:
            found: dict[str, Explanation] = {}
            for explanation in level():
                known = found.get(explanation.name)
                if known is None or explanation.cost < known.cost:
                    found[explanation.name] = explanation
            if found:
                return sorted(found.values(), key=lambda e: e.cost)
        return []

    def _point(self) -> dict[str, int] | None:
        """Image and channel of the result in which it differs most from the right one."""
        role = self.case.roles.get(self.gradient)
        if role is None or self.user.shape != self.right.shape:
            return None
        off = np.abs(self.user - self.right)
        worst = off.reshape(*off.shape[:2], -1).max(-1)
        i, j = (int(k) for k in np.unravel_index(int(worst.argmax()), worst.shape))
        r = self.case.relation
        if role == "w":
            return {"j": i // r.filters, "k": i % r.filters, "c": j}
        inner, name = (r.channels, "c") if role == "x" else (r.filters, "k")
        return {"n": i, "j": j // inner, name: j % inner}

    def _parts(self) -> Iterator[_Fit]:
        """Every variant, computed for the part that is looked at first."""
        self._at = self._point()
        for mistake in self.mistakes:
            for change, array in variants(self.case, mistake):
                if change is None:
                    if array is not None:
                        self.tried += 1
                        yield _Fit(mistake, None, array, self.user)
                    continue
                fit = self._read(mistake, change)
                if fit is not None:
                    yield fit

    def _read(self, mistake: Mistake, change: Change) -> _Fit | None:
        self.tried += 1
        role, given = self.case.roles[self.gradient], self.case.given(self.gradient)
        reading = self.case.relation.changed(**change)
        part = reading.compute(role, given, self.user.shape, self._at)
        if part is None:
            return None
        seen = self.user
        if self._at is not None:
            i, j = reading.place(role, self._at)
            seen = self.user[i : i + 1, j : j + 1]
        return _Fit(mistake, change, part, seen)

    def _whole(self, change: Change) -> tuple[Array | None, Reading]:
        role, given = self.case.roles[self.gradient], self.case.given(self.gradient)
        reading = self.case.relation.changed(**change)
        return reading.compute(role, given, self.user.shape), reading

    def _close(self, part: Array, seen: Array) -> bool:
        return part.shape == seen.shape and (
            float(np.abs(seen - part).max(initial=0)) <= self._allowed(part)
        )

    def _single(self) -> Iterator[Explanation]:
        for fit in self._fits:
            self._note(fit)
            if self._close(fit.part, fit.seen):
                yield from self._confirmed((fit.mistake,), fit.change, fit.part, fit.mistake.cost)

    def _confirmed(
        self, mistakes: tuple[Mistake, ...], change: Change | None, part: Array, cost: int,
        factor: float = 1.0, text: str = "",
    ) -> Iterator[Explanation]:  # fmt: skip
        reading = None
        if change is not None:
            whole, reading = self._whole(change)
            if whole is None:
                return
            part = whole
        value = factor * part
        if self._equal(value):
            yield Explanation(mistakes, value, cost, text, factor, reading)

    def _note(self, fit: _Fit) -> None:
        if fit.part.shape == fit.seen.shape:
            share = float((np.abs(fit.seen - fit.part) <= self._allowed(fit.part)).mean())
            if share > self.nearest[0]:
                self.nearest = (share, fit.mistake.name)

    # The right gradient, moved or scaled

    def _transformed(self) -> Iterator[Explanation]:
        right, rank = self.right, self.right.ndim
        if right.shape == self.user.shape:
            for count in range(1, min(rank, FLIPS) + 1):
                for axes in itertools.combinations(range(rank), count):
                    if self._equal(np.flip(right, axes)):
                        yield Explanation((), np.flip(right, axes), 20, _flipped(axes))
            yield from self._shifted()
            factor = _factor(self.user, right)
            if factor is not None and self._equal(factor * right):
                text = "gradient zero" if factor == 0 else f"{factor:.6g} times the right gradient"
                yield Explanation((), factor * right, 26, text, factor)
        for order in itertools.permutations(range(rank)) if 1 < rank <= 5 else ():
            if order != tuple(range(rank)) and self._equal(right.transpose(order)):
                yield Explanation((), right.transpose(order), 21, f"axes exchanged to {order}")
        yield from self._not_summed()

    def _shifted(self) -> Iterator[Explanation]:
        """The right gradient moved by some cells, the rest zero."""
        rank = self.right.ndim - 2
        if self.gradient not in self.case.roles or rank > 2:
            return
        for steps in itertools.product(range(-SHIFTS, SHIFTS + 1), repeat=rank):
            if any(steps):
                moved = _moved(self.right, steps)
                if self._equal(moved) and np.abs(moved).max(initial=0) > 0:
                    yield Explanation((), moved, 24, f"shifted by {steps} cells")

    def _not_summed(self) -> Iterator[Explanation]:
        """An array with more axes, whose sum over them is the right gradient."""
        more = self.user.ndim - self.right.ndim
        if 0 < more <= 3:
            for axes in itertools.combinations(range(self.user.ndim), more):
                summed = self.user.sum(axes)
                if summed.shape == self.right.shape and (
                    float(np.abs(summed - self.right).max(initial=0)) <= self._allowed(self.right)
                ):
                    text = f"not summed over axes {axes} (broadcasting repeats, its gradient sums)"
                    yield Explanation((), self.user, 20, text)

    # A mistake and a factor, or two mistakes

    def _factors(self) -> Iterator[tuple[Mistake, float]]:
        for mistake in self.mistakes:
            if mistake.factor is not None:
                value = mistake.factor(self.case)
                if value is not None and value != 1:
                    yield mistake, value

    def _factored(self) -> Iterator[Explanation]:
        named = list(self._factors())
        for fit in self._fits:
            factor = None if fit.mistake.factor else _factor(fit.seen, fit.part)
            for mistake, value in named if factor is not None else ():
                if abs(value - (factor or 0)) <= 1e-3 * abs(value):
                    both = (fit.mistake, mistake)
                    cost = 10 + fit.mistake.cost + mistake.cost
                    yield from self._confirmed(both, fit.change, fit.part, cost, value)

    def _scaled(self) -> Iterator[Explanation]:
        for fit in self._fits:
            factor = None if fit.mistake.factor else _factor(fit.seen, fit.part)
            if factor:
                text = f"times {factor:.6g}"
                cost = 40 + fit.mistake.cost
                yield from self._confirmed((fit.mistake,), fit.change, fit.part, cost, factor, text)

    def _pairs(self) -> Iterator[Explanation]:
        changed = [(fit.mistake, fit.change) for fit in self._fits if fit.change is not None]
        for (first, a), (second, b) in itertools.combinations(changed, 2):
            if first is second or a.keys() & b.keys():
                continue
            change = {**a, **b}
            fit = self._read(first, change)
            if fit is not None and self._close(fit.part, fit.seen):
                cost = 10 + first.cost + second.cost
                yield from self._confirmed((first, second), change, fit.part, cost)


def _factor(user: Array, value: Array) -> float | None:
    """The number c with user = c · value, or None."""
    if user.shape != value.shape:
        return None
    norm = float(np.vdot(value, value))
    if norm == 0:
        return None
    c = float(np.vdot(value, user)) / norm
    rest = float(np.abs(user - c * value).max(initial=0))
    return c if rest <= 1e-3 * float(np.abs(user).max(initial=0)) else None


def _flipped(axes: tuple[int, ...]) -> str:
    return f"the right gradient, flipped along axes {axes}"


def _moved(array: Array, steps: tuple[int, ...]) -> Array:
    out = np.zeros_like(array)
    source, target = [slice(None), slice(None)], [slice(None), slice(None)]
    for step, size in zip(steps, array.shape[2:], strict=True):
        if abs(step) >= size:
            return out
        source.append(slice(max(0, -step), size - max(0, step)))
        target.append(slice(max(0, step), size - max(0, -step)))
    out[tuple(target)] = array[tuple(source)]
    return out
