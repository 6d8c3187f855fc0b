"""Explainers of operations by name, from sizes or arrays: conv2d(input=(3, 3), kernel=(2, 2)).

A tuple of ints is a size and is filled with small integers; anything else is the array itself.
Spatial operations take sizes and arrays with or without the axes of batch and channels. Names,
order and defaults of all other arguments are those of the operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from rot180.core import Tensor
from rot180.errors import ArgumentError, ShapeError
from rot180.explain.explanation import Explanation
from rot180.explain.make import LETTERS, check_finite, explain_call, sample, to_tensor
from rot180.ops import OPERATIONS
from rot180.window import Window

__all__ = ["explainer"]

Given: TypeAlias = Any
"""A size (tuple of ints), or an array."""

_POSITIVE = frozenset(
    ("log", "log1p", "sqrt", "rsqrt", "reciprocal", "div", "pow", "max_pool", "amax", "max",
     "binary_cross_entropy")
)  # fmt: skip
_OURS = ("g", "base", "lang", "upstream", "seed")


def _is_size(given: Given) -> bool:
    sizes = (given,) if isinstance(given, int) and not isinstance(given, bool) else given
    return isinstance(sizes, tuple) and all(
        isinstance(i, int | np.integer) and not isinstance(i, bool) for i in sizes
    )


def _array(
    name: str, given: Given, full: Callable[[tuple[int, ...]], tuple[int, ...]],
    rng: np.random.Generator, positive: bool = False,
) -> Tensor:  # fmt: skip
    """A leaf from a size or an array; `full` adds the axes that were left out."""
    if _is_size(given):
        size = (given,) if isinstance(given, int) else tuple(int(i) for i in given)
        if any(i < 1 for i in size):
            raise ShapeError(f"explain: size of {name}", expected="at least 1 cell", got=str(size))
        return Tensor(sample(full(size), rng, positive), requires_grad=True)
    data = given.data if isinstance(given, Tensor) else np.asarray(given)
    if data.dtype not in (np.float32, np.float64):
        try:
            data = data.astype(np.float64)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"explain: {name} is no array of numbers", got=repr(given)
            ) from None
    check_finite(name, data)
    return Tensor(data.reshape(full(data.shape)), requires_grad=True)


def _with_lead(axes: int, *lead: int) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    """Puts batch and channels in front of spatial sizes that come without them."""

    def full(size: tuple[int, ...]) -> tuple[int, ...]:
        missing = axes + 2 - len(size)
        if not 0 <= missing <= 2:
            raise ShapeError(
                "explain: number of axes", expected=f"{axes} to {axes + 2}", got=f"size {size}"
            )
        return (*lead[:missing], *size)

    return full


def _ints(given: Given) -> int:
    if isinstance(given, int):
        return 0
    return (
        len(given)
        if _is_size(given)
        else np.ndim(given.data if isinstance(given, Tensor) else given)
    )


def _axes(which: int | None, *given: Given) -> int:
    """The number of spatial axes: of the operation's name, or of its arguments."""
    return which if which is not None else max(1, *(_ints(g) for g in given))


def _spread(size: Given, axes: int) -> Given:
    """One int for every axis, where it came alone."""
    if isinstance(size, int) and not isinstance(size, bool):
        return (size,) * axes
    return tuple(size) * axes if _is_size(size) and len(size) == 1 else size


