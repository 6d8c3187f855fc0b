"""Chains: maps of one shape that read each other, as one pass over memory.

What lies between them is never written. A value that is only repeated along some axes (a number for
each channel, a row) is read where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rot180.core.expression import Expression, in_order, substitute, variable, variables
from rot180.core.kinds import Form, Map
from rot180.core.program import Instruction
from rot180.jit.emission.access import Access, access
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.planning.fuse import Claims, name_of, over
from rot180.jit.planning.generic import clear_rest
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["chain"]

READS, NODES = 12, 64
"""How much one pass reads and computes at most: what is live must fit into the registers."""


@dataclass
class _Chain:
    """Instructions that become one.

    Attributes:
        body: what they compute, over the names of the values that are read.
        places: of the instructions.
        repeated: by name, what is read in place of a value that repeats it: its number, and for
            each of its axes the axis of the result, None where it has one cell.
    """

    body: Expression
    places: list[int]
    repeated: dict[str, tuple[int, tuple[int | None, ...]]] = field(default_factory=dict)


def chain(claims: Claims, at: int, i: Instruction) -> bool:
    """A map with all the maps before and behind it whose results nothing else reads."""
    if not _is_simple(claims, i):
        return False
    for last in (*_behind(claims, at), at):
        found = _joined(claims, last)
        if at in found.places and len(found.places) > 1:
            claims.take(found.places, _task(claims, found, last))
            return True
    return False


def _behind(claims: Claims, at: int) -> list[int]:
    """Maps that read the result of one, directly or through others of them, the last one first."""
    program, found = claims.program, {at}
    waiting = [at]
    while waiting and len(found) < NODES:
        for place in program.readers[program.instructions[waiting.pop(0)].outputs[0]]:
            simple = _is_simple(claims, program.instructions[place])
            if simple and place not in found and claims.free(place):
                found.add(place)
                waiting.append(place)
    return sorted(found - {at}, reverse=True)


def _is_simple(claims: Claims, i: Instruction) -> bool:
    """Whether an instruction is a map from floats to floats of one type."""
    if not isinstance(i.kind, Map) or i.kind.dtype is not None:
        return False
    dtypes = {claims.program.value(n).dtype for n in (*i.inputs, *i.outputs)}
    return len(dtypes) == 1 and next(iter(dtypes)).kind == "f"


def _joined(claims: Claims, last: int) -> _Chain:
    """A map with all before it, in the same phase, that can be computed at its place."""
    program = claims.program
    i = program.instructions[last]
    assert isinstance(i.kind, Map)
    found = _Chain(over(i.kind, i.inputs), [last])
    shape = program.value(i.outputs[0]).shape
    waiting = list(i.inputs)
    while waiting:
        number = waiting.pop()
        place, before = claims.maker(number) or (-1, None)
        if before is None or not claims.free(place) or program.value(number).shape != shape:
            continue
        if place in found.places or before.phase != i.phase:
            continue
        if not claims.hidden(number, set(found.places)):
            continue
        axes = _repeats(before.kind)
        if axes is not None:
            found.places.append(place)
            found.repeated[name_of(number)] = before.inputs[0], axes
        elif isinstance(before.kind, Map) and _is_simple(claims, before):
            inside = over(before.kind, before.inputs)
            body = substitute(found.body, variable(name_of(number)), inside)
            if len(variables(body)) <= READS and len(in_order(body)) <= NODES:
                found.body = body
                found.places.append(place)
                waiting += before.inputs
    return found


def _repeats(kind: object) -> tuple[int | None, ...] | None:
    """For each axis of what a form repeats the axis of its result, None for another form."""
    if not isinstance(kind, Form) or (kind.name, kind.output) != ("expand", "y"):
        return None
    loops = [axis.terms[0][0] if axis.terms else "" for axis in kind.result.axes]
    (x,) = kind.inputs
    return tuple(loops.index(axis.terms[0][0]) if axis.terms else None for axis in x.axes)


def _task(claims: Claims, found: _Chain, last: int) -> Task:
    program = claims.program
    (made,) = program.instructions[last].outputs
    value, names = program.value(made), variables(found.body)
    loops = tuple(range(len(value.shape)))
    sources: list[tuple[int, tuple[int | None, ...]]] = []
    body = found.body
    for k, name in enumerate(names):  # names that every chain of this kind shares
        number = int(name.removeprefix("%"))
        own = loops if program.value(number).shape else ()
        sources.append(found.repeated.get(name, (number, own)))
        body = substitute(body, variable(name), variable(f"x{k}"))

    def lower(where: Places) -> list[Call]:
        def met(name: str, number: int, axes: tuple[int | None, ...]) -> Access:
            return access(name, where.layouts[number], axes, len(loops), value.dtype.name)

        reads = tuple(met(f"x{k}", *source) for k, source in enumerate(sources))
        kernel = Pointwise(value.shape, reads, (met("z", made, loops),), (body,), value.dtype.name)
        arrays = {"z": made, **{f"x{k}": number for k, (number, _) in enumerate(sources)}}
        return [Call(kernel, arrays, ("z",)), *clear_rest((made,), where)]

    kinds = (program.instructions[place].kind for place in sorted(found.places))
    title = " + ".join(kind.name for kind in kinds if isinstance(kind, Map))
    reads = tuple(dict.fromkeys(number for number, _ in sources))
    return Task(title, reads, (made,), lower)
