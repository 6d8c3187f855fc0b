"""A cell of an explanation: its equation, its numbers, and whether the engine agrees."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array
from rot180.errors import ArgumentError
from rot180.explain import symbols
from rot180.explain.derive import candidate_cells, cell_itself, formula_of
from rot180.explain.formula import Formula, Ref, Term, evaluate, references
from rot180.explain.text import write, write_number

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Value

__all__ = ["Cell", "Grid"]


class Cell:
    """One cell of one array of an explanation.

    Attributes:
        explanation: what it belongs to.
        name: the array, such as "δ_x".
        index: all axes, counted from 0.
    """

    def __init__(self, explanation: Explanation, name: str, index: tuple[int, ...]) -> None:
        self.explanation = explanation
        self.name = name
        self.index = index

    @property
    def _array_value(self) -> Value:
        return self.explanation.values[self.name]

    @property
    def ref(self) -> Ref:
        """Array and index, as they stand in formulas."""
        return Ref(self.name, self.index)

    @property
    def label(self) -> str:
        """The cell as it is printed, such as δ_x01."""
        return self.explanation.notation.text(self.name, self.index)

    @functools.cached_property
    def formula(self) -> Formula:
        """What the cell is; a cell that was given is itself."""
        value = self._array_value
        return (
            cell_itself(value, self.index)
            if value.step is None
            else (formula_of(value, self.index))
        )

    @property
    def terms(self) -> tuple[Term, ...]:
        """The products that sum to the cell, each a number and cells by index; exact."""
        return self.formula

    @property
    def sources(self) -> tuple[Ref, ...]:
        """The cells it is computed from, each once, in order."""
        return tuple(dict.fromkeys(references(self.formula)))

    @property
    def candidates(self) -> tuple[Ref, ...]:
        """For a cell that a max or min chose: the cells among which it was chosen."""
        formulas = candidate_cells(self._array_value, self.index)
        return tuple(ref for formula in formulas for ref in references(formula))

    @functools.cached_property
    def _evaluated(self) -> tuple[Any, float]:
        return evaluate(self.formula, self.explanation.number)

    @property
    def value(self) -> float:
        """The terms, summed."""
        value: float = self._evaluated[0]
        return value

    @property
    def engine(self) -> float:
        """The engine's value at this cell."""
        return self.explanation.number(self.ref)

    @property
    def tolerance(self) -> float:
        """How far rounding in the engine's data type may take the two apart."""
        dtype = self._array_value.array.dtype
        eps = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
        return eps * (16 + len(self.formula)) * (self._evaluated[1] + abs(self.engine))

    @property
    def agrees(self) -> bool:
        """Whether the summed terms are the engine's value, up to rounding."""
        value, engine = float(self.value), float(self.engine)
        if np.isnan(value) or np.isnan(engine) or np.isinf(engine):
            return bool(np.isnan(value) and np.isnan(engine)) or value == engine
        return abs(value - engine) <= self.tolerance

    def _write(self, ref: Ref) -> str:
        return self.explanation.notation.text(ref.name, ref.index)

    @property
    def equation(self) -> str:
        """The cell as text: δ_x01 = w_01·δ_00 + w_00·δ_01."""
        among = candidate_cells(self._array_value, self.index)
        if among:
            step = self._array_value.step
            word = "max" if step is None or getattr(step.kind, "largest", True) else "min"
            listed = ", ".join(write(formula, self._write) for formula in among)
            return f"{self.label} = {word}({listed}) = {write(self.formula, self._write)}"
        if self._array_value.step is None:
            return f"{self.label} = {write_number(self.engine)}"
        return f"{self.label} = {write(self.formula, self._write)}"

    @property
    def numbers(self) -> str:
        """The equation with the numbers put in, and their sum: δ_x01 = 2·3 + 1·(−1) = 5."""

        def put_in(ref: Ref) -> str:
            text = write_number(self.explanation.number(ref)).replace("-", "−")
            return f"({text})" if text.startswith("−") else text

        result = write_number(float(self.value)).replace("-", "−")
        if self._array_value.step is None:
            return f"{self.label} = {result}"
        written = write(self.formula, put_in)
        if written == f"({result})":
            written = result  # a single cell needs no bracket
        return f"{self.label} = {written}" + (f" = {result}" if written != result else "")

    @property
    def latex(self) -> str:
        r"""The equation in LaTeX: \delta_{x_{01}} = w_{01} \delta_{00} + w_{00} \delta_{01}."""
        return symbols.latex(self.ref, self.formula, self._latex_name)

    def _latex_name(self, ref: Ref) -> str:
        return self.explanation.notation.latex(ref.name, ref.index)

    @property
    def mathml(self) -> str:
        """The equation as a MathML `<math>` element."""
        return symbols.mathml(self.ref, self.formula, self._write)

    def to_dict(self) -> dict[str, Any]:
        """Everything about the cell as JSON-ready data."""
        return {
            "name": self.name,
            "index": list(self.index),
            "label": self.label,
            "equation": self.equation,
            "numbers": self.numbers,
            "value": float(self.value),
            "engine": float(self.engine),
            "agrees": self.agrees,
            "sources": [{"name": r.name, "index": list(r.index)} for r in self.sources],
        }

    def __str__(self) -> str:
        return self.equation

    def __repr__(self) -> str:
        return self.equation


