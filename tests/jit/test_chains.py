"""Chains: maps that read each other are one pass, with the results of the single maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import compared

import rot180 as rt
from rot180.core import Tracer
from rot180.jit import host, make_plan
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.families.reduce import Reduce

SHAPES = {"x": (20, 3, 5, 6), "c": (3, 1, 1), "row": (6,), "each": (20, 3, 1, 1), "one": (1, 1)}


def traced(law: Any, dtype: str = "float64") -> tuple[Any, dict[str, Any]]:
    """A law of x and of smaller arrays as a program, and arrays for it."""
    rng = np.random.default_rng(0)
    given = {name: rng.random(shape).astype(dtype) + 0.5 for name, shape in SHAPES.items()}
    with Tracer() as tracer:
        inputs = {name: tracer.input(name, a.shape, a.dtype) for name, a in given.items()}
        found = law(**inputs)
        outputs = found if isinstance(found, dict) else {"z": found}
        return tracer.program(**outputs), given


def passes(program: Any, parts: int = 1) -> list[Any]:
    """The pointwise kernels of a plan."""
    plan = make_plan(program, host(), parts, images=SHAPES["x"][0])
    return [row.call.kernel for row in plan.rows if isinstance(row.call.kernel, Pointwise)]


LAWS = {
    "a line": lambda x, **_: rt.tanh(rt.exp(-x) + 1.0) * 2.0,
    "numbers for each channel": lambda x, c, **_: (x - c) * c + c,
    "for each row": lambda x, row, **_: rt.sqrt(x * row) - row,
    "for each image and channel": lambda x, each, **_: x * each + x,
    "one number": lambda x, one, **_: (x + one) / one,
    "two branches that meet": lambda x, c, **_: rt.exp(x * c) - rt.log(x + c),
    "one that is read twice": lambda x, **_: (x + 1.0) * (x + 1.0) - x,
}


SUMS = {
    "all": lambda x, c, **_: rt.sum((x - c) * (x - c)),
    "over images": lambda x, **_: rt.sum(rt.exp(-x) * x, axis=0),
    "of each image": lambda x, row, **_: rt.sum(rt.sqrt(x * row) - row, axis=(1, 2, 3)),
    "over channels": lambda x, each, **_: rt.sum(x * each * 2.0, axis=1, keepdims=True),
    "of each channel": lambda x, one, **_: rt.sum((x + one) * 0.5, axis=(0, 2, 3)),
    "over rows": lambda x, c, **_: rt.sum(rt.tanh(x * c) + c, axis=3),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("law", SUMS)
def test_a_sum_joins_its_chain(law: str, parts: int, dtype: str) -> None:
    program, given = traced(SUMS[law], dtype)
    plan = make_plan(program, host(), parts, images=SHAPES["x"][0])
    assert not [row for row in plan.rows if isinstance(row.call.kernel, Pointwise)]
    assert [row for row in plan.rows if isinstance(row.call.kernel, Reduce)]
    compared(program, parts, given, 1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("law", LAWS)
def test_one_pass(law: str, parts: int) -> None:
    program, given = traced(LAWS[law])
    assert len(passes(program)) == 1
    compared(program, parts, given, 1e-12)


def test_what_is_wanted_outside_is_written() -> None:
    def law(x: Any, **_: Any) -> Any:
        y = rt.exp(x) + 1.0
        return {"y": y, "z": rt.log(y) * 2.0}

    program, given = traced(law)
    assert len(passes(program)) == 2
    compared(program, 2, given, 1e-12)


def test_what_another_kind_reads_in_between_is_written() -> None:
    """A sum between two maps reads the first one's result, and the second one needs the sum."""
    program, given = traced(lambda x, **_: (y := x * 2.0) - rt.sum(y, axis=1, keepdims=True))
    compared(program, 2, given, 1e-12)


def test_long_chains_are_cut() -> None:
    def law(x: Any, c: Any, **_: Any) -> Any:
        for n in range(60):
            x = rt.tanh(x * c) + x * (1.0 + n)
            x = x / (2.0 + n)
        return x

    program, given = traced(law)
    assert 1 < len(passes(program)) < 20
    compared(program, 1, given, 1e-9)


def test_a_pass_joins_a_segment() -> None:
    """It goes by blocks of images, so that it can stand between two layers."""
    program, _ = traced(LAWS["numbers for each channel"])
    (kernel,) = passes(program)
    assert kernel.by_blocks == -(-20 // host().lanes(np.dtype("float64")))


def test_integers_and_truths_stay_outside() -> None:
    program, given = traced(lambda x, c, **_: rt.where(x > c, x * 2.0, x + 1.0) - c)
    compared(program, 2, given, 1e-12)
