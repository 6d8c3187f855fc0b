"""A map by NumPy: its expression as a short program of ufuncs that reuses dead buffers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.core import Array, Map, Update, prepare, run
from rot180.core.expression import Expression, in_order
from rot180.kernels import masks, special

__all__ = ["evaluate", "prepared"]

_IN_PLACE: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "negative": np.negative,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "absolute": np.absolute,
    "sign": np.sign,
    "floor": np.floor,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sigmoid": special.sigmoid,
    "softplus": special.softplus,
}
"""Functions that take `out=`."""

_FRESH: dict[str, Callable[..., Any]] = {
    "erf": special.erf,
    "where": masks.where,
    "greater": np.greater,
    "less": np.less,
    "greater_equal": np.greater_equal,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
}
"""Functions that always make a new array."""


@dataclass(frozen=True)
class _Step:
    """One call: where its arguments lie, and which of them are not needed afterwards."""

    call: Callable[..., Any]
    args: tuple[int, ...]
    dying: tuple[int, ...]
    takes_out: bool


@dataclass(frozen=True)
class _Program:
    inputs: tuple[tuple[int, int], ...]
    constants: tuple[tuple[int, Any], ...]
    steps: tuple[tuple[int, _Step], ...]
    size: int


@functools.lru_cache(maxsize=4096)
def _compile(kind: Map) -> _Program:
    order = in_order(kind.body)
    slot = {node: i for i, node in enumerate(order)}
    last: dict[Expression, Expression] = {arg: node for node in order for arg in node.args}
    inputs, constants, steps = [], [], []
    for node in order:
        if node.op == "variable":
            inputs.append((slot[node], kind.inputs.index(str(node.value))))
        elif node.op == "constant":
            constants.append((slot[node], node.value))
        else:
            dying = tuple(slot[arg] for arg in dict.fromkeys(node.args) if last[arg] is node)
            in_place = node.op in _IN_PLACE
            call = _IN_PLACE[node.op] if in_place else _FRESH[node.op]
            args = tuple(slot[arg] for arg in node.args)
            steps.append((slot[node], _Step(call, args, dying, in_place)))
    return _Program(tuple(inputs), tuple(constants), tuple(steps), len(order))


@run.register
def evaluate(kind: Map, *arrays: Array) -> Array:
    """Compute a map. Overflow, division by zero and NaN follow IEEE 754 without a warning."""
    program = _compile(kind)
    values: list[Any] = [None] * program.size
    for slot, i in program.inputs:
        values[slot] = arrays[i]
    shape = max((a.shape for a in arrays), key=len, default=())
    dtype = next((a.dtype for a in arrays if a.dtype.kind == "f"), None)
    for slot, number in program.constants:
        values[slot] = number if dtype is None else dtype.type(number)
    owned: set[int] = set()
    with np.errstate(all="ignore"):
        for slot, step in program.steps:
            args = [values[i] for i in step.args]
            free = [i for i in step.dying if i in owned] if step.takes_out else []
            if free and values[free[0]].shape == shape:
                values[slot] = step.call(*args, out=values[free[0]])
            else:
                values[slot] = step.call(*args)
            made = values[slot]
            if isinstance(made, np.ndarray) and made.ndim and made.dtype == dtype:
                owned.add(slot)
            for i in step.dying:
                values[i] = None
    result = np.asarray(values[-1])
    if kind.dtype is not None:
        return result.astype(kind.dtype)
    if not program.steps or result.shape != shape:
        wanted = result.dtype if dtype is None else dtype
        return np.array(np.broadcast_to(result, shape), dtype=wanted, order="K")
    return result


@prepare.register
def prepared(kind: Update) -> tuple[Callable[[list[Any]], None], int]:
    """An update as a flat list of ufuncs that write over its cells and over scratch memory.

    The cell that a map is written over is free for the map's own steps once it was last read.
    """
    calls: list[tuple[Callable[..., Any], int, int | None, int]] = []
    numbers: dict[float, int] = {}
    used = 0
    for target, body in ((kind.cells.index(name), move) for name, move in kind.moves):
        program = _compile(body)
        at = {slot: kind.cells.index(body.inputs[i]) for slot, i in program.inputs}
        free = list(range(len(kind.cells), len(kind.cells) + used))
        for slot, number in program.constants:
            # Numbers of the expression stand behind the scratch memory: counted from the end.
            at[slot] = -1 - numbers.setdefault(number, len(numbers))
        for slot, step in program.steps:
            if not step.takes_out:
                raise NotImplementedError(f"{body.name}: a function that cannot write over a cell")
            dying = {at[i] for i in step.dying}
            free += [i for i in dying if i == target or i >= len(kind.cells)]
            args = [at[i] for i in step.args]
            if slot == program.size - 1:
                at[slot] = target
            elif free:
                at[slot] = free.pop()
            else:
                at[slot], used = len(kind.cells) + used, used + 1
            calls.append((step.call, args[0], args[1] if len(args) > 1 else None, at[slot]))
        if not program.steps:
            calls.append((np.positive, at[program.size - 1], None, target))
    constants = list(numbers)[::-1]

    def update(values: list[Any]) -> None:
        values += constants
        for call, first, second, out in calls:
            if second is None:
                call(values[first], values[out])
            else:
                call(values[first], values[second], values[out])

    return update, used
