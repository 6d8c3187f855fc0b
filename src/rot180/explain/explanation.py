"""Explanation: one operation or function, its arrays, and the equation of every cell of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import ArgumentError
from rot180.explain.cell import Cell, Grid
from rot180.explain.derive import plan
from rot180.explain.formula import Ref
from rot180.explain.notation import Notation
from rot180.explain.tape import Tape, Value, copied
from rot180.explain.words import check_lang

if TYPE_CHECKING:
    from rot180.explain.local import Line
    from rot180.explain.prove import Proof
    from rot180.explain.views import View
    from rot180.window import Window

__all__ = ["Explanation"]


class Explanation:
    """What a function computed, forward and backward, readable cell by cell.

    `e.z`, `e.x`, `e.w` are arrays, `e.dx` is the gradient with respect to x and `e.g` the upstream
    gradient; each is a `Grid`, and `e.dx[0, 1]` is a `Cell`. Names that are no attributes, such
    as that of a parameter "conv1.weight", are read as `e["conv1.weight"]` and
    `e["δ_conv1.weight"]`.

    Attributes:
        title: the operation, such as "conv2d".
        values: every named array, in the order in which it came to be.
        tape: what was run.
        notation: how cells are written.
        base: the first index, 0 or 1.
        lang: "en" or "zh".
        window: the window of a windowed operation, else None.
        options: the arguments that are no arrays, such as stride.

    >>> import rot180 as rt
    >>> e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    >>> e.dx[0, 1]
    δ_x01 = w_01·δ_00 + w_00·δ_01
    >>> e.dx.agrees          # every cell's terms sum to the engine's value
    True
    """

    def __init__(
        self,
        title: str,
        tape: Tape,
        names: Mapping[int, str],
        *,
        spatial: int | None = None,
        base: int = 0,
        lang: str = "en",
        upstream: str = "δ",
        window: Window | None = None,
        options: Mapping[str, Any] | None = None,
        again: Callable[..., Explanation] | None = None,
        single: bool = False,
    ) -> None:
        if base not in (0, 1):
            raise ArgumentError("explain: base", expected="0 or 1", got=repr(base))
        self.title = title
        self.tape = tape
        self.base = base
        self.lang = check_lang(lang)
        self.window = window
        self.options = dict(options or {})
        self._again = again
        self._single = single
        self.values: dict[str, Value] = {}
        self._name_values(names, spatial)
        self.notation = Notation.of(self.values, base, upstream)

    # Names

    def _name_values(self, names: Mapping[int, str], spatial: int | None) -> None:
        tape = self.tape
        given = [s.output for s in tape.steps if id(s.output) in names and not s.backward]
        planned = plan(tape, given)
        for value in tape.inputs:
            self._add(names[id(value)], value, "input", spatial)
        for value in (v for v in planned if v.step is not None and not v.step.backward):
            self._add(names.get(id(value)) or self._next("a"), value, "inner", spatial)
        if tape.output.role != "input":
            free = "z" if "z" not in self.values else "f"
            self._add(names.get(id(tape.output), free), tape.output, "output", spatial)
        if tape.upstream is None:
            return
        self._add("δ", tape.upstream, "upstream", spatial, tape.output)
        deltas = {id(delta) for delta in tape.deltas.values()}
        for value in planned:
            if value.name == "" and id(value) not in deltas:
                self._add(self._next("d"), value, "inner", spatial)
        forward = [v for v in self.values.values() if v in tape.deltas]
        for source in sorted(forward, key=lambda v: -v.step.place if v.step else len(tape.steps)):
            delta = tape.deltas[source]
            if delta.name:  # the same array twice: a sum hands its gradient to both
                inner = delta.of is not None and delta.of.role != "input"
                delta = Value(delta.array, copied(delta) if inner else delta.step)
            self._add(f"δ_{source.name}", delta, "gradient", spatial, source)

    def _next(self, letter: str) -> str:
        """The first of a1, a2, ... that is no name yet; another letter where an argument has it."""
        letter = next(c for c in (letter, "u", "v", "q") if c not in self.values)
        numbers = range(1, len(self.values) + 2)
        return next(f"{letter}{n}" for n in numbers if f"{letter}{n}" not in self.values)

    def _add(
        self, name: str, value: Value, role: str, spatial: int | None, of: Value | None = None
    ) -> None:
        value.name, value.role, value.of = name, role, of
        ones = next((i for i, n in enumerate(value.shape) if n != 1), len(value.shape))
        keep = 2 if spatial is None else spatial
        lead = min(ones, max(0, len(value.shape) - keep))
        if self._single and ones and len(value.shape) > 1 and (role != "input" or name == "x"):
            lead = max(lead, 1)  # the batch of one example
        value.lead = lead if of is None else of.lead
        self.values[name] = value

    # Reading

    def number(self, ref: Ref) -> float:
        """The number in a cell: a Python float, or an int where the array holds integers."""
        return self.values[ref.name].array[ref.index].item()  # type: ignore[no-any-return]

    def position(self, ref: Ref) -> int:
        """A cell as a position in its array read in row-major order."""
        shape = self.values[ref.name].shape
        return int(np.ravel_multi_index(ref.index, shape)) if shape else 0

    def program(self) -> dict[str, Any]:
        """All arrays and formulas as JSON-ready data that a page can compute with.

        Raises:
            ArgumentError: too many products for a page.
        """
        from rot180.explain.program import program

        return program(self)

    def __getitem__(self, name: str) -> Grid:
        if name in self.values:
            return Grid(self, name)
        if name == "g" and "δ" in self.values:
            return Grid(self, "δ")
        if name.startswith("d") and f"δ_{name[1:]}" in self.values:
            return Grid(self, f"δ_{name[1:]}")
        raise ArgumentError(
            f"explain: {self.title} has no array {name!r}",
            expected=", ".join(self.values),
            got=repr(name),
            rule="dx is the gradient of x, g the upstream gradient",
        )

    def __getattr__(self, name: str) -> Grid:
        if name.startswith("_") or name == "values":
            raise AttributeError(name)
        try:
            return self[name]
        except ArgumentError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        short = [n.replace("δ_", "d") if n != "δ" else "g" for n in self.values]
        return [*super().__dir__(), *(n for n in short if n.isidentifier())]

    def cell(self, where: Cell | str) -> Cell:
        """A cell by its address, such as "dx:1,2", "dx[1,2]" or "z:0"; a cell is returned as it is.

        Raises:
            ArgumentError: no such array, or an index out of range.
        """
        return where if isinstance(where, Cell) else self._parse(where)

    def _parse(self, address: str) -> Cell:
        name, _, index = address.replace("[", ":").rstrip("]").partition(":")
        try:
            numbers = tuple(int(i) for i in index.split(",") if i.strip())
        except ValueError:
            raise ArgumentError(
                f"explain: no cell {address!r}", expected="an address such as dx:1,2"
            ) from None
        return self[name.strip()][numbers]

    def view(self, name: str, of: str | None = None) -> View:
        """One view of one array: "scatter", "gather", "matrix", "network", "graph" or "duality".

        Args:
            name: which.
            of: the array that is looked at, such as "dx" (default), "dw" or "z".

        Raises:
            ArgumentError: an unknown view, one that this operation does not have, or an array with
                too many products to draw.
        """
        from rot180.explain.views import make_view

        return make_view(self, name, of)

    def views(self, of: str | None = None) -> dict[str, View]:
        """All views that this operation has, by name; each computes the same numbers."""
        from rot180.explain.views import all_views

        return all_views(self, of)

    def delta_name(self, value: Value) -> str:
        """The name of the array of a value's gradient, "" where it has none."""
        if value is self.tape.output:
            return "δ" if "δ" in self.values else ""
        name = f"δ_{value.name}"
        return name if name in self.values else ""

    def steps(self, cell: Cell | str) -> list[Line]:
        """Derive a cell line by line: who reads it, local gradients, the chain rule, the numbers.

        Args:
            cell: a cell, or its address, such as "dx:0,1".

        >>> import rot180 as rt
        >>> e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
        >>> for line in e.steps("dx:0,1"):
        ...     print(line)
        z_00 = x_00·w_00 + x_01·w_01 + x_10·w_10 + x_11·w_11    (forward)
        z_01 = x_01·w_00 + x_02·w_01 + x_11·w_10 + x_12·w_11    (forward)
        ∂z_00/∂x_01 = w_01    (local gradient)
        ∂z_01/∂x_01 = w_00    (local gradient)
        δ_x01 = δ_00·∂z_00/∂x_01 + δ_01·∂z_01/∂x_01    (chain rule)
        δ_x01 = δ_00·w_01 + δ_01·w_00    (local gradients put in)
        δ_x01 = w_01·δ_00 + w_00·δ_01    (the same, as the sweep reads it)
        δ_x01 = 1·4 + (−2)·4 = −4    (numbers put in)
        δ_x01 = −4    (the engine's value: equal)
        """
        from rot180.explain.local import steps

        return steps(self, self.cell(cell))

    def prove(self) -> Proof:
        """Prove that the rule is the derivative by definition, for this geometry, with SymPy.

        For a convolution: dilate, pad, turn, correlate against the derivative of Σ δ·z, as
        polynomials in the cells of x, w and δ, entry by entry. For other operations: the formulas
        of the gradient rules against SymPy's derivative of the formulas of the forward pass.

        Raises:
            ArgumentError: too large.
            MissingExtraError: SymPy is not installed.

        >>> import rot180 as rt
        >>> print(rt.explain.conv2d(input=(5, 5), kernel=(4, 4), stride=3, padding=2).prove())
        conv2d k4x4-s3x3-p2.2x2.2-d1x1-g1: 41 entries, the rule is the derivative in each
        """
        from rot180.explain.prove import prove

        return prove(self)

    def again(self, **changes: Any) -> Explanation:
        """The same arrays explained once more with other options: `e.again(mode="convolution")`.

        Raises:
            ArgumentError: a function of your own has no options that could be changed.
        """
        if self._again is None:
            raise ArgumentError(f"explain: {self.title} cannot be explained with other options")
        return self._again(**changes)

    @property
    def agrees(self) -> bool:
        """Whether the terms of every cell sum to the engine's value.

        Of an array with more than 4,096 cells, 16 evenly spaced ones are summed; `e.dx.agrees` sums
        all of them.
        """
        return all(self[n].check(4096, 16) for n, v in self.values.items() if v.step is not None)

    def sample(self, name: str) -> list[Cell]:
        """The cells of an array that are printed: all of a small one, the first of a large one."""
        from rot180.explain.report import shown_cells

        return list(shown_cells(self, name))

    def text(self) -> str:
        """All arrays with their equations; of a large array the first ones."""
        from rot180.explain.report import as_text

        return as_text(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {value.shown}" for name, value in self.values.items())
        return f"<explanation of {self.title}: {arrays}>"

    def _repr_html_(self) -> str:
        from rot180.explain.page import notebook

        return notebook(self)

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the explanation; the suffix picks the format.

        Args:
            path: .txt, .md or .tex, a page .html, a figure .svg, .png or .pdf, or an animation
                .gif or .mp4.
            **options: what the page or the figure shows, such as view= or of=.

        Returns:
            The path that was written.

        Raises:
            ArgumentError: an unknown suffix.
        """
        from rot180.explain.save import save

        return save(self, path, **options)
