"""Functions of the user: a forward and a backward pass written by hand, taken at their word."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rot180.core import rules
from rot180.core.graph import Node
from rot180.core.modes import set_grad_enabled, state
from rot180.core.tensor import ArrayLike, Tensor, tensor
from rot180.errors import GraphError, ShapeError

__all__ = ["Context", "Function", "function"]


class Context:
    """What a forward pass hands to its backward pass.

    Attributes:
        needs_input_grad: for each argument, whether its gradient will be used.
    """

    def __init__(self, name: str, needs_input_grad: tuple[bool, ...]) -> None:
        self.name = name
        self.needs_input_grad = needs_input_grad
        self._kept: tuple[ArrayLike, ...] = ()
        # The node holds this context; a strong reference back would keep both alive.
        self._node: weakref.ref[Node] | None = None
        self._places: tuple[int | None, ...] = ()

    def save_for_backward(self, *values: ArrayLike) -> None:
        """Keep tensors or arrays; tensors are checked for changes in place."""
        self._kept = values

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was kept, in the same order."""
        if self._node is None:
            return self._kept
        node = self._node()
        if node is None:
            raise GraphError(f"{self.name}: the graph of these saved tensors is gone")
        return tuple(
            value if place is None else node.saved(place)
            for value, place in zip(self._kept, self._places, strict=True)
        )


Described = tuple[tuple[int, ...], "np.dtype[Any]"]
"""Shape and data type."""


class _Custom:
    """The kind of a node that a user's function made."""

    def __init__(
        self, cls: type[Function], ctx: Context, inputs: list[Described], outputs: list[Described]
    ) -> None:
        self.name = cls.__name__
        self.cls = cls
        self.ctx = ctx
        self.inputs = inputs
        self.outputs = outputs


@rules.gradients.register
def _(
    kind: _Custom,
    wanted: Sequence[int],
    arrived: Sequence[Tensor | None],
    values: rules.SavedValues,
    apply: rules.Apply,
) -> list[Tensor | None]:
    filled = [
        Tensor(np.zeros(shape, dtype)) if g is None else g
        for g, (shape, dtype) in zip(arrived, kind.outputs, strict=True)
    ]
    back = kind.cls.backward(kind.ctx, *filled)
    given = back if isinstance(back, tuple | list) else (back,)
    if len(given) != len(kind.ctx.needs_input_grad):
        raise GraphError(
            f"{kind.name}.backward: one gradient for each argument of forward",
            expected=f"{len(kind.ctx.needs_input_grad)} values",
            got=str(len(given)),
            rule="return None for an argument without gradient",
        )
    return [None if given[u] is None else _checked(kind, u, given[u]) for u in wanted]


def _checked(kind: _Custom, u: int, value: ArrayLike) -> Tensor:
    """A gradient of the shape of its argument, brought into its data type."""
    g = value if isinstance(value, Tensor) else tensor(value)
    shape, dtype = kind.inputs[u]
    if g.shape != shape:
        raise ShapeError(
            f"{kind.name}.backward: the gradient of argument {u} must have its shape",
            expected=str(shape),
            got=str(g.shape),
        )
    return g if g.dtype == dtype else g.astype(dtype)


class Function:
    """Base of functions with a gradient of their own; call `apply`.

    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3.0 * x * x
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """Compute the result: a tensor or array, or a tuple of them. No graph is recorded."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Any) -> Any:
        """The gradient for each argument of `forward`; None where there is none."""
        raise NotImplementedError

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record `backward` as its gradient rule.

        Args:
            *args: tensors, and anything else `forward` takes.

        Raises:
            GraphError: in the sweep, when `backward` returns a wrong number of gradients.
            ShapeError: in the sweep, when a gradient has not its argument's shape.
        """
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx = Context(cls.__name__, needs)
        with set_grad_enabled(False):
            result = cls.forward(ctx, *args)
        results = result if isinstance(result, tuple) else (result,)
        outputs = tuple(_fresh(value) for value in results)
        if state.grad and any(needs):
            _record(cls, ctx, args, results, outputs)
        return outputs if isinstance(result, tuple) else outputs[0]


def _fresh(value: ArrayLike) -> Tensor:
    return value.detach() if isinstance(value, Tensor) else tensor(value)


def _record(
    cls: type[Function],
    ctx: Context,
    args: tuple[Any, ...],
    results: tuple[Any, ...],
    outputs: tuple[Tensor, ...],
) -> None:
    stand_in = Tensor(np.zeros(()))
    inputs = tuple(a if isinstance(a, Tensor) else stand_in for a in args)
    shapes = [(y.shape, y.dtype) for y in outputs]
    node = Node(_Custom(cls, ctx, [(t.shape, t.dtype) for t in inputs], shapes), inputs)
    node.shapes = shapes
    places: list[int | None] = []
    for place, value in enumerate(ctx._kept):
        if isinstance(value, Tensor):
            output = next((i for i, result in enumerate(results) if result is value), None)
            node.save(place, value if output is None else outputs[output], output)
        places.append(place if isinstance(value, Tensor) else None)
    # The node holds the tensors now, and frees them after the sweep.
    ctx._kept = tuple(None if isinstance(value, Tensor) else value for value in ctx._kept)
    ctx._places = tuple(places)
    ctx._node = weakref.ref(node)
    for index, y in enumerate(outputs):
        if y.dtype.kind == "f":
            y.requires_grad, y.grad_fn, y.output_index = True, node, index


def function(
    forward: Callable[..., Any], backward: Callable[..., Any], name: str = "function"
) -> Callable[..., Any]:
    """A differentiable function from a plain pair on arrays, for people without any framework.

    Args:
        forward: arrays in, one array out.
        backward: `backward(g, *arrays)` returns the gradient for each array (a tuple, or one).
        name: how error messages and graphs call it.

    >>> square = function(lambda x: x * x, lambda g, x: 2 * g * x)
    >>> x = tensor([3.0], requires_grad=True)
    >>> square(x).backward([1.0]); x.grad
    tensor([6.])
    """

    def run_forward(ctx: Context, *args: Any) -> Any:
        arrays = tuple(a.data if isinstance(a, Tensor) else np.asarray(a) for a in args)
        ctx.save_for_backward(*args)
        return forward(*arrays)

    def run_backward(ctx: Context, g: Tensor) -> Any:
        saved = ctx.saved_tensors
        arrays = tuple(a.data if isinstance(a, Tensor) else np.asarray(a) for a in saved)
        return backward(g.data, *arrays)

    members = {"forward": staticmethod(run_forward), "backward": staticmethod(run_backward)}
    return type(name, (Function,), members).apply  # type: ignore[attr-defined, no-any-return]
