"""Operations without a window: the engine gives the right gradients, entries are arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.family import Trial
from rot180.check.mistake import Answer, Case, Mistake
from rot180.core import Array, Tensor, gradients

__all__ = ["draw_normal", "engine_case", "entry", "once"]

Arrays = Mapping[str, Array]
Make = Callable[[Case], Iterable[Array]]


def entry(
    name: str, gradient: str, group: str, arrays: Make, algebra: str, fix: str, cost: int = 10
) -> Mistake:
    """A mistake that shows as arrays."""
    return Mistake(name, gradient, group, algebra, fix, arrays=arrays, cost=cost)


def once(make: Callable[[Case], Array | None]) -> Make:
    """A mistake that shows in one way, or (None) not at all."""

    def arrays(case: Case) -> Iterable[Array]:
        made = make(case)
        return () if made is None else (made,)

    return arrays


def engine_case(
    operation: str, f: Callable[..., Tensor], arrays: Arrays, options: Mapping[str, Any],
    wanted: Mapping[str, str],
) -> Case:  # fmt: skip
    """A case whose right gradients are the engine's.

    Args:
        operation: its name.
        f: takes the operands by name, as tensors (integers as they are).
        arrays: operands and g.
        options: of the operation.
        wanted: gradient → operand.
    """
    tensors = {
        name: Tensor(a, requires_grad=a.dtype.kind == "f")
        for name, a in arrays.items()
        if name != "g"
    }
    y = f(**tensors)
    given = {d: name for d, name in wanted.items() if name in arrays}
    case = Case(operation, dict(arrays), dict(options), extra={"y": y.data})
    if not y.requires_grad:
        return case
    found = gradients([y], [tensors[name] for name in given.values()], [arrays["g"]])
    for (gradient, name), d in zip(given.items(), found, strict=True):
        value = np.zeros_like(arrays[name]) if d is None else d.data
        # Sums inside cancel, so a cell's noise is that of the largest one.
        case.answers[gradient] = Answer(value, np.abs(value) + np.abs(value).max(initial=0))
    case.facts["N"] = arrays[next(iter(given.values()))].shape[0] if arrays["g"].ndim else 1
    return case


def draw_normal(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    """Random operands of a trial's shapes."""
    return {name: rng.standard_normal(shape) for name, shape in trial.shapes}
