"""The tape: every operation of a forward pass and of its sweep, in order, with its arrays.

Explain is a reader of declarations, so it listens: each form, map and select that is run, or that
a gradient rule runs, is written down with the values it read and the value it made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180.core import (
    Array,
    Form,
    Give,
    Kind,
    Map,
    Node,
    Select,
    Take,
    Tensor,
    Windows,
    apply,
    gradients,
    listening,
    pointwise,
)
from rot180.core.expression import constant
from rot180.errors import ArgumentError

__all__ = ["Step", "Tape", "Value", "copied", "is_alias", "is_reduction", "record"]


@dataclass(eq=False)
class Value:
    """One array of an explanation.

    Attributes:
        array: its numbers, as the engine computed them.
        step: the operation that made it; None for what was given.
        role: "input", "output", "upstream", "gradient", "inner" or "constant".
        name: how it is printed; "" for an inner value that is written out where it is used.
        of: for a gradient, the value that it is the gradient of.
        lead: leading axes of extent 1 that are not printed.
    """

    array: Array
    step: Step | None = None
    role: str = "inner"
    name: str = ""
    of: Value | None = None
    lead: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """All axes, the unprinted ones too."""
        return self.array.shape

    @property
    def shown(self) -> tuple[int, ...]:
        """The axes that are printed."""
        return self.array.shape[self.lead :]


@dataclass(eq=False)
class Step:
    """One operation that was run.

    Attributes:
        kind: the declaration.
        inputs: what it read, one value for each input of the kind.
        output: what it made.
        record: the record of a select's choice.
        backward: whether a gradient rule ran it.
        cause: for a step of the sweep, the name of the forward operation whose rule ran it.
        place: its number on the tape.
    """

    kind: Kind
    inputs: tuple[Value, ...]
    output: Value
    record: Array | None = None
    backward: bool = False
    cause: str = ""
    place: int = 0

    @property
    def name(self) -> str:
        """The operation's name."""
        return str(self.kind.name)

    @property
    def reads(self) -> tuple[Value, ...]:
        """The inputs that are numbers of the computation (not the record of a choice)."""
        return self.inputs[:1] if isinstance(self.kind, Take) else self.inputs


@dataclass
class Tape:
    """What was recorded.

    Attributes:
        steps: the operations, in the order in which they ran.
        inputs: the values that were given and are explained, in order.
        output: the result of the forward pass.
        upstream: the gradient that arrives at the result; None where nothing has a gradient.
        deltas: the gradients that were swept: value -> gradient.
        watched: the values that the caller asked for.
    """

    steps: list[Step] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    output: Value = field(default_factory=lambda: Value(np.zeros(())))
    upstream: Value | None = None
    deltas: dict[Value, Value] = field(default_factory=dict)
    watched: list[Value] = field(default_factory=list)


