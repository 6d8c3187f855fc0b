"""Proofs: for one geometry, that the rule is the derivative by definition, entry by entry.

By definition the gradient is the derivative of  T = Σ δ[p]·z[p]  with z[p] = Σ_r w[r]·x[S·p+D·r−A],
written out as a polynomial in all cells of x, w and δ. The rule is the recipe: dilate δ, pad it,
turn the kernel by 180 degrees and correlate (for x), or correlate x with the dilated δ (for w).
SymPy subtracts the two polynomials for every cell; a proof holds where nothing is left.

Other operations are proved as what they are: the derivative of Σ δ·z by SymPy against the formula
that the gradient rules gave, both written out down to what was given.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rot180.core import Form
from rot180.errors import ArgumentError
from rot180.explain.derive import formula_of
from rot180.explain.formula import Call, Formula, Ref, Term
from rot180.explain.geometry import patches_of
from rot180.explain.symbols import load_sympy, to_sympy
from rot180.explain.words import say

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.window import Window

__all__ = ["Entry", "Proof", "prove"]

Cell = tuple[int, ...]

_LIMIT = 2_500
"""Products of the polynomial T; more would take minutes."""


@dataclass(frozen=True)
class Entry:
    """One cell of a gradient.

    Attributes:
        label: the cell, such as δ_x01.
        definition: the derivative by definition, as text.
        rule: what the rule gives, as text.
        holds: whether their difference is 0.
    """

    label: str
    definition: str
    rule: str
    holds: bool


@dataclass(frozen=True)
class Proof:
    """The outcome for every entry.

    Attributes:
        title: what was proved.
        entries: one for each cell of each gradient.
        lang: "en" or "zh".
    """

    title: str
    entries: tuple[Entry, ...]
    lang: str = "en"

    @property
    def holds(self) -> bool:
        """Whether every entry's difference is 0 (and there are entries)."""
        return bool(self.entries) and all(entry.holds for entry in self.entries)

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        wrong = [entry.label for entry in self.entries if not entry.holds]
        key = "proof" if self.holds else "no proof"
        return say(
            key, self.lang, title=self.title, count=len(self.entries), wrong=", ".join(wrong)
        )


def prove(e: Explanation) -> Proof:
    """See `Explanation.prove`."""
    forward = [step for step in e.tape.steps if not step.backward]
    forms = [s for s in forward if isinstance(s.kind, Form) and patches_of(s.kind) is not None]
    if e.window is not None and len(forms) == 1 and isinstance(forms[0].kind, Form):
        patches = patches_of(forms[0].kind)
        if patches is not None and patches.kernel is not None:
            transposed = forms[0].kind.output == patches.large.name
            window, sizes = patches.window, patches.large.shape[-len(patches.window.axes) :]
            if not transposed:
                window = e.window
            return _prove_window(e, window, sizes, patches.turned, transposed)
    return _prove_formulas(e)


# Windows: T as a polynomial in a ring over the integers, one channel (geometry does not depend on
# channels: they are summed beside it).


def _prove_window(
    e: Explanation, window: Window, sizes: Cell, turned: bool, transposed: bool
) -> Proof:
    outputs = window.output_size(sizes)
    products = math.prod(outputs) * math.prod(window.kernel)
    if products > _LIMIT:
        raise ArgumentError(
            f"explain: {e.title} is too large for a proof",
            arithmetic=f"{products} products of an output and a tap",
            expected=f"at most {_LIMIT} products",
        )
    large, small = ("δ", "x") if transposed else ("x", "δ")
    x, w, g = _Cells(large, sizes), _Cells("w", window.kernel), _Cells(small, outputs)
    sympy = load_sympy()
    polynomials, *generators = sympy.ring([*x.names, *w.names, *g.names], sympy.ZZ)
    for cells in (x, w, g):
        cells.generators, generators = generators[: len(cells)], generators[len(cells) :]
    total = polynomials.zero + _sum_of(
        g[p] * w[_read(r, window.kernel, turned)] * x[h] for p, r, h in _relation(window, sizes)
    )
    entries = []
    rules: tuple[tuple[str, _Cells, Callable[[Cell], Any]], ...] = (
        ("x", g, lambda p: _forward_rule(window, sizes, turned, x, w, p))
        if transposed
        else ("x", x, lambda h: _input_rule(window, sizes, turned, w, g, h)),
        ("w", w, lambda r: _weight_rule(window, sizes, turned, x, g, r)),
    )
    for name, operand, rule_of in rules:
        for cell in itertools.product(*map(range, operand.sizes)):
            definition, rule = total.diff(operand[cell]), rule_of(cell)
            label = f"δ_{name}{','.join(str(i + e.base) for i in cell)}"
            entries.append(Entry(label, str(definition), str(rule), definition - rule == 0))
    return Proof(f"{e.title} {window.name}", tuple(entries), e.lang)


