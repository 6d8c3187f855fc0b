"""`strength`: how good is a test? Every known mistake is put in, and the test has to notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.check.catalogue import Family, Trial, family_of
from rot180.check.discriminate import applies, made_by, trial_case
from rot180.check.mistake import Case, Mistake
from rot180.check.subject import as_array
from rot180.core import Array
from rot180.errors import ArgumentError, ShapeError

__all__ = ["Strength", "strength"]

_COMPARE = ("cells", "mean", "sum")


@dataclass(frozen=True)
class Strength:
    """The answer of `rot180.check.strength`. It is true where the test misses nothing.

    Attributes:
        operation: of which.
        caught: names of the mistakes that the test notices.
        missed: names of those it does not.
        hidden: names of those that do not show with its sizes, so that no comparison could notice.
    """

    operation: str
    caught: tuple[str, ...]
    missed: tuple[str, ...]
    hidden: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.missed and not self.hidden

    @property
    def score(self) -> float:
        """The share of the catalogue that is caught."""
        return len(self.caught) / max(1, len(self.caught) + len(self.missed) + len(self.hidden))

    def __str__(self) -> str:
        total = len(self.caught) + len(self.missed) + len(self.hidden)
        lines = [f"{self.operation}: the test catches {len(self.caught)} of {total} known mistakes"]
        lines += [f"  missed: {name}" for name in self.missed]
        lines += [f"  does not show with these sizes: {name}" for name in self.hidden]
        if not self:
            lines.append("  check.discriminating_shape gives inputs that show them all")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "operation": self.operation,
            "score": self.score,
            "caught": list(self.caught),
            "missed": list(self.missed),
            "hidden": list(self.hidden),
        }


def strength(
    test: Callable[..., Any] | Mapping[str, Any], operation: str = "conv2d", **options: Any
) -> Strength:
    """Find out what a test of a backward pass would miss.

    Args:
        test: a function that takes a backward pass, `backward(g, x, ...)` → gradients in the order
            of the operands, and raises or returns False where it finds it wrong. Or the test's
            sizes: {"x": (10, 3, 4, 4), "w": (5, 3, 2, 2)}, and under "compare" what it compares:
            "cells" (all of them, the default), "mean" or "sum" of each gradient.
        operation: what is tested.
        **options: of the operation: stride=2, ...

    Returns:
        A `Strength`: true where every mistake of the catalogue is caught.

    Raises:
        ArgumentError: a test that rejects the right backward pass, or is none.

    >>> sizes = {"x": (10, 3, 4, 4), "w": (8, 3, 2, 2), "compare": "mean"}
    >>> found = strength(sizes, stride=2, padding=2)
    >>> "kernel not turned" in found.missed
    True
    """
    family = family_of(operation)
    if isinstance(test, Mapping):
        sizes = dict(test)
        compare = str(sizes.pop("compare", "cells"))
        return _by_sizes(family, operation, sizes, compare, options)
    if not callable(test):
        raise ArgumentError("strength: no test", expected="a function, or sizes", got=repr(test))
    if not _passes(test, _Backward(family, operation, options, None)):
        raise ArgumentError(
            "strength: the test rejects the right backward pass",
            rule="a test takes backward(g, x, ...) and raises, or returns False, where it is wrong",
        )
    caught, missed, hidden = [], [], []
    for mistake in family.mistakes:
        wrong = _Backward(family, operation, options, mistake)
        noticed = not _passes(test, wrong)
        if not wrong.applies:
            continue
        if noticed:
            caught.append(mistake.name)
        elif wrong.shown:
            missed.append(mistake.name)
        else:
            hidden.append(mistake.name)
    return Strength(operation, tuple(caught), tuple(missed), tuple(hidden))


def _passes(test: Callable[..., Any], backward: Callable[..., Any]) -> bool:
    try:
        return test(backward) is not False
    except (AssertionError, ValueError, RuntimeError):
        return False


class _Backward:
    """A backward pass with one mistake, or with none."""

    def __init__(
        self, family: Family, operation: str, options: Mapping[str, Any], mistake: Mistake | None
    ) -> None:
        self.family, self.operation, self.options = family, operation, options
        self.mistake = mistake
        self.shown = self.applies = False

    def __call__(self, g: Any, *operands: Any, **options: Any) -> Any:
        arrays = {n: as_array(a) for n, a in zip(self.family.inputs, operands, strict=False)}
        arrays["g"] = as_array(g)
        wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in arrays.items()}
        case = self.family.prepare(self.operation, wide, {**self.options, **options})
        wrong = None
        if self.mistake is not None:
            wrong = _showing(case, self.mistake)
            self.applies = self.applies or applies(self.mistake, case)
        found = []
        for gradient, name in self.family.gradients:
            if name in arrays and gradient in case.answers:
                value = case.answers[gradient].value
                if wrong is not None and self.mistake and self.mistake.gradient == gradient:
                    value, self.shown = wrong, True
                dtype = arrays[name].dtype
                found.append(value.astype(dtype) if dtype.kind == "f" else value)
        return tuple(found) if len(found) > 1 else found[0]


def _showing(case: Case, mistake: Mistake) -> Array | None:
    """The first wrong gradient of the right shape that differs; else the first that differs."""
    answer = case.answers.get(mistake.gradient)
    if answer is None:
        return None
    peak = float(answer.size.max(initial=0))
    others = []
    for array in made_by(case, (mistake,)):
        if array.shape != answer.value.shape:
            others.append(array)
        elif float(np.abs(array - answer.value).max(initial=0)) > 1e-9 * peak:
            return array
    return others[0] if others else None


def _by_sizes(
    family: Family, operation: str, sizes: dict[str, Any], compare: str, options: dict[str, Any]
) -> Strength:
    if compare not in _COMPARE:
        raise ArgumentError("strength: compare", expected=", ".join(_COMPARE), got=repr(compare))
    unknown = [name for name in sizes if name not in family.inputs]
    if unknown or family.inputs[0] not in sizes:
        raise ArgumentError(
            "strength: sizes", expected=", ".join(family.inputs), got=", ".join(sizes) or "none"
        )
    shapes = tuple((name, tuple(int(n) for n in shape)) for name, shape in sizes.items())
    case = trial_case(family, operation, Trial(shapes, tuple(options.items())))
    if case is None:
        raise ShapeError(
            f"strength: {operation} does not exist for these sizes and options",
            got=", ".join(f"{name} {shape}" for name, shape in shapes),
        )
    caught, missed, hidden = [], [], []
    for mistake in family.mistakes:
        answer = case.answers.get(mistake.gradient)
        if not applies(mistake, case):
            continue
        wrong = _showing(case, mistake)
        if answer is None or wrong is None:
            hidden.append(mistake.name)
        elif _noticed(wrong, answer.value, answer.size, compare):
            caught.append(mistake.name)
        else:
            missed.append(mistake.name)
    return Strength(operation, tuple(caught), tuple(missed), tuple(hidden))


def _noticed(wrong: Array, right: Array, size: Array, compare: str) -> bool:
    if compare == "cells":
        return True
    reduce = np.mean if compare == "mean" else np.sum
    scale = float(reduce(size)) + 1e-300
    return abs(float(reduce(wrong)) - float(reduce(right))) > 1e-9 * scale
