"""Every registered operation, by the same table as its gradients: terms, derivations, programs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from ops.table import TABLE, Sample
from rot180.explain import Cell, Explanation
from rot180.explain.formula import evaluate
from rot180.explain.local import readers
from rot180.ops import OPERATIONS

ENTRIES = [
    pytest.param(name, sample, id=f"{name}-{i}")
    for name, samples in TABLE.items()
    for i, sample in enumerate(samples)
    if not sample.discrete
]
every = pytest.mark.parametrize(("name", "sample"), ENTRIES)


def explained(name: str, sample: Sample, rng: np.random.Generator) -> Explanation:
    function = sample.function(OPERATIONS[name])
    return rt.explain(function, *sample.arrays(rng))  # type: ignore[operator]


def some(e: Explanation, name: str, rng: np.random.Generator, count: int) -> list[Cell]:
    shape = e.values[name].shape
    flat = rng.permutation(int(np.prod(shape)))[:count]
    return [e[name].at(tuple(int(k) for k in np.unravel_index(i, shape))) for i in flat]


@every
def test_the_terms_of_every_cell_sum_to_the_engines_value(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    e = explained(name, sample, rng)
    made = [n for n, v in e.values.items() if v.step is not None]
    assert e.tape.output.name in made
    assert any(n.startswith("δ_") for n in made)
    for n in made:
        for cell in some(e, n, rng, 40):
            assert cell.agrees, (cell.equation[:200], cell.value, cell.engine)


@every
def test_local_gradients_put_together_are_the_swept_gradient(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    """The chain rule from the forward formulas alone; the sweep's rules are not asked."""
    e = explained(name, sample, rng)
    for value in list(e.values.values()):
        delta = e.delta_name(value)
        if not delta or value is e.tape.output:
            continue
        for cell in some(e, delta, rng, 3):
            total: Any = 0.0
            for reader, local in readers(e, rt.explain.Ref(value.name, cell.index)):
                assert local is not None
                arrived = e.values[e.delta_name(e.values[reader.name])].array[reader.index]
                total += float(arrived) * float(evaluate(local, e.number)[0])
            np.testing.assert_allclose(total, float(cell.engine), rtol=1e-9, atol=1e-10)


@every
def test_equations_are_written_and_programs_are_strict_json(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    e = explained(name, sample, rng)
    for n in e.values:
        (cell,) = some(e, n, rng, 1)
        assert cell.equation.startswith(cell.label + " = ")
        assert cell.numbers.startswith(cell.label + " = ")
    text = json.dumps(e.program(), allow_nan=False)
    assert set(json.loads(text)["arrays"]) == set(e.values)
