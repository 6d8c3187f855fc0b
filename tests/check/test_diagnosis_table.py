"""The diagnosis table, small here and whole in `benchmarks/diagnosis.py`: names, and no alarms."""

from __future__ import annotations

import time

import numpy as np
import pytest

from diagnosis_table import TABLES, right_passes, table
from rot180 import check
from rot180.check.catalogue import Trial, family_of
from rot180.check.discriminate import applies, trial_case

# Entries of the catalogue that the operations of the table do not show.
ELSEWHERE = {
    "only some axes of the kernel turned",  # three axes; test_diagnose_others.py
    "handed to the first tie",  # where ties="all" is the rule; test_diagnose_others.py
    "divided although the loss is a sum",  # test_diagnose_others.py
    "saved array changed in place",  # test_diagnose_library.py
}


def test_every_entry_of_the_catalogue_was_written_by_hand_too() -> None:
    missing = []
    for operation, gradients in TABLES.items():
        family, shape = family_of(operation), check.discriminating_shape(operation)
        trial = Trial(tuple(shape.shapes.items()), tuple(shape.options.items()))
        case = trial_case(family, operation, trial)
        assert case is not None
        for mistake in family.mistakes:
            known = {*gradients[mistake.gradient], *shape.hidden, *ELSEWHERE}
            if applies(mistake, case) and mistake.factor is None and mistake.name not in known:
                missing.append((operation, mistake.gradient, mistake.name))
    assert missing == []


def test_the_table() -> None:
    found = table(1, limit=12)
    assert len(found.rows) >= 400
    assert found.share >= 0.98, str(found)


@pytest.mark.slow
def test_the_whole_table() -> None:
    found = table(12)
    assert found.share >= 0.98, str(found)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_false_alarms(dtype: type, count: int) -> None:
    alarms = [(name, found.name) for name, found in right_passes(count, dtype) if not found]
    assert alarms == []


def test_a_large_case_is_quick(rng: np.random.Generator) -> None:
    """A bound that holds on a busy machine; the benchmark has the figures."""
    x, w = rng.standard_normal((8, 32, 16, 16)), rng.standard_normal((32, 32, 3, 3))
    g = rng.standard_normal((8, 32, 16, 16))
    start = time.perf_counter()
    found = check.diagnose("conv2d", x=x, w=w, g=g, dx=rng.standard_normal(x.shape), padding=1)
    assert found.name == "not one of the known mistakes"
    assert time.perf_counter() - start < 20