def _convolution(
    name: str, which: int | None, input: Given, kernel: Given, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1, mode: str = "correlation", bias: Any = False, *,
    output_padding: Any = None, seed: int = 0, **ours: Any,
) -> Explanation:  # fmt: skip
    axes = _axes(which, input, kernel)
    rng = np.random.default_rng(seed)
    transposed = "transpose" in name
    kernel, input = _spread(kernel, axes), _spread(input, axes)
    w = _array("w", kernel, _with_lead(axes, groups, 1), rng)
    channels = w.shape[0] if transposed else w.shape[1] * groups
    x = _array("x", input, _with_lead(axes, 1, channels), rng)
    filters = w.shape[1] * groups if transposed else w.shape[0]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
               "mode": mode}  # fmt: skip
    if output_padding is not None:
        options["output_padding"] = output_padding
    tensors, names = _named(x=x, w=w)
    if bias is not False and bias is not None:
        b = _array("b", (filters,) if bias is True else bias, lambda size: size, rng)
        tensors, names = _named(x=x, w=w, b=b)
    operation = OPERATIONS[name]

    def call(x: Tensor, w: Tensor, b: Tensor | None = None) -> Any:
        return operation(x, w, b, **options)

    window = None
    if not transposed:
        window = Window.of(w.shape[2:], stride, padding, dilation, groups, axes=axes,
                           input_size=x.shape[2:], op=name)  # fmt: skip

    def again(**changes: Any) -> Explanation:
        bias = tensors[2] if len(tensors) > 2 else False
        given = {"input": x, "kernel": w, "bias": bias, "seed": seed, **options, **ours}
        return _convolution(name, axes, **{**given, **changes})

    return explain_call(
        name, call, tensors, names, spatial=axes, window=window, options=options, seed=seed,
        again=again, **ours,
    )  # fmt: skip


def _named(**tensors: Tensor) -> tuple[list[Tensor], dict[int, str]]:
    return list(tensors.values()), {id(t): name for name, t in tensors.items()}


def _pool(
    name: str, which: int | None, input: Given, kernel: Any = None, stride: Any = None,
    padding: Any = 0, *, seed: int = 0, kernel_size: Any = None, **options: Any,
) -> Explanation:  # fmt: skip
    kernel = kernel_size if kernel is None else kernel
    if kernel is None:
        raise ArgumentError(f"explain: {name} needs a kernel", expected="kernel=2 or kernel=(2, 3)")
    axes = _axes(which, input, kernel)
    ours = {key: options.pop(key) for key in _OURS if key in options}
    rng = np.random.default_rng(seed)
    positive = name.startswith("max")
    x = _array("x", _spread(input, axes), _with_lead(axes, 1, 1), rng, positive)
    options |= {"stride": stride, "padding": padding}
    operation = OPERATIONS[name]
    tensors, names = _named(x=x)
    return explain_call(
        name, lambda x: operation(x, _spread(kernel, axes), **options), tensors, names,
        spatial=axes, options={"kernel_size": kernel, **options}, seed=seed, **ours,
    )  # fmt: skip


def _linear(
    name: str, which: None, input: Given, weight: Given = None, bias: Any = True, *,
    outputs: int | None = None, seed: int = 0, **ours: Any,
) -> Explanation:  # fmt: skip
    rng = np.random.default_rng(seed)
    x = _array("x", input, lambda size: size, rng)
    if weight is None:
        weight = (outputs or 2, x.shape[-1])
    w = _array("w", weight, lambda size: size, rng)
    given = {"x": x, "w": w}
    if bias is not False and bias is not None:
        size = (w.shape[0],) if bias is True else bias
        given["b"] = _array("b", size, lambda size: size, rng)
    tensors, names = _named(**given)
    return explain_call(name, OPERATIONS[name], tensors, names, seed=seed, **ours)


def _norm(
    name: str, which: None, input: Given, *args: Any, weight: Any = True, bias: Any = True,
    seed: int = 0, **options: Any,
) -> Explanation:  # fmt: skip
    ours = {key: options.pop(key) for key in _OURS if key in options}
    rng = np.random.default_rng(seed)
    x = _array("x", input, lambda size: size, rng)
    sizes = x.shape[1:2]
    if name == "layer_norm":
        shape = args[0] if args else options.pop("normalized_shape", x.shape[-1])
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        args = (sizes,)
    elif name == "group_norm":
        args = args or (options.pop("num_groups", 1),)
    else:
        args = (None, None)
        if name == "batch_norm":
            options.setdefault("training", True)
    given = {"x": x}
    for letter, value in (("w", weight), ("b", bias)):
        if value is not False and value is not None:
            size = sizes if value is True else value
            given[letter] = _array(letter, size, lambda size: size, rng)
    tensors, names = _named(**given)
    letters = list(given)

    def call(*given: Tensor) -> Any:
        found = dict(zip(letters, given, strict=True))
        return OPERATIONS[name](
            found["x"], *args, weight=found.get("w"), bias=found.get("b"), **options
        )

    return explain_call(name, call, tensors, names, options=options, seed=seed, **ours)


