"""Every form that any operation of the table applies, forward or backward, against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from table import TABLE

import gradients as check
from rot180.core import Form, Sum, graph
from rot180.kernels import reference
from rot180.ops import OPERATIONS

LARGEST = 30_000
"""Points of the loops of a form that is still checked by plain loops."""


def size(form: Form) -> int:
    return int(np.prod([extent for _, extent in form.loops], dtype=np.int64))


@pytest.mark.parametrize("name", TABLE)
def test_forms_of(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[Form, None] = {}
    run = graph.run

    def spy(kind: Any, *arrays: Any) -> Any:
        made = run(kind, *arrays)
        if isinstance(kind, Form) and kind not in seen and size(kind) <= LARGEST:
            seen[kind] = None
            floats = [a.astype(np.float64) for a in arrays]
            np.testing.assert_allclose(made, reference(kind, *floats), rtol=1e-11, atol=1e-11)
        if isinstance(kind, Sum):
            total = sum(reference(form, a) for form, a in zip(kind.forms, arrays, strict=True))
            np.testing.assert_allclose(made, total, rtol=1e-11, atol=1e-11)
        return made

    monkeypatch.setattr(graph, "run", spy)
    for sample in TABLE[name]:
        f, arrays = sample.function(OPERATIONS[name]), sample.arrays(rng)
        gs = check.upstream(f, arrays, rng)
        if not sample.discrete:
            check.pull(f, arrays, gs)
    for form in seen:
        for operand in form.operands:
            assert form.wrt(operand.name).wrt(form.output) == form
