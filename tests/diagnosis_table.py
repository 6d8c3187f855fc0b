"""The diagnosis table: every mistake of `mistaken.py` × many inputs, and what it is called.

A row counts as named where the first answer is the mistake's name alone, or where the answer asks
for another input (because several mistakes make the same arrays here) and the name is alone there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mistaken import WINDOWED, Given
from mistaken_others import OTHERS
from rot180 import check
from rot180.check.catalogue import Trial, family_of
from rot180.check.discriminate import trial_case

TABLES = WINDOWED | OTHERS


@dataclass
class Row:
    """One mistake at one input."""

    operation: str
    mistake: str
    gradient: str
    asked: bool
    named: tuple[str, ...]

    @property
    def right(self) -> bool:
        return self.named == (self.mistake,)


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)

    @property
    def share(self) -> float:
        return sum(row.right for row in self.rows) / len(self.rows)

    @property
    def entries(self) -> set[tuple[str, str, str]]:
        return {(row.operation, row.gradient, row.mistake) for row in self.rows}

    def confusions(self) -> Counter[tuple[str, str, tuple[str, ...]]]:
        wrong = [row for row in self.rows if not row.right]
        return Counter((row.operation, row.mistake, row.named) for row in wrong)

    def __str__(self) -> str:
        asked = sum(row.asked for row in self.rows)
        counts = Counter((row.operation, row.gradient, row.mistake) for row in self.rows)
        few, many = min(counts.values()), max(counts.values())
        lines = [
            f"{len(self.rows)} wrong gradients: {len(counts)} entries × {few} to {many} inputs"
        ]
        lines.append(f"named: {100 * self.share:.2f} %, {asked} of them after a second input")
        lines += [
            f"  {count} × {operation}: {mistake} was called {' / '.join(named) or 'nothing'}"
            for (operation, mistake, named), count in self.confusions().most_common()
        ]
        return "\n".join(lines)


def trials(operation: str, limit: int) -> Iterator[Trial]:
    """The discriminating input first, then others of the same family, rich and plain in turn."""
    best = check.discriminating_shape(operation)
    first = Trial(tuple(best.shapes.items()), tuple(best.options.items()))
    others = [t for t in family_of(operation).trials(operation) if t != first]
    order = np.random.default_rng(0).permutation(len(others))
    yield from itertools.islice(itertools.cycle([first, *(others[i] for i in order)]), limit)


def shows(wrong: Any, right: np.ndarray) -> bool:
    if wrong is None or not np.isfinite(wrong).all() or not np.any(wrong):
        return False  # a gradient of zeros is called that, whatever made it
    return wrong.shape != right.shape or not np.allclose(wrong, right, rtol=1e-9, atol=1e-9)


def diagnosed(operation: str, given: Given, gradient: str, wrong: np.ndarray) -> check.Diagnosis:
    return check.diagnose(operation, **given.arrays, **given.options, **{gradient: wrong})


def table(inputs: int, operations: tuple[str, ...] | None = None, limit: int = 120) -> Table:
    """Fill the table.

    Args:
        inputs: how many for every mistake, as far as it shows at enough of them.
        operations: of which; None: of all.
        limit: inputs that are tried.
    """
    found = Table()
    for operation in operations or tuple(TABLES):
        family = family_of(operation)
        seen: Counter[tuple[str, str]] = Counter()
        for seed, trial in enumerate(trials(operation, limit)):
            case = trial_case(family, operation, trial, seed)
            if case is None:
                continue
            given = Given({n: a for n, a in case.arrays.items() if n}, dict(trial.options))
            for row in _rows(operation, given, case, seen, inputs):
                found.rows.append(row)
                seen[row.gradient, row.mistake] += 1
    return found


def _rows(
    operation: str, given: Given, case: Any, seen: Counter[tuple[str, str]], inputs: int
) -> Iterator[Row]:
    for gradient, entries in TABLES[operation].items():
        for name, make in entries.items():
            if gradient not in case.answers or seen[gradient, name] >= inputs:
                continue
            wrong = make(given)
            if not shows(wrong, case.answers[gradient].value):
                continue
            first = diagnosed(operation, given, gradient, wrong)
            names, asked = first[gradient].names, False
            if len(names) > 1 and first.question is not None:
                asked = True
                names = _again(operation, first, gradient, make, names)
            yield Row(operation, name, gradient, asked, names)


def _again(
    operation: str, first: check.Diagnosis, gradient: str, make: Any, names: tuple[str, ...]
) -> tuple[str, ...]:  # fmt: skip
    """The same mistake on the input that was asked for."""
    assert first.question is not None
    given = Given(dict(first.question.operands), dict(first.question.options))
    wrong = make(given)
    if wrong is None:
        return names
    second = diagnosed(operation, given, gradient, wrong)
    return tuple(name for name in names if name in second[gradient].names)


def right_passes(count: int, dtype: type, seed: int = 0) -> Iterator[tuple[str, check.Diagnosis]]:
    """Right backward passes in plain NumPy, in a data type and with its noise, diagnosed."""
    rng = np.random.default_rng(seed)
    names = [name for name in TABLES for _ in range(8 if name in WINDOWED else 1)]
    done = 0
    while done < count:
        operation = names[rng.integers(len(names))]
        family = family_of(operation)
        options = list(family.trials(operation))
        trial = options[rng.integers(len(options))]
        case = trial_case(family, operation, trial, int(rng.integers(2**31)))
        if case is None:
            continue
        arrays = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in case.arrays.items()}
        given = Given(arrays, dict(trial.options))
        made = {}
        for gradient, entries in TABLES[operation].items():
            if gradient in case.answers:
                right = np.asarray(entries.right(given))
                noise = 1 + np.finfo(dtype).eps * rng.uniform(-2, 2, right.shape)
                made[gradient] = (right * noise).astype(dtype)
        yield operation, check.diagnose(operation, **given.arrays, **given.options, **made)
        done += 1
