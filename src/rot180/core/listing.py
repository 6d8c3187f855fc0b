"""A program as text: one line for each value that is given, and one for each instruction."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rot180.core.expression import substitute, variable
from rot180.core.form import Form
from rot180.core.kinds import Draw, Give, Map, Select, Sum, Take

if TYPE_CHECKING:
    from rot180.core.program import Instruction, Program

__all__ = ["instruction_line", "listing"]


def listing(program: Program) -> str:
    """The whole program."""
    lines = [
        f"%{value.number} {value.spec} {value.role} {value.name}".rstrip()
        for value in program.values
        if value.role != "computed"
    ]
    phase = ""
    for instruction in program.instructions:
        if instruction.phase != phase:
            phase = instruction.phase
            lines.append(f"{phase}:")
        lines.append("  " + instruction_line(program, instruction))
    lines += [f"output {name} %{number}" for name, number in program.outputs]
    lines += [
        f"write %{target} {program.value(target).name} <- %{new}" for target, new in program.writes
    ]
    return "\n".join(lines)


def instruction_line(program: Program, instruction: Instruction) -> str:
    """One instruction: what it makes, how, in which scope, and which value's gradient it is for."""
    made = ", ".join(
        f"%{number} {program.value(number).spec}" if program.knows(number) else f"%{number} ?"
        for number in instruction.outputs
    )
    words = [f"{made} = {_reading(instruction.kind, [f'%{n}' for n in instruction.inputs])}"]
    if instruction.scope is not None and instruction.scope < len(program.scopes):
        words.append(f"; {program.path(instruction.scope)}")
    if instruction.cause is not None:
        words.append(f"{'' if len(words) > 1 else '; '}of %{instruction.cause}")
    return " ".join(words)


@functools.singledispatch
def _reading(kind: Any, names: Sequence[str]) -> str:
    return f"{getattr(kind, 'name', kind)}({', '.join(names)})"


@_reading.register
def _(kind: Form, names: Sequence[str]) -> str:
    named = dict(zip((operand.name for operand in kind.inputs), names, strict=False))
    factors = [
        f"{named.get(operand.name, '?')}[{', '.join(map(str, operand.axes))}]"
        for operand in kind.inputs
    ]
    summed = [loop for loop, _ in kind.loops if loop not in kind.result.loops]
    total = f"Σ_{{{','.join(summed)}}} " if summed else ""
    return f"{kind.name}[{', '.join(map(str, kind.result.axes))}] {total}{' · '.join(factors)}"


@_reading.register
def _(kind: Sum, names: Sequence[str]) -> str:
    parts = [_reading(form, [name]) for form, name in zip(kind.forms, names, strict=False)]
    return " + ".join(parts)


@_reading.register
def _(kind: Map, names: Sequence[str]) -> str:
    # All at once: an input may be called as another one's name is read.
    body = kind.body
    for name in kind.inputs:
        body = substitute(body, variable(name), variable(f"%{name}"))
    for name, given in zip(kind.inputs, names, strict=False):
        body = substitute(body, variable(f"%{name}"), variable(given))
    cast = "" if kind.dtype is None else f" as {kind.dtype}"
    return f"{kind.name}: {body}{cast}"


@_reading.register
def _(kind: Select, names: Sequence[str]) -> str:
    word = "largest" if kind.largest else "smallest"
    return f"{kind.name}: {word} of {', '.join(names)} by {kind.choice}"


@_reading.register(Take)
@_reading.register(Give)
def _(kind: Take | Give, names: Sequence[str]) -> str:
    words = ("take from", "at") if isinstance(kind, Take) else ("give", "to")
    return f"{kind.name}: {words[0]} {f' {words[1]} '.join(names)} by {kind.choice}"


@_reading.register
def _(kind: Draw, names: Sequence[str]) -> str:
    return f"{kind.name}: draw {list(kind.shape)} by key {', '.join(names)}"
