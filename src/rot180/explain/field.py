"""Fields of a cell: what it can see (receptive), and what can see it (projective), exactly.

A mask is carried through the recorded operations: backwards for the receptive field, forwards for
the projective one. A form carries it by being run with ones in all other places; a maximum may
choose any of its candidates; everything else is read off the record.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Along, Array, Form, Give, Map, Select, Sum, Take, Windows, declare, run

if TYPE_CHECKING:
    from rot180.core import Choice
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Step, Value

__all__ = ["Field", "projective", "receptive"]


@dataclass(frozen=True)
class Field:
    """The cells of one array that belong to a field.

    Attributes:
        name: the array.
        mask: true for the cells of the field; the array's whole shape.
        lead: leading axes that are not printed.
    """

    name: str
    mask: Array
    lead: int

    @property
    def count(self) -> int:
        """How many cells."""
        return int(self.mask.sum())

    @property
    def box(self) -> tuple[range, ...]:
        """The smallest range of each printed axis that holds them all, counted from 0."""
        found = np.argwhere(self.mask.reshape(self.mask.shape[self.lead :]))
        if not len(found):
            return tuple(range(0) for _ in self.mask.shape[self.lead :])
        low, high = found.min(axis=0), found.max(axis=0)
        return tuple(range(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))

    def __str__(self) -> str:
        size = "×".join(str(len(axis)) for axis in self.box)
        return f"{self.name}: {self.count} ({size})"


def receptive(e: Explanation, value: Value, cell: tuple[int, ...]) -> dict[str, Field]:
    """For every named array of the forward pass, the cells that one cell depends on."""
    masks: dict[int, Array] = {id(value): _one(value, cell)}
    for step in reversed([s for s in e.tape.steps if not s.backward]):
        seen = masks.get(id(step.output))
        if seen is not None:
            for u, v in enumerate(step.reads):
                _add(masks, v, _back(step, u, seen))
    return _named(e, masks)


def projective(e: Explanation, value: Value, cell: tuple[int, ...]) -> dict[str, Field]:
    """For every named array of the forward pass, the cells that depend on one cell."""
    masks: dict[int, Array] = {id(value): _one(value, cell)}
    for step in e.tape.steps:
        if step.backward:
            break
        for u, v in enumerate(step.reads):
            seen = masks.get(id(v))
            if seen is not None:
                _add(masks, step.output, _forth(step, u, seen))
    return _named(e, masks)


def _one(value: Value, cell: tuple[int, ...]) -> Array:
    mask = np.zeros(value.shape, np.bool_)
    mask[cell] = True
    return mask


def _add(masks: dict[int, Array], value: Value, mask: Array) -> None:
    known = masks.get(id(value))
    masks[id(value)] = mask if known is None else known | mask


def _named(e: Explanation, masks: dict[int, Array]) -> dict[str, Field]:
    return {
        name: Field(name, masks[id(value)], value.lead)
        for name, value in e.values.items()
        if id(value) in masks and value.role in ("input", "inner", "output")
    }


def _run(form: Form, known: str, mask: Array) -> Array:
    """The form with ones in all places but one."""
    arrays = [mask.astype(np.float64) if o.name == known else np.ones(o.shape) for o in form.inputs]
    return np.asarray(run(form, *arrays)) > 0.5


def _back(step: Step, u: int, seen: Array) -> Array:
    kind, source = step.kind, step.reads[u]
    if isinstance(kind, Form):
        return _run(kind.wrt(kind.inputs[u].name), kind.output, seen)
    if isinstance(kind, Sum):
        form = kind.forms[u]
        return _run(form.wrt(form.inputs[0].name), form.output, seen)
    if isinstance(kind, Map):
        return seen if source.shape == seen.shape else np.asarray(seen.any()).reshape(source.shape)
    if isinstance(kind, Select):
        return _candidates(kind.choice, seen, back=True)
    if isinstance(kind, Take):
        given = Give(kind.name, kind.choice)
        return np.asarray(run(given, seen.astype(np.float64), step.inputs[1].array)) > 0
    assert isinstance(kind, Give)  # what draws numbers reads nothing and was folded
    taken = Take(kind.name, kind.choice)
    return np.asarray(run(taken, seen.astype(np.float64), step.inputs[1].array)) > 0


def _forth(step: Step, u: int, seen: Array) -> Array:
    kind, shape = step.kind, step.output.shape
    if isinstance(kind, Form):
        return _run(kind, kind.inputs[u].name, seen)
    if isinstance(kind, Sum):
        return _run(kind.forms[u], kind.forms[u].inputs[0].name, seen)
    if isinstance(kind, Map):
        return seen if seen.shape == shape else np.broadcast_to(seen.any(), shape)
    if isinstance(kind, Select):
        return _candidates(kind.choice, seen, back=False)
    return np.asarray(run(kind, seen.astype(np.float64), step.inputs[1].array)) > 0


@functools.singledispatch
def _candidates(choice: Choice, seen: Array, back: bool) -> Array:
    """A maximum may choose any cell: a mask of results to one of sources, or the other way."""
    raise NotImplementedError(type(choice).__name__)


@_candidates.register
def _(choice: Along, seen: Array, back: bool) -> Array:
    chosen: Array = np.asarray(seen.any(axis=choice.axis, keepdims=True))
    return np.array(np.broadcast_to(chosen, choice.shape)) if back else chosen


_WINDOWS = declare("window", x="n {S*p+D*r-A}", z="n {p}")


@_candidates.register
def _(choice: Windows, seen: Array, back: bool) -> Array:
    axes = choice.window.axes
    sizes = choice.shape[-len(axes) :]
    outputs = choice.window.output_size(sizes)
    lead = choice.shape[: -len(axes)]
    rows = math.prod(lead)
    loops = {"n": rows} | {f"p{i}": n for i, n in enumerate(outputs)}
    loops |= {f"r{i}": axis.kernel for i, axis in enumerate(axes)}
    numbers: dict[str, Any] = {}
    for i, axis in enumerate(axes):
        numbers |= {f"S{i}": axis.stride, f"D{i}": axis.dilation, f"A{i}": axis.before}
    shapes = {"x": (rows, *sizes), "z": (rows, *outputs)}
    form = _WINDOWS.bind(len(axes), "z", shapes, loops, **numbers)
    read, known = (form.wrt("x"), "z") if back else (form, "x")
    found = _run(read, known, seen.reshape(shapes[known]))
    return found.reshape(*lead, *(sizes if back else outputs))
