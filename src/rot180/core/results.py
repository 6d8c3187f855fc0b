"""What an operation makes: shape and data type of its results, without computing them.

One rule for each kind. While tracing they give a symbol its shape; in a finished program they are
the law that every instruction is held to.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from rot180.core.expression import Expression, in_order
from rot180.core.kinds import (
    Along,
    Cells,
    Choice,
    Draw,
    Form,
    Give,
    Map,
    Rows,
    Select,
    Sum,
    Take,
    Windows,
    run,
)
from rot180.errors import DTypeError, ShapeError

__all__ = ["Spec", "results"]


class Spec(NamedTuple):
    """Shape and data type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def results(kind: Any, *inputs: Spec) -> tuple[Spec, ...]:
    """The results of an operation: one, or for a select the values and the record.

    Raises:
        ShapeError: the inputs are not of the shapes, or not as many, as the kind reads.
        DTypeError: data types that do not mix, or are not what the kind reads.
    """
    return _results(kind, inputs)


def _expect_one_type(name: str, inputs: tuple[Spec, ...]) -> None:
    """Floats of one type, and beside them at most bools (the conditions of a map)."""
    dtypes = dict.fromkeys(spec.dtype for spec in inputs if spec.dtype.kind != "b")
    if len(dtypes) > 1 and any(dtype.kind == "f" for dtype in dtypes):
        raise DTypeError(f"{name}: mixed data types", got=" and ".join(map(str, dtypes)))


