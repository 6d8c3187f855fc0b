"""Which updates of a program go into the one pass over all parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rot180.core.expression import Expression, variable
from rot180.core.kinds import Map
from rot180.core.program import Instruction
from rot180.jit.families.update import Moved, Update
from rot180.jit.planning.fuse import Claims, name_of, over
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["update"]


@dataclass(frozen=True)
class _Move:
    """The move of one parameter.

    Attributes:
        places: its instructions.
        kernel: what the kernel is told.
        arrays: the value behind each name of the kernel's table.
        new: every new value, and the value that it replaces.
        dtype: type of the parameter.
    """

    places: list[int]
    kernel: Moved
    arrays: dict[str, int]
    new: dict[int, int]
    dtype: str


def update(claims: Claims, at: int, i: Instruction) -> bool:
    """All moves of parameters by maps, as one task: the first of them claims the others."""
    if i.phase != "update":
        return False
    scopes = {j.scope: None for j in claims.program.instructions if j.phase == "update"}
    moves = [m for scope in scopes if scope is not None and (m := _move(claims, scope))]
    first = next((m for m in moves if at in m.places), None)
    if first is None:
        return False
    moves = [m for m in moves if m.dtype == first.dtype]
    kernel = Update(tuple(m.kernel for m in moves), first.dtype)
    arrays = {name: value for m in moves for name, value in m.arrays.items()}
    new = {value: target for m in moves for value, target in m.new.items()}

    def lower(where: Places) -> list[Call]:
        return [Call(kernel, arrays, kernel.writes)]

    places = [place for m in moves for place in m.places]
    title = f"update of {len(moves)} parameters"
    claims.take(places, Task(title, tuple(set(arrays.values())), tuple(new), lower, same=new))
    return True


def _move(claims: Claims, scope: int) -> _Move | None:
    """The move of one parameter, None where it is more than maps over its cells."""
    program = claims.program
    targets = {new: target for target, new in program.writes}
    places = list(program.within(scope))
    made = [n for place in places for n in program.instructions[place].outputs]
    given = {n for place in places for n in program.instructions[place].inputs} - set(made)
    shapes = {program.value(n).shape for n in made}
    if len(shapes) != 1 or not all(map(claims.free, places)):
        return None
    (shape,) = shapes
    if any(n not in targets and not claims.hidden(n, set(places)) for n in made):
        return None
    if any(program.value(n).shape not in (shape, ()) for n in given):
        return None
    moves: list[tuple[str, Expression]] = []
    for place in places:
        i = program.instructions[place]
        if not isinstance(i.kind, Map) or i.kind.dtype is not None:
            return None
        moves.append((name_of(i.outputs[0]), over(i.kind, i.inputs)))
    new = {n: targets[n] for n in made if n in targets}
    moves += [(name_of(target), variable(name_of(n))) for n, target in new.items()]
    cells = sorted({*(n for n in given if program.value(n).shape == shape), *new.values()})
    numbers = sorted(given - set(cells))
    kernel = Moved(
        math.prod(shape),
        tuple(moves),
        tuple((name_of(n), name_of(n)) for n in cells),
        tuple((name_of(n), name_of(n)) for n in numbers),
    )
    arrays = {name_of(n): n for n in (*cells, *numbers)}
    return _Move(places, kernel, arrays, new, program.value(next(iter(new))).dtype.name)