class _Listener:
    """Writes steps down, and knows which value a tensor is."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.backward = False
        # Tensors and arrays are kept, so that no identity is used twice.
        self._by_tensor: dict[int, tuple[Tensor, Value]] = {}
        self._by_array: dict[int, tuple[Array, Value]] = {}

    def know(self, t: Tensor, value: Value) -> Value:
        self._by_tensor[id(t)] = t, value
        self._by_array.setdefault(id(t.data), (t.data, value))
        return value

    def find(self, t: Tensor) -> Value | None:
        found = self._by_tensor.get(id(t)) or self._by_array.get(id(t.data))
        return None if found is None else found[1]

    def value(self, t: Tensor) -> Value:
        found = self.find(t)
        if found is None:
            if t.grad_fn is not None and t.grad_fn.name not in ("", "operation"):
                _refuse_own(t.grad_fn)
            found = self.know(t, Value(t.data, role="constant"))
        return found

    def __call__(
        self, kind: Kind, inputs: tuple[Tensor, ...], out: Tensor, chosen: Tensor | None
    ) -> None:
        read = tuple(self.value(t) for t in inputs)
        made = Value(out.data)
        cause = "" if out.cause is None else str(out.cause.name)
        chosen_array = None if chosen is None else chosen.data
        place = len(self.tape.steps)
        made.step = Step(kind, read, made, chosen_array, self.backward, cause, place)
        self.tape.steps.append(made.step)
        self.know(out, made)


def _refuse_own(node: Node) -> None:
    if not isinstance(node.kind, Kind):
        raise ArgumentError(
            f"explain: {node.name} is a function with a backward pass of its own",
            expected="operations that are declared as form, map or select",
            rule="write it in operations of rot180, or check it with rot180.check",
        )


def record(
    function: Callable[..., Any],
    tensors: Sequence[Tensor],
    upstream: Callable[[tuple[int, ...]], Array] | Array | None,
    parameters: Sequence[Tensor] = (),
    watched: Callable[[], Sequence[Tensor]] = tuple,
) -> Tape:
    """Run a function and its sweep, and write everything down.

    Args:
        function: called with the tensors.
        tensors: the arguments; those that require a gradient get one.
        upstream: g, or what makes it of the result's shape.
        parameters: further tensors whose gradients are swept.
        watched: after the forward pass, the tensors whose values are wanted as `tape.watched`.

    Raises:
        ArgumentError: the function returns no tensor, or uses a function with a hand-written
            backward pass.
    """
    listener = _Listener()
    tape = listener.tape
    for t in [*tensors, *parameters]:
        if listener.find(t) is None:
            tape.inputs.append(listener.know(t, Value(t.data, role="input")))
    made: list[Tensor] = []

    def listen(kind: Kind, inputs: tuple[Tensor, ...], out: Tensor, chosen: Tensor | None) -> None:
        listener(kind, inputs, out, chosen)
        made.append(out)

    with listening(listen):
        z = function(*tensors)
        if isinstance(z, tuple):
            z = z[0]
        if not isinstance(z, Tensor):
            raise ArgumentError("explain: the function must return a tensor", got=type(z).__name__)
        if listener.value(z) in tape.inputs:  # a function that hands its argument on
            z = apply(_COPY, z)
    tape.output = listener.value(z)
    if tape.output.role == "constant":
        raise ArgumentError("explain: the result does not depend on the arguments")
    tape.watched = [listener.value(t) for t in watched()]
    if z.grad_fn is not None:
        _sweep(listener, z, [*tensors, *parameters], made, upstream)
    return tape


def _sweep(
    listener: _Listener,
    z: Tensor,
    leaves: Sequence[Tensor],
    inner: Sequence[Tensor],
    upstream: Callable[[tuple[int, ...]], Array] | Array | None,
) -> None:
    given = upstream(z.shape) if callable(upstream) else upstream
    start = np.ones(z.shape, z.dtype) if given is None else np.asarray(given, z.dtype)
    # It requires a gradient, so that sums of gradients are recorded and not added up in place.
    g = Tensor(start, requires_grad=True)
    listener.tape.upstream = listener.know(g, Value(g.data, role="upstream"))
    wanted = [t for t in leaves if t.requires_grad]
    wanted += [t for t in inner if t.requires_grad and t is not z]
    listener.backward = True
    with listening(listener):
        found = gradients([z], wanted, [g], create_graph=True)
    given_leaves = {id(t) for t in leaves}
    for t, delta in zip(wanted, found, strict=True):
        source = listener.value(t)
        if source in listener.tape.deltas or (delta is None and id(t) not in given_leaves):
            continue
        found_here = _nothing(source, listener) if delta is None else listener.value(delta)
        listener.tape.deltas[source] = found_here


def _nothing(source: Value, listener: _Listener) -> Value:
    """The gradient of what the result does not depend on smoothly: 0 everywhere."""
    upstream = listener.tape.upstream
    value = Value(np.zeros_like(source.array))
    read = (upstream,) if upstream is not None else ()
    value.step = Step(_ZERO, read, value, backward=True, place=len(listener.tape.steps))
    listener.tape.steps.append(value.step)
    return value


_COPY = pointwise("copy", lambda x: x)
_ZERO = pointwise("nothing", lambda g: constant(0.0))


def copied(value: Value) -> Step:
    """A step that hands a value on: the gradient of a sum's operand is the upstream gradient."""
    return Step(_COPY, (value,), Value(value.array), backward=True)


def is_alias(step: Step) -> bool:
    """Whether every cell of the output is just one cell of the input, or 0."""
    kind = step.kind
    if isinstance(kind, Form):
        return len(kind.inputs) == 1 and not _summed(kind)
    if isinstance(kind, Give):
        return not isinstance(kind.choice, Windows)
    return isinstance(kind, Take) or (isinstance(kind, Map) and kind.body.op == "variable")


def is_reduction(step: Step) -> bool:
    """Whether a cell of the output is a sum over cells."""
    kind = step.kind
    if isinstance(kind, Form):
        return _summed(kind)
    return isinstance(kind, Select) or (isinstance(kind, Give) and not is_alias(step))


def _summed(form: Form) -> bool:
    extents = form.extents
    if form.inputs and any(extents[loop] > 1 for o in form.inputs for loop in o.loops
                           if loop not in form.result.loops):  # fmt: skip
        return True
    # An axis of the output that joins loops, such as S·p + D·r − A, may be met by several points.
    return not all(_injective(axis.terms, extents) for axis in form.result.axes)


def _injective(terms: tuple[tuple[str, int], ...], extents: dict[str, int]) -> bool:
    """Whether different points of the loops give different indices, as digits do."""
    reach = 0
    for loop, coefficient in sorted(terms, key=lambda term: abs(term[1])):
        if extents[loop] > 1:
            if abs(coefficient) <= reach:
                return False
            reach += abs(coefficient) * (extents[loop] - 1)
    return True