@functools.singledispatch
def _results(kind: Any, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    raise ShapeError(f"no operation is a {type(kind).__name__}")


def _expect(name: str, inputs: tuple[Spec, ...], *shapes: tuple[int, ...] | None) -> None:
    """Hold the inputs to these shapes (None: any)."""
    if len(inputs) != len(shapes) or any(
        shape is not None and spec.shape != shape
        for spec, shape in zip(inputs, shapes, strict=True)
    ):
        raise ShapeError(
            f"{name}: inputs",
            expected=", ".join("any" if shape is None else str(shape) for shape in shapes),
            got=", ".join(str(spec.shape) for spec in inputs) or "none",
        )


def _expect_record(name: str, record: Spec, kinds: str = "iu") -> None:
    if record.dtype.kind not in kinds:
        raise DTypeError(f"{name}: a record of a choice", expected=kinds, got=str(record.dtype))


# Form, sum, map


def _mixed(name: str, inputs: tuple[Spec, ...]) -> np.dtype[Any]:
    _expect_one_type(name, inputs)
    return np.result_type(*(spec.dtype for spec in inputs))


@_results.register
def _(kind: Form, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, *(operand.shape for operand in kind.inputs))
    return (Spec(kind.result.shape, _mixed(kind.name, inputs)),)


@_results.register
def _(kind: Sum, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, *(form.inputs[0].shape for form in kind.forms))
    return (Spec(kind.forms[0].result.shape, _mixed(kind.name, inputs)),)


@_results.register
def _(kind: Map, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    shape: tuple[int, ...] = max((spec.shape for spec in inputs), key=len, default=())
    _expect(kind.name, inputs, *(() if s.shape == () else shape for s in inputs))
    if len(inputs) != len(kind.inputs):
        raise ShapeError(
            f"{kind.name}: inputs", expected=", ".join(kind.inputs), got=str(len(inputs))
        )
    _expect_one_type(kind.name, inputs)
    conditions, operands = _uses(kind)
    with_floats = any(spec.dtype.kind == "f" for spec in inputs)
    for name, spec in zip(kind.inputs, inputs, strict=True):
        if name in conditions and spec.dtype != np.bool_:
            raise DTypeError(f"{kind.name}: a condition", expected="bool", got=str(spec.dtype))
        if with_floats and name in operands and spec.dtype == np.bool_:
            raise DTypeError(f"{kind.name}: an operand", expected="a number", got="bool")
    return (Spec(shape, _map_dtype(kind, tuple(spec.dtype for spec in inputs))),)


@functools.lru_cache(maxsize=4096)
def _uses(kind: Map) -> tuple[frozenset[str], frozenset[str]]:
    """The inputs that decide what `where` takes, and those that are computed with."""
    conditions, operands = list[Expression](), list[Expression]()
    for node in in_order(kind.body):
        args = node.args
        if node.op == "where":
            conditions.append(args[0])
            args = args[1:]
        operands += args
    return tuple(  # type: ignore[return-value]  # of two
        frozenset(str(e.value) for e in found if e.op == "variable")
        for found in (conditions, operands)
    )


@functools.lru_cache(maxsize=4096)
def _map_dtype(kind: Map, dtypes: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    """The type that the reader `run` gives; of integers it follows NumPy's own rules."""
    if kind.dtype is not None:
        return np.dtype(kind.dtype)
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if floats:
        return floats[0]
    try:
        made: np.dtype[Any] = run(kind, *(np.ones(1, dtype) for dtype in dtypes)).dtype
    except TypeError as error:  # NumPy's, of bools that are subtracted
        raise DTypeError(f"{kind.name}: {error}") from None
    return made


# Choices


@functools.singledispatch
def _chosen(choice: Choice, record: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the chosen cells, from that of the record."""
    raise ShapeError(f"no choice is a {type(choice).__name__}")


@_chosen.register
def _(choice: Cells, record: tuple[int, ...]) -> tuple[int, ...]:
    return record


@_chosen.register
def _(choice: Rows, record: tuple[int, ...]) -> tuple[int, ...]:
    return (*choice.shape[: choice.axis], *record, *choice.shape[choice.axis + 1 :])


@_chosen.register
def _(choice: Along, record: tuple[int, ...]) -> tuple[int, ...]:
    before, after = choice.shape[: choice.axis], choice.shape[choice.axis + 1 :]
    return (*before, record[choice.axis] if choice.ties == "first" else 1, *after)


@_chosen.register
def _(choice: Windows, record: tuple[int, ...]) -> tuple[int, ...]:
    axes = len(choice.window.axes)
    return (*choice.shape[:-axes], *choice.window.output_size(choice.shape[-axes:]))


def _record(choice: Choice, given: Spec | None, dtype: np.dtype[Any], name: str) -> Spec:
    """The record of a choice in a source of this type; `given`: the one that is read, if any."""
    if isinstance(choice, Cells | Rows):
        if given is None:
            raise ShapeError(f"{name}: cells and rows are chosen by index, not by value")
        _expect_record(name, given)
        return given
    assert isinstance(choice, Along | Windows)
    if choice.ties == "first":
        if given is not None:
            _expect_record(name, given)
        return _winners(choice, given, name)
    shape = choice.shape
    if isinstance(choice, Windows):
        taps = int(np.prod(choice.window.kernel))
        shape = (taps, *_chosen(choice, ()))
    if given is not None and given.dtype != dtype:
        raise DTypeError(f"{name}: shares of a choice", expected=str(dtype), got=str(given.dtype))
    return Spec(shape, dtype)


def _winners(choice: Along | Windows, given: Spec | None, name: str) -> Spec:
    if isinstance(choice, Windows):
        few = int(np.prod(choice.window.kernel)) < 255
        dtype = np.dtype(np.uint8 if few else np.int32) if given is None else given.dtype
        return Spec(_chosen(choice, ()), dtype)
    if given is None:
        ones = (*choice.shape[: choice.axis], 1, *choice.shape[choice.axis + 1 :])
        return Spec(ones, np.dtype(np.int64))
    if len(given.shape) != len(choice.shape):
        raise ShapeError(f"{name}: axes of the record", got=f"{given.shape} for {choice.shape}")
    count = given.shape[choice.axis]
    return Spec(
        (*choice.shape[: choice.axis], count, *choice.shape[choice.axis + 1 :]), given.dtype
    )


@_results.register
def _(kind: Select, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, kind.choice.shape)
    record = _record(kind.choice, None, inputs[0].dtype, kind.name)
    return Spec(_chosen(kind.choice, record.shape), inputs[0].dtype), record


@_results.register
def _(kind: Take, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, kind.choice.shape, None)
    source, given = inputs
    record = _record(kind.choice, given, source.dtype, kind.name)
    _expect(kind.name, inputs, kind.choice.shape, record.shape)
    return (Spec(_chosen(kind.choice, record.shape), source.dtype),)


@_results.register
def _(kind: Give, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, None, None)
    values, given = inputs
    record = _record(kind.choice, given, values.dtype, kind.name)
    _expect(kind.name, inputs, _chosen(kind.choice, record.shape), record.shape)
    return (Spec(kind.choice.shape, values.dtype),)


@_results.register
def _(kind: Draw, inputs: tuple[Spec, ...]) -> tuple[Spec, ...]:
    _expect(kind.name, inputs, ())
    if inputs[0].dtype != np.uint64:
        raise DTypeError(f"{kind.name}: key", expected="uint64", got=str(inputs[0].dtype))
    return (Spec(kind.shape, np.dtype(np.float32)),)