class Grid:
    """One array of an explanation; `grid[0, 1]` is a cell.

    Indices are counted as they are printed: from 0, or from 1 in an explanation with `base=1`.
    Leading axes of extent 1 that are not printed may be left out.

    Attributes:
        explanation: what it belongs to.
        name: the array.
    """

    def __init__(self, explanation: Explanation, name: str) -> None:
        self.explanation = explanation
        self.name = name

    @property
    def _value(self) -> Value:
        return self.explanation.values[self.name]

    @property
    def array(self) -> Array:
        """The engine's numbers, all axes."""
        return self._value.array

    @property
    def shape(self) -> tuple[int, ...]:
        """The printed axes."""
        return self._value.shown

    @property
    def role(self) -> str:
        """What it is: "input", "output", "upstream", "gradient" or "inner"."""
        return self._value.role

    @property
    def numbers(self) -> Array:
        """The engine's numbers, the printed axes only."""
        return self.array.reshape(self.shape)

    def __getitem__(self, index: int | tuple[int, ...]) -> Cell:
        return Cell(self.explanation, self.name, self._full(index))

    def at(self, full: tuple[int, ...]) -> Cell:
        """A cell by its whole index, counted from 0."""
        return Cell(self.explanation, self.name, full)

    def _full(self, index: Any) -> tuple[int, ...]:
        given = index if isinstance(index, tuple) else (index,)
        base, shape, lead = self.explanation.base, self._value.shape, self._value.lead
        try:
            numbers = tuple(operator.index(i) for i in given)
        except TypeError:
            raise ArgumentError(
                f"explain: an index of {self.name} is an integer for each axis", got=repr(index)
            ) from None
        sizes = shape if len(numbers) == len(shape) else shape[lead:]
        if len(numbers) != len(sizes):
            raise ArgumentError(
                f"explain: {self.name} has {len(self.shape)} axes",
                expected=f"{len(self.shape)} indices for shape {self.shape}",
                got=str(index),
            )
        for axis, (i, size) in enumerate(zip(numbers, sizes, strict=True)):
            if not base <= i < size + base:
                raise ArgumentError(
                    f"explain: index out of range in {self.name}, axis {axis}",
                    expected=f"{base} to {size - 1 + base}",
                    got=str(i),
                    rule=f"indices are counted from {base} in this explanation",
                )
        found = tuple(i - base for i in numbers)
        return (0,) * (len(shape) - len(found)) + found

    def __iter__(self) -> Iterator[Cell]:
        return (self.at(i) for i in itertools.product(*map(range, self._value.shape)))

    def __len__(self) -> int:
        return int(self.array.size)

    @property
    def agrees(self) -> bool:
        """Whether every cell's terms sum to the engine's value."""
        return self.check(len(self), 0)

    def check(self, limit: int, count: int) -> bool:
        """Whether cells agree: all of them up to `limit`, else `count` evenly spaced ones."""
        if len(self) <= limit:
            return all(cell.agrees for cell in self)
        places = np.unravel_index(
            np.linspace(0, len(self) - 1, count, dtype=np.int64), self.array.shape
        )
        indices = zip(*(axis.tolist() for axis in places), strict=True)
        return all(self.at(index).agrees for index in indices)

    def __str__(self) -> str:
        return "\n".join(cell.equation for cell in self)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.role}, shape {self.shape}>"
