"""The three kinds of operation, as data: form, map and select.

A kind says what an operation is, in frozen and hashable terms: sizes, index maps, expressions. It
holds no array and no code that computes. `run` is the reader that computes it; the kernels floor
fills it in. The gradient rules are in `rules.py`, one for each kind.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.core.expression import Expression, differentiate, substitute, variable, variables
from rot180.core.form import Form
from rot180.window import Window

__all__ = [
    "OUTPUT",
    "Along",
    "Array",
    "Cells",
    "Choice",
    "Draw",
    "Form",
    "Give",
    "Kind",
    "Map",
    "Rows",
    "Select",
    "Sum",
    "Take",
    "Update",
    "Windows",
    "pointwise",
    "prepare",
    "run",
]

Array = npt.NDArray[Any]

OUTPUT = -1
"""Stands for an operation's own output in a list of positions of saved values."""


@dataclass(frozen=True)
class Map:
    """A scalar function applied to every cell: all inputs have the output's shape, or none.

    Attributes:
        name: the operation.
        inputs: names of the inputs, in order.
        body: the scalar expression.
        dtype: the result's data type where it is not that of the inputs ("bool" for comparisons).
        source: the inputs' data type where the result's is another float (a cast): what the
            derivative, which goes the other way, results in.
    """

    name: str
    inputs: tuple[str, ...]
    body: Expression
    dtype: str | None = None
    source: str | None = None

    def derivative(self, u: int) -> tuple[Map, tuple[int, ...]]:
        """The map g · ∂body/∂input u, and which inputs it reads after g (`OUTPUT`: the output)."""
        return _derivative(self, u)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.inputs)}) = {self.body}"


@functools.lru_cache(maxsize=4096)
def _derivative(kind: Map, u: int) -> tuple[Map, tuple[int, ...]]:
    # A derivative has inputs of these names itself, so its own derivative needs others.
    g, y = (variable(_fresh(name, kind.inputs)) for name in ("g", "y"))
    body = differentiate(kind.body, variable(kind.inputs[u]), g)
    if kind.body.args:
        body = substitute(body, kind.body, y)
    read = variables(body)
    positions = [i for i, name in enumerate(kind.inputs) if name in read]
    names = [_fresh("g", kind.inputs), *(kind.inputs[i] for i in positions)]
    if _fresh("y", kind.inputs) in read:
        positions.append(OUTPUT)
        names.append(_fresh("y", kind.inputs))
    return Map(f"{kind.name}′", tuple(names), body, kind.source, kind.dtype), tuple(positions)


def _fresh(name: str, taken: tuple[str, ...]) -> str:
    """The name itself, or with the first number that makes it a new one."""
    candidates = (name, *(f"{name}{n}" for n in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def pointwise(
    name: str,
    body: Callable[..., Expression],
    dtype: str | None = None,
    source: str | None = None,
) -> Map:
    """Declare a map by a Python function of expressions; its parameters name the inputs.

    >>> print(pointwise("square", lambda x: x * x))
    square(x) = (x * x)
    """
    inputs = tuple(inspect.signature(body).parameters)
    return Map(name, inputs, body(*(variable(i) for i in inputs)), dtype, source)


@dataclass(frozen=True)
class Sum:
    """A sum of forms, each with one input of its own and all with the same output.

    Attributes:
        name: the operation.
        forms: one for each input.
    """

    name: str
    forms: tuple[Form, ...]


@dataclass(frozen=True)
class Choice:
    """Which cells of a source are chosen; the record (an integer array) says which ones they are.

    Attributes:
        shape: the shape of the source.
    """

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Cells(Choice):
    """Any cells: the record holds positions in the source read in row-major order."""


@dataclass(frozen=True)
class Rows(Choice):
    """Whole slices of one axis: the record (one axis or more) holds their numbers.

    Attributes:
        axis: the axis; in the result the record's axes stand in its place.
    """

    axis: int = 0


@dataclass(frozen=True)
class Along(Choice):
    """Cells along one axis: the record holds positions on that axis, every other index stays.

    Attributes:
        axis: the axis.
        ties: "first": the record is the winner's position, with extent 1 on the axis;
            "all" or "split": the record is the share of each cell on the axis.
    """

    axis: int
    ties: str = "first"


@dataclass(frozen=True)
class Windows(Choice):
    """One cell of each window over the last axes.

    Attributes:
        window: the windows.
        ties: "first": the record is the winner's tap, counted in row-major order of the kernel;
            "all" or "split": the record is the share of each tap, taps on the first axis.
    """

    window: Window
    ties: str = "first"


@dataclass(frozen=True)
class Select:
    """Choose the largest (or smallest) cells, and record the choice."""

    name: str
    choice: Choice
    largest: bool = True


@dataclass(frozen=True)
class Take:
    """Read the chosen cells of a source: inputs (source, record)."""

    name: str
    choice: Choice


@dataclass(frozen=True)
class Give:
    """Hand values to the chosen cells, adding where a cell was chosen twice. The adjoint of Take.

    Inputs (values, record); the result has the source's shape.
    """

    name: str
    choice: Choice


@dataclass(frozen=True)
class Draw:
    """Uniform numbers in [0, 1), float32, that follow from a key and a counter alone.

    Input: the key, one uint64. Cell i of the row-major order is the upper 24 bits, divided by 2²⁴,
    of splitmix64 at state key + (i + 1) · 0x9E3779B97F4A7C15; so any part can be made by itself.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.

    Attributes:
        name: the operation.
        shape: of the result.
    """

    name: str
    shape: tuple[int, ...]


Kind = Form | Sum | Map | Select | Take | Give | Draw


@functools.singledispatch
def run(kind: Any, *arrays: Array) -> Any:
    """Compute an operation on arrays: the reader that the kernels floor fills in for each kind.

    Returns an array; for a `Select` the pair (values, record). Arrays passed in are never changed.
    The result may share memory with an input when it shows cells of it (a view).
    """
    raise NotImplementedError(f"no kernel for {type(kind).__name__} {np.shape(arrays)}")


@dataclass(frozen=True)
class Update:
    """Maps of floats whose results are written over cells that have names, one after the other.

    Attributes:
        cells: the names, of arrays of one shape and of numbers.
        moves: pairs (name that is written over, map); the map's inputs are names, too.
    """

    cells: tuple[str, ...]
    moves: tuple[tuple[str, Map], ...]


@functools.singledispatch
def prepare(kind: Any) -> tuple[Callable[[list[Any]], None], int]:
    """Work an `Update` out, for carrying it out many times: a reader of the kernels floor.

    Returns:
        A function that is called with the arrays and numbers of the cells, in order, and behind
        them as many pieces of scratch memory like an array as the second result says.
    """
    raise NotImplementedError(f"no kernel for {type(kind).__name__}")
