"""PyTorch as an oracle: the same calls forward, backward and twice backward; the same training.

Upstream gradients are random. Everything here is float64, so that agreement means the same formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_table import CALLS, Call, Plain, make

from rot180 import ops
from rot180.core import Tensor, tensor

torch = pytest.importorskip("torch")

CLOSE = {"rtol": 1e-9, "atol": 1e-11}

NO_GRADIENT = {"state", "constant", "ints", "bools"}


def differentiable(spec: Any) -> bool:
    return spec is not None and getattr(spec, "kind", "") not in NO_GRADIENT


def as_list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


class Side:
    """One library running one call: its outputs, first and second gradients as NumPy arrays."""

    def __init__(self, call: Call, arrays: list[Any]) -> None:
        self.call = call
        self.leaves: list[Any] = []
        self.inputs = [
            [self.input(a, True) for a in array]
            if isinstance(array, list)
            else self.input(array, differentiable(spec))
            for spec, array in zip(call.inputs, arrays, strict=True)
        ]
        self.outputs = as_list(self.function()(*self.inputs, **self.options()))

    def input(self, array: Any, differentiate: bool) -> Any:
        if array is None or isinstance(array, Plain):
            return array and array.value
        made = self.leaf(array.copy(), differentiate)
        if differentiate:
            self.leaves.append(made)
        return made

    def options(self) -> dict[str, Any]:
        options = self.call.options.items()
        return {k: self.leaf(v, False) if isinstance(v, np.ndarray) else v for k, v in options}


class Ours(Side):
    def leaf(self, array: np.ndarray, differentiate: bool) -> Tensor:
        return tensor(array, requires_grad=differentiate)

    def function(self) -> Any:
        return getattr(ops, self.call.name)

    def arrays(self) -> list[np.ndarray]:
        return [y.numpy() for y in self.outputs]

    def gradients(self, upstream: list[np.ndarray | None], mixed: list[np.ndarray]) -> list[Any]:
        """First gradients; and those of Σ r·(first gradient), r random."""
        total = sum(
            (
                (y * tensor(g)).sum()
                for y, g in zip(self.outputs, upstream, strict=True)
                if g is not None
            ),
            start=tensor(np.zeros(())),
        )
        total.backward(create_graph=True)
        first = [leaf.grad for leaf in self.leaves]
        for leaf in self.leaves:
            leaf.grad = None
        parts = [
            (grad * tensor(r)).sum()
            for grad, r in zip(first, mixed, strict=True)
            if grad is not None and grad.requires_grad
        ]
        if parts:
            sum(parts, start=tensor(np.zeros(()))).backward()
        second = [leaf.grad for leaf in self.leaves]
        return [None if t is None else t.numpy() for t in (*first, *second)]


class Theirs(Side):
    def leaf(self, array: np.ndarray, differentiate: bool) -> Any:
        return torch.from_numpy(np.array(array, order="C")).requires_grad_(differentiate)

    def function(self) -> Any:
        name = self.call.name
        return getattr(torch.nn.functional, name, None) or getattr(torch, name)

    def arrays(self) -> list[np.ndarray]:
        return [y.detach().numpy() for y in self.outputs]

    def gradients(self, upstream: list[np.ndarray | None], mixed: list[np.ndarray]) -> list[Any]:
        total = sum(
            (y * torch.from_numpy(g)).sum()
            for y, g in zip(self.outputs, upstream, strict=True)
            if g is not None
        )
        first = torch.autograd.grad(total, self.leaves, create_graph=True, allow_unused=True)
        parts = [
            (grad * torch.from_numpy(r)).sum()
            for grad, r in zip(first, mixed, strict=True)
            if grad is not None and grad.requires_grad
        ]
        second: tuple[Any, ...] = (None,) * len(self.leaves)
        if parts:
            second = torch.autograd.grad(sum(parts), self.leaves, allow_unused=True)
        return [None if t is None else t.numpy(force=True) for t in (*first, *second)]


def compare(call: Call, rng: np.random.Generator) -> None:
    arrays = [make(spec, rng) for spec in call.inputs]
    ours, theirs = Ours(call, arrays), Theirs(call, arrays)
    assert len(ours.outputs) == len(theirs.outputs), call
    for mine, wanted in zip(ours.arrays(), theirs.arrays(), strict=True):
        assert mine.dtype == wanted.dtype, call
        assert mine.shape == wanted.shape, call
        np.testing.assert_allclose(mine, wanted, **CLOSE, err_msg=str(call))
    for mine, wanted in zip(ours.inputs, theirs.inputs, strict=True):  # running statistics
        if isinstance(mine, Tensor) and not mine.requires_grad:
            np.testing.assert_allclose(mine.numpy(), wanted.numpy(), **CLOSE, err_msg=str(call))
    upstream = [
        rng.standard_normal(y.shape) if y.dtype == np.float64 else None for y in theirs.arrays()
    ]
    if not ours.leaves or all(g is None for g in upstream):
        return
    mixed = [rng.standard_normal(leaf.shape) for leaf in ours.leaves]
    mine, wanted = ours.gradients(upstream, mixed), theirs.gradients(upstream, mixed)
    for i, (a, b) in enumerate(zip(mine, wanted, strict=True)):
        order = "first" if i < len(ours.leaves) else "second"
        # A gradient that is zero everywhere may be None on either side.
        zero = np.zeros(ours.leaves[i % len(ours.leaves)].shape)
        a, b = (zero if value is None else value for value in (a, b))
        np.testing.assert_allclose(a, b, **CLOSE, err_msg=f"{order} gradient {i} of {call}")


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("name", sorted({call.name for call in CALLS}))
def test_same_values_and_gradients_as_torch(name: str, rng: np.random.Generator) -> None:
    for call in CALLS:
        if call.name == name:
            compare(call, rng)
