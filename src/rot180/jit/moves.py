"""Which updates of a program go into the one pass over all parameters."""

from __future__ import annotations

import math

from rot180.core.expression import Expression, in_order, substitute, variable
from rot180.core.kinds import Map
from rot180.core.program import Instruction
from rot180.jit.functions import FUNCTIONS
from rot180.jit.fuse import Claims
from rot180.jit.task import Call, Places, Task
from rot180.jit.update import Law, Update

__all__ = ["update"]


def update(claims: Claims, at: int, i: Instruction) -> bool:
    """All moves of parameters by maps, as one task: the first of them claims the others."""
    if i.phase != "update":
        return False
    program = claims.program
    moves = [m for m in (_move(claims, scope) for scope in _scopes(claims)) if m is not None]
    if not moves or all(at not in places for places, *_ in moves):
        return False
    dtype = program.value(moves[0][2]["p"]).dtype
    moves = [m for m in moves if program.value(m[2]["p"]).dtype == dtype]
    sizes = tuple(math.prod(program.value(values["p"]).shape) for _, _, values, _ in moves)
    kernel = Update(sizes, tuple(law for _, law, _, _ in moves), dtype.name)
    arrays = {
        f"{number}.{name}": value
        for number, (_, _, values, _) in enumerate(moves)
        for name, value in values.items()
    }
    new = {value: target for *_, written in moves for value, target in written.items()}

    def lower(where: Places) -> list[Call]:
        return [Call(kernel, arrays, kernel.writes)]

    places = [place for taken, *_ in moves for place in taken]
    reads = tuple(dict.fromkeys(arrays.values()))
    title = f"update of {len(moves)} parameters"
    claims.take(places, Task(title, reads, tuple(new), lower, same=new))
    return True


def _scopes(claims: Claims) -> list[int]:
    found = {
        i.scope: None
        for i in claims.program.instructions
        if i.phase == "update" and i.scope is not None
    }
    return list(found)


def _move(
    claims: Claims, scope: int
) -> tuple[list[int], Law, dict[str, int], dict[int, int]] | None:
    """(places, law, values by name, new value to target) of one parameter, None if it is no map."""
    program = claims.program
    targets = {new: target for target, new in program.writes}
    places = list(program.within(scope))
    names: dict[int, str] = {n: word for word, n in program.scopes[scope].inputs}
    bodies: dict[int, Expression] = {}
    for place in places:
        i = program.instructions[place]
        if not isinstance(i.kind, Map) or not claims.free(place) or i.kind.dtype is not None:
            return None
        body = i.kind.body
        for word, n in zip(i.kind.inputs, i.inputs, strict=True):
            if n not in bodies and n not in names:
                return None
            body = substitute(body, variable(word), variable(f"{word}·{n}"))
        for word, n in zip(i.kind.inputs, i.inputs, strict=True):
            inner = bodies.get(n)
            outer = variable(names[n]) if inner is None else inner
            body = substitute(body, variable(f"{word}·{n}"), outer)
        bodies[i.outputs[0]] = body
    written = {n: targets[n] for n in bodies if n in targets}
    if any(n not in written and not claims.hidden(n, set(places)) for n in bodies):
        return None
    if any(target not in names for target in written.values()) or not _known(bodies):
        return None
    used = {n: word for n, word in names.items() if program.knows(n)}
    scalars = tuple(w for n, w in used.items() if not program.value(n).shape and program.value(n).role == "scalar")
    reads = tuple(w for n, w in used.items() if w not in scalars)
    law = Law(reads, scalars, tuple((names[target], bodies[n]) for n, target in written.items()))
    return places, law, {word: n for n, word in used.items()}, written


def _known(bodies: dict[int, Expression]) -> bool:
    """Whether every function of the laws can be emitted."""
    ops = {node.op for body in bodies.values() for node in in_order(body)}
    return ops <= {*FUNCTIONS, "variable", "constant"}
