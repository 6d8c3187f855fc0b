"""Absorption: what is done to each channel behind a linear operation goes into its weights.

    ((w · x) − m) · s + b  =  (s · w) · x + (b − m · s)

So batch norm by running statistics costs nothing for each cell: what is left is a bias, which the
layer's own kernel adds. The weights are scaled anew in every step, since they are the model's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rot180.core import declare
from rot180.core.affine import Affine
from rot180.core.kinds import Form, Map, pointwise
from rot180.core.program import Instruction, Program, Value
from rot180.core.results import Spec
from rot180.jit.planning.fuse import repeats

__all__ = ["absorbed"]

_STEPS = {
    "add": pointwise("add", lambda x, y: x + y),
    "sub": pointwise("sub", lambda x, y: x - y),
    "mul": pointwise("mul", lambda x, y: x * y),
}
_NEGATIVE = pointwise("neg", lambda x: -x)


def absorbed(program: Program) -> Program:
    """The program with sums and products for each channel in the weights before them."""
    kept = {n for _, n in (*program.outputs, *program.writes)}
    gone: set[int] = set()
    instead: dict[int, list[Instruction]] = {}
    values: list[Value] = []
    for at, i in enumerate(program.instructions):
        place = _place_of_weight(i.kind)
        steps = [] if place is None else _steps(program, i.outputs[0], kept)
        if place is None or not any(name != "add" for _, name, _ in steps):
            continue
        last = steps[-1][0]
        gone.update((at, *(step for step, _, _ in steps)))
        writer = _Writer(program, values, program.instructions[last])
        instead[last] = writer.scaled(i, place, steps)
    if not gone:
        return program
    instructions = []
    for at, i in enumerate(program.instructions):
        instructions += instead.get(at, [] if at in gone else [i])
    known = (*program.values, *values)
    return replace(program, values=known, instructions=tuple(instructions)).live()


def _place_of_weight(kind: object) -> tuple[int, int] | None:
    """(input, axis) of the weights' axis that is axis 1 of the result."""
    if not isinstance(kind, Form) or kind.name not in ("conv", "linear"):
        return None
    names = [operand.name for operand in kind.inputs]
    if "w" not in names or len(kind.result.axes) < 2:
        return None
    weight = names.index("w")
    wanted = _terms(kind, kind.result.axes[1])
    for axis, index in enumerate(kind.inputs[weight].axes):
        if wanted and _terms(kind, index) == wanted:
            return weight, axis
    return None


def _terms(kind: Form, index: Affine) -> list[tuple[str, int]]:
    """What an index counts, without loops of one round."""
    return [(loop, step) for loop, step in index.terms if kind.extents[loop] > 1]


def _steps(program: Program, number: int, kept: set[int]) -> list[tuple[int, str, int]]:
    """(place, operation, vector) of what is done to each channel of a value, one after the other.

    Each is the only reader of what is before it.
    """
    found: list[tuple[int, str, int]] = []
    while number not in kept and len(program.readers[number]) == 1:
        (at,) = program.readers[number]
        i = program.instructions[at]
        if not isinstance(i.kind, Map) or i.kind != _STEPS.get(i.kind.name):
            break
        first, second = i.inputs
        if first == second or (first != number and i.kind.name == "sub"):
            break
        vector = _along_channels(program, second if first == number else first)
        if vector is None or program.value(vector).dtype != program.value(number).dtype:
            break
        found.append((at, i.kind.name, vector))
        number = i.outputs[0]
    return found


def _along_channels(program: Program, number: int) -> int | None:
    """The vector that a value repeats along everything but axis 1."""
    made = program.makers.get(number)
    if made is None:
        return None
    i = program.instructions[made]
    along = [axis for axis in repeats(i.kind) or () if axis is not None]
    return i.inputs[0] if along == [1] else None


class _Writer:
    """Writes the instructions that stand for a layer and the steps behind it.

    Args:
        program: the program.
        values: new values, to which its own are added.
        last: the last of the steps.
    """

    def __init__(self, program: Program, values: list[Value], last: Instruction) -> None:
        self._program, self._values, self._last = program, values, last
        self._first = 1 + max(v.number for v in program.values)
        self._made: list[Instruction] = []

    def scaled(
        self, i: Instruction, place: tuple[int, int], steps: Sequence[tuple[int, str, int]]
    ) -> list[Instruction]:
        """The layer `i`, the place of its weights' channels, and the steps as `_steps` tells."""
        scale: int | None = None
        shift: int | None = None
        for _, name, given in steps:
            vector = self._flat(given)
            if name == "mul":
                scale = vector if scale is None else self._map("mul", scale, vector)
                shift = None if shift is None else self._map("mul", shift, vector)
            elif shift is None:
                shift = vector if name == "add" else self._map("neg", vector)
            else:
                shift = self._map(name, shift, vector)
        inputs = list(i.inputs)
        weight, axis = place
        if scale is not None:
            along = self._along(scale, self._spec(inputs[weight]).shape, axis)
            inputs[weight] = self._map("mul", inputs[weight], along)
        spec = self._spec(self._last.outputs[0])
        if shift is None:
            self._made.append(replace(i, inputs=tuple(inputs), outputs=self._last.outputs))
        else:
            made = self._value(spec)
            self._made.append(replace(i, inputs=tuple(inputs), outputs=(made,)))
            along = self._along(shift, spec.shape, 1)
            self._made.append(replace(self._last, kind=_STEPS["add"], inputs=(made, along)))
        return self._made

    def _spec(self, number: int) -> Spec:
        new = number - self._first
        return self._program.value(number).spec if new < 0 else self._values[new].spec

    def _value(self, spec: Spec) -> int:
        number = self._first + len(self._values)
        self._values.append(Value(number, spec, "computed"))
        return number

    def _do(self, kind: Map | Form, spec: Spec, *inputs: int) -> int:
        made = self._value(spec)
        self._made.append(replace(self._last, kind=kind, inputs=inputs, outputs=(made,)))
        return made

    def _map(self, name: str, *inputs: int) -> int:
        return self._do(_STEPS.get(name, _NEGATIVE), self._spec(inputs[0]), *inputs)

    def _flat(self, number: int) -> int:
        """A vector without its axes of size 1."""
        spec = self._spec(number)
        count = math.prod(spec.shape)
        if spec.shape == (count,):
            return number
        words = " ".join("i" if size > 1 else "0" for size in spec.shape)
        form = declare("reshape", x=words, y="i")
        bound = form.bind(0, "y", {"x": spec.shape, "y": (count,)}, {"i": count})
        return self._do(bound, Spec((count,), spec.dtype), number)

    def _along(self, vector: int, shape: tuple[int, ...], axis: int) -> int:
        """A vector repeated along everything but one axis of a shape."""
        loops = {f"i{a}": size for a, size in enumerate(shape)}
        form = declare("expand", x=f"i{axis}", y=" ".join(loops))
        bound = form.bind(0, "y", {"x": (shape[axis],), "y": shape}, loops)
        return self._do(bound, Spec(shape, self._spec(vector).dtype), vector)