class _Cells:
    """The cells of one array as generators of the ring."""

    def __init__(self, name: str, sizes: Cell) -> None:
        self.sizes = sizes
        cells = list(itertools.product(*map(range, sizes)))
        self.names = [f"{name}_{'_'.join(map(str, cell))}" for cell in cells]
        self._place = {cell: i for i, cell in enumerate(cells)}
        self.generators: list[Any] = []

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, cell: object) -> bool:
        return cell in self._place

    def __getitem__(self, cell: Cell) -> Any:
        return self.generators[self._place[cell]]


def _sum_of(products: Any) -> Any:
    """The sum of ring elements (0 where there are none)."""
    parts: list[Any] = list(products)
    while len(parts) > 1:  # by halves: a sum of polynomials copies both
        pairs = itertools.zip_longest(parts[::2], parts[1::2], fillvalue=0)
        parts = [a + b for a, b in pairs]
    return parts[0] if parts else 0


def _relation(window: Window, sizes: Cell) -> list[tuple[Cell, Cell, Cell]]:
    """The definition, written out: all (p, r, S·p + D·r − A) with a cell inside."""
    found = []
    for p in itertools.product(*map(range, window.output_size(sizes))):
        for r in itertools.product(*map(range, window.kernel)):
            h = tuple(
                axis.stride * i + axis.dilation * t - axis.before
                for axis, i, t in zip(window.axes, p, r, strict=True)
            )
            if all(0 <= i < size for i, size in zip(h, sizes, strict=True)):
                found.append((p, r, h))
    return found


def _read(r: Cell, kernel: Cell, turned: bool) -> Cell:
    """The kernel's cell that tap r reads: itself, or the one from the other end."""
    return tuple(size - 1 - i for i, size in zip(r, kernel, strict=True)) if turned else r


def _undilated(place: Cell, dilate: Cell, before: Cell, sizes: Cell) -> Cell | None:
    """Which cell stands at a place of a dilated and padded array, None for a zero."""
    found = []
    for i, step, pad, size in zip(place, dilate, before, sizes, strict=True):
        position, rest = divmod(i - pad, step)
        if rest or not 0 <= position < size:
            return None
        found.append(position)
    return tuple(found)


def _input_rule(window: Window, sizes: Cell, turned: bool, w: _Cells, g: _Cells, h: Cell) -> Any:
    """Dilate δ, pad it, turn the kernel by 180 degrees, correlate."""
    adjoint = window.input_gradient(sizes)
    dilate = tuple(a.dilate for a in adjoint)
    before = tuple(a.window.before for a in adjoint)
    parts = []
    for tap in itertools.product(*map(range, window.kernel)):
        place = tuple(i + a.window.dilation * t for i, t, a in zip(h, tap, adjoint, strict=True))
        cell = _undilated(place, dilate, before, g.sizes)
        if cell is not None:
            parts.append(w[_read(tap, window.kernel, not turned)] * g[cell])
    return _sum_of(parts)