def _classified(
    name: str, which: None, input: Given, target: Any = 0, *, seed: int = 0, **options: Any
) -> Explanation:
    ours = {key: options.pop(key) for key in _OURS if key in options}
    x = _array("x", input, lambda size: size, np.random.default_rng(seed))
    tensors, names = _named(x=x)
    y = np.asarray(target)
    return explain_call(
        name, lambda x: OPERATIONS[name](x, y, **options), tensors, names,
        options={"target": y.tolist(), **options}, seed=seed, **ours,
    )  # fmt: skip


def _any(name: str, which: int | None, *given: Given, seed: int = 0, **options: Any) -> Explanation:
    """Any other operation: arguments that are arrays in its signature become arrays."""
    ours = {key: options.pop(key) for key in _OURS if key in options}
    operation = OPERATIONS[name]
    parameters = inspect.signature(operation).parameters
    try:
        bound = inspect.signature(operation).bind(*given, **options)
    except TypeError as error:
        raise ArgumentError(f"explain: {name}: {error}") from None
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    for word, value in list(bound.arguments.items()):
        array = "ArrayLike" in str(parameters[word].annotation) or word == "parameters"
        if array and word != "condition" and not isinstance(value, bool | float):
            made = to_tensor(value) if not _is_size(value) or isinstance(value, int) else None
            if made is None:
                made = _array(word, value, lambda size: size, rng, name in _POSITIVE)
            bound.arguments[word] = made
            if isinstance(made, Tensor):
                check_finite(word, made.data)
                tensors[LETTERS.get(word, word)] = made
    words = [word for word, value in bound.arguments.items()
             if any(value is t for t in tensors.values())]  # fmt: skip

    def call(*found: Tensor) -> Any:
        for word, t in zip(words, found, strict=True):
            bound.arguments[word] = t
        return operation(*bound.args, **bound.kwargs)

    if not tensors:
        raise ArgumentError(f"explain: {name} needs an array or a size", expected="input=(3, 3)")
    listed, names = _named(**tensors)
    return explain_call(name, call, listed, names, options=options, seed=seed, **ours)


_FAMILIES: dict[str, Callable[..., Explanation]] = {
    "conv": _convolution,
    "conv_transpose": _convolution,
    "max_pool": _pool,
    "avg_pool": _pool,
    "linear": _linear,
    "batch_norm": _norm,
    "layer_norm": _norm,
    "group_norm": _norm,
    "instance_norm": _norm,
    "cross_entropy": _classified,
    "nll_loss": _classified,
}


def explainer(name: str) -> Callable[..., Explanation]:
    """The explainer of an operation.

    Raises:
        ArgumentError: there is no operation of that name.
    """
    if name not in OPERATIONS:
        raise ArgumentError(
            f"explain: no operation {name!r}", rule="the names are those of rot180.ops"
        )
    family, axes = (name[:-2], int(name[-2])) if name[-2:] in ("1d", "2d", "3d") else (name, None)
    make: Callable[..., Explanation] = _FAMILIES.get(family, _any)
    _, _, *parameters = inspect.signature(make).parameters.values()
    of_operation = inspect.signature(OPERATIONS[name]).parameters
    known = {*(p.name for p in parameters if p.kind is not p.VAR_KEYWORD), *of_operation, *_OURS}

    def made(*args: Given, **options: Any) -> Explanation:
        unknown = sorted(set(options) - known)
        if unknown:
            raise ArgumentError(
                f"explain: {name} has no argument {', '.join(unknown)}",
                expected=", ".join(sorted(known - {"given"})),
            )
        if make is not _any and not args and "input" not in options:
            raise ArgumentError(f"explain: {name} needs an input", expected="input=(5, 5)")
        return make(name, axes, *args, **options)

    made.__name__ = made.__qualname__ = name
    law = (OPERATIONS[name].__doc__ or "").partition("\n")[0]
    made.__doc__ = f"Explain {name}. {law}\n\nSizes or arrays, and the arguments of the operation."
    made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return made
