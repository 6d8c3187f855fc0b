"""Form: a multilinear form and the operand that stands in output position.

    T(x, w, z) = Σ over all loops  z[..] · w[..] · x[..]      (a cell out of range counts as 0)

Every linear operation of a network is such a sum; only the index maps differ. To choose an operand
as output drops it from the product and leaves the derivative of T with respect to it. So the
forward pass, both gradients and the transposed convolution are one declaration read for different
operands, and the gradient of a form is a form: there is nothing to program.

>>> conv = declare("conv", x="n c {S*p+D*r-A}", w="k c {r}", z="n k {p}")
>>> form = conv.bind(1, "z", dict(x=(1, 1, 4), w=(1, 1, 2), z=(1, 1, 3)),
...                  dict(n=1, c=1, k=1, p0=3, r0=2), S0=1, D0=1, A0=0)
>>> [str(term) for term in form.terms((0, 0, 1))]
['x[0, 0, 1]·w[0, 0, 0]', 'x[0, 0, 2]·w[0, 0, 1]']
>>> [str(term) for term in form.wrt("x").terms((0, 0, 1))]
['w[0, 0, 1]·z[0, 0, 0]', 'w[0, 0, 0]·z[0, 0, 1]']
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rot180.core.affine import Affine, parse_axes
from rot180.errors import ArgumentError

__all__ = ["Form", "FormDeclaration", "Operand", "Term", "declare"]

Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor of a form: a name, a shape, and an affine index for each of its axes."""

    name: str
    axes: tuple[Affine, ...]
    shape: tuple[int, ...]

    def cell(self, point: Mapping[str, int]) -> Cell | None:
        """The cell touched at one point of the loops, or None where it is out of range."""
        cell = tuple(axis.at(point) for axis in self.axes)
        inside = all(0 <= i < size for i, size in zip(cell, self.shape, strict=True))
        return cell if inside else None

    @property
    def loops(self) -> tuple[str, ...]:
        """The loops that this operand depends on, in the order of its axes."""
        return tuple(dict.fromkeys(loop for axis in self.axes for loop, _ in axis.terms))

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.axes))}]"


@dataclass(frozen=True, slots=True)
class Term:
    """One product of the sum that makes an output cell: a cell of each input operand."""

    factors: tuple[tuple[str, Cell], ...]

    def __str__(self) -> str:
        return "·".join(f"{name}{list(cell)}" for name, cell in self.factors)


@dataclass(frozen=True)
class Form:
    """A bound form: all sizes are integers. Frozen and hashable, so it is the key of every plan.

    Attributes:
        name: the operation it declares, such as "conv".
        operands: all factors in declared order, the output among them.
        loops: pairs (loop, extent).
        output: name of the operand in output position.
    """

    name: str
    operands: tuple[Operand, ...]
    loops: tuple[tuple[str, int], ...]
    output: str
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.operands, self.loops, self.output)))

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def result(self) -> Operand:
        """The operand in output position."""
        return next(o for o in self.operands if o.name == self.output)

    @functools.cached_property
    def inputs(self) -> tuple[Operand, ...]:
        """The factors that are given, in declared order."""
        return tuple(o for o in self.operands if o.name != self.output)

    @functools.cached_property
    def extents(self) -> dict[str, int]:
        """The extent of each loop."""
        return dict(self.loops)

    def wrt(self, operand: str) -> Form:
        """The same form read for another unknown: its derivative with respect to `operand`."""
        return _read_for(self, operand)

    def terms(self, cell: Cell) -> Iterator[Term]:
        """The products that sum to one cell of the output, by solving the index relation for it."""
        for point in _solve(self.result.axes, cell, self.extents):
            cells = [(operand.name, operand.cell(point)) for operand in self.inputs]
            factors = tuple((name, found) for name, found in cells if found is not None)
            if len(factors) == len(cells):
                yield Term(factors)

    def __str__(self) -> str:
        product = " · ".join(map(str, self.inputs)) or "1"
        summed = [loop for loop, _ in self.loops if loop not in self.result.loops]
        total = f"Σ_{{{','.join(summed)}}} " if summed else ""
        return f"{self.result} = {total}{product}"


@functools.lru_cache(maxsize=4096)
def _read_for(form: Form, operand: str) -> Form:
    if operand not in {o.name for o in form.operands}:
        raise ArgumentError(f"form {form.name} has no operand {operand!r}")
    return Form(form.name, form.operands, form.loops, operand)


def _solve(
    axes: tuple[Affine, ...], cell: Cell, extents: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    """Every point of the loops at which the output's indices equal `cell`.

    Axis by axis: all loops of an axis but its last free one are enumerated, the last follows by
    division. Loops that the output does not name run freely (they are the sum).
    """
    equations = list(zip(axes, cell, strict=True))
    points: Iterator[dict[str, int]] = iter([{}])
    bound: set[str] = set()
    for axis, value in equations:
        free = tuple((loop, c) for loop, c in axis.terms if loop not in bound)
        points = _solve_axis(points, axis, free, value, extents)
        bound.update(loop for loop, _ in free)
    rest = [loop for loop in extents if loop not in bound]
    for point in points:
        for values in itertools.product(*(range(extents[loop]) for loop in rest)):
            yield {**point, **dict(zip(rest, values, strict=True))}


def _solve_axis(
    points: Iterator[dict[str, int]],
    axis: Affine,
    free: tuple[tuple[str, int], ...],
    value: int,
    extents: Mapping[str, int],
) -> Iterator[dict[str, int]]:
    for point in points:
        if not free:
            if axis.at(point) == value:
                yield point
            continue
        *outer, (last, coefficient) = free
        for values in itertools.product(*(range(extents[loop]) for loop, _ in outer)):
            found = {**point, **dict(zip((loop for loop, _ in outer), values, strict=True))}
            missing = value - axis.at({**found, last: 0})
            position, remainder = divmod(missing, coefficient)
            if remainder == 0 and 0 <= position < extents[last]:
                yield {**found, last: position}


@dataclass(frozen=True, slots=True)
class FormDeclaration:
    """The text of a form, before sizes are known; `bind` makes it a `Form`.

    Attributes:
        name: the operation.
        operands: pairs (name, axes in words); `{...}` repeats for every spatial axis.
    """

    name: str
    operands: tuple[tuple[str, str], ...]

    def bind(
        self,
        spatial: int,
        output: str,
        shapes: Mapping[str, tuple[int, ...]],
        loops: Mapping[str, int],
        **sizes: int,
    ) -> Form:
        """Put all sizes in.

        Args:
            spatial: how many axes `{...}` stands for; its names get the axis number appended.
            output: the operand in output position.
            shapes: the shape of every operand.
            loops: the extent of every loop.
            **sizes: the value of every name that begins with a capital.
        """
        operands = tuple(
            Operand(name, tuple(w.bind(sizes) for w in parse_axes(text, spatial)), shapes[name])
            for name, text in self.operands
        )
        return Form(self.name, operands, tuple(loops.items()), output)


def declare(name: str, /, **operands: str) -> FormDeclaration:
    """Declare a multilinear form by the index words of its operands."""
    return FormDeclaration(name, tuple(operands.items()))
