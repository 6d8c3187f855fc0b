"""Generic: the loop nest of every kind, so that nothing that is traced lacks a lowering.

| kind               | kernel                                                                |
| ------------------ | --------------------------------------------------------------------- |
| map                | `Pointwise`                                                           |
| form, sum of forms | `Pointwise` or `Reduce` where all indices stay inside, else `GenericForm` |
| select, take, give | `Chosen`                                                              |
| draw               | `Drawn`                                                               |

Arrays of these kernels are named in the order of the kind: inputs, then outputs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rot180.core.expression import substitute, variable
from rot180.core.kinds import Draw, Form, Give, Map, Select, Sum, Take
from rot180.core.program import Instruction
from rot180.jit.emission.access import access
from rot180.jit.emission.kernel import Kernel
from rot180.jit.emission.layout import Layout
from rot180.jit.families.drawn import Drawn
from rot180.jit.families.generic_form import GenericForm, as_nest
from rot180.jit.families.generic_select import Chosen
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.families.reduce import Reduce
from rot180.jit.families.rest import ClearRest
from rot180.jit.planning.task import Argument, Call, Places, Temporary

__all__ = ["calls_of", "clear_rest", "generic_calls", "lower"]


@functools.singledispatch
def lower(
    kind: Any, inputs: Sequence[Layout], outputs: Sequence[Layout], dtypes: Sequence[str]
) -> tuple[Kernel, tuple[str, ...]]:
    """The kernel of a kind.

    Args:
        kind: any kind.
        inputs: layouts of what it reads, in its order.
        outputs: layouts of what it makes: one, or values and record of a select.
        dtypes: data types of the inputs, then of the outputs.

    Returns:
        The kernel, and the name of its array for each input and output in order.
    """
    raise NotImplementedError(f"no loop nest for {type(kind).__name__}")


def _float(dtypes: Sequence[str]) -> str:
    """The type to compute in: that of the floats, float64 if there are none."""
    return next((dtype for dtype in dtypes if dtype.startswith("float")), "float64")


@lower.register
def _(
    kind: Map, inputs: Sequence[Layout], outputs: Sequence[Layout], dtypes: Sequence[str]
) -> tuple[Kernel, tuple[str, ...]]:
    (out,) = outputs
    loops = range(len(out.shape))
    names = tuple(f"x{i}" for i in range(len(inputs)))
    body = kind.body
    # Variables get the names of the arrays, by way of names that no input has.
    for i, name in enumerate(kind.inputs):
        body = substitute(body, variable(name), variable(f" {i}"))
    for i, name in enumerate(names):
        body = substitute(body, variable(f" {i}"), variable(name))
    reads = tuple(
        access(name, layout, loops if layout.shape else (), len(loops), dtype)
        for name, layout, dtype in zip(names, inputs, dtypes, strict=False)
    )
    write = access("z", out, loops, len(loops), dtypes[-1])
    kernel = Pointwise(out.shape, reads, (write,), (body,), _float(dtypes))
    return kernel, (*names, "z")


@lower.register(Form)
@lower.register(Sum)
def _(
    kind: Form | Sum, inputs: Sequence[Layout], outputs: Sequence[Layout], dtypes: Sequence[str]
) -> tuple[Kernel, tuple[str, ...]]:
    forms = kind.forms if isinstance(kind, Sum) else (kind,)
    layouts = (*inputs, *outputs)
    names = (*(f"x{i}" for i in range(len(inputs))), "z")
    dtype = _float(dtypes)
    if len(forms) == 1:
        nest = as_nest(forms[0], layouts, dtypes, dtype)
        if nest is not None:
            return nest, names
    return GenericForm(forms, layouts, tuple(dtypes), dtype), names


@lower.register(Select)
@lower.register(Take)
@lower.register(Give)
def _(
    kind: Select | Take | Give,
    inputs: Sequence[Layout],
    outputs: Sequence[Layout],
    dtypes: Sequence[str],
) -> tuple[Kernel, tuple[str, ...]]:
    kernel = Chosen(kind, (*inputs, *outputs), tuple(dtypes), _float(dtypes))
    return kernel, kernel.arrays


@lower.register
def _(
    kind: Draw, inputs: Sequence[Layout], outputs: Sequence[Layout], dtypes: Sequence[str]
) -> tuple[Kernel, tuple[str, ...]]:
    (out,) = outputs
    return Drawn(kind.shape, out, dtypes[-1]), Drawn.arrays


def generic_calls(instruction: Instruction, where: Places) -> list[Call]:
    """One instruction of a program as calls of kernels; dead lanes of what it makes become 0."""
    return [*_own_calls(instruction, where), *clear_rest(instruction.outputs, where)]


def clear_rest(numbers: Sequence[int], where: Places) -> list[Call]:
    """0 in the dead lanes of values that were just made."""
    found = []
    for number in numbers:
        planes = where.planes.get(number)
        if planes is not None and planes.images % planes.block and where.dtypes[number].kind == "f":
            kernel = ClearRest(planes, where.dtypes[number].name)
            found.append(Call(kernel, {"z": number}, ("z",)))
    return found


def _own_calls(instruction: Instruction, where: Places) -> list[Call]:
    numbers = (*instruction.inputs, *instruction.outputs)
    kernel, names = lower(
        instruction.kind,
        [where.layouts[n] for n in instruction.inputs],
        [where.layouts[n] for n in instruction.outputs],
        [where.dtypes[n].name for n in numbers],
    )
    written = names[len(instruction.inputs) :]
    return calls_of(kernel, dict(zip(names, numbers, strict=True)), written, where)


def calls_of(
    kernel: Kernel, arrays: Mapping[str, Argument], written: tuple[str, ...], where: Places
) -> list[Call]:
    """The call of a kernel; of sums of which there are few the calls of two."""
    steps = kernel.split() if isinstance(kernel, Reduce) and where.parts > 1 else None
    if steps is None:
        return [Call(kernel, arrays, written)]
    first, second = steps
    size = math.prod(second.extents)
    partial = {a.name: Temporary(a.name, size, a.dtype) for a in second.reads}
    sums = {a.name: arrays[a.name] for a in second.writes}
    read = {a.name: arrays[a.name] for a in first.reads}
    return [
        Call(first, {**partial, **read}, tuple(partial)),
        Call(second, {**sums, **partial}, tuple(sums), small=True),
    ]
