"""The graph: what `apply` records, and what a backward sweep needs of it."""

from __future__ import annotations

import itertools
import weakref
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rot180.core import rules
from rot180.core.kinds import OUTPUT, Array, Kind, Select, run
from rot180.core.lines import users_line
from rot180.core.modes import state
from rot180.core.tensor import Hook, Tensor, Version
from rot180.errors import DTypeError, GraphError, NumericsError

__all__ = ["Node", "apply", "assign", "choose", "from_host", "look", "users_line"]

_sequence = itertools.count()


class _Saved:
    """A value kept for the backward sweep, with the version it had."""

    __slots__ = ("checksum", "count", "data", "output", "source", "version")

    def __init__(self, value: Tensor, output: int | None) -> None:
        self.data: Array = value.data
        self.version: Version = value.version
        self.count = value.version.count
        # A node must not hold its own output, or neither would ever be freed by counting.
        self.output = output
        self.source = value if output is None else None
        self.checksum = _checksum(value.data) if state.anomaly else None

    def unpack(self, node: Node) -> Tensor:
        changed = self.version.count - self.count
        if changed or (self.checksum is not None and self.checksum != _checksum(self.data)):
            raise GraphError(
                f"backward: a value of shape {self.data.shape} that {node.name} saved for its "
                f"gradient was changed in place",
                expected="0 changes since the forward pass",
                got=f"{changed or 'one behind the back of the tensor'}",
                rule="write into a copy, or change the value after backward()",
            )
        if self.source is not None:
            return self.source
        value = Tensor(self.data, requires_grad=True)
        value.grad_fn, value.output_index = node, self.output or 0
        value.version = self.version
        return value


def _checksum(data: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8).data)


class Cause(NamedTuple):
    """The forward operation that a value of the backward sweep belongs to.

    It holds nothing of the graph, so a gradient that is kept does not keep the graph alive.

    Attributes:
        name: the operation's name.
        sequence: its place in the order of making, as of its node.
        where: the user's line, in anomaly mode.
        kind: what it is; None for a function of the user's.
    """

    name: str
    sequence: int
    where: str
    kind: Kind | None


class Node:
    """One recorded operation.

    Attributes:
        kind: what it is (a form, a map, ...), which decides its gradient rule.
        parents: for each input the node that made it, the leaf itself, or None (no gradient).
        parent_outputs: for each input, which output of its node it is.
        sequence: its place in the order of making; a sweep visits nodes from high to low.
        shapes: shape and dtype of each output.
        where: the user's line, in anomaly mode.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "_retained",
        "_saved",
        "kind",
        "parent_outputs",
        "parents",
        "sequence",
        "shapes",
        "where",
    )

    def __init__(self, kind: Any, inputs: tuple[Tensor, ...]) -> None:
        self.kind = kind
        self.parents = tuple(
            (t if t.grad_fn is None else t.grad_fn) if t.requires_grad else None for t in inputs
        )
        self.parent_outputs = tuple(t.output_index for t in inputs)
        self.sequence = next(_sequence)
        self.shapes: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
        self.where = users_line() if state.anomaly else ""
        self._saved: dict[int, _Saved] | None = {}
        self._hooks: dict[int, list[Hook]] | None = None
        self._retained: dict[int, weakref.ref[Tensor]] | None = None

    @property
    def name(self) -> str:
        """The operation's name."""
        return str(getattr(self.kind, "name", type(self.kind).__name__))

    def save(self, position: int, value: Tensor, output: int | None = None) -> None:
        """Keep an input, or one of the node's own outputs, for the gradient rule."""
        if self._saved is not None:
            self._saved[position] = _Saved(value, output)

    def cause(self) -> Cause:
        """What values of the backward sweep remember of this node."""
        kind = self.kind if isinstance(self.kind, Kind) else None
        return Cause(self.name, self.sequence, self.where, kind)

    def saved(self, position: int) -> Tensor:
        """A value that was kept.

        Raises:
            GraphError: it was freed by an earlier sweep, or changed in place.
        """
        if self._saved is None:
            raise GraphError(
                f"backward: the values saved by {self.name} were freed by an earlier backward()",
                rule="call backward(retain_graph=True) the first time to sweep twice",
            )
        return self._saved[position].unpack(self)

    def free(self) -> None:
        """Forget the saved values."""
        self._saved = None

    def hooks_of(self, output: int) -> list[Hook]:
        """The list of hooks on one output, for adding to."""
        self._hooks = self._hooks or {}
        return self._hooks.setdefault(output, [])

    def retain(self, output: Tensor) -> None:
        """Remember to set `.grad` of this output."""
        self._retained = self._retained or {}
        self._retained[output.output_index] = weakref.ref(output)

    def arrived(self, output: int, g: Tensor) -> Tensor:
        """Run the hooks of one output on its complete gradient, and retain it if asked."""
        for hook in list((self._hooks or {}).get(output, ())):
            replaced = hook(g)
            g = g if replaced is None else replaced
        reference = (self._retained or {}).get(output)
        kept = reference() if reference is not None else None
        if kept is not None:
            kept.grad = g if kept.grad is None else kept.grad + g
        return g

    def __repr__(self) -> str:
        shapes = ", ".join(str(shape) for shape, _ in self.shapes)
        return f"<{self.name} -> {shapes}>"


