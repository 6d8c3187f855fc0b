"""Chains: maps of one shape that read each other, and a sum of the last one, as one pass.

What lies between them is never written. A value that is only repeated along some axes (a number for
each channel, a row) is read where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rot180.core.expression import Expression, in_order, substitute, variable, variables
from rot180.core.form import Form, Operand
from rot180.core.kinds import Map
from rot180.core.program import Instruction
from rot180.jit.emission.access import Access, access
from rot180.jit.emission.kernel import Kernel
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.families.reduce import Reduce
from rot180.jit.planning.fuse import Claims, name_of, over, repeats
from rot180.jit.planning.generic import calls_of, clear_rest
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["chain", "chained_sum"]

READS, NODES = 12, 64
"""How much one pass reads and computes at most: what is live must fit into the registers."""


Axes = tuple[int | None, ...]
"""For each axis of a value the loop that runs along it, None where it has one cell."""


@dataclass
class _Chain:
    """Instructions that become one.

    Attributes:
        body: what they compute, over the names of the values that are read.
        places: of the instructions.
        repeated: by name, what is read in place of a value that repeats it, and the axes of the
            value that it runs along.
    """

    body: Expression
    places: list[int]
    repeated: dict[str, tuple[int, Axes]] = field(default_factory=dict)


def chain(claims: Claims, at: int, i: Instruction) -> bool:
    """A map with all the maps before and behind it whose results nothing else reads."""
    if not _is_simple(claims, i):
        return False
    for last in (*_behind(claims, at), at):
        found = _joined(claims, last, claims.program.instructions[last].outputs[0])
        if at in found.places and len(found.places) > 1:
            claims.take(found.places, _pass(claims, found, last))
            return True
    return False


def chained_sum(claims: Claims, at: int, i: Instruction) -> bool:
    """A sum over some axes of what maps make that nothing else reads."""
    if not isinstance(i.kind, Form) or len(i.kind.inputs) != 1:
        return False
    loops = [name for name, _ in i.kind.loops]
    given, kept = _along(i.kind.inputs[0], loops), _along(i.kind.result, loops)
    if given is None or kept is None or set(given) != set(range(len(loops))):
        return False
    if set(kept) >= set(given):  # nothing is summed
        return False
    found = _joined(claims, at, i.inputs[0])
    if len(found.places) == 1:
        return False
    claims.take(found.places, _pass(claims, found, at, given, kept))
    return True


def _along(operand: Operand, loops: list[str]) -> Axes | None:
    """The loops along the axes of an operand, None where an axis is more than one loop."""
    found: list[int | None] = []
    for axis in operand.axes:
        if axis.constant or len(axis.terms) > 1 or any(step != 1 for _, step in axis.terms):
            return None
        found.append(loops.index(axis.terms[0][0]) if axis.terms else None)
    return tuple(found) if len(set(found) - {None}) == len(found) - found.count(None) else None


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


def _joined(claims: Claims, last: int, number: int) -> _Chain:
    """All before an instruction, in its phase, that can be computed at its place.

    Args:
        claims: of the program.
        last: the place: of a map, or of what reads the result of a map.
        number: the result of the map.
    """
    program = claims.program
    found = _Chain(variable(name_of(number)), [last])
    phase, shape = program.instructions[last].phase, program.value(number).shape
    waiting = [number]
    while waiting:
        number = waiting.pop()
        place, before = claims.maker(number) or (-1, None)
        if before is None or not claims.free(place) or program.value(number).shape != shape:
            continue
        if before.phase != phase or (place in found.places and place != last):
            continue
        if place != last and not claims.hidden(number, set(found.places)):
            continue
        axes = repeats(before.kind)
        if axes is not None:
            found.places.append(place)
            found.repeated[name_of(number)] = before.inputs[0], axes
        elif isinstance(before.kind, Map) and _is_simple(claims, before):
            inside = over(before.kind, before.inputs)
            body = substitute(found.body, variable(name_of(number)), inside)
            if len(variables(body)) <= READS and len(in_order(body)) <= NODES:
                found.body = body
                found.places += [place] if place != last else []
                waiting += before.inputs
    return found


def _pass(
    claims: Claims, found: _Chain, last: int, given: Axes | None = None, kept: Axes | None = None
) -> Task:
    """The task of a chain; of a sum with the loops along the axes of what is summed, and of it."""
    program = claims.program
    i = program.instructions[last]
    (made,) = i.outputs
    dtype = program.value(made).dtype.name
    shape = program.value(i.inputs[0] if given else made).shape
    own = given or tuple(range(len(shape)))
    extents = tuple(e for _, e in i.kind.loops) if isinstance(i.kind, Form) else shape
    sources: list[tuple[int, Axes]] = []
    body = found.body
    for k, name in enumerate(variables(body)):  # names that every chain of this kind shares
        number = int(name.removeprefix("%"))
        whole = tuple(range(len(shape))) if program.value(number).shape else ()
        source, axes = found.repeated.get(name, (number, whole))
        sources.append((source, tuple(None if axis is None else own[axis] for axis in axes)))
        body = substitute(body, variable(name), variable(f"x{k}"))

    def lower(where: Places) -> list[Call]:
        def met(name: str, number: int, axes: Axes) -> Access:
            return access(name, where.layouts[number], axes, len(extents), dtype)

        reads = tuple(met(f"x{k}", *source) for k, source in enumerate(sources))
        write = met("z", made, own if kept is None else kept)
        kernel: Kernel = Pointwise(extents, reads, (write,), (body,), dtype)
        if kept is not None:
            left = tuple(loop for loop in range(len(extents)) if loop in kept)
            kernel = Reduce(extents, reads, (write,), (body,), left, 1.0, dtype)
        arrays = {"z": made, **{f"x{k}": number for k, (number, _) in enumerate(sources)}}
        return [*calls_of(kernel, arrays, ("z",), where), *clear_rest((made,), where)]

    kinds = (program.instructions[place].kind for place in sorted(found.places))
    words = [kind.name for kind in kinds if isinstance(kind, Map) or kind is i.kind]
    reads = tuple(dict.fromkeys(number for number, _ in sources))
    return Task(" + ".join(words), reads, (made,), lower)
