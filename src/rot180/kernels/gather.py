"""A change of variable: a scattered output read as a gather.

    δx[h] = Σ w[r] · g[p]  over all p, r with  h = p + D·r − A          (scatter: p and r meet in h)
          = Σ w[r] · g[h − D·r + A]  over all r                         (gather: p is solved for)

The second line is the full correlation of g with the kernel turned by 180 degrees: the turn is the
minus in front of D·r, the padding is the range of h − D·r + A. It holds as it stands for stride 1;
with a stride, p = (h − D·r + A) / S would be a whole number for one h in S, so the scatter is kept,
which never multiplies the zeros that a dilated gradient would hold.
"""

from __future__ import annotations

from rot180.core import Affine, Form, Operand
from rot180.kernels.strided import cells

__all__ = ["as_gather"]


def as_gather(form: Form) -> Form:
    """The same form with its output axes solved for positions, where that moves fewer cells."""
    if len(form.inputs) != 2 or all(len(axis.terms) < 2 for axis in form.result.axes):
        return form
    extents = form.extents
    solved: dict[str, Affine] = {}
    axes: list[Affine] = []
    for i, (axis, size) in enumerate(zip(form.result.axes, form.result.shape, strict=True)):
        position = _position(form, axis)
        if len(axis.terms) < 2 or position is None:
            axes.append(axis)
            continue
        h = f"h{i}"
        others = tuple((loop, -c) for loop, c in axis.terms if loop != position)
        solved[position] = Affine(((h, 1), *others), -axis.constant)
        axes.append(Affine(((h, 1),)))
        extents = {**{loop: n for loop, n in extents.items() if loop != position}, h: size}
    if any(len(axis.terms) > 1 for axis in axes):
        return form
    operands = tuple(
        Operand(o.name, tuple(axes), o.shape) if o is form.result else _solve(o, solved)
        for o in form.operands
    )
    gathered = Form(form.name, operands, tuple(extents.items()), form.output)
    return gathered if _moved(gathered) <= _moved(form) else form


def _position(form: Form, axis: Affine) -> str | None:
    """The loop of stride 1 with the largest extent that stands alone on one axis of one input."""
    extents = form.extents
    for loop, coefficient in sorted(axis.terms, key=lambda term: -extents[term[0]]):
        uses = [a for o in form.operands for a in o.axes if a != axis and loop in dict(a.terms)]
        if coefficient == 1 and uses == [Affine(((loop, 1),))]:
            return loop
    return None


def _solve(operand: Operand, solved: dict[str, Affine]) -> Operand:
    axes = tuple(
        solved[axis.terms[0][0]] if axis.terms and axis.terms[0][0] in solved else axis
        for axis in operand.axes
    )
    return Operand(operand.name, axes, operand.shape)


def _moved(form: Form) -> int:
    """The cells that the factors and the product are copied to."""
    (x, y), result = form.inputs, form.result
    free = [loop for loop in form.extents if (loop in x.loops) != (loop in y.loops)]
    batch = [loop for loop in form.extents if loop in x.loops and loop in y.loops]
    kept = [loop for loop in batch if loop in result.loops]
    product = cells([*kept, *(loop for loop in free if loop in result.loops)], form.extents)
    return max(cells(x.loops, form.extents), cells(y.loops, form.extents), product)
