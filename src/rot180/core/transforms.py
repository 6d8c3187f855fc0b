"""Derivatives as functions: grad, vjp, jvp, hessian. All are sweeps over recorded graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rot180.core.modes import enable_grad
from rot180.core.sweep import gradients
from rot180.core.tensor import ArrayLike, Tensor, tensor
from rot180.errors import GraphError, ShapeError

__all__ = ["grad", "hessian", "jvp", "vjp"]


def _variable(x: ArrayLike) -> Tensor:
    """A view of x in the graph: gradients of gradients still reach x itself."""
    t = x if isinstance(x, Tensor) else tensor(x)
    return t if t.requires_grad else t.detach().requires_grad_()


def _filled(g: Tensor | None, x: Tensor) -> Tensor:
    return Tensor(np.zeros(x.shape, x.dtype)) if g is None else g


def _scalar(y: Any, what: str) -> Tensor:
    if not isinstance(y, Tensor) or y.size != 1:
        raise ShapeError(
            f"{what}: the function must return one number",
            got=f"shape {y.shape}" if isinstance(y, Tensor) else type(y).__name__,
            rule="use vjp for functions with more cells",
        )
    return y


def grad(f: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that returns ∂f/∂x for the chosen arguments; it can be differentiated again.

    Args:
        f: a function of tensors that returns one number.
        argnums: which argument, or which ones (then a tuple is returned).

    >>> cube = lambda x: x * x * x
    >>> grad(grad(cube))(tensor(2.0)).item()
    12.0
    """
    chosen = (argnums,) if isinstance(argnums, int) else argnums

    def derivative(*args: ArrayLike) -> Any:
        with enable_grad():
            variables = [_variable(a) if i in chosen else a for i, a in enumerate(args)]
            y = _scalar(f(*variables), "grad")
            wanted = [variables[i] for i in chosen]
            found = gradients([y], wanted, create_graph=True) if y.requires_grad else [None]
        filled = tuple(_filled(g, x) for g, x in zip(found, wanted, strict=False))
        return filled[0] if isinstance(argnums, int) else filled

    return derivative


def vjp(
    f: Callable[..., Tensor], *xs: ArrayLike
) -> tuple[Tensor, Callable[[ArrayLike], tuple[Tensor, ...]]]:
    """The value f(x), and the function g ↦ (∂f/∂x)ᵀ·g for every argument.

    >>> y, pull = vjp(lambda a, b: a * b, tensor([2.0]), tensor([5.0]))
    >>> [gradient.tolist() for gradient in pull(tensor([1.0]))]
    [[5.0], [2.0]]
    """
    with enable_grad():
        variables = [_variable(x) for x in xs]
        y = f(*variables)

    def pull(g: ArrayLike) -> tuple[Tensor, ...]:
        if not y.requires_grad:
            return tuple(_filled(None, x) for x in variables)
        upstream = g if isinstance(g, Tensor) else tensor(np.asarray(g, y.dtype))
        found = gradients([y], variables, [upstream], create_graph=True)
        return tuple(_filled(d, x) for d, x in zip(found, variables, strict=True))

    return y, pull


def jvp(
    f: Callable[..., Tensor], xs: tuple[ArrayLike, ...], vs: tuple[ArrayLike, ...]
) -> tuple[Tensor, Tensor]:
    """The value f(x) and the directional derivative (∂f/∂x)·v.

    g ↦ (∂f/∂x)ᵀ·g is linear in g, so the gradient of ⟨(∂f/∂x)ᵀ·g, v⟩ with respect to g is it.

    >>> jvp(lambda x: x * x, (tensor([3.0]),), (tensor([1.0]),))[1].tolist()
    [6.0]
    """
    if len(xs) != len(vs):
        raise GraphError(
            "jvp: one direction for each argument", expected=str(len(xs)), got=str(len(vs))
        )
    y, pull = vjp(f, *xs)
    if not y.requires_grad:
        return y, Tensor(np.zeros(y.shape, y.dtype))
    with enable_grad():
        g = Tensor(np.zeros(y.shape, y.dtype), requires_grad=True)
        pulled = pull(g)
    directions = [v if isinstance(v, Tensor) else tensor(np.asarray(v, y.dtype)) for v in vs]
    pairs = [(p, v) for p, v in zip(pulled, directions, strict=True) if p.requires_grad]
    if not pairs:
        return y.detach(), Tensor(np.zeros(y.shape, y.dtype))
    (pushed,) = gradients([p for p, _ in pairs], [g], [v for _, v in pairs], create_graph=True)
    return y, _filled(pushed, g)


def hessian(f: Callable[[Tensor], Tensor], x: ArrayLike) -> Tensor:
    """All second derivatives of a function of one tensor, shape (*x.shape, *x.shape).

    One sweep for each cell of x: meant for small sizes.

    >>> hessian(lambda x: (x * x * x).sum(), tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    with enable_grad():
        variable = _variable(x)
        y = _scalar(f(variable), "hessian")
        (first,) = gradients([y], [variable], create_graph=True) if y.requires_grad else (None,)
    result = np.zeros((variable.size, *variable.shape), variable.dtype)
    if first is not None and first.requires_grad:
        for i in range(variable.size):
            unit = np.zeros(variable.size, variable.dtype)
            unit[i] = 1
            (row,) = gradients([first], [variable], [unit.reshape(first.shape)], retain_graph=True)
            if row is not None:
                result[i] = row.data
    return Tensor(result.reshape(variable.shape + variable.shape))