def apply(kind: Kind, *inputs: Tensor) -> Tensor:
    """Run an operation and record it where a gradient may be wanted.

    Raises:
        DTypeError: float32 and float64 are mixed.
        NumericsError: in anomaly mode, the result holds NaN and no input does.
    """
    _check_one_float(kind, inputs)
    if state.tracer is None:
        return _record(kind, inputs, run(kind, *(t.data for t in inputs)))
    return _record(kind, inputs, state.tracer.run(kind, *inputs))


def choose(kind: Select, source: Tensor) -> tuple[Tensor, Tensor]:
    """Run a select: the chosen values, recorded in the graph, and the record of the choice."""
    tracer = state.tracer
    values, record = run(kind, source.data) if tracer is None else tracer.run(kind, source)
    chosen = Tensor(record)
    return _record(kind, (source,), values, {1: chosen}), chosen


def assign(target: Tensor, value: Tensor) -> None:
    """Write a value into a tensor in place, outside the graph; a view sees it, too.

    While tracing, the write happens at the end of the step, and what follows reads the new value.
    """
    if state.tracer is None:
        target.writable()[...] = value.data
    else:
        target.version.count += 1
        state.tracer.assign(target, value)


def from_host(name: str, dtype: npt.DTypeLike, source: Callable[[], Any]) -> Tensor:
    """A number that the host gives: now, or while tracing, anew before every step."""
    if state.tracer is None:
        return Tensor(np.asarray(source(), dtype))
    made: Tensor = state.tracer.scalar(name, dtype, source)
    return made


def look(test: Callable[..., None], *tensors: Tensor, essential: bool = True) -> None:
    """Test values: now, or while tracing, before every step, when they are known by then.

    Args:
        test: called with the arrays; raises what is wrong with them.
        tensors: what to test.
        essential: whether values that are computed in the traced step, and so cannot be tested
            before it, are an error. Without, they go untested there.

    Raises:
        TraceError: while tracing, an essential test of computed values.
    """
    if state.tracer is None:
        test(*(t.data for t in tensors))
    else:
        state.tracer.look(test, tensors, essential)


def _record(
    kind: Kind, inputs: tuple[Tensor, ...], data: Array, extra: dict[int, Tensor] | None = None
) -> Tensor:
    out = Tensor(data)
    if data.base is not None and inputs and np.may_share_memory(data, inputs[0].data):
        out.version = inputs[0].version
    if state.grad and data.dtype.kind == "f" and any(t.requires_grad for t in inputs):
        node = Node(kind, inputs)
        node.shapes.append((data.shape, data.dtype))
        out.requires_grad, out.grad_fn = True, node
        if state.tracer is not None:
            state.tracer.made(node.sequence, data)
        wanted = {
            position
            for u, t in enumerate(inputs)
            if t.requires_grad
            for position in rules.needs(kind, u)
        }
        for position in sorted(wanted):
            if position == OUTPUT:
                node.save(position, out, output=0)
            elif extra is not None and position in extra:
                node.save(position, extra[position])
            else:
                node.save(position, inputs[position])
    if state.anomaly:
        check_anomaly(getattr(kind, "name", "operation"), data, tuple(t.data for t in inputs))
    if state.listener is not None:
        state.listener(kind, inputs, out, None if extra is None else extra[1])
    return out


def check_anomaly(name: str, data: Array, inputs: tuple[Array, ...]) -> None:
    """Raise where a value turned NaN: the result holds one and no input does."""
    if _has_nan(data) and not any(map(_has_nan, inputs)):
        cause = state.cause
        line = users_line() if cause is None else cause.where
        unknown = "" if cause is None else "run the forward pass in anomaly mode, too"
        raise NumericsError(
            f"{name}: the result is NaN and no input is"
            if cause is None
            else f"the gradient of {cause.name} is NaN and what it was computed from is not",
            got=f"{int(np.isnan(data).sum())} NaN in shape {data.shape}",
            rule=f"called at {line}" if line else unknown,
        )


def _has_nan(data: npt.NDArray[Any]) -> bool:
    return data.dtype.kind == "f" and bool(np.isnan(data).any())


def _check_one_float(kind: Kind, inputs: tuple[Tensor, ...]) -> None:
    first = None
    for t in inputs:
        dtype = t.data.dtype
        if dtype.kind == "f":
            if first is not None and dtype != first:
                raise DTypeError(
                    f"{kind.name}: mixed data types",
                    expected=f"{first} throughout",
                    got=f"{first} and {dtype}",
                    rule="nothing is converted silently; use x.astype(...)",
                )
            first = dtype
