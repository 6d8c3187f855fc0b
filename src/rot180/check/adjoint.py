"""`adjoint`: a linear map and its adjoint, held together by one number and no step size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.check.noise import cell_text, spacing
from rot180.check.subject import Subject, as_array, subject
from rot180.core import Array
from rot180.errors import ArgumentError, CheckError, ShapeError
from rot180.ops import OPERATIONS

__all__ = ["AdjointCheck", "adjoint"]


@dataclass(frozen=True)
class AdjointCheck:
    """The answer of `rot180.check.adjoint`. It is true where both sides are equal.

    Attributes:
        left: ⟨f(v), g⟩.
        right: ⟨v, f*(g)⟩.
        noise: by how much rounding alone may set them apart.
        over: which operand v stands for.
        cells: cells of that operand whose adjoint differs: (cell, is, should be).
        wrong: how many they are.
    """

    left: float
    right: float
    noise: float
    over: int
    cells: tuple[tuple[tuple[int, ...], float, float], ...] = ()
    wrong: int = 0

    def __bool__(self) -> bool:
        return abs(self.left - self.right) <= self.noise

    def __str__(self) -> str:
        sign = "=" if self else "≠"
        lines = [f"adjoint: <f(v), g> = {self.left:.12g} {sign} {self.right:.12g} = <v, f*(g)>"]
        lines[0] += f" in operand {self.over} (noise {self.noise:.0e})"
        if self.wrong:
            lines.append(f"  {self.wrong} cells of f*(g) are not <f(e), g>:")
        lines += [
            f"    {cell_text(cell)}  f*(g) {a: .6g}  <f(e), g> {n: .6g}"
            for cell, a, n in self.cells
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "passed": bool(self),
            "left": self.left,
            "right": self.right,
            "noise": self.noise,
            "over": self.over,
            "wrong": self.wrong,
        }


def adjoint(
    op: Any,
    *inputs: Any,
    adjoint: Callable[..., Any] | None = None,
    over: int = 0,
    raise_exception: bool = True,
    seed: int = 0,
    **options: Any,
) -> AdjointCheck:
    """Law: ⟨f(v), g⟩ = ⟨v, f*(g)⟩ for random v and g, exact up to rounding.

    Args:
        op: a function that is linear in operand `over`, or the name of an operation ("conv2d").
        *inputs: all operands; the one named by `over` only lends its shape and data type.
        adjoint: f*, as `adjoint(g)` on arrays; by default what the function's backward pass gives.
        over: the operand.
        raise_exception: raise where the check fails, instead of returning a false answer.
        seed: of v and g.
        **options: handed to the operation: `stride=2`, ...

    Returns:
        An `AdjointCheck`: true where both sides are equal; names the cells that differ.

    Raises:
        CheckError: the check failed and `raise_exception` is set; `error.result` is the answer.
        ArgumentError: an unknown operation, or one that is not linear in that operand.

    >>> x, w = np.zeros((2, 3, 5, 5)), np.ones((4, 3, 2, 2))
    >>> bool(adjoint("conv2d", x, w, stride=2))
    True
    >>> print(adjoint(lambda x: x[::-1], np.zeros(2), adjoint=lambda g: g, raise_exception=False))
    adjoint: <f(v), g> = -0.0714138317631 ≠ 0.0666626657977 = <v, f*(g)> in operand 0 (noise 3e-16)
      2 cells of f*(g) are not <f(e), g>:
        [0]  f*(g)  0.640423  <f(e), g>  0.1049
        [1]  f*(g)  0.1049  <f(e), g>  0.640423
    """
    s = subject(_named(op, options), inputs)
    if not 0 <= over < len(s.inputs) or s.inputs[over].dtype.kind != "f":
        raise ArgumentError(
            "adjoint: over", expected=f"a float operand, 0 to {len(s.inputs) - 1}", got=str(over)
        )
    s.checked = [over]
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(s.inputs[over].shape).astype(s.inputs[over].dtype)
    image = _image(s, over, v)
    gs = [rng.standard_normal(y.shape).astype(y.dtype) for y in image]
    _require_linear(s, over, v, image)
    back = s.pull(_with(s, over, v), gs)[0] if adjoint is None else as_array(adjoint(*gs))
    if back.shape != v.shape:
        raise ShapeError("adjoint: shape of f*(g)", expected=str(v.shape), got=str(back.shape))
    left = sum(_dot(y, g) for y, g in zip(image, gs, strict=True))
    size = sum(_dot(np.abs(y), np.abs(g)) for y, g in zip(image, gs, strict=True))
    size += _dot(np.abs(v), np.abs(back))
    terms = max(v.size, sum(y.size for y in image))
    noise = 8 * spacing(v, *image) * size * max(1.0, math.sqrt(terms) / 8)
    found = AdjointCheck(left, _dot(v, back), noise, over)
    if not found:
        wrong = _differing(s, over, gs, back)
        found = AdjointCheck(left, found.right, noise, over, tuple(wrong[:5]), len(wrong))
    if raise_exception and not found:
        error = CheckError(str(found).splitlines()[0])
        error.result = found  # type: ignore[attr-defined]
        raise error
    return found


def _named(op: Any, options: dict[str, Any]) -> Any:
    if isinstance(op, str):
        if op not in OPERATIONS:
            raise ArgumentError(
                f"adjoint: unknown operation {op!r}", rule="a name in rot180.ops, as in 'conv2d'"
            )
        op = OPERATIONS[op]
    if not options:
        return op
    return lambda *xs: op(*xs, **options)


def _with(s: Subject, over: int, v: Array) -> list[Array]:
    return [v if i == over else a for i, a in enumerate(s.inputs)]


def _image(s: Subject, over: int, v: Array) -> list[Array]:
    return [np.array(y) for y in s.values(_with(s, over, v))]


def _dot(a: Array, b: Array) -> float:
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))


def _require_linear(s: Subject, over: int, v: Array, image: Sequence[Array]) -> None:
    """f(−2v) = −2 f(v), which no kink, no bias and no square gets past."""
    for y, z in zip(image, _image(s, over, -2 * v), strict=True):
        scale = float(np.abs(y).max(initial=0)) + float(np.abs(z).max(initial=0))
        off = float(np.abs(z + 2 * y).max(initial=0))
        if off > 1e3 * spacing(y) * scale:
            raise ArgumentError(
                f"adjoint: the function is not linear in operand {over}",
                arithmetic=f"f(-2v) + 2f(v) is up to {off:.2g}",
                expected="0",
                rule="use check.gradients for other functions",
            )


def _differing(
    s: Subject, over: int, gs: Sequence[Array], back: Array
) -> list[tuple[tuple[int, ...], float, float]]:
    """The cells whose adjoint is not ⟨f(e), g⟩, found with unit vectors; none in large operands."""
    if back.size > 2000:
        return []
    found = []
    scale = float(np.abs(back).max(initial=0))
    unit = np.zeros(back.size, back.dtype)
    for c in range(back.size):
        unit[c] = 1
        image = _image(s, over, unit.reshape(back.shape))
        unit[c] = 0
        right = sum(_dot(y, g) for y, g in zip(image, gs, strict=True))
        size = sum(_dot(np.abs(y), np.abs(g)) for y, g in zip(image, gs, strict=True))
        value = float(back.reshape(-1)[c])
        if abs(value - right) > 64 * spacing(back) * (size + scale):
            cell = tuple(int(i) for i in np.unravel_index(c, back.shape))
            found.append((cell, value, right))
    return found
