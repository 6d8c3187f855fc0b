"""Placing: the order of the calls, a place for every buffer, zeros in halos, and barriers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rot180.core.program import Program
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.families.halo import ClearHalo
from rot180.jit.planning import arena
from rot180.jit.planning.plan import Buffer, Plan, Row
from rot180.jit.planning.rooms import Room, room_of
from rot180.jit.planning.schedule import Draft, Group, Name, Span, groups, touching
from rot180.jit.planning.task import Call, Places, Task, Temporary

__all__ = ["placed"]


def placed(
    program: Program, target: Target, parts: int, tasks: list[Task],
    calls: list[tuple[Task, int, Call]], places: Places, outputs: dict[str, Name],
    aliases: dict[int, int], whole: bool,
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
            given = call.arrays[array]
            name: Name
            if isinstance(given, Temporary):
                buffer = Buffer(given.dtype, given.size * (parts if given.each else 1), -1)
                name = (given.name, number if given.owner is None else given.owner)
            else:
                name = aliases.get(given, given) if isinstance(given, int) else given
                buffer = _buffer_of(program, places, name, outside)
            known = buffers.setdefault(name, buffer)
            if known.size < buffer.size:
                buffers[name] = buffer
            names.append(name)
        drafts.append(Draft(task, call, tuple(names)))
    ordered_calls = groups(drafts, parts)
    size, least = _laid_out(ordered_calls, buffers, places, whole)
    ordered_calls = _with_cleared_halos(ordered_calls, buffers, places)
    table = _with_barriers(ordered_calls, buffers, parts)
    return Plan(program, target, parts, tuple(tasks), table, buffers, size, least, outputs)


def _laid_out(
    calls: list[Group], buffers: dict[Name, Buffer], places: Places, whole: bool
) -> tuple[int, int]:
    """Give every buffer of the arena its offset; bytes of the arena, and how many live at once."""
    life = {n: at for n, at in _lives(calls).items() if buffers[n].offset is not None}
    halos: dict[Name, Planes] = {
        n: places.planes[n] for n in life if isinstance(n, int) and _has_zeros(places, n)
    }
    rooms: dict[Name, Room] = {}
    taken: dict[Name, arena.Life] = {}
    needed: dict[Name, arena.Life] = {}
    for at, group in enumerate([] if whole else calls):
        alone = {n for n in life if life[n] == (at, at)}
        room = room_of(group, alone, buffers, halos, places)
        if room.offsets:  # the last thread's slack is that of all
            rooms["room", at] = room
            taken["room", at] = arena.Life(room.size * places.parts - arena.ALIGNMENT, at, at)
            needed["room", at] = arena.Life(room.least * places.parts, at, at)
    inside = {name for room in rooms.values() for name in room.offsets}
    shared = {n: arena.Life(buffers[n].bytes, *life[n]) for n in life if n not in inside}
    least = arena.peak(needed | shared)
    taken |= shared
    offsets, size = arena.place(taken)
    apart = arena.place_apart(taken, {n: p for n, p in halos.items() if n in shared})
    if apart[1] <= 1.15 * least:  # no halo is ever overwritten
        offsets, size = apart
    for name in shared:
        buffers[name] = replace(buffers[name], offset=offsets[name])
    for key, room in rooms.items():
        for name, offset in room.offsets.items():
            one = buffers[name].size // places.planes[name].blocks
            at = offsets[key] + offset
            buffers[name] = replace(buffers[name], size=one, offset=at, each=room.size)
    return size, least


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
    spans = {n: b.spans(places.parts) for n, b in buffers.items() if b.offset is not None}
    clear: set[Name] = set()
    for name, own in spans.items():
        if not isinstance(name, int) or not _has_zeros(places, name):
            continue
        others = (o for o in spans if o != name and _overlap(own, spans[o]))
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


def _overlap(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> bool:
    return any(start < stop and begin < end for start, end in some for begin, stop in others)


def _same_place(places: Places, buffers: dict[Name, Buffer], name: int, other: Name) -> bool:
    """Whether two values lie at one place in the same planes: their halos are the same cells."""
    if not isinstance(other, int) or places.dtypes[other] != places.dtypes[name]:
        return False
    same = places.planes.get(other) == places.planes[name]
    place, another = buffers[name], buffers[other]
    return same and (place.offset, place.each) == (another.offset, another.each)


def _with_barriers(calls: list[Group], buffers: dict[Name, Buffer], parts: int) -> tuple[Row, ...]:
    """All threads meet before a group that touches what was written since they met last."""
    found = []
    read: list[Span] = []
    written: list[Span] = []
    for group in calls:
        reads = [s for draft in group for n in draft.read for s in _spans(n, buffers, parts)]
        writes = [s for draft in group for n in draft.written for s in _spans(n, buffers, parts)]
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
                )
            )
    return tuple(found)


def _spans(name: Name, buffers: dict[Name, Buffer], parts: int) -> list[Span]:
    if buffers[name].offset is None:
        return [(name, 0, 1)]
    return [(None, start, end) for start, end in buffers[name].spans(parts)]
