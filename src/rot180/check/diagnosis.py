"""The answer of `diagnose`: for every gradient right, or which mistake, and what speaks for it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rot180.check.mistake import Case
from rot180.check.noise import cell_text
from rot180.check.reading import renamed
from rot180.check.search import Explanation
from rot180.core import Array, Form

__all__ = ["Diagnosis", "Finding", "Question"]

_TERMS = 4
"""Products of a cell that are printed."""


@dataclass(frozen=True)
class Question:
    """An input at which explanations that all fit would differ.

    Attributes:
        operation: the operation.
        options: its arguments.
        operands: arrays by name, the upstream gradient g among them.
        names: the explanations that it tells apart.
    """

    operation: str
    options: Mapping[str, Any]
    operands: Mapping[str, Array]
    names: tuple[str, ...]

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in self.operands.items())
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{shapes}" + (f", {options}" if options else "")

    def save(self, path: str | Path) -> Path:
        """Write arrays and options as a `.npz`, to which dx, dw, ... are to be added.

        Args:
            path: where.
        """
        target = Path(path)
        arrays: dict[str, Any] = {name: np.asarray(v) for name, v in self.options.items()}
        np.savez(target, operation=np.asarray(self.operation), **(arrays | dict(self.operands)))
        return target


@dataclass(frozen=True)
class Finding:
    """What is said about one gradient.

    Attributes:
        gradient: "dx", "dw", ...
        verdict: "right", "mistake", "several" (more than one fits), "missing" (None came) or
            "unknown".
        explanations: what fits, the simplest first.
        cells: how many cells tell the named mistake from right, all of which speak for it.
        wrong: how many cells are wrong.
        size: how many cells there are.
        examples: (cell, yours, right) of a few of them.
        algebra: lines that say what is computed and what should be.
        nearest: for "unknown": the entry that comes nearest, and the share of cells that fit it.
        tried: how many hypotheses were compared.
    """

    gradient: str
    verdict: str
    explanations: tuple[Explanation, ...] = ()
    cells: int = 0
    wrong: int = 0
    size: int = 0
    examples: tuple[tuple[tuple[int, ...], float, float], ...] = ()
    algebra: tuple[str, ...] = ()
    nearest: tuple[float, str] = (0.0, "")
    tried: int = 0

    def __bool__(self) -> bool:
        return self.verdict == "right"

    @property
    def name(self) -> str:
        """The mistake by name, "right", or "not one of the known mistakes"."""
        if self.verdict in ("right", "missing"):
            return "right" if self.verdict == "right" else "no gradient came"
        return self.explanations[0].name if self.explanations else "not one of the known mistakes"

    @property
    def names(self) -> tuple[str, ...]:
        """Every explanation that fits."""
        return tuple(e.name for e in self.explanations)

    @property
    def fix(self) -> str:
        """What to change."""
        if self.verdict == "missing":
            return "return a gradient: an output needs one where any of its inputs does"
        if not self.explanations:
            return ""
        return "; ".join(dict.fromkeys(m.fix for m in self.explanations[0].mistakes))

    def lines(self) -> list[str]:
        """The finding as text."""
        lines = [f"{self.gradient}: {self.name}"]
        if self.verdict == "unknown":
            share, name = self.nearest
            lines.append(f"  {self.wrong} of {self.size} cells are wrong")
            if share > max(0.5, 1 - self.wrong / max(1, self.size)):
                lines.append(f"  nearest: {name}, in {100 * share:.0f} % of the cells looked at")
        elif self.explanations:
            same = self.size - self.cells
            lines.append(
                f"  {self.cells} of {self.size} cells speak for it"
                + (f"; {same} are the same either way" if same else "")
            )
        lines += [
            f"  {self.gradient}{cell_text(cell)}: yours {yours:.6g}, right {right:.6g}"
            for cell, yours, right in self.examples
        ]
        lines += [f"  {line}" for line in self.algebra]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        if self.verdict == "several":
            lines.append("  fits as well: " + "; ".join(self.names[1:]))
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "gradient": self.gradient,
            "verdict": self.verdict,
            "name": self.name,
            "also": list(self.names[1:]),
            "cells": self.cells,
            "wrong": self.wrong,
            "size": self.size,
            "examples": [
                {"cell": list(cell), "yours": yours, "right": right}
                for cell, yours, right in self.examples
            ],
            "algebra": list(self.algebra),
            "fix": self.fix,
        }


@dataclass(frozen=True)
class Diagnosis:
    """The answer of `rot180.check.diagnose`. It is true where every gradient is right.

    Attributes:
        operation: what was diagnosed.
        findings: one for each gradient that came.
        question: an input that would decide between explanations that all fit.
        notes: what else was noticed: a forward pass that differs, arrays changed in place.
        case: the operation at the arrays, with the right gradients.
    """

    operation: str
    findings: tuple[Finding, ...]
    question: Question | None = None
    notes: tuple[str, ...] = ()
    case: Case | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return all(self.findings) and not self.notes

    def __getitem__(self, gradient: str) -> Finding:
        """The finding for a gradient: `d["dx"]`."""
        return {finding.gradient: finding for finding in self.findings}[gradient]

    @property
    def name(self) -> str:
        """The mistakes in one line; "right" where there is none."""
        names = [f.name for f in self.findings if not f]
        return " and ".join(dict.fromkeys(names)) or "right"

    def __str__(self) -> str:
        lines = [f"{self.operation}: {self.name}"]
        for finding in self.findings:
            lines += [f"  {line}" for line in finding.lines()]
        lines += [f"  note: {note}" for note in self.notes]
        if self.question is not None:
            lines += [
                "  to decide, run your backward pass on these and diagnose again:",
                f"    {self.question}",
                "    (diagnosis.question.operands has the arrays; .save(path) writes them)",
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        question = None
        if self.question is not None:
            question = {
                "names": list(self.question.names),
                "options": dict(self.question.options),
                "shapes": {n: list(a.shape) for n, a in self.question.operands.items()},
            }
        return {
            "operation": self.operation,
            "right": bool(self),
            "name": self.name,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
            "question": question,
        }

    def save(self, path: str | Path) -> Path:
        """A picture: yours, right, and where they differ.

        Args:
            path: where; its ending chooses the format (.png, .svg, .pdf).

        Raises:
            MissingExtraError: matplotlib is not installed (the `plot` extra).
        """
        from rot180.check.figures import draw_diagnosis, save_figure

        return save_figure(draw_diagnosis(self), path)


def algebra_lines(
    case: Case, gradient: str, explanation: Explanation, cell: tuple[int, ...]
) -> tuple[str, ...]:
    """What is computed, what should be, and both in one cell, from the forms themselves."""
    lines = [m.algebra for m in explanation.mistakes]
    reading = explanation.reading
    if reading is None or gradient not in case.roles:
        return tuple(dict.fromkeys(lines))
    role = case.roles[gradient]
    names = {**case.extra["names"], role: gradient}
    right = case.relation.form(role)
    own = explanation.value.shape != right.result.shape
    yours = reading.form(role, own)
    lines.append(f"right: {renamed(right, names)}")
    if yours != right:
        lines.append(f"yours: {renamed(yours, names)}")
        if not reading.overwrite and not own:
            lines += [
                f"in {gradient}{cell_text(cell)}: right {_terms(right, names, cell)}",
                f"in {gradient}{cell_text(cell)}: yours {_terms(yours, names, cell)}",
            ]
    return tuple(dict.fromkeys(lines))


def _terms(form: Form, names: Mapping[str, str], cell: tuple[int, ...]) -> str:
    found = itertools.islice(renamed(form, names).terms(cell), _TERMS + 1)
    products = [str(term) for term in found]
    more = " + …" if len(products) > _TERMS else ""
    return (" + ".join(products[:_TERMS]) or "0") + more
