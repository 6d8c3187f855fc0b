"""Which losses of a program have a kernel of their own."""

from __future__ import annotations

import numpy as np

from rot180.core.program import Instruction
from rot180.jit.families.loss import CrossEntropy
from rot180.jit.planning.fuse import Claims
from rot180.jit.planning.task import Call, Places, Task

__all__ = ["cross_entropy"]


def cross_entropy(claims: Claims, at: int, i: Instruction) -> bool:
    """Softmax, cross-entropy with indices and, where it is the end of the model, their gradient."""
    program = claims.program
    number = next(
        (s for s in program.enclosing(i.scope) if program.scopes[s].name == "cross_entropy"), None
    )
    if number is None:
        return False
    scope = program.scopes[number]
    logits, y, loss = scope.input("input"), scope.input("target"), scope.outputs[0]
    settings = dict(scope.settings)
    reduction = settings.get("reduction")
    if logits is None or y is None or reduction not in ("mean", "sum"):
        return False
    x, t = program.value(logits), program.value(y)
    if len(x.shape) != 2 or t.dtype != np.int64:
        return False
    if not isinstance(settings.get("label_smoothing"), float | int):
        return False
    within = list(program.within(number))
    if not all(map(claims.free, within)):
        return False
    inside = set(within)
    backward = [p for p in within if program.instructions[p].phase == "backward"]
    made = [n for p in within for n in program.instructions[p].outputs]
    seen = [n for n in made if n != loss and not claims.hidden(n, inside)]
    given = {n for p in backward for n in program.instructions[p].inputs} - set(made)
    given -= {n for p in within if p not in backward for n in program.instructions[p].inputs}
    if not all(_is_one(claims, n) for n in given):
        return False
    gradient = seen[0] if seen else None
    if len(seen) > 1 or (gradient is not None and program.value(gradient).shape != x.shape):
        return False

    weight = scope.input("weight")

    def lower(where: Places) -> list[Call]:
        kernel = CrossEntropy(
            where.planes[logits], reduction == "mean", weight is not None,
            int(settings["ignore_index"]), float(settings["label_smoothing"]),
            gradient is not None, dtype=x.dtype.name,
        )  # fmt: skip
        arrays = {"x": logits, "target": y, "loss": loss, "dx": gradient, "weight": weight}
        return [
            Call(
                kernel,
                {n: a for n, a in arrays.items() if a is not None},
                ("loss", "dx"),
                small=True,
            )
        ]

    writes = (loss,) if gradient is None else (loss, gradient)
    reads = (logits, y) if weight is None else (logits, y, weight)
    claims.take(within, Task("softmax + cross-entropy", reads, writes, lower))
    return True


def _is_one(claims: Claims, number: int) -> bool:
    """Whether a value is the constant 1: the gradient of the loss with respect to itself."""
    value = claims.program.value(number)
    if value.role != "constant":
        return False
    return bool(np.all(claims.program.constants[number] == 1))
