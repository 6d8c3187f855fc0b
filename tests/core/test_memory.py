"""Memory: graphs are freed by counting references, and training does not grow."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn, optim
from rot180.core import Context, Function, Tensor
from rot180.nn import functional as F


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Exp(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        y = rt.exp(x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        _, y = ctx.saved_tensors
        return g * y


def network(x: Tensor, w: Tensor) -> Tensor:
    """Every kind once: form, sum of forms, map with a saved output, select, index, function."""
    h = F.conv2d(x, w, padding=1)
    h = rt.tanh(rt.cat([h, rt.exp(h * 0.1)], 1))
    h = F.max_pool2d(h, 2)
    h = Exp.apply(h[:, [0, 1, 1]])
    return F.softmax(h.flatten(1))


def watched() -> tuple[list[Tensor], list[weakref.ref[object]]]:
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((2, 2, 4, 6)), requires_grad=True)
    w = Tensor(rng.standard_normal((3, 2, 3, 3)), requires_grad=True)
    y = network(x, w)
    references: list[weakref.ref[object]] = [weakref.ref(t) for t in (x, w, y)]
    stack, seen = [y.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is None or isinstance(node, Tensor) or id(node) in seen:
            continue
        seen.add(id(node))
        references.append(weakref.ref(node))
        stack.extend(node.parents)
    return [x, w, y], references


@pytest.mark.usefixtures("no_collector")
def test_a_graph_that_was_not_swept_is_freed_by_counting() -> None:
    tensors, references = watched()
    assert len(references) > 10
    tensors.clear()
    assert [r for r in references if r() is not None] == []


@pytest.mark.usefixtures("no_collector")
def test_a_graph_that_was_swept_is_freed_by_counting() -> None:
    tensors, references = watched()
    y = tensors[-1]
    y.backward(np.random.default_rng(1).standard_normal(y.shape))
    del y
    tensors.clear()
    assert [r for r in references if r() is not None] == []


@pytest.mark.usefixtures("no_collector")
def test_gradients_that_are_kept_keep_no_graph() -> None:
    tensors, references = watched()
    x, w, y = tensors
    y.backward(np.random.default_rng(1).standard_normal(y.shape))
    tensors.pop()
    del y
    assert x.grad is not None
    assert w.grad is not None
    alive = [r() for r in references if r() is not None]
    assert all(isinstance(t, Tensor) for t in alive)
    assert len(alive) == 2


@pytest.mark.usefixtures("no_collector")
def test_a_sweep_frees_saved_values_as_it_goes() -> None:
    """At the leaf's hook, the values that later nodes had saved are gone already."""
    x = Tensor(np.ones(3), requires_grad=True)
    middle = rt.exp(x * 1.5)
    y = rt.sin(middle)
    saved = weakref.ref(middle)
    x.register_hook(lambda g: alive.append(saved() is not None))  # type: ignore[func-returns-value]
    alive: list[bool] = []
    del middle
    assert saved() is not None
    y.backward([1.0, 2.0, 3.0])
    assert alive == [False]


@pytest.mark.usefixtures("no_collector")
def test_an_error_in_the_sweep_frees_the_graph() -> None:
    class Broken(Function):
        @staticmethod
        def forward(ctx: Context, x: Tensor) -> Tensor:
            return x * 2.0

        @staticmethod
        def backward(ctx: Context, g: Tensor) -> Tensor:
            raise ZeroDivisionError

    x = Tensor(np.ones(3), requires_grad=True)
    y = Broken.apply(rt.exp(x))
    node = weakref.ref(y.grad_fn)
    with pytest.raises(ZeroDivisionError):
        y.backward([1.0, 2.0, 3.0])
    assert (rt.exp(x)).cause is None
    del y
    gc.collect()  # the traceback held the frames
    assert node() is None


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2 * 2 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.max_pool2d(F.relu(self.norm(self.conv(x))), (2, 1))
        return self.head(F.dropout(h.flatten(1), 0.1))


def test_two_thousand_training_steps_do_not_grow_memory() -> None:
    model = Tiny()
    sgd = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 1, 6, 5), np.float32)
    labels = rng.integers(0, 3, 2)

    def train(steps: int) -> None:
        for _ in range(steps):
            sgd.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            sgd.step()

    def measure() -> tuple[int, int]:
        """Blocks of memory that Python objects (arrays too) take, and objects with references."""
        return sys.getallocatedblocks(), len(gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        train(200)  # fills the caches of plans, and Python's lists of free objects
        blocks, objects = measure()
        train(2000)
        grown, more = measure()
    finally:
        gc.enable()
    # Not one step in ten leaves anything behind, with the collector of cycles off.
    assert grown - blocks < 200
    assert more - objects < 200
