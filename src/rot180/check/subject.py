"""A function under check, seen through arrays: its outputs, and what it hands back for them.

Functions of tensors, pairs (forward, backward) on arrays, `rot180.Function` classes and, where
PyTorch is installed and the inputs are its tensors, functions of those: all answer two questions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from rot180.core import Array, Function, Tensor, function, gradients
from rot180.errors import ArgumentError, NumericsError

__all__ = ["Subject", "as_array", "is_torch", "subject"]

Arrays = Sequence[Array]


class Subject(Protocol):
    """What a check asks of a function."""

    inputs: list[Array]
    checked: list[int]

    def values(self, arrays: Arrays) -> list[Array]:
        """The float outputs for these inputs."""

    def pull(self, arrays: Arrays, gs: Arrays) -> list[Array]:
        """The gradient of every checked input, for upstream gradients of all outputs."""


def is_torch(value: object) -> bool:
    """Whether this is a tensor of PyTorch, without importing it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_array(value: Any) -> Array:
    """The array behind a tensor of ours, of PyTorch, or anything NumPy understands."""
    if isinstance(value, Tensor):
        return value.data
    if is_torch(value):
        return np.asarray(value.detach().cpu().numpy())
    return np.asarray(value)


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f"


def _chosen(inputs: Sequence[Any], arrays: Arrays) -> list[int]:
    """The inputs that ask for a gradient; all floats, where none does."""
    asked = [
        i
        for i, x in enumerate(inputs)
        if getattr(x, "requires_grad", False) and _is_float(arrays[i])
    ]
    found = asked or [i for i, array in enumerate(arrays) if _is_float(array)]
    if not found:
        raise ArgumentError(
            "check: no input has a gradient",
            expected="at least one float input",
            got=", ".join(str(a.dtype) for a in arrays) or "no input",
        )
    return found


def _checked_inputs(inputs: Sequence[Any]) -> list[Array]:
    arrays = [as_array(x) for x in inputs]
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "fiub":
            raise ArgumentError(
                f"check: input {i}", expected="numbers", got=f"data type {array.dtype}"
            )
        if _is_float(array) and not np.isfinite(array).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NumericsError(
                f"check: input {i} holds NaN or infinity",
                got=f"{array[bad]} in cell {bad}",
                rule="a gradient is checked where the function is finite",
            )
    return arrays


class _Ours:
    """A function of our tensors."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any]) -> None:
        self.f = f
        self.inputs = _checked_inputs(inputs)
        self.checked = _chosen(inputs, self.inputs)

    def _outputs(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        result = self.f(*tensors)
        outputs = result if isinstance(result, tuple | list) else (result,)
        found = [y if isinstance(y, Tensor) else Tensor(np.asarray(y)) for y in outputs]
        return [y for y in found if y.data.dtype.kind == "f"]

    def values(self, arrays: Arrays) -> list[Array]:
        return [y.data for y in self._outputs([Tensor(a) for a in arrays])]

    def pull(self, arrays: Arrays, gs: Arrays) -> list[Array]:
        wanted = set(self.checked)
        xs = [Tensor(a, requires_grad=i in wanted) for i, a in enumerate(arrays)]
        pairs = [(y, g) for y, g in zip(self._outputs(xs), gs, strict=True) if y.requires_grad]
        if not pairs:
            return [np.zeros_like(arrays[i]) for i in self.checked]
        found = gradients(
            [y for y, _ in pairs], [xs[i] for i in self.checked], [Tensor(g) for _, g in pairs]
        )
        return [
            np.zeros_like(arrays[i]) if d is None else d.data
            for i, d in zip(self.checked, found, strict=True)
        ]


class _Torch:
    """A function of PyTorch's tensors."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any]) -> None:
        self.f = f
        self.torch = sys.modules["torch"]
        self.inputs = _checked_inputs(inputs)
        self.checked = _chosen(inputs, self.inputs)

    def _tensors(self, arrays: Arrays, grad: bool) -> list[Any]:
        made = [self.torch.from_numpy(np.array(a)) for a in arrays]
        for i in self.checked if grad else ():
            made[i].requires_grad_()
        return made

    def _outputs(self, tensors: Sequence[Any]) -> list[Any]:
        result = self.f(*tensors)
        outputs = result if isinstance(result, tuple | list) else (result,)
        return [y for y in outputs if y.is_floating_point()]

    def values(self, arrays: Arrays) -> list[Array]:
        return [as_array(y) for y in self._outputs(self._tensors(arrays, False))]

    def pull(self, arrays: Arrays, gs: Arrays) -> list[Array]:
        xs = self._tensors(arrays, True)
        pairs = [
            (y, self.torch.from_numpy(np.array(g)))
            for y, g in zip(self._outputs(xs), gs, strict=True)
            if y.requires_grad
        ]
        if not pairs:
            return [np.zeros_like(arrays[i]) for i in self.checked]
        found = self.torch.autograd.grad(
            [y for y, _ in pairs],
            [xs[i] for i in self.checked],
            [g for _, g in pairs],
            allow_unused=True,
        )
        return [
            np.zeros_like(arrays[i]) if d is None else as_array(d)
            for i, d in zip(self.checked, found, strict=True)
        ]


def subject(f: Any, inputs: Sequence[Any]) -> Subject:
    """The function under check.

    Args:
        f: a function of tensors; a pair (forward, backward) on arrays, where `backward(g, *arrays)`
            gives one gradient for each array; a `Function` class, of ours or PyTorch's.
        inputs: arrays or tensors. PyTorch's tensors make it a function of PyTorch.

    Raises:
        ArgumentError: no function, or no float input.
        NumericsError: NaN or infinity in an input.
    """
    if isinstance(f, tuple) and len(f) == 2 and all(map(callable, f)):
        return _Ours(function(*f, name="checked"), inputs)
    if isinstance(f, type) and (issubclass(f, Function) or hasattr(f, "apply")):
        f = f.apply
    if not callable(f):
        raise ArgumentError(
            "check: no function",
            expected="a function, a pair (forward, backward), or a Function class",
            got=type(f).__name__,
        )
    return _Torch(f, inputs) if any(map(is_torch, inputs)) else _Ours(f, inputs)
