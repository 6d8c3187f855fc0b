"""Patterns: what fuses with what, and which family serves it, in the order in which they are asked.

Each takes the claims and a free instruction, and returns whether it claimed it.
"""

from __future__ import annotations

from collections.abc import Callable

from rot180.core.kinds import Form
from rot180.core.program import Instruction
from rot180.jit.planning.chains import chain, chained_sum
from rot180.jit.planning.fuse import Claims
from rot180.jit.planning.generic import generic_calls
from rot180.jit.planning.group_norms import group_norm
from rot180.jit.planning.losses import cross_entropy
from rot180.jit.planning.moves import update
from rot180.jit.planning.norms import batch_norm
from rot180.jit.planning.pools import global_mean, max_pool, mean_pool
from rot180.jit.planning.products import channel_sum, convolution, linear
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["PATTERNS", "PLAIN"]


def reshaped(claims: Claims, at: int, i: Instruction) -> bool:
    """A reshape that keeps the images apart and finds its cells in order: the same memory."""
    if not isinstance(i.kind, Form) or i.kind.name != "reshape":
        return False
    program = claims.program
    old, new = i.inputs[0], i.outputs[0]
    a, b = program.value(old).shape, program.value(new).shape

    def lower(where: Places) -> list[Call]:
        in_planes = old in where.planes, new in where.planes
        if in_planes == (False, False):
            return []
        halos = [n for p in where.planes_of(old, new) for n in (*p.before, *p.after)]
        if in_planes == (True, True) and a[0] == b[0] and not any(halos):
            return []
        del task.same[new]
        return generic_calls(i, where)

    task = Task("reshape", (old,), (new,), lower, same={new: old})
    claims.take([at], task)
    return True


def generic(claims: Claims, at: int, i: Instruction) -> bool:
    """Whatever is left: the generic loop nest of its kind."""
    claims.take(
        [at],
        Task(
            f"{i.kind.name} (generic)", i.inputs, i.outputs, lambda where: generic_calls(i, where)
        ),
    )
    return True


PATTERNS: tuple[Callable[[Claims, int, Instruction], bool], ...] = (
    update, cross_entropy, batch_norm, group_norm, global_mean, max_pool, mean_pool, convolution,
    linear, channel_sum, chained_sum, chain, reshaped, generic,
)  # fmt: skip
PLAIN = (update, chained_sum, chain, reshaped, generic)
"""Those that ask for no planes."""
