"""Rounds: code is run on inputs that were given or chosen, and again where that decides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.adapters import accepted, run_code
from rot180.check.catalogue import Family, Trial
from rot180.check.diagnosis import Diagnosis, Finding, algebra_lines
from rot180.check.discriminate import applies, collisions, trial_case
from rot180.check.judge import SIZES, case_of, finding_of, question_for, wide_of
from rot180.check.mistake import Case
from rot180.check.noise import require_finite, spacing
from rot180.check.search import Explanation
from rot180.core import Array
from rot180.errors import ArgumentError, ShapeError

__all__ = ["diagnose_code"]

_ROUNDS = 3
"""How often code is run again on an input that decides between explanations."""


def diagnose_code(
    family: Family, operation: str, code: Any, arrays: dict[str, Array],
    options: dict[str, Any], noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    """Diagnose code, on the operands that were given or on ones that tell mistakes apart."""
    operands = arrays if family.inputs[0] in arrays else None
    first = _chosen(family, operation, operands, options, seed)
    if operands is None:
        taken = (*accepted(code, family.inputs), *family.required, "g")
        first = {name: a for name, a in first.items() if name in taken}
    diagnosis = _run(family, operation, code, first, options, noise, seed)
    for round in range(1, _ROUNDS):
        question = diagnosis.question
        if question is None or dict(question.options) != dict(
            diagnosis.case.options if diagnosis.case else {}
        ):
            break
        again = {n: a for n, a in question.operands.items() if n in first}
        dtype = first["g"].dtype
        again = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in again.items()}
        second = _run(family, operation, code, again, options, noise, seed + round)
        diagnosis = _both(diagnosis, second)
    return diagnosis


def _chosen(
    family: Family, operation: str, operands: dict[str, Array] | None,
    options: dict[str, Any], seed: int,
) -> dict[str, Array]:  # fmt: skip
    """The operands that were given, or ones of this operation with a random g."""
    rng = np.random.default_rng(seed)
    if operands is not None:
        given = dict(operands)
        if "g" not in given:
            wide = {n: wide_of(a) for n, a in given.items()}
            z = family.forward(operation, wide, options)
            dtype = next(a.dtype for a in given.values() if a.dtype.kind == "f")
            given["g"] = rng.standard_normal(z.shape).astype(dtype)
        return given
    best: tuple[int, Case] | None = None
    for trial in itertools.islice(_sizes(family, operation, options), SIZES):
        case = trial_case(family, operation, trial, seed)
        if case is None:
            continue
        missed = 0
        for gradient, _ in family.gradients:
            if gradient in case.answers:
                singles = [(m,) for m in family.mistakes_of(gradient) if applies(m, case)]
                pairs, hidden = collisions(case, gradient, singles)
                missed += len(pairs) + 10 * len(hidden)  # what does not show is missed for good
        if best is None or missed < best[0]:
            best = (missed, case)
    if best is None:
        raise ShapeError(
            f"diagnose: no inputs were found for {operation} with these options",
            got=", ".join(f"{k}={v}" for k, v in options.items()),
            rule="give x, w, ... yourself",
        )
    return best[1].arrays


def _sizes(family: Family, operation: str, options: dict[str, Any]) -> Iterator[Trial]:
    """Sizes for given options: those of the family, with every remainder a stride may leave."""
    given = tuple(options.items())
    seen = set()
    for trial in family.trials(operation):
        shapes = dict(trial.shapes)
        small = (*shapes["x"][:2], *(size % 3 + 4 for size in shapes["x"][2:]))
        if trial.shapes[1:] in seen and len(small) > 2:
            continue
        seen.add(trial.shapes[1:])
        for more in range(4 if len(small) > 2 else 1):
            x = (*small[:2], *(size + more for size in small[2:]))
            yield Trial((("x", x), *trial.shapes[1:]), given)
        yield Trial(trial.shapes, given)


def _run(
    family: Family, operation: str, code: Any, arrays: dict[str, Array],
    options: dict[str, Any], noise: float, seed: int,
) -> Diagnosis:  # fmt: skip
    for name, array in arrays.items():
        require_finite("diagnose", name, array)
    case = case_of(family, operation, arrays, options)
    operands = {n: arrays[n] for n in family.inputs if n in arrays}
    output, made, notes = run_code(code, operands, arrays["g"])
    came = {name: value for name, value in made.items() if value is not None}
    for name, value in came.items():
        require_finite("diagnose", f"your d{name}", value)
    notes += _narrowed(operands, came)
    epsilon = spacing(*arrays.values(), *came.values())
    if output is not None:
        notes = [*notes, *_forward_note(family, operation, arrays, options, output, epsilon)]
    wanted = {operand: gradient for gradient, operand in family.gradients}
    findings = [
        Finding(wanted[name], "missing")
        if value is None
        else finding_of(family, case, wanted[name], value, epsilon, noise)
        for name, value in made.items()
        if name in wanted and operands[name].dtype.kind == "f"
    ]
    if not findings:
        raise ArgumentError("diagnose: the code returned no gradient")
    question = question_for(family, case, tuple(findings), seed)
    return Diagnosis(operation, tuple(findings), question, tuple(notes), case)


def _narrowed(operands: Mapping[str, Array], made: Mapping[str, Array]) -> list[str]:
    """Gradients that came back in a coarser data type than their operand."""
    return [
        f"d{name} is {value.dtype}, {name} is {operands[name].dtype}: precision was lost"
        for name, value in made.items()
        if value.dtype.kind == "f" and value.dtype.itemsize < operands[name].dtype.itemsize
    ]


def _forward_note(
    family: Family, operation: str, arrays: Mapping[str, Array], options: Mapping[str, Any],
    output: Array, epsilon: float,
) -> list[str]:  # fmt: skip
    operands = {n: wide_of(a) for n, a in arrays.items() if n != "g"}
    right = family.forward(operation, operands, options)
    given = ", ".join(f"{k}={v}" for k, v in options.items()) or "default options"
    if output.shape != right.shape and output.size != right.size:
        return [
            f"your forward pass gives shape {output.shape}, {operation} with {given} {right.shape}"
        ]
    off = float(np.abs(output.reshape(right.shape) - right).max(initial=0))
    scale = float(np.abs(right).max(initial=0)) + 1e-300
    if off > 1e4 * epsilon * scale:
        off_by = f"your forward pass is not {operation} with {given} (off by up to {off:.2g}): "
        return [off_by + "rot180 identify finds out which convention it follows"]
    return []


def _both(first: Diagnosis, second: Diagnosis) -> Diagnosis:
    """What is said after a second look: explanations that fit both times."""
    findings = []
    for old in first.findings:
        new = next((f for f in second.findings if f.gradient == old.gradient), old)
        kept = tuple(e for e in old.explanations if e.name in new.names)
        if old.verdict != "several" or not kept:
            findings.append(old if new.verdict == "right" else new)
            continue
        verdict = "mistake" if len(kept) == 1 else "several"
        findings.append(_replaced(old, verdict, kept, first.case))
    question = second.question if any(f.verdict == "several" for f in findings) else None
    notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
    return Diagnosis(first.operation, tuple(findings), question, notes, first.case)


def _replaced(
    old: Finding, verdict: str, kept: tuple[Explanation, ...], case: Case | None
) -> Finding:
    cell = old.examples[0][0] if old.examples else ()
    algebra = algebra_lines(case, old.gradient, kept[0], cell) if case and cell else ()
    return Finding(
        old.gradient, verdict, kept, old.cells, old.wrong, old.size, old.examples, algebra,
        tried=old.tried,
    )  # fmt: skip
