"""Three kinds of operation, three gradient rules. There is no other place with a gradient in it.

| kind   | its gradient with respect to input u                                              |
| ------ | ---------------------------------------------------------------------------------- |
| form   | the same form, read for operand u, with the upstream gradient in the output's place |
| map    | upstream gradient × the partial derivative of its scalar expression                |
| select | hand the upstream gradient to the chosen cells (and the adjoint of that is to take) |

`needs` names the values a rule reads, so that nothing else is kept for the backward sweep.
Rules are written in operations: a sweep that is recorded can be swept again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

from rot180.core.kinds import Form, Give, Kind, Map, Select, Sum, Take
from rot180.core.tensor import Tensor

__all__ = ["Apply", "SavedValues", "gradient", "gradients", "needs"]


class Apply(Protocol):
    """How a rule runs an operation."""

    def __call__(self, kind: Kind, *inputs: Tensor) -> Tensor:
        """Run and record it."""


class SavedValues(Protocol):
    """How a rule reads what was kept for it."""

    def saved(self, position: int) -> Tensor:
        """The value that was kept at this position."""


@functools.singledispatch
def needs(kind: Any, u: int) -> tuple[int, ...]:
    """Positions of the values that the gradient with respect to input u reads."""
    raise NotImplementedError(f"no gradient rule for {type(kind).__name__}, input {u}")


@functools.singledispatch
def gradient(kind: Any, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor | None:
    """The gradient with respect to input u, given the upstream gradient g."""
    raise NotImplementedError(f"no gradient rule for {type(kind).__name__}, input {u}")


@functools.singledispatch
def gradients(
    kind: Any,
    wanted: Sequence[int],
    arrived: Sequence[Tensor | None],
    values: SavedValues,
    apply: Apply,
) -> list[Tensor | None]:
    """The gradients with respect to all wanted inputs, given those of all outputs."""
    (g,) = arrived
    return [None if g is None else gradient(kind, u, g, values, apply) for u in wanted]


# Form: ∂T/∂u is the same form with u in output position and g among the factors.
# A sum of forms: the summand that reads u.


@needs.register
def _(kind: Form, u: int) -> tuple[int, ...]:
    return tuple(i for i in range(len(kind.inputs)) if i != u)


@gradient.register
def _(kind: Form, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor:
    known = {o.name: i for i, o in enumerate(kind.inputs) if i != u}
    read = kind.wrt(kind.inputs[u].name)
    factors = (g if o.name == kind.output else values.saved(known[o.name]) for o in read.inputs)
    return apply(read, *factors)


@needs.register
def _(kind: Sum, u: int) -> tuple[int, ...]:
    return ()


@gradient.register
def _(kind: Sum, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor:
    (operand,) = kind.forms[u].inputs
    return apply(kind.forms[u].wrt(operand.name), g)


# Map: upstream gradient × derivative, which is a map again.


@needs.register
def _(kind: Map, u: int) -> tuple[int, ...]:
    return kind.derivative(u)[1]


@gradient.register
def _(kind: Map, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor | None:
    derivative, positions = kind.derivative(u)
    if derivative.body.op == "constant":
        return None  # the derivative is 0: nothing to hand on
    if derivative.body.op == "variable" and derivative.dtype is None:
        return g  # the derivative is 1
    return apply(derivative, g, *(values.saved(position) for position in positions))


# Select: linear once the choice is made. Take and Give are adjoint to each other.


@needs.register(Select)
@needs.register(Take)
@needs.register(Give)
def _(kind: Select | Take | Give, u: int) -> tuple[int, ...]:
    return (1,)


@gradient.register(Select)
@gradient.register(Take)
def _(kind: Select | Take, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor:
    return apply(Give(kind.name, kind.choice), g, values.saved(1))


@gradient.register
def _(kind: Give, u: int, g: Tensor, values: SavedValues, apply: Apply) -> Tensor:
    return apply(Take(kind.name, kind.choice), g, values.saved(1))
