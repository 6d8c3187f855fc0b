"""User code: functions, pairs, layers with forward and backward, Function classes of two makes.

Whatever it looks like, it is run once, and what comes out are arrays by name: dx, dw, db, ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rot180.check.subject import as_array, is_torch, subject
from rot180.core import Array, Function, Tensor
from rot180.errors import ArgumentError, ShapeError

__all__ = ["Ran", "accepted", "run_code"]

_PARAMETERS = {
    "w": ("w", "W", "weight", "weights", "kernel", "filters", "gamma"),
    "b": ("b", "bias", "biases", "beta"),
}
_GRADIENTS = {
    "x": ("dx", "dX", "grad_x", "x_grad", "grad_input", "dinput", "dinputs"),
    "w": (
        "dw", "dW", "dweight", "dweights", "grad_w", "w_grad", "grad_weight", "weight_grad",
        "dkernel", "dfilters", "dgamma",
    ),
    "b": ("db", "dB", "dbias", "grad_b", "b_grad", "grad_bias", "bias_grad", "dbeta"),
}  # fmt: skip

Ran = tuple["Array | None", dict[str, "Array | None"], list[str]]
"""The output (None: there is no forward pass), gradients by operand (None: none came), notes."""


def run_code(code: Any, operands: Mapping[str, Array], g: Array) -> Ran:
    """Run somebody's backward pass.

    Args:
        code: `backward(g, *operands)`; a pair (forward, backward), where the second takes
            (g, *operands) or, if the first returns (output, cache), (g, cache); a layer, or its
            class, with `forward` and `backward`; a `Function` class of ours or of PyTorch's.
        operands: arrays by name, in order.
        g: the upstream gradient.

    Returns:
        The output, the gradient of each operand that has one, and what was noticed.

    Raises:
        ArgumentError: nothing that can be run, or a wrong number of gradients.
    """
    before = {name: a.copy() for name, a in operands.items()}
    own = {name: a.copy() for name, a in operands.items()}
    upstream = g.copy()
    if isinstance(code, tuple) and len(code) == 2 and all(map(callable, code)):
        output, made = _pair(code[0], code[1], own, upstream)
    elif _is_function_class(code):
        output, made = _function_class(code, own, upstream)
    elif hasattr(code, "forward") and hasattr(code, "backward"):
        output, made = _layer(code() if isinstance(code, type) else code, own, upstream)
    elif callable(code):
        output, made = None, code(upstream, *_fitting(code, own, 1))
    else:
        raise ArgumentError(
            "diagnose: nothing to run",
            expected="backward(g, x, ...), a pair (forward, backward), or a class with both",
            got=type(code).__name__,
        )
    notes = [
        f"{name} was changed in place" for name, a in before.items() if not _same(a, own[name])
    ]
    if not _same(g, upstream):
        notes.append("the upstream gradient was changed in place")
    return output, _named(made, tuple(operands)), notes


def accepted(code: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The operands that the code takes, as its parameters or as attributes of a layer."""
    stand_in = {name: np.zeros(()) for name in names}
    if isinstance(code, tuple):
        return tuple(names[: len(_fitting(code[0], stand_in, 0))]) if code else ()
    if _is_function_class(code):
        return tuple(names[: len(_fitting(code.forward, stand_in, 1))])
    if hasattr(code, "forward"):
        layer = code() if isinstance(code, type) else code
        count = len(_fitting(layer.forward, stand_in, 0))
        held = [n for n, words in _PARAMETERS.items() if any(hasattr(layer, w) for w in words)]
        return tuple(n for i, n in enumerate(names) if i < count or n in held)
    return tuple(names[: len(_fitting(code, stand_in, 1))]) if callable(code) else tuple(names)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _fitting(f: Callable[..., Any], operands: Mapping[str, Array], taken: int) -> list[Array]:
    """As many operands as f has parameters for, after the first ones."""
    arrays = list(operands.values())
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return arrays
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return arrays
    required = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return arrays[: max(0, len(required) - taken)]


def _pair(
    forward: Callable[..., Any], backward: Callable[..., Any], own: dict[str, Array], g: Array
) -> tuple[Array, Any]:
    result = forward(*_fitting(forward, own, 0))
    if isinstance(result, tuple) and len(result) == 2:
        output, cache = result
        return as_array(output), backward(g, cache)
    return as_array(result), backward(g, *_fitting(backward, own, 1))


def _is_function_class(code: Any) -> bool:
    return isinstance(code, type) and (issubclass(code, Function) or hasattr(code, "apply"))


def _function_class(code: Any, own: dict[str, Array], g: Array) -> tuple[Array, Any]:
    inputs: list[Any] = _fitting(code.forward, own, 1)
    if not issubclass(code, Function):
        import torch

        inputs = [torch.from_numpy(a) for a in inputs]
    s = subject(code, inputs)
    (output,) = s.values(s.inputs)
    names = list(own)
    return output, {names[i]: d for i, d in zip(s.checked, s.pull(s.inputs, [g]), strict=True)}


def _layer(layer: Any, own: dict[str, Array], g: Array) -> tuple[Array, Any]:
    """A layer that keeps its parameters: they are put in by name, and their gradients read."""
    for name, words in _PARAMETERS.items():
        if name in own:
            for word in words:
                if hasattr(layer, word):
                    _put(layer, word, own[name])
    arguments = _fitting(layer.forward, own, 0)
    output = layer.forward(*arguments)
    made = layer.backward(g)
    found = dict(zip(own, made if isinstance(made, tuple | list) else (made,), strict=False))
    for name, words in _GRADIENTS.items():
        if name in own and found.get(name) is None:
            present = [getattr(layer, word) for word in words if hasattr(layer, word)]
            parameter = (getattr(layer, word, None) for word in _PARAMETERS.get(name, ()))
            grads = (getattr(p, "grad", None) for p in parameter)
            found[name] = next((v for v in (*present, *grads) if v is not None), None)
    return as_array(output), found


def _put(layer: Any, word: str, value: Array) -> None:
    old = getattr(layer, word)
    if isinstance(old, Tensor):
        setattr(layer, word, Tensor(value, requires_grad=True))
    elif isinstance(old, np.ndarray) or old is None:
        setattr(layer, word, value)


def _named(made: Any, names: Sequence[str]) -> dict[str, Array | None]:
    """Gradients by operand, from a dictionary, a tuple in the order of the operands, or one."""
    if isinstance(made, Mapping):
        words = {word: name for name in names for word in (name, f"d{name}", f"grad_{name}")}
        words |= {word: name for name, known in _GRADIENTS.items() for word in known}
        unknown = [key for key in made if key not in words]
        if unknown:
            raise ArgumentError(
                "diagnose: names of the gradients",
                expected=", ".join(f"d{name}" for name in names),
                got=", ".join(map(str, unknown)),
            )
        return {words[key]: _array(value) for key, value in made.items()}
    values = made if isinstance(made, tuple | list) else (made,)
    if is_torch(made) or isinstance(made, np.ndarray | Tensor):
        values = (made,)
    if len(values) > len(names):
        raise ShapeError(
            "diagnose: number of gradients",
            expected=f"at most {len(names)} ({', '.join(f'd{name}' for name in names)})",
            got=str(len(values)),
        )
    return {name: _array(value) for name, value in zip(names, values, strict=False)}


def _array(value: Any) -> Array | None:
    return None if value is None else as_array(value)
