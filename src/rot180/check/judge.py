"""Judgement: what is said about one gradient, and which input would decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue import Family, Trial
from rot180.check.diagnosis import Finding, Question, algebra_lines
from rot180.check.discriminate import collisions, trial_case
from rot180.check.mistake import Case
from rot180.check.noise import require_shape
from rot180.check.search import Search
from rot180.core import Array
from rot180.errors import ArgumentError

__all__ = ["SIZES", "case_of", "finding_of", "question_for", "wide_of"]

SIZES = 32
"""How many sizes are tried, where some have to be chosen."""


def wide_of(array: Array) -> Array:
    """A float array in float64."""
    return array if array.dtype.kind in "iub" else np.array(array, np.float64, order="C")


def case_of(
    family: Family, operation: str, arrays: Mapping[str, Array], options: Mapping[str, Any]
) -> Case:
    """The case of these operands; g must have the output's shape."""
    missing = [name for name in (family.inputs[0], "g") if name not in arrays]
    missing += [name for name in family.required if name not in arrays]
    if missing:
        raise ArgumentError(
            f"diagnose: {operation} needs {', '.join(dict.fromkeys(missing))}",
            got=", ".join(arrays) or "no arrays",
        )
    wide = {name: wide_of(a) for name, a in arrays.items()}
    operands = {name: a for name, a in wide.items() if name != "g"}
    output = family.forward(operation, operands, options)
    require_shape("diagnose", "g (the output's)", arrays["g"].shape, output.shape)
    return family.prepare(operation, wide, options)


def finding_of(
    family: Family, case: Case, gradient: str, user: Array, epsilon: float, noise: float
) -> Finding:
    """What is said about one gradient.

    Args:
        family: of the operation.
        case: the operation at its arrays.
        gradient: "dx", "dw", ...
        user: the gradient that came.
        epsilon: the spacing of the data type it was computed in.
        noise: what is allowed besides, as a share of the largest sum of terms.

    Raises:
        ArgumentError: the operation has no such gradient with these operands.
    """
    answer = case.answers.get(gradient)
    if answer is None:
        raise ArgumentError(f"diagnose: {case.operation} has no {gradient} with these operands")
    if user.shape != answer.value.shape and _squeezed(user) == _squeezed(answer.value):
        user = user.reshape(answer.value.shape)
    user = np.asarray(user, np.float64)
    search = Search(case, gradient, family.mistakes_of(gradient), user, epsilon, noise)
    if search.is_right():
        return Finding(gradient, "right", size=user.size)
    found = search.run()
    fits = user.shape == answer.value.shape
    wrong = search.differs(user) if fits else np.ones(user.shape, bool)
    if not found:
        return Finding(
            gradient, "unknown", wrong=int(wrong.sum()), size=user.size,
            examples=_examples(user, answer.value, wrong), nearest=search.nearest,
            tried=search.tried, algebra=_shape_line(user, answer.value),
        )  # fmt: skip
    best = found[0]
    cell = tuple(int(i) for i in np.argwhere(wrong)[0])
    return Finding(
        gradient, "mistake" if len(found) == 1 else "several", tuple(found),
        int(wrong.sum()), int(wrong.sum()), user.size, _examples(user, answer.value, wrong),
        (*_shape_line(user, answer.value), *algebra_lines(case, gradient, best, cell)),
        tried=search.tried,
    )  # fmt: skip


def _squeezed(array: Array) -> tuple[int, ...]:
    return tuple(size for size in array.shape if size != 1)


def _shape_line(user: Array, right: Array) -> tuple[str, ...]:
    return () if user.shape == right.shape else (f"shape {user.shape}, should be {right.shape}",)


def _examples(
    user: Array, right: Array, wrong: Array
) -> tuple[tuple[tuple[int, ...], float, float], ...]:
    if user.shape != right.shape:
        return ()
    cells = [tuple(int(i) for i in cell) for cell in np.argwhere(wrong)[:3]]
    return tuple((cell, float(user[cell]), float(right[cell])) for cell in cells)


# What would decide


def question_for(
    family: Family, case: Case, findings: tuple[Finding, ...], seed: int
) -> Question | None:
    """The first input at which the explanations of every finding differ; sizes before options."""
    open_ones = [f for f in findings if f.verdict == "several"]
    if not open_ones:
        return None
    names = tuple(dict.fromkeys(name for f in open_ones for name in f.names))
    trials = tuple(family.trials(case.operation))
    options = tuple(case.options.items())
    small = (Trial(trial.shapes, options) for trial in trials[:SIZES])
    for trial in (*dict.fromkeys(small), *_resized(case, family), *trials):
        other = trial_case(family, case.operation, trial, seed)
        if other is not None and all(_decides(other, f) for f in open_ones):
            operands = {n: a for n, a in other.arrays.items() if n in case.arrays}
            return Question(case.operation, other.options, operands, names)
    return None


def _decides(case: Case, finding: Finding) -> bool:
    candidates = [e.mistakes for e in finding.explanations if e.mistakes and not e.text]
    if finding.gradient not in case.answers or len(candidates) < 2:
        return False
    pairs, hidden = collisions(case, finding.gradient, candidates)
    return not pairs and not hidden


def _resized(case: Case, family: Family) -> tuple[Trial, ...]:
    """The same options at other sizes: more images, more rows."""
    if not family.resizes or case.arrays["x"].ndim < 2:
        return ()
    shapes = {name: a.shape for name, a in case.arrays.items() if name in family.inputs}
    options = tuple(case.options.items())
    found = []
    for batch in (3, 5):
        for more in range(0 if batch != shapes["x"][0] else 1, 7):
            spatial = tuple(size + more + i for i, size in enumerate(shapes["x"][2:]))
            x = (batch, *shapes["x"][1:2], *spatial)
            found.append(Trial(tuple((shapes | {"x": x}).items()), options))
    return tuple(found)
