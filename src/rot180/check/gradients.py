"""`gradients`: a gradient held against differences, cell by cell, and an answer that says where.

The upstream gradient is random, always: one of ones hides every rotation and every reordering.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180.check.differences import Line, best_step, examine, line_along, sweep
from rot180.check.gradient_check import GradientCheck, InputCheck
from rot180.check.noise import spacing
from rot180.check.subject import Subject, subject
from rot180.core import Array
from rot180.errors import ArgumentError, CheckError, NumericsError, Rot180Error

__all__ = ["gradients"]


def gradients(
    f: Any,
    *inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
    nondet_tol: float = 0.0,
    seed: int = 0,
    max_cells: int = 2000,
) -> GradientCheck:
    """Law: ⟨g, f(x + εv) − f(x − εv)⟩ / 2ε = ⟨v, f*(g)⟩ for every unit vector v, or for a few.

    Arguments and tolerances are those of `torch.autograd.gradcheck`: a cell is right where
    |gradient − difference| ≤ atol + rtol · |difference|. At a kink (relu at 0, a tie in a pool) a
    value between the one-sided slopes is right, too. float32 inputs are checked in float32, but
    the differences are taken in float64 wherever the function allows it.

    Args:
        f: a function of tensors, a pair (forward, backward) on arrays, or a `Function` class.
        *inputs: arrays or tensors; or all in one tuple. Those that require a gradient are
            checked, or all floats, where none does. Tensors of PyTorch make f one of PyTorch's.
        eps: ε, the step of the differences.
        atol: absolute tolerance.
        rtol: relative tolerance.
        raise_exception: raise where the check fails, instead of returning a false answer.
        fast_mode: a few random directions instead of every cell.
        nondet_tol: by how much f may differ between two calls.
        seed: of the upstream gradients, directions and chosen cells.
        max_cells: of an input with more cells, so many are visited, and all along directions.

    Returns:
        A `GradientCheck`: true where all is right; prints what is wrong, where, and what to do.

    Raises:
        CheckError: the check failed and `raise_exception` is set; `error.result` is the answer.
        ArgumentError: no function, no float input, a step that is none.
        NumericsError: NaN or infinity in the inputs, or in what f makes of them.

    >>> wrong = (lambda x: x * x, lambda g, x: g * x)  # forgot the 2
    >>> found = gradients(wrong, np.array([1.0, -3.0]), raise_exception=False)
    >>> bool(found), found.inputs[0].wrong.tolist()
    (False, [True, True])
    >>> found.advice[0]
    'every wrong cell of input 0 is 0.5 times the difference: a factor is missing or too many'
    """
    if len(inputs) == 1 and isinstance(inputs[0], tuple | list):
        inputs = tuple(inputs[0])
    for name, value in (("eps", eps), ("atol", atol), ("rtol", rtol), ("max_cells", max_cells)):
        if not value >= 0 or (name in ("eps", "max_cells") and not value):
            raise ArgumentError(f"check: {name}", expected="a positive number", got=repr(value))
    s = subject(f, inputs)
    rng = np.random.default_rng(seed)
    problems: list[str] = []
    advice: list[str] = []
    base = _values(s, s.inputs)
    gs = [rng.standard_normal(y.shape).astype(y.dtype) for y in base]
    _same_twice(base, s.values(s.inputs), "f returns different values", nondet_tol, problems)
    analytic = _pulled(s, gs, problems)
    _same_twice(analytic, s.pull(s.inputs, gs), "the gradient differs", nondet_tol, problems)
    _require_shapes(s, analytic, problems)
    if problems:
        return _finish(GradientCheck((), tuple(problems), ()), raise_exception)
    _require_linear(s, gs, analytic, nondet_tol, problems)

    arrays, eps, atol, rtol = _in_float64(s, eps, atol, rtol, advice)
    wide = base if arrays is s.inputs else _values(s, arrays)
    along = _Along(s, arrays, gs, wide, analytic, eps, atol, rtol)
    checks = [
        along.directions(k, rng) if fast_mode else along.cells(k, max_cells, rng)
        for k in range(len(s.checked))
    ]
    found = along.sweep(rng, [check.kinks for check in checks])
    advice += _advice(checks, found, eps)
    result = GradientCheck(tuple(checks), tuple(problems), tuple(advice), tuple(found), eps)
    return _finish(result, raise_exception)


def _finish(result: GradientCheck, raise_exception: bool) -> GradientCheck:
    if raise_exception and not result:
        error = CheckError(result.headline(), rule=result.advice[0] if result.advice else "")
        error.result = result  # type: ignore[attr-defined]
        raise error
    return result


def _values(s: Subject, arrays: Sequence[Array]) -> list[Array]:
    outputs = s.values(arrays)
    if not outputs:
        raise ArgumentError("check: f has no float output, so it has no gradient")
    for y in outputs:
        if not np.isfinite(y).all():
            raise NumericsError(
                "check: f is not finite here",
                got=f"{int((~np.isfinite(y)).sum())} of {y.size} cells NaN or infinite",
                rule="a gradient is checked where the function is finite",
            )
    return [np.array(y) for y in outputs]


def _same_twice(
    a: Sequence[Array], b: Sequence[Array], what: str, tolerance: float, problems: list[str]
) -> None:
    change = max(
        (float(np.abs(x - y).max(initial=0)) for x, y in zip(a, b, strict=True)), default=0
    )
    if change > tolerance:
        problems.append(
            f"{what} when it is called again with the same inputs (by up to {change:.2g}): "
            "dropout, batch statistics or an own random generator; fix the seed inside f"
        )


def _pulled(s: Subject, gs: list[Array], problems: list[str]) -> list[Array]:
    """The gradients; notes where the backward pass writes into what it was given."""
    before = [a.copy() for a in (*s.inputs, *gs)]
    found = [np.array(d) for d in s.pull(s.inputs, gs)]
    for i, (old, new) in enumerate(zip(before, (*s.inputs, *gs), strict=True)):
        if not np.array_equal(old, new):
            name = f"input {i}" if i < len(s.inputs) else "the upstream gradient"
            problems.append(f"{name} was changed in place: work on a copy")
    return found


def _require_shapes(s: Subject, analytic: Sequence[Array], problems: list[str]) -> None:
    for i, d in zip(s.checked, analytic, strict=True):
        if d.shape != s.inputs[i].shape:
            problems.append(
                f"the gradient of input {i} has shape {d.shape}, the input {s.inputs[i].shape}"
            )
        elif not np.isfinite(d).all():
            count = int((~np.isfinite(d)).sum())
            problems.append(f"the gradient of input {i} is NaN or infinite in {count} cells")


def _require_linear(
    s: Subject, gs: list[Array], analytic: Sequence[Array], tolerance: float, problems: list[str]
) -> None:
    """f*(−2g) = −2 f*(g): a backward pass that drops g, or part of it, is caught with any g."""
    for i, d, e in zip(s.checked, analytic, s.pull(s.inputs, [-2 * g for g in gs]), strict=True):
        scale = float(np.abs(d).max(initial=0)) + float(np.abs(e).max(initial=0))
        off = np.abs(e + 2 * d)
        if off.max(initial=0) > 1e4 * spacing(d) * scale + 3 * tolerance:
            problems.append(
                f"the gradient of input {i} is not linear in the upstream gradient g: for -2g "
                f"it is not -2 times that for g in {int((off > 0).sum())} of {d.size} cells"
            )


def _in_float64(
    s: Subject, eps: float, atol: float, rtol: float, advice: list[str]
) -> tuple[list[Array], float, float, float]:
    """float32 inputs raised for the differences, where f lets itself be computed in float64."""
    if all(a.dtype == np.float64 for a in s.inputs if a.dtype.kind == "f"):
        return s.inputs, eps, atol, rtol
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in s.inputs]
    try:
        is_wide = all(y.dtype == np.float64 for y in s.values(wide))
    except (Rot180Error, TypeError, ValueError, RuntimeError):
        is_wide = False
    if is_wide:
        advice.append(
            "float32: differences were taken in float64, the gradient in float32 as given; "
            "float64 inputs make the check 100 times sharper"
        )
        return wide, eps, max(atol, 1e-4), max(rtol, 1e-3)
    step = max(eps, float(np.finfo(np.float32).eps) ** (1 / 3))
    advice.append(
        f"float32: f cannot be computed in float64, so the step was raised from {eps:.0e} to "
        f"{step:.1e} and the tolerance to 1e-2; nothing finer can be seen in float32"
    )
    return s.inputs, step, max(atol, 1e-2), max(rtol, 1e-2)


class _Along:
    """The comparison of gradient and differences, along single cells or random directions."""

    def __init__(
        self, s: Subject, arrays: list[Array], gs: list[Array], base: list[Array],
        analytic: list[Array], eps: float, atol: float, rtol: float,
    ) -> None:  # fmt: skip
        self.subject = s
        self.arrays = arrays
        self.gs = [g.astype(np.float64) for g in gs]
        self.base = base
        self.analytic = [d.astype(np.float64) for d in analytic]
        self.eps, self.atol, self.rtol = eps, atol, rtol

    def _line(self, k: int, v: Array) -> Line:
        moved = [(self.subject.checked[k], v)]
        return line_along(self.subject, self.arrays, self.gs, self.base, moved)

    def _verdict(self, line: Line, slope: float) -> tuple[float, float, str | None]:
        """The central difference, its noise, and what the slope is: right (""), a kink, wrong."""
        s = line.slopes(self.eps)
        if abs(slope - s.central) <= self.atol + self.rtol * abs(s.central):
            return s.central, s.noise, ""
        return s.central, s.noise, examine(line, slope, self.eps, self.atol, self.rtol)

    def cells(self, k: int, limit: int, rng: np.random.Generator) -> InputCheck:
        """Every cell of an input, or `limit` random ones."""
        given = self.analytic[k]
        size = given.size
        chosen = np.arange(size) if size <= limit else np.sort(rng.permutation(size)[:limit])
        numeric = np.full(size, np.nan)
        wrong, kinks = np.zeros(size, bool), np.zeros(size, bool)
        noise, unit = 0.0, np.zeros(size)
        for c in chosen:
            unit[c] = 1.0
            line = self._line(k, unit.reshape(given.shape))
            numeric[c], own, found = self._verdict(line, float(given.reshape(-1)[c]))
            unit[c] = 0.0
            noise = max(noise, own)
            wrong[c], kinks[c] = found is None, found == "kink"
        at = self.subject.checked[k]
        pairs = self._across(k, kinks) if kinks.any() else ()
        if size > limit:
            pairs += self._random(k, rng)
        planes = [a.reshape(given.shape) for a in (numeric, wrong, kinks)]
        return InputCheck(at, given, planes[0], planes[1], planes[2], noise, pairs)

    def directions(self, k: int, rng: np.random.Generator) -> InputCheck:
        """All cells of an input at once, along a few random directions of length 1."""
        given = self.analytic[k]
        unvisited, nothing = np.full(given.shape, np.nan), np.zeros(given.shape, bool)
        pairs = self._random(k, rng)
        noise = self._line(k, np.ones(given.shape) / max(1.0, given.size**0.5)).slopes(self.eps)
        at = self.subject.checked[k]
        return InputCheck(at, given, unvisited, nothing, nothing, noise.noise, pairs)

    def _random(self, k: int, rng: np.random.Generator) -> tuple[tuple[float, float, bool], ...]:
        shape = self.analytic[k].shape
        return tuple(self._along(k, rng.standard_normal(shape)) for _ in range(4))

    def _across(self, k: int, kinks: Array) -> tuple[tuple[float, float, bool], ...]:
        """All kinks moved at once: values that are each a subgradient may be none together.

        Handing a pool's gradient to all of four equal cells is the example: each cell could be the
        winner, but raising all four by t raises the maximum by t, not by 4t.
        """
        found = self._along(k, kinks.reshape(self.analytic[k].shape).astype(np.float64))
        return (found,) if found[2] else ()

    def _along(self, k: int, v: Array) -> tuple[float, float, bool]:
        """(gradient, difference, wrong) along one direction, made of length 1."""
        v = v / max(float(np.linalg.norm(v)), 1e-300)
        slope = float(np.vdot(v, self.analytic[k]))
        central, _, found = self._verdict(self._line(k, v), slope)
        return slope, central, found is None

    def sweep(self, rng: np.random.Generator, kinks: Sequence[Array]) -> list[tuple[float, float]]:
        """Relative errors of the differences for steps from 0.1 to 1e-9, all but kinks moved."""
        moved, slope = [], 0.0
        for k, (d, kink) in enumerate(zip(self.analytic, kinks, strict=True)):
            v = np.where(kink, 0.0, rng.standard_normal(d.shape))
            v /= max(float(np.linalg.norm(v)), 1e-300)
            moved.append((self.subject.checked[k], v))
            slope += float(np.vdot(v, d))
        line = line_along(self.subject, self.arrays, self.gs, self.base, moved)
        try:
            found = sweep(line, slope)
        except Rot180Error:  # a large step may leave the function's domain
            return []
        return [(step, error / max(abs(slope), 1e-300)) for step, error in found]


def _advice(
    checks: Sequence[InputCheck], found: Sequence[tuple[float, float]], eps: float
) -> list[str]:
    lines = []
    for check in checks:
        factor = check.common_factor()
        if factor is not None:
            lines.append(
                f"every wrong cell of input {check.index} is {factor:.6g} times the difference: "
                "a factor is missing or too many"
            )
        if check.kinks.any():
            lines.append(
                f"cells of input {check.index} on a kink or a tie: {int(check.kinks.sum())}; "
                "their gradient is one of the subgradients there, which is right"
            )
    if found and np.isfinite([error for _, error in found]).all():
        step, error = best_step(found)
        here = min(found, key=lambda pair: abs(np.log10(pair[0] / eps)))[1]
        if error < 1e-3 and here > 1e-3:
            lines.append(
                f"the step {eps:.0e} does not suit this function (error {here:.0e}): with "
                f"eps={step:.0e} the error is {error:.0e}"
            )
    return lines
