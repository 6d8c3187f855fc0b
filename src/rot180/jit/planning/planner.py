"""The planner: program → tasks → layouts → calls of kernels → a plan."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from rot180.core.kinds import pointwise
from rot180.core.program import Instruction, Program
from rot180.jit.emission.layout import Layout, Planes, plain
from rot180.jit.emission.target import Target
from rot180.jit.families.convert import Pack, Unpack
from rot180.jit.planning.absorb import absorbed
from rot180.jit.planning.fuse import Claims, ordered, simplified
from rot180.jit.planning.generic import generic_calls
from rot180.jit.planning.layouts import all_planes, batched_values, float_of, images_of
from rot180.jit.planning.patterns import PATTERNS, PLAIN
from rot180.jit.planning.placing import placed
from rot180.jit.planning.plan import Plan
from rot180.jit.planning.schedule import Name
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["make_plan"]


def make_plan(
    program: Program,
    target: Target,
    parts: int,
    *,
    precision: str = "fast",
    images: int | None = None,
    whole: bool = False,
) -> Plan:
    """Plan a program.

    Args:
        program: traced, without dead instructions.
        target: what to emit for.
        parts: how many threads there will be.
        precision: "fast", or "direct" to refuse Winograd.
        images: N; the first size of input x by default.
        whole: keep all images of every value, also where one block at a time would do.
    """
    program = absorbed(simplified(program))
    if images is None:
        images = images_of(program)
    dtype = float_of(program)
    batched = batched_values(program, images)
    tasks = _fused(program, batched)
    planes = all_planes(program, tasks, batched, target.lanes(dtype), images)
    layouts: dict[int, Layout] = {
        v.number: planes[v.number].layout if v.number in planes else plain(v.shape)
        for v in program.values
    }
    dtypes = {v.number: v.dtype for v in program.values} | {-1: dtype}
    places = Places(target, parts, planes, layouts, dtypes, precision)
    edges_in, edges_out, outputs = _edges(program, planes, dtype)
    aliases = _aliases(tasks)
    all_tasks = [*edges_in, *tasks, *edges_out, *_copies(program, aliases)]
    calls: list[tuple[Task, int, Call]] = []
    for number, task in enumerate(all_tasks):
        calls += [(task, number, call) for call in task.lower(places)]
    aliases = _aliases(tasks)  # again: a view may have turned out to be a copy
    return placed(program, target, parts, all_tasks, calls, places, outputs, aliases, whole)


def _fused(program: Program, batched: Iterable[int]) -> list[Task]:
    """Every instruction in a task. The families are for planes: what touches none (as all that
    follows a lookup by integers) is left to the generic nests and the updates.
    """
    claims = Claims(program)
    for pattern in PATTERNS:
        for at, i in enumerate(program.instructions):
            touches = any(number in batched for number in (*i.inputs, *i.outputs))
            if claims.free(at) and (touches or pattern in PLAIN):
                pattern(claims, at, i)
    return ordered(program, claims.tasks)


def _only(call: Call, _: Places) -> list[Call]:
    return [call]


def _edges(
    program: Program, planes: dict[int, Planes], dtype: np.dtype[np.floating]
) -> tuple[list[Task], list[Task], dict[str, Name]]:
    """Conversions at the edges: inputs into planes, outputs back into NumPy's order."""
    before, after, outputs = [], [], dict[str, Name]()
    for value in program.of_role("input"):
        if value.number in planes:
            call = Call(
                Pack(planes[value.number], dtype=dtype.name),
                {"x": ("input", value.name), "z": value.number},
                ("z",),
            )
            before.append(Task(f"pack {value.name}", (), (value.number,), partial(_only, call)))
    for name, number in program.outputs:
        if number in planes:
            outputs[name] = ("output", name)
            call = Call(
                Unpack(planes[number], dtype=dtype.name),
                {"x": number, "z": ("output", name)},
                ("z",),
            )
            after.append(Task(f"unpack {name}", (number,), (), partial(_only, call)))
        else:
            outputs[name] = number
    return before, after, outputs


def _copies(program: Program, aliases: dict[int, int]) -> list[Task]:
    """At the end of the step: new values that were not written over the old ones."""
    copy = pointwise("copy", lambda x: x)
    found = []
    for target, new in program.writes:
        if aliases.get(new) != target:
            i = Instruction(copy, (new,), (target,), "update")
            found.append(
                Task(f"write {program.value(target).name}", (new,), (), partial(generic_calls, i))
            )
    return found


def _aliases(tasks: list[Task]) -> dict[int, int]:
    """Values that are another name for the memory of an earlier one."""
    found: dict[int, int] = {}
    for task in tasks:
        for new, old in task.same.items():
            found[new] = found.get(old, old)
    return found
