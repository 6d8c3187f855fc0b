"""Legality: plans of the four networks pass; every plan that was tampered with is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_plan import CASES, everywhere, plan_of

from rot180.errors import TraceError
from rot180.jit import Plan, Runner
from rot180.jit.planning.arena import ALIGNMENT
from rot180.jit.planning.legality import check_plan, reach


@everywhere
def test_plans_are_legal(network: str, images: int, parts: int) -> None:
    check_plan(plan_of(network, images, parts))


def test_more_than_half_of_all_arrays_are_known() -> None:
    """What is reached in images, weights and scratch is known; numbers by channel are the rest."""
    plan = plan_of("resnet20", 128, 3)
    arrays = [(row.call.kernel, a) for row in plan.rows for a in row.call.kernel.arrays]
    known = sum(a in reach(kernel, plan.target) for kernel, a in arrays)
    assert known / len(arrays) > 0.5


def _smaller(plan: Plan, rng: np.random.Generator) -> Plan:
    """A buffer that lacks the last element that some kernel reaches."""
    row, slot = _some_array(plan, rng)
    name = row.arrays[slot]
    array = row.call.kernel.arrays[slot]
    size = reach(row.call.kernel, plan.target)[array] * (plan.parts if array == "scratch" else 1)
    if plan.buffers[name].each:
        size //= row.parts
    return replace(plan, buffers=plan.buffers | {name: replace(plan.buffers[name], size=size - 1)})


def _some_array(plan: Plan, rng: np.random.Generator) -> tuple[Any, int]:
    while True:
        row = plan.rows[rng.integers(len(plan.rows))]
        slot = int(rng.integers(len(row.arrays)))
        if reach(row.call.kernel, plan.target).get(row.call.kernel.arrays[slot], 0):
            return row, slot


def _elsewhere(plan: Plan, rng: np.random.Generator) -> Plan:
    """A buffer that begins off a cache line, or ends behind the arena, or in front of it."""
    inside = [n for n, b in plan.buffers.items() if b.offset is not None]
    name = inside[rng.integers(len(inside))]
    buffer = plan.buffers[name]
    assert buffer.offset is not None
    offset = (buffer.offset + 4, plan.size - buffer.bytes - 32, -64)[rng.integers(3)]
    return replace(plan, buffers=plan.buffers | {name: replace(buffer, offset=offset)})


def _changed_row(plan: Plan, rng: np.random.Generator, **change: Any) -> Plan:
    at = int(rng.integers(len(plan.rows)))
    rows = list(plan.rows)
    rows[at] = replace(rows[at], **change)
    return replace(plan, rows=tuple(rows))


def _out_of_its_room(plan: Plan, rng: np.random.Generator) -> Plan:
    """What a thread has of its own reaches into the next thread's, or begins off a cache line."""
    own = [n for n, b in plan.buffers.items() if b.each]
    if not own:
        return _smaller(plan, rng)
    name = own[rng.integers(len(own))]
    buffer = plan.buffers[name]
    each = (buffer.each + 4, buffer.bytes // ALIGNMENT * ALIGNMENT)[rng.integers(2)]
    return replace(plan, buffers=plan.buffers | {name: replace(buffer, each=each)})


TAMPERED = {
    "out of its room": _out_of_its_room,
    "smaller": _smaller,
    "elsewhere": _elsewhere,
    "small arena": lambda plan, rng: replace(plan, size=plan.size - 64),
    "lost buffer": lambda plan, rng: replace(
        plan, buffers={n: b for n, b in plan.buffers.items() if n != plan.rows[-1].arrays[0]}
    ),
    "too many parts": lambda plan, rng: _changed_row(plan, rng, parts=plan.parts + 500),
    "no part": lambda plan, rng: _changed_row(plan, rng, parts=0),
    "span": lambda plan, rng: _changed_row(plan, rng, span=len(plan.rows) + 1),
    "no arrays": lambda plan, rng: _changed_row(plan, rng, arrays=()),
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.parametrize(("network", "images", "parts"), CASES[::3])
def test_what_was_tampered_with_is_refused(
    how: str, network: str, images: int, parts: int, rng: np.random.Generator
) -> None:
    plan = plan_of(network, images, parts)
    for _ in range(25):
        changed = TAMPERED[how](plan, rng)
        with pytest.raises(TraceError, match="plan: "):
            check_plan(changed)


def test_nothing_illegal_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of("lenet5", 1, 1)
    monkeypatch.setattr("rot180.jit.runner.library", lambda target: pytest.fail("compiled"))
    with pytest.raises(TraceError, match="plan: "):
        Runner(replace(plan, size=plan.size - 64))
