"""The graph and the sweep over it: every node once, nothing mutated that is not owned."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180.core import Tensor, gradients
from rot180.errors import GraphError, ShapeError


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return rt.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def random_like(y: Tensor, seed: int = 9) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).standard_normal(y.shape)


# Reuse and accumulation


def test_diamond() -> None:
    x = leaf(3)
    a, b = rt.sin(x), rt.cos(x)
    y = a * b
    g = random_like(y)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, g * np.cos(2 * x.data))


def test_a_node_used_often_sums_its_uses() -> None:
    x = leaf(4)
    y = x * x + x * 3.0 + x + rt.exp(x) * x
    g = random_like(y)
    y.backward(g)
    e = np.exp(x.data)
    np.testing.assert_allclose(x.grad.data, g * (2 * x.data + 4 + e * (1 + x.data)))


def test_the_worked_chain_rule_example() -> None:
    x, y, z = (rt.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    q = (x + y).retain_grad()
    f = q * z
    f.backward(1.0)
    assert (q.item(), f.item()) == (3.0, -12.0)
    assert [t.grad.item() for t in (q, z, x, y)] == [-4.0, 3.0, -4.0, -4.0]


def test_gradients_accumulate_until_they_are_forgotten() -> None:
    x = leaf(3)
    for n in (1, 2, 3):
        y = x * 2.0
        g = np.arange(3.0)
        y.backward(g)
        np.testing.assert_array_equal(x.grad.data, n * 2.0 * g)
    x.zero_grad()
    assert x.grad is None


def test_an_output_that_feeds_two_roots() -> None:
    x = leaf(3)
    shared = rt.exp(x)
    a, b = shared * 2.0, shared * shared
    ga, gb = random_like(a, 1), random_like(b, 2)
    (d,) = gradients([a, b], [x], [ga, gb])
    np.testing.assert_allclose(d.data, np.exp(x.data) * (2 * ga + 2 * gb * np.exp(x.data)))


def test_gradients_of_intermediate_tensors_leave_the_leaves_alone() -> None:
    x, other = leaf(3), leaf(3)
    mid = rt.sin(x)
    y = mid * mid
    g = random_like(y)
    d_mid, none = gradients([y], [mid, other], [g])
    np.testing.assert_allclose(d_mid.data, 2 * g * mid.data)
    assert none is None
    assert x.grad is None


def test_only_what_requires_a_gradient_gets_one() -> None:
    x, y = leaf(3), rt.tensor(np.ones(3))
    z = x * y
    z.backward(random_like(z))
    assert y.grad is None
    assert not (y * 2.0).requires_grad


def test_integers_and_truths_carry_no_graph() -> None:
    x = leaf(3)
    for t in (x > 0.0, x.argmax(), x.astype(np.int64), x == x):
        assert t.is_leaf
        assert not t.requires_grad


# Modes


def test_detach_shares_memory_and_cuts_the_graph() -> None:
    x = leaf(3)
    y = rt.exp(x)
    cut = y.detach()
    assert cut.data is y.data
    assert not cut.requires_grad
    z = cut * x
    g = random_like(z)
    z.backward(g)
    np.testing.assert_allclose(x.grad.data, g * y.data)


def test_no_grad_nests_and_ends_after_an_error() -> None:
    x = leaf(3)
    with rt.no_grad():
        assert not (x * 2.0).requires_grad
        with rt.enable_grad():
            assert (x * 2.0).requires_grad
            with rt.no_grad():
                assert not rt.is_grad_enabled()
            assert rt.is_grad_enabled()
        with rt.no_grad():
            pass
        assert not rt.is_grad_enabled()
    assert rt.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), rt.no_grad():
        raise ZeroDivisionError
    assert rt.is_grad_enabled()


def test_no_grad_is_a_decorator() -> None:
    x = leaf(3)

    @rt.no_grad()
    def f() -> Tensor:
        return x * 2.0

    for _ in range(2):
        assert not f().requires_grad
    assert rt.is_grad_enabled()


def test_modes_belong_to_their_thread() -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(rt.is_grad_enabled())
        with rt.no_grad():
            barrier.wait()
            barrier.wait()

    barrier = threading.Barrier(2)
    with rt.no_grad():
        worker = threading.Thread(target=look)
        worker.start()
        barrier.wait()
    assert seen == [True]
    assert rt.is_grad_enabled()
    barrier.wait()
    worker.join()


def test_threads_sweep_at_the_same_time() -> None:
    results: dict[int, np.ndarray] = {}  # type: ignore[type-arg]

    def work(seed: int) -> None:
        x = leaf(20, seed=seed)
        for _ in range(50):
            x.zero_grad()
            y = x
            for _ in range(20):
                y = rt.sin(y) * 1.1
            y.backward(np.full(20, float(seed)))
        results[seed] = x.grad.data

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in range(4):
        mine = results[seed].copy()
        work(seed)
        np.testing.assert_array_equal(results[seed], mine)


# Hooks


def test_retain_grad_keeps_and_accumulates() -> None:
    x = leaf(3)
    y = (x * 2.0).retain_grad()
    z = y * y
    g = random_like(z)
    z.backward(g, retain_graph=True)
    np.testing.assert_allclose(y.grad.data, 2 * g * y.data)
    z.backward(g)
    np.testing.assert_allclose(y.grad.data, 4 * g * y.data)


def test_a_hook_sees_the_complete_gradient_once() -> None:
    x = leaf(3)
    y = x * 2.0
    seen: list[np.ndarray] = []  # type: ignore[type-arg]
    y.register_hook(lambda g: seen.append(g.data.copy()))
    z = y * y + y
    g = random_like(z)
    z.backward(g)
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], g * (2 * y.data + 1))


@pytest.mark.parametrize("at_the_leaf", [True, False])
def test_hooks_replace_in_order_and_can_be_removed(at_the_leaf: bool) -> None:
    x = leaf(3)
    y = x * 2.0
    target = x if at_the_leaf else y
    target.register_hook(lambda g: g + 1.0)
    remove = target.register_hook(lambda g: g * 10.0)
    z = y * 1.0
    g = random_like(z)
    inner = 2.0 * g if at_the_leaf else g
    outer = 1.0 if at_the_leaf else 2.0
    z.backward(g, retain_graph=True)
    np.testing.assert_allclose(x.grad.data, outer * 10.0 * (inner + 1.0))
    remove()
    remove()
    x.zero_grad()
    z.backward(g)
    np.testing.assert_allclose(x.grad.data, outer * (inner + 1.0))


def test_a_hook_on_one_output_leaves_the_upstream_gradient_alone() -> None:
    x = leaf(3)
    x.register_hook(lambda g: g * 5.0)
    y = x * 1.0
    g = random_like(y)
    kept = g.copy()
    y.backward(g)
    np.testing.assert_array_equal(g, kept)
    np.testing.assert_allclose(x.grad.data, 5.0 * g)


@pytest.mark.parametrize("method", ["register_hook", "retain_grad"])
def test_hooks_need_a_gradient(method: str) -> None:
    t = rt.tensor([1.0])
    with pytest.raises(GraphError, match=f"{method}: the tensor requires no gradient"):
        t.register_hook(print) if method == "register_hook" else t.retain_grad()


# Errors of use


def test_a_second_sweep_needs_retain_graph() -> None:
    x = leaf(3)
    y = x * x
    g = random_like(y)
    y.backward(g, retain_graph=True)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, 4 * g * x.data)
    with pytest.raises(GraphError, match=r"saved by mul were freed.*retain_graph=True"):
        y.backward(g)


def test_more_than_one_cell_needs_an_upstream_gradient() -> None:
    y = leaf(2, 3) * 2.0
    with pytest.raises(GraphError, match=r"needs an upstream gradient; got shape \(2, 3\)"):
        y.backward()


def test_the_upstream_gradient_has_the_shape() -> None:
    y = leaf(2, 3) * 2.0
    with pytest.raises(ShapeError, match=r"expected \(2, 3\), got \(3, 2\)"):
        y.backward(np.zeros((3, 2)))


def test_backward_from_outside_the_graph() -> None:
    with pytest.raises(GraphError, match=r"does not depend on any tensor.*requires_grad=True"):
        rt.tensor([1.0]).backward([1.0])


def test_only_leaves_are_switched() -> None:
    with pytest.raises(GraphError, match=r"only a leaf.*detach\(\)"):
        (leaf(2) * 2.0).requires_grad_(False)


def test_numbers_need_no_upstream_gradient_and_lists_are_taken() -> None:
    x = leaf(2)
    (x * x).mean().backward()
    np.testing.assert_allclose(x.grad.data, x.data)
    x.zero_grad()
    (x * 2.0).backward([1, 3])
    np.testing.assert_array_equal(x.grad.data, [2.0, 6.0])


# Changes in place


def test_a_saved_input_that_changes_is_noticed() -> None:
    x, w = leaf(3), leaf(3)
    y = x * w
    w.writable()[0] = 7.0
    with pytest.raises(GraphError, match=r"\(3,\) that mul saved.*changed in place.*got 1.*copy"):
        y.backward(random_like(y))


def test_a_change_through_a_view_is_noticed() -> None:
    x, w = leaf(3, 2), leaf(6)
    view = w.reshape(3, 2)
    y = x * view
    with rt.no_grad():
        view[0, 0] = 7.0
    with pytest.raises(GraphError, match="changed in place"):
        y.backward(random_like(y))
    base = leaf(6)
    y = x * base.reshape(3, 2).T.T
    base.detach()[...] = 0.0
    with pytest.raises(GraphError, match="changed in place"):
        y.backward(random_like(y))


def test_a_saved_output_that_changes_is_noticed() -> None:
    x = leaf(3)
    y = rt.exp(x)
    y.detach()[0] = 1.0
    with pytest.raises(GraphError, match="exp saved"):
        y.backward(random_like(y))


def test_a_change_of_what_no_rule_reads_is_allowed() -> None:
    x = leaf(3)
    y = x + 1.0
    y.writable()[...] = 0.0
    x.writable()[...] = 0.0
    y.backward([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(x.grad.data, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("f", [lambda a, b: a * b, rt.matmul])
def test_only_what_a_rule_will_read_is_saved(f: Any) -> None:
    """∂(a·b)/∂a reads b alone: a may change, and where only a wants a gradient it is not kept."""
    a, b = leaf(3, 3, seed=1), rt.tensor(leaf(3, 3, seed=2).data)
    y = f(a, b)
    g = random_like(y)
    expected = g * b.data if f is not rt.matmul else g @ b.data.T
    a.writable()[...] = 0.0
    y.backward(g)
    np.testing.assert_allclose(a.grad.data, expected)


def test_a_change_behind_the_library_is_noticed_in_anomaly_mode() -> None:
    x, w = leaf(3), leaf(3)
    with rt.detect_anomaly():
        y = x * w
        w.numpy()[0] = 7.0
        with pytest.raises(GraphError, match="behind the back of the tensor"):
            y.backward(random_like(y))


def test_a_tensor_of_a_tensor_counts_changes_together() -> None:
    x, w = leaf(3), leaf(3)
    y = x * w
    rt.tensor(w)[0] = 7.0
    with pytest.raises(GraphError, match="changed in place"):
        y.backward(random_like(y))


def test_writing_into_the_graph_is_refused() -> None:
    x = leaf(3)
    with pytest.raises(GraphError, match=r"setitem.*rt\.where.*no_grad"):
        x[0] = 1.0
    with pytest.raises(GraphError, match="setitem"):
        rt.tensor(np.zeros(3))[0] = x[0]
    with rt.no_grad():
        x[0] = 1.0
    assert x.data[0] == 1.0


# What is owned


def test_leaf_gradients_alias_nothing() -> None:
    x, y = leaf(3, seed=1), leaf(3, seed=2)
    z = x + y
    g = random_like(z)
    kept = g.copy()
    z.backward(Tensor(g))
    grads = [x.grad.data, y.grad.data]
    assert not np.may_share_memory(*grads)
    assert not any(np.may_share_memory(d, g) for d in grads)
    grads[0][...] = 99.0
    np.testing.assert_array_equal(grads[1], kept)
    np.testing.assert_array_equal(g, kept)
    lone = leaf(3)
    lone.backward(g)
    assert not np.may_share_memory(lone.grad.data, g)


def test_an_accumulated_gradient_is_not_written_into() -> None:
    """A gradient that somebody holds keeps its values when more is added."""
    x = leaf(3)
    (x * 2.0).backward([1.0, 2.0, 3.0])
    held = x.grad
    (x * 2.0).backward([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(held.data, [2.0, 4.0, 6.0])


def test_broadcast_gradients_are_writable_arrays_of_their_own() -> None:
    x = leaf(3)
    x.sum().backward(2.0)
    x.grad.writable()[0] = 1.0
    np.testing.assert_array_equal(x.grad.data, [1.0, 2.0, 2.0])


def test_the_same_bits_every_time() -> None:
    def run() -> list[bytes]:
        rng = np.random.default_rng(5)
        x, w = (
            Tensor(rng.standard_normal(s, np.float32), requires_grad=True)
            for s in ((2, 3, 6, 7), (4, 3, 3, 3))
        )
        h = rt.tanh(rt.nn.functional.conv2d(x, w, padding=1))
        y = rt.nn.functional.max_pool2d(h + h * h, 2) * rt.sigmoid(h[:, :, :3, :3])
        y.backward(rng.standard_normal(y.shape, np.float32))
        return [t.data.tobytes() for t in (y, x.grad, w.grad)]

    first = run()
    assert all(run() == first for _ in range(5))


# Causes


def test_values_of_a_sweep_remember_the_operation_that_caused_them() -> None:
    x, w = leaf(3), leaf(3)
    first = rt.sin(x)
    y = first * w
    seen: list[Tensor] = []
    first.register_hook(seen.append)
    y.backward(random_like(y))
    assert y.cause is None
    assert seen[0].cause.name == "mul"
    assert seen[0].cause.sequence == y.grad_fn.sequence
    assert seen[0].cause.kind is y.grad_fn.kind
    assert (x.grad.cause.name, w.grad.cause.name) == ("sin", "mul")
    assert x.grad.cause.sequence == first.grad_fn.sequence


def test_gradients_sweep_only_the_branches_that_lead_to_an_input() -> None:
    """A branch that leads to no wanted input runs no rule: here one that would fail."""

    class Refuses(rt.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, g):
            raise AssertionError("this branch leads to no wanted input")

    x, y = (rt.tensor(np.array([v]), requires_grad=True) for v in (2.0, 5.0))
    between = x * x
    z = between * 3.0 + Refuses.apply(y)
    by_x, by_between = gradients([z], [x, between], [np.array([7.0])])
    assert by_x is not None
    assert by_between is not None
    assert (by_x.item(), by_between.item()) == (7.0 * 3.0 * 4.0, 7.0 * 3.0)
