"""A model's input and its mode: what running it once needs, in whichever way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Tensor, tensor

if TYPE_CHECKING:
    from rot180.nn import Module

__all__ = ["as_input", "in_evaluation"]


def as_input(x: Any, model: Module) -> Tensor:
    """A batch as a tensor; floats take the type of the model's parameters."""
    if isinstance(x, Tensor):
        return x
    values = np.asarray(x)
    first = next(iter(model.parameters()), None)
    if first is not None and values.dtype.kind == "f" and values.dtype != first.dtype:
        values = values.astype(first.dtype)
    return tensor(values)


@contextlib.contextmanager
def in_evaluation(model: Module) -> Iterator[None]:
    """The model in evaluation mode, and then each of its modules in the mode it was in."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was in before:
            module.training = was
