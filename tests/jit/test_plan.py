"""The plan: order, lives, barriers and memory, held to what the table of calls says itself."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn, optim
from rot180.jit import Plan, make_plan
from rot180.jit.emission.target import TARGETS
from rot180.jit.planning.arena import ALIGNMENT
from rot180.nn.functional import cross_entropy
from rot180.train.tracing import trace_step

NETWORKS = {
    "lenet5": (1, 28), "mnist3": (1, 28), "vgg6": (3, 32), "resnet20": (3, 32),
}  # fmt: skip


@functools.cache
def plan_of(network: str, images: int, parts: int, target: str = "avx512") -> Plan:
    channels, size = NETWORKS[network]
    rt.manual_seed(0)
    model = getattr(nn.models, network)(in_channels=channels, num_classes=10, input_size=size)
    move = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = ((images, channels, size, size), "float32"), ((images,), "int64")
    return make_plan(trace_step(model, cross_entropy, move, x, y), TARGETS[target], parts)


CASES = [(n, b, p) for n in NETWORKS for b, p in ((1, 1), (19, 2), (64, 2), (128, 3))]
everywhere = pytest.mark.parametrize(("network", "images", "parts"), CASES)


def groups(plan: Plan) -> list[list[Any]]:
    """The rows that run as one: segments, and calls of their own."""
    found: list[list[Any]] = []
    for row in plan.rows:
        if row.span:
            found.append([])
        found[-1].append(row)
    return found


def touched(row: Any) -> tuple[set[Any], set[Any]]:
    """What a row reads (or reads and writes) and what it writes."""
    pairs = zip(row.call.kernel.arrays, row.arrays, strict=True)
    written = {name for array, name in pairs if array in row.call.writes}
    return set(row.arrays), written


def bytes_of(plan: Plan, name: Any) -> list[tuple[Any, int, int]]:
    buffer = plan.buffers[name]
    if buffer.offset is None:
        return [(name, 0, 1)]
    return [(None, start, end) for start, end in buffer.spans(plan.parts)]


def overlap(plan: Plan, some: set[Any], others: set[Any]) -> bool:
    return any(
        a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
        for one in some
        for other in others
        for a in bytes_of(plan, one)
        for b in bytes_of(plan, other)
    )


@everywhere
def test_spans_count_the_rows_of_their_segment(network: str, images: int, parts: int) -> None:
    plan = plan_of(network, images, parts)
    for group in groups(plan):
        assert group[0].span == len(group)
        assert all(row.span == 0 and not row.barrier for row in group[1:])
        assert len({row.parts for row in group}) == 1


@everywhere
def test_what_lives_at_the_same_time_shares_no_byte(network: str, images: int, parts: int) -> None:
    """Calls of a segment run at the same time, but what a thread has of its own is used in turn."""
    plan = plan_of(network, images, parts)
    life: dict[Any, tuple[int, int]] = {}
    turn: dict[Any, tuple[int, int]] = {}
    for at, group in enumerate(groups(plan)):
        for place, row in enumerate(group):
            for name in row.arrays:
                life[name] = (life.get(name, (at, at))[0], at)
                turn[name] = (turn.get(name, (place, place))[0], place)
    inside = [n for n in life if plan.buffers[n].offset is not None]
    for i, one in enumerate(inside):
        a = plan.buffers[one]
        assert a.offset is not None
        assert a.offset % ALIGNMENT == 0
        assert a.spans(parts)[-1][1] + ALIGNMENT <= plan.size
        if a.each:
            assert life[one][0] == life[one][1], "one segment only"
        for other in inside[:i]:
            b = plan.buffers[other]
            times = turn if a.each and b.each and life[one] == life[other] else life
            if times[one][0] <= times[other][1] and times[other][0] <= times[one][1]:
                # a vector may be read over the end of a buffer, but never written
                assert not overlap(plan, {one}, {other})


@everywhere
def test_threads_share_nothing_of_their_own(network: str, images: int, parts: int) -> None:
    plan = plan_of(network, images, parts)
    for group in groups(plan):
        names = {n for row in group for n in row.arrays if plan.buffers[n].each}
        spans = [plan.buffers[name].spans(parts) for name in names]
        begins = [min(s[part][0] for s in spans) for part in range(parts if spans else 0)]
        ends = [max(s[part][1] for s in spans) for part in range(parts if spans else 0)]
        assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))


@everywhere
def test_everything_is_made_before_it_is_read(network: str, images: int, parts: int) -> None:
    plan = plan_of(network, images, parts)
    made = {v.number for v in plan.program.values if v.role != "computed"} - {
        n for n, b in plan.buffers.items() if b.offset is not None
    }
    made |= {name for name in plan.buffers if isinstance(name, tuple) and name[0] == "input"}
    for row in plan.rows:
        names, written = touched(row)
        missing = {n for n in names - written if n not in made}
        assert not missing, f"{row.title} reads {missing} before anything is there"
        made |= written
    assert made.issuperset(plan.outputs.values())


@everywhere
def test_threads_meet_wherever_they_share(network: str, images: int, parts: int) -> None:
    """Between two rows that touch the same bytes, one of them writing, there is a barrier."""
    plan = plan_of(network, images, parts)
    since: list[tuple[set[Any], set[Any]]] = []
    for group in groups(plan):
        if group[0].barrier:
            since = []
        both = [touched(row) for row in group]
        for names, written in both:
            for earlier, before in since:
                assert not overlap(plan, names, before), group[0].title
                assert not overlap(plan, written, earlier), group[0].title
        since += both


@everywhere
def test_a_segment_meets_only_along_images(network: str, images: int, parts: int) -> None:
    for group in groups(plan_of(network, images, parts)):
        if len(group) > 1:
            assert {row.call.kernel.by_blocks for row in group} == {group[0].parts}


@everywhere
def test_the_arena_is_hardly_larger_than_what_lives(network: str, images: int, parts: int) -> None:
    plan = plan_of(network, images, parts)
    rounding = 3 * ALIGNMENT * len(plan.buffers)
    assert plan.least <= plan.size <= 1.2 * plan.least + rounding


@everywhere
def test_a_plan_is_printed(network: str, images: int, parts: int) -> None:
    plan = plan_of(network, images, parts)
    text = str(plan)
    assert text.startswith(f"{len(plan.rows)} calls, {parts} threads, avx512")
    assert "MiB live at once" in text
    lines = plan.memory().splitlines()
    offsets = [int(line.split()[0]) for line in lines[1:]]
    inside = {n for row in plan.rows for n in row.arrays if plan.buffers[n].offset is not None}
    assert offsets == sorted(offsets)
    assert len(offsets) == len(inside)


def test_precision_refuses_winograd() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.Flatten(), nn.Linear(4096, 4))
    move = optim.SGD(model.parameters(), lr=0.1)
    program = trace_step(
        model, cross_entropy, move, ((64, 16, 16, 16), "float32"), ((64,), "int64")
    )
    words = {}
    for precision in ("fast", "direct"):
        plan = make_plan(program, TARGETS["avx512"], 2, precision=precision)
        words[precision] = {type(row.call.kernel).__name__ for row in plan.rows}
    assert "Correlate" in words["fast"]
    assert not {"Correlate", "WeightGrad"} & words["direct"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_plan(target: str) -> None:
    plan = plan_of("lenet5", 19, 2, target)
    assert plan.target is TARGETS[target]
    assert np.isfinite(plan.size)
