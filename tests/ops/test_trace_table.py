"""Every operation traces: its program, forward and backward, has the bits of the eager one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from table import TABLE, Sample

from rot180.core import Program, Tensor, Tracer, gradients, no_grad
from rot180.errors import TraceError
from rot180.ops import OPERATIONS

# What depends on values, and why.
REFUSED = {
    "getitem-5": "a mask decides the shape",
    "one_hot-1": "the largest index decides the shape",
    "max_unpool1d-0": "which of equal indices comes last decides a value",
    "max_unpool1d-1": "likewise",
    "max_unpool2d-0": "likewise",
    "max_unpool2d-1": "likewise",
    "max_unpool3d-0": "likewise",
    "max_unpool3d-1": "likewise",
    "batch_norm-1": "the sample's running statistics are not held by the trace",
    "instance_norm-1": "likewise",
}
ENTRIES = [
    pytest.param(name, sample, id=f"{name}-{i}")
    for name, samples in TABLE.items()
    for i, sample in enumerate(samples)
]


def flat(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple | list) else [result]


def eager(
    f: Any, arrays: list[np.ndarray], gs: list[np.ndarray | None]
) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    xs = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    ys = flat(f(*xs))
    pairs = [(y, g) for y, g in zip(ys, gs, strict=True) if g is not None and y.requires_grad]
    wanted = [x for x in xs if x.requires_grad]
    found = gradients([y for y, _ in pairs], wanted, [g for _, g in pairs]) if pairs else []
    return [y.data for y in ys], [None if g is None else g.data for g in found]


def traced(
    f: Any, arrays: list[np.ndarray], gs: list[np.ndarray | None]
) -> tuple[Program, list[int]]:
    with Tracer() as tracer:
        xs = [tracer.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
        for x in xs:
            if x.dtype.kind == "f":
                x.requires_grad_()
        ys = flat(f(*xs))
        ups = [
            None if g is None else tracer.input(f"g{i}", g.shape, g.dtype) for i, g in enumerate(gs)
        ]
        pairs = [(y, g) for y, g in zip(ys, ups, strict=True) if g is not None and y.requires_grad]
        wanted = [x for x in xs if x.requires_grad]
        found = gradients([y for y, _ in pairs], wanted, [g for _, g in pairs]) if pairs else []
        outputs = {f"y{i}": y for i, y in enumerate(ys)}
        outputs |= {f"d{i}": d for i, d in enumerate(found) if d is not None}
        return tracer.program(**outputs), [i for i, d in enumerate(found) if d is not None]


@pytest.mark.parametrize(("name", "sample"), ENTRIES)
def test_traced_is_eager(
    name: str, sample: Sample, rng: np.random.Generator, request: pytest.FixtureRequest
) -> None:
    f, arrays = sample.function(OPERATIONS[name]), sample.arrays(rng)
    with no_grad():
        ys = flat(f(*map(Tensor, arrays)))
    gs = [rng.standard_normal(y.shape).astype(y.dtype) if y.dtype.kind == "f" else None for y in ys]
    values, wanted = eager(f, arrays, gs)
    if request.node.callspec.id in REFUSED:
        with pytest.raises(TraceError, match=r"^tracing: .* Rule: .*"):
            traced(f, arrays, gs)
        return
    program, known = traced(f, arrays, gs)
    feeds = {f"x{i}": a for i, a in enumerate(arrays)}
    feeds |= {f"g{i}": g for i, g in enumerate(gs) if g is not None}
    outputs = program.step(**feeds)
    for i, value in enumerate(values):
        np.testing.assert_array_equal(outputs[f"y{i}"], value)
        assert outputs[f"y{i}"].dtype == value.dtype
    assert known == [i for i, g in enumerate(wanted) if g is not None]
    for i in known:
        np.testing.assert_array_equal(outputs[f"d{i}"], wanted[i])
