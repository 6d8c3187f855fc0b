"""The plan: what a step does, in which order, where everything lies. It can be printed.

    program → tasks (fusion) → layouts → calls of kernels → barriers → one arena

Nothing is compiled here: a plan is integers and descriptors, made in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rot180.core.kinds import Form, pointwise
from rot180.core.program import Instruction, Program
from rot180.jit import arena
from rot180.jit.convert import Pack, Unpack
from rot180.jit.fuse import Claims, ordered, simplified
from rot180.jit.generic import generic_calls
from rot180.jit.halo import ClearHalo
from rot180.jit.layout import Layout, Planes, plain
from rot180.jit.patterns import PATTERNS, PLAIN
from rot180.jit.schedule import Draft, Group, Name, Span, groups, touching
from rot180.jit.target import Target
from rot180.jit.task import Call, Halo, Places, Task, Temporary

__all__ = ["Buffer", "Name", "Plan", "Row", "make_plan"]


@dataclass(frozen=True)
class Buffer:
    """Where the array of one name lies.

    Attributes:
        dtype: type of its elements.
        size: elements.
        offset: bytes from the start of the arena; None: outside of it (inputs, parameters, outputs).
    """

    dtype: str
    size: int
    offset: int | None

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Row:
    """One row of the table of calls.

    Attributes:
        call: the kernel.
        arrays: the buffer of each of the kernel's arrays, in order.
        parts: how many threads take part at most; in a segment the number of blocks.
        barrier: whether all threads meet before it.
        span: rows of the segment that begins here, 1 for a call of its own, 0 inside a segment.
        title: the task it is part of.
    """

    call: Call
    arrays: tuple[Name, ...]
    parts: int
    barrier: bool
    span: int
    title: str


@dataclass(frozen=True)
class Plan:
    """See the module.

    Attributes:
        program: what is computed, after simplification.
        target, parts: what for, and for how many threads.
        tasks: in order.
        rows: the table of calls, in order.
        buffers: by name.
        size: bytes of the arena.
        least: bytes that live at once at the fullest moment: no arena can be smaller.
        outputs: for every output of the program its buffer.
    """

    program: Program
    target: Target
    parts: int
    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]
    buffers: dict[Name, Buffer]
    size: int
    least: int
    outputs: dict[str, Name]

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} calls, {self.parts} threads, {self.target.name}"]
        for task in self.tasks:
            lines.append(f"  {task.title}" + (f"  [{task.why}]" if task.why else ""))
        lines.append(
            f"arena {self.size / 2**20:.2f} MiB, at least {self.least / 2**20:.2f} MiB live at once"
        )
        return "\n".join(lines)

    def memory(self) -> str:
        """The memory plan: every buffer of the arena with its place and its life."""
        life: dict[Name, tuple[int, int]] = {}
        for at, row in enumerate(self.rows):
            for name in row.arrays:
                life[name] = (life.get(name, (at, at))[0], at)
        rows = []
        for name, buffer in self.buffers.items():
            if buffer.offset is not None and name in life:
                first, last = life[name]
                label = f"%{name}" if isinstance(name, int) else f"{name[0]} of {name[1]}"
                text = f"{buffer.offset:>12} {buffer.bytes:>12}  calls {first}–{last}  {label}"
                rows.append((buffer.offset, text))
        return "\n".join(["      offset        bytes", *(text for _, text in sorted(rows))])


def block_of(images: int, lanes: int) -> int:
    """B: whole vectors of images, unless too few images would fill them."""
    return lanes if images > lanes // 2 else 1


def make_plan(
    program: Program,
    target: Target,
    parts: int,
    *,
    precision: str = "fast",
    images: int | None = None,
) -> Plan:
    """Plan a program.

    Args:
        program: traced, without dead instructions.
        target: what to emit for.
        parts: how many threads there will be.
        precision: "fast", or "direct" to refuse Winograd.
        images: N; the first size of input x by default.
    """
    program = simplified(program)
    if images is None:
        images = next(v.shape[0] for v in program.of_role("input") if v.shape)
    floats = [v.dtype for v in program.values if v.dtype.kind == "f"]
    dtype = floats[0]
    batched = _batched(program, images)
    tasks = _fused(program, batched)
    halos = _halos(program, tasks, batched)
    block = block_of(images, target.lanes(dtype))
    flat = {number for task in tasks for pair in task.same.items() for number in pair}
    planes: dict[int, Planes] = {}
    # rows without a halo run on into each other, which single images need for long vectors
    widest = _widest(program, halos) if block > 1 else {}
    for number in batched:
        shape = program.value(number).shape
        halo = halos.get(number, ())
        if number not in flat and program.value(number).dtype.kind == "f":
            halo = widest.get(shape, halo)
        found = Planes(shape[0], shape[1], shape[2:], block, *halo)
        planes[number] = found if number in flat else _apart(found)
    for task in tasks:
        planes.update({number: planes[other] for number, other in task.like.items()})
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
    return _placed(program, target, parts, all_tasks, calls, places, outputs, aliases)


def _widest(program: Program, halos: dict[int, Halo]) -> dict[tuple[int, ...], Halo]:
    """One halo for all values of a shape: then they can use the same memory one after the other,
    and the zeros in it stay."""
    found: dict[tuple[int, ...], Halo] = {}
    for number, (before, after) in halos.items():
        shape = program.value(number).shape
        known = found.get(shape, (before, after))
        found[shape] = tuple(map(max, known[0], before)), tuple(map(max, known[1], after))
    return found


def _apart(planes: Planes) -> Planes:
    """Planes whose distance is no multiple of half a kilobyte and more: channels are read together,
    and those at such a distance would all fall into a few sets of the first cache."""
    if planes.block == 1 or not planes.sizes or planes.plane // planes.block % 16:
        return planes
    after = tuple(n + 1 for n in planes.after)
    return replace(planes, after=after)


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


def _batched(program: Program, images: int) -> dict[int, None]:
    """Values whose first axis is the images: they stand in planes. All others are row-major."""
    found: dict[int, None] = {}
    for value in program.of_role("input"):
        if value.dtype.kind == "f" and len(value.shape) >= 2 and value.shape[0] == images:
            found[value.number] = None
    for i in program.instructions:
        if i.phase == "update" or not any(n in found for n in i.inputs):
            continue
        for number in i.outputs:
            shape = program.value(number).shape
            if len(shape) >= 2 and shape[0] == images and _keeps_images(i, found):
                found[number] = None
    return found


def _keeps_images(i: Instruction, batched: Iterable[int]) -> bool:
    """Whether axis 0 of the result is axis 0 of an input in planes."""
    if not isinstance(i.kind, Form):
        return True
    first = i.kind.result.axes[0]
    return any(
        operand.axes and operand.axes[0] == first
        for operand, number in zip(i.kind.inputs, i.inputs, strict=True)
        if number in batched
    )


def _halos(program: Program, tasks: list[Task], batched: Iterable[int]) -> dict[int, Halo]:
    """The widest zeros that any task needs around each value in planes."""
    found: dict[int, Halo] = {}
    for task in tasks:
        for number, (before, after) in task.halos.items():
            if number not in batched:
                continue
            known = found.get(number, ((0,) * len(before), (0,) * len(after)))
            found[number] = (
                tuple(map(max, known[0], before)),
                tuple(map(max, known[1], after)),
            )
    return found


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
            before.append(Task(f"pack {value.name}", (), (value.number,), lambda _, c=call: [c]))
    for name, number in program.outputs:
        if number in planes:
            outputs[name] = ("output", name)
            call = Call(
                Unpack(planes[number], dtype=dtype.name),
                {"x": number, "z": ("output", name)},
                ("z",),
            )
            after.append(Task(f"unpack {name}", (number,), (), lambda _, c=call: [c]))
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


def _placed(
    program: Program, target: Target, parts: int, tasks: list[Task],
    calls: list[tuple[Task, int, Call]], places: Places, outputs: dict[str, Name],
    aliases: dict[int, int],
) -> Plan:  # fmt: skip
    """Order the calls, give every buffer a place, and set barriers."""
    outside = {v.number for v in program.values if v.role != "computed"} - set(places.planes)
    # an output may be a view: what is outside of the arena is what it shows
    outputs = {n: aliases.get(at, at) if isinstance(at, int) else at for n, at in outputs.items()}
    outside |= {number for number in outputs.values() if isinstance(number, int)}
    buffers: dict[Name, Buffer] = {}
    drafts: list[Draft] = []
    for task, number, call in calls:
        names: list[Name] = []
        for array in call.kernel.arrays:
            name = call.arrays[array]
            if isinstance(name, Temporary):
                buffer = Buffer(name.dtype, name.size * (parts if name.each else 1), -1)
                name = (name.name, number if name.owner is None else name.owner)
            else:
                name = aliases.get(name, name) if isinstance(name, int) else name
                buffer = _buffer_of(program, places, name, outside)
            known = buffers.setdefault(name, buffer)
            if known.size < buffer.size:
                buffers[name] = buffer
            names.append(name)
        drafts.append(Draft(task, call, tuple(names)))
    ordered_calls = groups(drafts, parts)
    life = _lives(ordered_calls)
    sizes = {
        name: arena.Life(buffers[name].bytes, *life[name])
        for name in life
        if buffers[name].offset is not None
    }
    least = arena.peak(sizes)
    offsets, size = arena.place(sizes)
    halos = {
        name: places.planes[name]
        for name in sizes
        if isinstance(name, int) and _has_zeros(places, name)
    }
    apart = arena.place_apart(sizes, halos)
    if apart[1] <= 1.15 * least:  # no halo is ever overwritten
        offsets, size = apart
    for name, offset in offsets.items():
        buffers[name] = Buffer(buffers[name].dtype, buffers[name].size, offset)
    ordered_calls = _with_cleared_halos(ordered_calls, buffers, places)
    table = _with_barriers(ordered_calls, buffers, parts)
    return Plan(program, target, parts, tuple(tasks), table, buffers, size, least, outputs)


def _has_zeros(places: Places, name: int) -> bool:
    """Whether a value stands in planes with a halo that is read (nobody reads that of winners)."""
    planes = places.planes.get(name)
    if planes is None or places.dtypes[name].kind != "f":
        return False
    return any((*planes.before, *planes.after))


def _buffer_of(program: Program, places: Places, name: Name, outside: set[int]) -> Buffer:
    if not isinstance(name, int):  # an input or an output in NumPy's order
        number = next(
            n
            for n in (dict(program.outputs).get(str(name[1])), *_named(program, str(name[1])))
            if n is not None
        )
        value = program.value(number)
        return Buffer(value.dtype.name, max(1, int(np.prod(value.shape))), None)
    size = max(1, places.layouts[name].size)
    return Buffer(places.dtypes[name].name, size, None if name in outside else -1)


def _named(program: Program, name: str) -> list[int]:
    return [v.number for v in program.of_role("input") if v.name == name]


def _lives(calls: list[Group]) -> dict[Name, tuple[int, int]]:
    """First and last group that uses each name; the calls of a segment run at the same time."""
    found: dict[Name, tuple[int, int]] = {}
    for at, group in enumerate(calls):
        for draft in group:
            for name in draft.names:
                found[name] = (found.get(name, (at, at))[0], at)
    return found


def _with_cleared_halos(
    calls: list[Group], buffers: dict[Name, Buffer], places: Places
) -> list[Group]:
    """Before the first write of planes whose memory is used otherwise, too: zeros into the halo.

    What is used for nothing else is zero from the start and stays so: kernels leave halos alone.
    """
    spans = {
        name: (b.offset, b.offset + b.bytes) for name, b in buffers.items() if b.offset is not None
    }
    clear: set[Name] = set()
    for name, (start, end) in spans.items():
        if not isinstance(name, int) or not _has_zeros(places, name):
            continue
        others = (o for o, (s, e) in spans.items() if o != name and s < end and start < e)
        if any(not _same_place(places, buffers, name, other) for other in others):
            clear.add(name)
    found: list[Group] = []
    for group in calls:
        more: Group = []
        for draft in group:
            for name in draft.written & clear:
                assert isinstance(name, int)
                clear.discard(name)
                kernel = ClearHalo(places.planes[name], places.dtypes[name].name)
                more.append(Draft(draft.task, Call(kernel, {"x": name}, ("x",)), (name,)))
            more.append(draft)
        if len(group) == 1 and not group[0].blocks:
            found += [[draft] for draft in more]
        else:
            found.append(more)
    return found


def _same_place(places: Places, buffers: dict[Name, Buffer], name: int, other: Name) -> bool:
    """Whether two values lie at the same place in the same planes: their halos are the same cells."""
    if not isinstance(other, int) or places.dtypes[other] != places.dtypes[name]:
        return False
    same = places.planes.get(other) == places.planes[name]
    return same and buffers[other].offset == buffers[name].offset


def _with_barriers(calls: list[Group], buffers: dict[Name, Buffer], parts: int) -> tuple[Row, ...]:
    """All threads meet before a group that touches what was written since they met last."""
    found = []
    read: list[Span] = []
    written: list[Span] = []
    for group in calls:
        reads = [_span(name, buffers) for draft in group for name in draft.read]
        writes = [_span(name, buffers) for draft in group for name in draft.written]
        barrier = any(
            touching(some, others)
            for some, others in ((reads, written), (writes, written), (writes, read))
        )
        if barrier:
            read, written = [], []
        read += reads
        written += writes
        segment = len(group) > 1
        for place, draft in enumerate(group):
            share = draft.blocks if segment else 1 if draft.call.small else parts
            first = place == 0
            found.append(
                Row(
                    draft.call,
                    draft.names,
                    share,
                    barrier and first,
                    len(group) if first else 0,
                    draft.task.title,
                )  # fmt: skip
            )
    return tuple(found)


def _span(name: Name, buffers: dict[Name, Buffer]) -> Span:
    b = buffers[name]
    if b.offset is None:
        return name, 0, 1
    return None, b.offset, b.offset + b.bytes
