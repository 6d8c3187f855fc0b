"""Any form: what no family serves. A form whose indices stay inside is a sum over a nest; others

    for cells of z (shared by the parts):
        for all loops of an axis of z but one: that one follows from z's index, if it is whole
            for the loops that are left:   z += x[..] · w[..]       where every index is inside

so a form read for any operand is a gather, and no two parts write one cell. Where the images of z
are those of its inputs, or are summed, a vector is one cell of B images.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.core.affine import Affine
from rot180.core.expression import Expression, variable
from rot180.core.form import Form, Operand
from rot180.jit.emission.access import Access
from rot180.jit.emission.emit import Emitter, Index, Variable
from rot180.jit.emission.layout import Layout
from rot180.jit.emission.scalars import as_float, as_integer, load, store
from rot180.jit.emission.target import Target
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.families.reduce import Reduce

__all__ = ["GenericForm", "as_nest"]


# A form whose indices stay inside


def as_nest(
    form: Form, layouts: Sequence[Layout], dtypes: Sequence[str], dtype: str
) -> Pointwise | Reduce | None:
    """The form as a product over loops, or None where an index can leave its range.

    Args:
        form: the form.
        layouts: of the inputs, then of the output.
        dtypes: likewise.
        dtype: the float type that is computed in.
    """
    if not _covered(form):
        return None
    operands = (*form.inputs, form.result)
    found = []
    for i, (operand, layout, kind) in enumerate(zip(operands, layouts, dtypes, strict=True)):
        name = "z" if operand is form.result else f"x{i}"
        met = _met(form, operand, layout, name, kind)
        if met is None:
            return None
        found.append(met)
    *reads, write = found
    extents = tuple(extent for _, extent in form.loops)
    kept = tuple(i for i, (loop, _) in enumerate(form.loops) if loop in form.result.loops)
    body: Expression = Expression("constant", (), 1)
    for i, a in enumerate(reads):
        body = variable(a.name) if i == 0 else Expression("multiply", (body, variable(a.name)))
    if len(kept) == len(extents):
        return Pointwise(extents, tuple(reads), (write,), (body,), dtype)
    return Reduce(extents, tuple(reads), (write,), (body,), kept, 1.0, dtype)


def _covered(form: Form) -> bool:
    """Whether the loops of the output meet each of its cells once."""
    seen: list[str] = []
    for axis, size in zip(form.result.axes, form.result.shape, strict=True):
        rest = size
        for loop, coefficient in sorted(axis.terms, key=lambda term: -term[1]):
            extent = form.extents[loop]
            if extent == 0 or rest != coefficient * extent:
                return False
            rest = coefficient
            seen.append(loop)
        if axis.constant or rest != 1:
            return False
    return len(seen) == len(set(seen))


def _inside(form: Form, axis: Affine, size: int) -> bool:
    if not all(form.extents[loop] for loop, _ in axis.terms):
        return True
    low, high = axis.span(form.extents)
    return low >= 0 and high < size


def _met(form: Form, operand: Operand, layout: Layout, name: str, dtype: str) -> Access | None:
    numbers = {loop: i for i, (loop, _) in enumerate(form.loops)}
    strides, origin = [0] * len(numbers), layout.origin
    for axis, size, stride in zip(operand.axes, operand.shape, layout.strides, strict=True):
        if not _inside(form, axis, size):
            return None
        origin += axis.constant * stride
        for loop, coefficient in axis.terms:
            strides[numbers[loop]] += coefficient * stride
    if layout.block == 1:
        return Access(name, dtype, tuple(strides), origin)
    images, *others = operand.axes
    loop = images.terms[0][0] if images.terms else ""
    if images != Affine(((loop, 1),)) or any(loop in dict(axis.terms) for axis in others):
        return None
    return Access(name, dtype, tuple(strides), origin, numbers[loop], layout.block)


# Any other


Bound = dict[str, Index]


@dataclass(frozen=True)
class GenericForm:
    """z = Σ of forms with the same output, by the second loop nest of the module.

    Attributes:
        forms: one, or the summands of a sum.
        layouts: of the inputs of all forms in order, then of z.
        dtypes: likewise.
        dtype: the float type that is computed in.
    """

    forms: tuple[Form, ...]
    layouts: tuple[Layout, ...]
    dtypes: tuple[str, ...]
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Inputs x0, x1, ..., then z."""
        return (*(f"x{i}" for i in range(len(self.layouts) - 1)), "z")

    @property
    def whole(self) -> bool:
        """Whether everything is an integer or a truth."""
        return not any(dtype.startswith("float") for dtype in self.dtypes)

    def emit(self, name: str, target: Target) -> Any:
        """Write the nest."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        out, shape = self.layouts[-1], self.forms[0].result.shape
        starts = [sum(len(f.inputs) for f in self.forms[:i]) for i in range(len(self.forms))]
        images = [self._images(*pair) for pair in zip(self.forms, starts, strict=True)]
        lanes = out.block if out.block > 1 and all(image is not None for image in images) else 1
        sizes = [-(-shape[0] // lanes), *shape[1:]] if shape else []
        first, after = k.share(math.prod(sizes))
        if math.prod(sizes):
            with k.loop(first, after) as unit:
                cell = k.unravel(unit, sizes)
                total = self._zero(k, lanes)
                for form, start, image in zip(self.forms, starts, images, strict=True):
                    _Gather(k, self, form, start, cell, image, lanes).add(total)
                offset = _place(k, out, cell, lanes)
                store(k, total.get(), self._access(-1), offset, 1)
        return k.finish()

    def _access(self, i: int) -> Access:
        return Access(self.arrays[i], self.dtypes[i], ())

    def _zero(self, k: Emitter, lanes: int) -> Variable:
        return k.variable(k.whole(0, lanes, 64) if self.whole else k.constant(0.0, lanes))

    def _images(self, form: Form, start: int) -> str | None:
        """The loop that counts the images of the output and of all inputs that have images."""
        out = self.layouts[-1]
        if out.block == 1 or not form.result.axes[0].terms:
            return None
        loop = form.result.axes[0].terms[0][0]
        layouts = [*self.layouts[start : start + len(form.inputs)], out]
        for operand, layout in zip((*form.inputs, form.result), layouts, strict=True):
            if not _counts(form, operand, layout, loop, out.block):
                return None
        return loop


def _counts(form: Form, operand: Operand, layout: Layout, loop: str, block: int) -> bool:
    """Whether the loop is the images of an operand, or nothing to it that has none."""
    if loop not in operand.loops:
        return layout.block == 1
    images, *others = operand.axes
    return (
        layout.block == block
        and images == Affine(((loop, 1),))
        and operand.shape[0] == form.extents[loop]
        and not any(loop in dict(axis.terms) for axis in others)
    )


def _place(k: Emitter, layout: Layout, cell: Sequence[Index], lanes: int) -> Index:
    """The offset of a cell; the first index counts blocks where lanes are images."""
    terms: list[Any] = [layout.origin]
    for axis, (i, stride) in enumerate(zip(cell, layout.strides, strict=True)):
        if axis == 0 and layout.block > 1 and lanes == 1:
            i, lane = k.divmod(i, layout.block)
            terms.append(lane)
        terms.append((i, stride))
    return k.at(*terms)


class _Gather:
    """The terms of one form that go into one cell of z."""

    def __init__(
        self,
        k: Emitter,
        kernel: GenericForm,
        form: Form,
        start: int,
        cell: Sequence[Index],
        image: str | None,
        lanes: int,
    ) -> None:
        self.k, self.kernel, self.form = k, kernel, form
        self.start, self.cell, self.lanes = start, cell, lanes
        self.image = image if lanes > 1 else None

    def add(self, total: Variable) -> None:
        """Emit total += Σ."""
        bound: Bound = {} if self.image is None else {self.image: self.cell[0]}
        axes = list(zip(self.form.result.axes, self.cell, strict=True))
        self._solve(axes[1:] if self.image is not None else axes, bound, set(), total)

    def _solve(
        self, axes: list[tuple[Affine, Index]], bound: Bound, tested: set[Any], total: Variable
    ) -> None:
        """Bind the loops of the axes of z, one axis after the other."""
        extents = self.form.extents
        if not axes:
            self._rest(bound, tested, total)
            return
        axis, index = axes[0]
        free = [loop for loop, _ in axis.terms if loop not in bound]
        c = dict(axis.terms)
        # The loop that follows from the others: of step 1 if there is one, and long.
        free.sort(key=lambda loop: (abs(c[loop]) == 1, extents[loop]))
        with contextlib.ExitStack() as stack:
            inner = total
            for loop in free[:-1]:
                inner = stack.enter_context(self._summed(loop, bound, inner))
            if free:
                tests = self._follow(axis, index, free[-1], bound)
            else:
                tests = [(self._value(axis, bound), "==", index)]
            stack.enter_context(self._where(tests))
            done = self._test(stack, bound, tested)
            self._solve(axes[1:], dict(bound), done, inner)
        for loop in free:
            bound.pop(loop, None)

    def _follow(
        self, axis: Affine, index: Index, loop: str, bound: Bound
    ) -> list[tuple[Index, str, Index]]:
        """Bind the last loop of an axis; what must hold for that."""
        k, extent = self.k, self.form.extents[loop]
        coefficient = dict(axis.terms)[loop]
        rest = Affine(tuple(t for t in axis.terms if t[0] != loop), axis.constant)
        missing = k.at(index, (self._value(rest, bound), -1))
        missing = missing if coefficient > 0 else k.negative(missing)
        step = abs(coefficient)
        tests: list[tuple[Index, str, Index]] = [(missing, ">=", 0)]
        if step == 1:
            bound[loop] = missing
        elif isinstance(missing, int):
            bound[loop] = missing // step
            tests.append((missing % step, "==", 0))
        else:
            quotient = k.builder.sdiv(missing, k.index(step))
            bound[loop] = quotient
            tests.append((k.at((quotient, step)), "==", missing))
        low, _ = axis.span(self.form.extents)
        covers = low == 0 and not rest.terms and coefficient == 1
        if covers and self.form.result.shape[self.form.result.axes.index(axis)] <= extent:
            return []
        return [*tests, (bound[loop], "<", extent)]

    def _rest(self, bound: Bound, tested: set[Any], total: Variable) -> None:
        """The loops that z does not name, those that can lead outside first."""
        loops = [loop for loop in self.form.extents if loop not in bound]
        risky = {
            loop
            for operand in self.form.inputs
            for axis, size in zip(operand.axes, operand.shape, strict=True)
            if not _inside(self.form, axis, size)
            for loop, _ in axis.terms
        }
        loops.sort(key=lambda loop: loop not in risky)
        with contextlib.ExitStack() as stack:
            inner = total
            for loop in loops:
                inner = stack.enter_context(self._summed(loop, bound, inner))
                tested = self._test(stack, bound, tested)
            tested = self._test(stack, bound, tested)
            self._term(bound, inner)
        for loop in loops:
            bound.pop(loop, None)

    @contextlib.contextmanager
    def _summed(self, loop: str, bound: Bound, total: Variable) -> Any:
        """A loop with a sum of its own, which then goes into the sum around it."""
        k = self.k
        own = self.kernel._zero(k, self.lanes)
        with k.loop(0, self.form.extents[loop]) as i:
            bound[loop] = i
            yield own
        self._into(total, own.get())

    def _into(self, total: Variable, value: Any) -> None:
        k = self.k
        total.set((k.builder.add if self.kernel.whole else k.add)(total.get(), value))

    def _test(self, stack: contextlib.ExitStack, bound: Bound, tested: set[Any]) -> set[Any]:
        """Enter blocks where the indices that are known now, and can be outside, are inside."""
        done = set(tested)
        for operand in self.form.inputs:
            for axis, size in zip(operand.axes, operand.shape, strict=True):
                key = (axis, size)
                known = all(loop in bound for loop, _ in axis.terms)
                if key in done or not known or _inside(self.form, axis, size):
                    continue
                done.add(key)
                i = self._value(axis, bound)
                stack.enter_context(self._where([(i, ">=", 0), (i, "<", size)]))
        return done

    @contextlib.contextmanager
    def _where(self, tests: list[tuple[Index, str, Index]]) -> Any:
        """A block that runs where all tests hold; what is known to hold is not tested."""
        relations: dict[str, Callable[[Any, Any], bool]] = {
            "==": lambda a, b: a == b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b,
        }  # fmt: skip
        k, condition = self.k, None
        for a, relation, b in tests:
            if isinstance(a, int) and isinstance(b, int):
                if relations[relation](a, b):
                    continue
                found = ir.Constant(ir.IntType(1), 0)
            else:
                found = k.builder.icmp_signed(relation, k.index(a), k.index(b))
            condition = found if condition is None else k.builder.and_(condition, found)
        if condition is None:
            yield
            return
        with k.builder.if_then(condition):
            yield

    def _value(self, axis: Affine, bound: Bound) -> Index:
        return self.k.at(axis.constant, *((bound[loop], c) for loop, c in axis.terms))

    def _term(self, bound: Bound, total: Variable) -> None:
        k = self.k
        product = None
        for i, operand in enumerate(self.form.inputs, self.start):
            images = self.image is not None and self.image in operand.loops
            cell = [self._value(axis, bound) for axis in operand.axes]
            offset = _place(k, self.kernel.layouts[i], cell, self.lanes if images else 1)
            value = load(k, self.kernel._access(i), offset, int(images), self.lanes)
            value = as_integer(k, value) if self.kernel.whole else as_float(k, value)
            multiply = k.builder.mul if self.kernel.whole else k.mul
            product = value if product is None else multiply(product, value)
        if product is None:
            one = k.whole(1, self.lanes, 64) if self.kernel.whole else k.constant(1.0, self.lanes)
            product = one
        self._into(total, product)
