"""Checks of gradients that every test folder shares.

The upstream gradient is random, always: an upstream gradient of ones hides every rotation and
every reordering. A linear function is checked by its adjoint, exactly; any other by a difference
along a random direction against a random upstream gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rot180.core import Tensor, gradients, jvp

Array = np.ndarray
Arrays = Sequence[Array]


def differentiable(arrays: Arrays) -> list[int]:
    """Which of the arrays have a gradient."""
    return [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]


def leaves(arrays: Arrays) -> list[Tensor]:
    return [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def float_outputs(result: Any) -> list[Tensor]:
    """The outputs of a function that may have a gradient."""
    outputs = result if isinstance(result, tuple | list) else (result,)
    return [y for y in outputs if y.dtype.kind == "f"]


def values(f: Callable[..., Any], arrays: Arrays) -> list[Array]:
    return [y.data for y in float_outputs(f(*map(Tensor, arrays)))]


def normals(like: Arrays, rng: np.random.Generator) -> list[Array]:
    """Random arrays of the same shapes and data types."""
    return [rng.standard_normal(a.shape).astype(a.dtype) for a in like]


def upstream(f: Callable[..., Any], arrays: Arrays, rng: np.random.Generator) -> list[Array]:
    return normals(values(f, arrays), rng)


def pull(f: Callable[..., Any], arrays: Arrays, gs: Arrays) -> list[Array]:
    """The gradient of every differentiable input for upstream gradients of all outputs."""
    xs = leaves(arrays)
    wanted = [xs[i] for i in differentiable(arrays)]
    pairs = [
        (y, Tensor(g)) for y, g in zip(float_outputs(f(*xs)), gs, strict=True) if y.requires_grad
    ]
    if not pairs:
        return [np.zeros_like(x.data) for x in wanted]
    found = gradients([y for y, _ in pairs], wanted, [g for _, g in pairs])
    return [
        np.zeros_like(x.data) if d is None else d.data for d, x in zip(found, wanted, strict=True)
    ]


def dot(a: Arrays, b: Arrays) -> float:
    return float(sum(np.vdot(x, y) for x, y in zip(a, b, strict=True)))


def size(a: Arrays, b: Arrays) -> float:
    """Σ |a·b|: how large the terms of `dot` are, which its rounding error is relative to."""
    return float(sum(np.sum(np.abs(x * y)) for x, y in zip(a, b, strict=True)))


def replaced(arrays: Arrays, where: Sequence[int], by: Arrays) -> list[Array]:
    new = list(arrays)
    for i, value in zip(where, by, strict=True):
        new[i] = value
    return new


def check_adjoint(
    f: Callable[..., Any],
    arrays: Arrays,
    over: Sequence[int],
    rng: np.random.Generator,
    tolerance: float = 1e-12,
) -> None:
    """⟨f(v), g⟩ = ⟨v, f*(g)⟩ in the operands `over`, in which f is linear. No step size: exact."""
    directions = normals([arrays[i] for i in over], rng)
    image = values(f, replaced(arrays, over, directions))
    gs = normals(image, rng)
    all_grads = pull(f, arrays, gs)
    places = differentiable(arrays)
    grads = [all_grads[places.index(i)] for i in over]
    left, right = dot(image, gs), dot(directions, grads)
    scale = size(image, gs) + size(directions, grads)
    if not abs(left - right) <= tolerance * scale:
        raise AssertionError(f"adjoint: <f(v), g> = {left!r}, <v, f*(g)> = {right!r}")


def check_directional(
    f: Callable[..., Any],
    arrays: Arrays,
    rng: np.random.Generator,
    *,
    tolerance: float = 2e-8,
    step: float = 1e-5,
    directions: int = 2,
) -> None:
    """⟨g, f(x + εv) − f(x − εv)⟩ / 2ε = ⟨v, gradient⟩ for random directions v and covectors g."""
    places = differentiable(arrays)
    for _ in range(directions):
        gs = upstream(f, arrays, rng)
        vs = normals([arrays[i] for i in places], rng)
        ahead, behind = (
            values(
                f,
                replaced(
                    arrays, places, [arrays[i] + e * v for i, v in zip(places, vs, strict=True)]
                ),
            )
            for e in (step, -step)
        )
        change = [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
        grads = pull(f, arrays, gs)
        left, right = dot(gs, change), dot(vs, grads)
        scale = size(gs, change) + size(vs, grads) + 1e-3 * size(gs, ahead)
        if not abs(left - right) <= tolerance * scale:
            raise AssertionError(f"difference: {left!r}, gradient: {right!r}")


def check_gradient(
    f: Callable[..., Any],
    arrays: Arrays,
    rng: np.random.Generator,
    linear: Sequence[Sequence[int]] = (),
) -> None:
    """Adjoints in the operands in which f is linear, and differences in all."""
    for over in linear:
        check_adjoint(f, arrays, over, rng)
    check_directional(f, arrays, rng)


def check_push(
    f: Callable[..., Any], arrays: Arrays, rng: np.random.Generator, tolerance: float = 1e-11
) -> None:
    """⟨g, jvp(v)⟩ = ⟨v, vjp(g)⟩: forward and backward derivatives are one matrix."""
    places = differentiable(arrays)
    gs = upstream(f, arrays, rng)
    vs = normals([arrays[i] for i in places], rng)

    def inner(*xs: Tensor) -> Tensor:
        given = replaced([Tensor(a) for a in arrays], places, xs)
        outputs = float_outputs(f(*given))
        flat = [(y * Tensor(g)).reshape(-1).sum() for y, g in zip(outputs, gs, strict=True)]
        total = flat[0]
        for other in flat[1:]:
            total = total + other
        return total

    _, pushed = jvp(inner, tuple(Tensor(arrays[i]) for i in places), tuple(map(Tensor, vs)))
    grads = pull(f, arrays, gs)
    scale = size(vs, grads) + size(gs, values(f, arrays)) * 1e-3
    if not abs(float(pushed) - dot(vs, grads)) <= tolerance * scale:
        raise AssertionError(f"jvp: {float(pushed)!r}, vjp: {dot(vs, grads)!r}")


def check_second_order(
    f: Callable[..., Any],
    arrays: Arrays,
    rng: np.random.Generator,
    *,
    tolerance: float = 2e-8,
    step: float = 1e-5,
) -> None:
    """The gradient of ⟨gradient of f, c⟩ by inputs and upstream gradients, against a difference."""
    places = differentiable(arrays)
    gs = upstream(f, arrays, rng)
    xs = [arrays[i] for i in places]
    cs = normals(xs, rng)

    def first(x_and_g: Arrays) -> float:
        """⟨gradient at x for g, c⟩ by plain sweeps."""
        x, g = x_and_g[: len(places)], x_and_g[len(places) :]
        return dot(pull(f, replaced(arrays, places, x), g), cs)

    variables = leaves([*xs, *gs])
    given = replaced([Tensor(a) for a in arrays], places, variables[: len(places)])
    outputs = float_outputs(f(*given))
    pairs = [
        (y, g) for y, g in zip(outputs, variables[len(places) :], strict=True) if y.requires_grad
    ]
    grads = gradients(
        [y for y, _ in pairs], variables[: len(places)], [g for _, g in pairs], create_graph=True
    )
    kept = [(d, Tensor(c)) for d, c in zip(grads, cs, strict=True) if d is not None]
    second = gradients([d for d, _ in kept], variables, [c for _, c in kept])
    filled = [
        np.zeros_like(x.data) if d is None else d.data
        for d, x in zip(second, variables, strict=True)
    ]
    point = [*xs, *gs]
    vs = normals(point, rng)
    ahead, behind = (
        first([p + e * v for p, v in zip(point, vs, strict=True)]) for e in (step, -step)
    )
    change, exact = (ahead - behind) / (2 * step), dot(vs, filled)
    scale = size(vs, filled) + size(pull(f, arrays, gs), cs) * 1e-1
    if not abs(change - exact) <= tolerance * scale:
        raise AssertionError(f"second order: difference {change!r}, gradient {exact!r}")


def layouts(array: Array) -> dict[str, Array]:
    """The same values lying differently in memory."""
    if array.ndim == 0:
        return {"contiguous": array}
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    backwards = tuple(slice(None, None, -1) for _ in array.shape)
    order = np.roll(np.arange(array.ndim), 1)
    moved = np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    return {
        "fortran": np.asfortranarray(array),
        "every second cell": wide[..., ::2],
        "negative strides": np.ascontiguousarray(array[backwards])[backwards],
        "axes moved": moved,
    }


def check_first_tie_wins(
    f: Callable[..., Any], arrays: Arrays, rng: np.random.Generator, ramp: float = 1e-7
) -> None:
    """Where cells are equal, the gradient is the one with each cell a little above the next.

    A difference says nothing at a tie. The rule "first" is a limit, and that can be checked.
    """
    gs = upstream(f, arrays, rng)
    tilted = [
        a - ramp * np.arange(a.size, dtype=a.dtype).reshape(a.shape) if a.dtype.kind == "f" else a
        for a in arrays
    ]
    for at_tie, limit in zip(pull(f, arrays, gs), pull(f, tilted, gs), strict=True):
        if not np.allclose(at_tie, limit, rtol=1e-9, atol=1e-9):
            raise AssertionError("ties: the gradient does not go to the first of equal cells")
