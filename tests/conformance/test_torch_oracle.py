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


def random_call(rng: np.random.Generator) -> Call | None:
    """A window operation with everything drawn at random, or None where it has no output."""
    axes = int(rng.integers(1, 4))

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(v) for v in rng.integers(low, high, axes))

    kernel, stride, dilation = draw(1, 5), draw(1, 5), draw(1, 4)
    padding = draw(0, 4)
    size = draw(1, 13 if axes < 3 else 8)
    n, groups, own, filters = (int(v) for v in rng.integers(1, 4, 4))
    effective = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    fits = all(h + 2 * a >= e for h, a, e in zip(size, padding, effective, strict=True))
    half = tuple(min(a, k // 2) for a, k in zip(padding, kernel, strict=True))
    x, bias = (n, groups * own, *size), (groups * filters,)
    common = {"stride": stride, "padding": padding, "dilation": dilation}
    kind = rng.choice(["conv", "conv", "conv_transpose", "max_pool", "avg_pool"])
    if kind == "conv" and fits:
        weight = (groups * filters, own, *kernel)
        return Call(f"conv{axes}d", (x, weight, bias), {**common, "groups": groups})
    if kind == "conv_transpose":
        extra = tuple(int(rng.integers(0, s)) for s in stride)
        full = [
            (h - 1) * s - 2 * a + e + o
            for h, s, a, e, o in zip(size, stride, padding, effective, extra, strict=True)
        ]
        if min(full) < 1:
            return None
        options = {**common, "groups": groups, "output_padding": extra}
        weight = (groups * own, filters, *kernel)
        return Call(f"conv_transpose{axes}d", (x, weight, bias), options)
    if any(h < e for h, e in zip(size, effective, strict=True)):
        return None  # a window may lie in the padding: -inf in torch, an error here
    pool = {"kernel_size": kernel, "stride": stride, "padding": half}
    pool["ceil_mode"] = bool(rng.integers(2))
    if kind == "max_pool":
        return Call(f"max_pool{axes}d", (x,), {**pool, "dilation": dilation})
    pool["count_include_pad"] = bool(rng.integers(2))
    return Call(f"avg_pool{axes}d", (x,), pool)


@pytest.mark.parametrize("seed", range(20))
def test_random_windows(seed: int) -> None:
    """Windows nobody would think of; memory that is not written shows up here, too."""
    rng = np.random.default_rng(seed)
    calls = [random_call(rng) for _ in range(40)]
    for call in calls:
        if call is not None:
            compare(call, rng)