def _weight_rule(window: Window, sizes: Cell, turned: bool, x: _Cells, g: _Cells, r: Cell) -> Any:
    """Correlate the padded x, at stride D, with δ dilated by S."""
    records = window.weight_gradient(sizes)
    parts = []
    tap = _read(r, window.kernel, turned)
    for p in itertools.product(*map(range, g.sizes)):
        h = tuple(
            a.window.stride * t + a.window.dilation * i - a.window.before
            for t, i, a in zip(tap, p, records, strict=True)
        )
        if h in x:
            parts.append(x[h] * g[p])
    return _sum_of(parts)


def _forward_rule(window: Window, sizes: Cell, turned: bool, x: _Cells, w: _Cells, p: Cell) -> Any:
    """The gradient of a transposed convolution: the plain convolution of what arrives."""
    parts = []
    for r in itertools.product(*map(range, window.kernel)):
        h = tuple(axis.position(i, t) for axis, i, t in zip(window.axes, p, r, strict=True))
        if h in x:
            parts.append(w[_read(r, window.kernel, turned)] * x[h])
    return _sum_of(parts)


# Everything else: formulas, written out down to what was given


def _prove_formulas(e: Explanation) -> Proof:
    s = load_sympy()
    symbols: dict[Ref, Any] = {}
    refs: dict[Any, Ref] = {}

    def symbol(ref: Ref) -> Any:
        if ref not in symbols:
            symbols[ref] = s.Symbol(e.notation.text(ref.name, ref.index), real=True)
            refs[symbols[ref]] = ref
        return symbols[ref]

    if "δ" not in e.values:
        raise ArgumentError(f"explain: {e.title} has no gradient to prove")
    cells = math.prod(e.tape.output.shape)
    inputs = [v for v in e.values.values() if v.role == "input" and e.delta_name(v)]
    total_cells = cells + sum(v.array.size for v in inputs)
    if total_cells > 200:
        raise ArgumentError(
            f"explain: {e.title} is too large for a proof", got=f"{total_cells} cells",
            rule="explain a smaller size",
        )  # fmt: skip
    written = _Written(e)

    def expression(name: str, cell: Cell) -> Any:
        return to_sympy(written.cell(Ref(name, cell)), symbol, exact=True)

    output = e.tape.output.name
    total = s.Add(*(symbol(Ref("δ", c.index)) * expression(output, c.index) for c in e[output]))
    entries = []
    for value in inputs:
        delta = e.delta_name(value)
        for cell in e[delta]:
            definition = s.diff(total, symbol(Ref(value.name, cell.index)))
            rule = expression(delta, cell.index)
            holds = _vanishes(s, definition - rule)
            entries.append(Entry(cell.label, str(definition), str(rule), holds))
    return Proof(e.title, tuple(entries), e.lang)


def _vanishes(s: Any, difference: Any) -> bool:
    """Whether SymPy reduces it to 0."""
    if difference.has(s.Piecewise):
        difference = s.piecewise_fold(s.expand(difference))
    else:
        over, _ = s.fraction(s.together(difference))
        difference = s.expand(over)
    return bool(difference == 0 or s.simplify(difference) == 0)


class _Written:
    """Formulas in which every inner value is written out."""

    def __init__(self, e: Explanation) -> None:
        self._e = e
        self._known: dict[Ref, Formula] = {}

    def cell(self, ref: Ref) -> Formula:
        value = self._e.values[ref.name]
        if value.step is None:
            return (Term(1, (ref,)),)
        if ref not in self._known:
            self._known[ref] = self._through(formula_of(value, ref.index))
        return self._known[ref]

    def _through(self, formula: Formula) -> Formula:
        return tuple(
            Term(term.coefficient, tuple(self._factor(factor) for factor in term.factors))
            for term in formula
        )

    def _factor(self, factor: Ref | Call) -> Ref | Call:
        if isinstance(factor, Call):
            return Call(factor.op, tuple(self._through(arg) for arg in factor.args))
        if self._e.values[factor.name].step is None:
            return factor
        return Call("sum", (self.cell(factor),))
