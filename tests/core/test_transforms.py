"""grad, vjp, jvp and hessian against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import rot180 as rt
from rot180.core import Tensor
from rot180.errors import GraphError, ShapeError
from rot180.nn import functional as F


def number(value: float) -> Tensor:
    return Tensor(np.array(value))


@pytest.mark.parametrize(
    ("f", "third"),
    [
        (rt.sin, lambda x: -np.cos(x)),
        (rt.exp, np.exp),
        (lambda x: x**5, lambda x: 60 * x**2),
        (lambda x: 1.0 / x, lambda x: -6 / x**4),
        (lambda x: rt.log(x) * x, lambda x: -1 / x**2),
        (rt.tanh, lambda x: 2 * (3 * np.tanh(x) ** 2 - 1) * (1 - np.tanh(x) ** 2)),
        (lambda x: rt.sin(x) * rt.exp(x), lambda x: 2 * np.exp(x) * (np.cos(x) - np.sin(x))),
    ],
)
def test_third_derivatives(f, third) -> None:  # type: ignore[no-untyped-def]
    at = 0.7
    d3 = rt.grad(rt.grad(rt.grad(f)))
    assert d3(number(at)).item() == pytest.approx(third(at), rel=1e-12)


def test_the_tenth_derivative_of_a_sine() -> None:
    f = rt.sin
    for _ in range(10):
        f = rt.grad(f)
    assert f(number(0.3)).item() == pytest.approx(-np.sin(0.3), rel=1e-12)


def test_grad_of_several_arguments() -> None:
    x, y = number(2.0), number(3.0)
    dx, dy = rt.grad(lambda a, b: a * a * b, argnums=(0, 1))(x, y)
    assert (dx.item(), dy.item()) == (12.0, 4.0)
    assert rt.grad(lambda a, b: a * a * b, argnums=1)(x, y).item() == 4.0
    mixed = rt.grad(lambda a, b: rt.grad(lambda c: c * c * b)(a), argnums=1)
    assert mixed(x, y).item() == 4.0


def test_grad_works_within_no_grad_and_on_arrays() -> None:
    with rt.no_grad():
        assert rt.grad(lambda x: x * x)(np.array(3.0)).item() == 6.0


def test_grad_leaves_grad_alone_and_is_zero_where_nothing_depends() -> None:
    x = rt.tensor([1.0, 2.0], requires_grad=True)
    d = rt.grad(lambda t: (t * t).sum())(x)
    np.testing.assert_array_equal(d.data, [2.0, 4.0])
    assert x.grad is None
    unrelated = rt.grad(lambda t: rt.tensor(3.0))(x)
    np.testing.assert_array_equal(unrelated.data, [0.0, 0.0])
    floor = rt.grad(lambda t: rt.ops.floor(t).sum())(x)
    np.testing.assert_array_equal(floor.data, [0.0, 0.0])


@pytest.mark.parametrize("transform", [rt.grad, lambda f: lambda x: rt.hessian(f, x)])
def test_a_function_of_one_number_is_needed(transform) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ShapeError, match=r"must return one number; got shape \(3,\).*vjp"):
        transform(lambda x: x * 2.0)(np.ones(3))


def test_vjp_and_jvp_are_the_rows_and_columns_of_the_jacobian(rng: np.random.Generator) -> None:
    a = rng.standard_normal((4, 3))
    x = rng.standard_normal(3)
    jacobian = np.cos(a @ x)[:, None] * a

    def f(t: Tensor) -> Tensor:
        return rt.sin(rt.matmul(a, t))

    y, pull = rt.vjp(f, x)
    np.testing.assert_allclose(y.data, np.sin(a @ x))
    for g in rng.standard_normal((3, 4)):
        np.testing.assert_allclose(pull(g)[0].data, g @ jacobian)
    for v in rng.standard_normal((3, 3)):
        value, pushed = rt.jvp(f, (x,), (v,))
        np.testing.assert_allclose(value.data, np.sin(a @ x))
        np.testing.assert_allclose(pushed.data, jacobian @ v)


def test_jvp_of_several_arguments_and_of_constants(rng: np.random.Generator) -> None:
    a, b, va, vb = rng.standard_normal((4, 3))
    _, pushed = rt.jvp(lambda s, t: s * s * t, (a, b), (va, vb))
    np.testing.assert_allclose(pushed.data, 2 * a * b * va + a * a * vb)
    _, pushed = rt.jvp(lambda s: rt.tensor(b), (a,), (va,))
    np.testing.assert_array_equal(pushed.data, np.zeros(3))
    _, pushed = rt.jvp(rt.ops.floor, (a,), (va,))
    np.testing.assert_array_equal(pushed.data, np.zeros(3))
    with pytest.raises(GraphError, match="one direction for each argument; expected 1, got 2"):
        rt.jvp(lambda s: s, (a,), (va, vb))


def test_jvp_can_be_differentiated() -> None:
    """d/dx of the directional derivative: the second derivative along v."""
    second = rt.grad(lambda x: rt.jvp(rt.sin, (x,), (number(1.0),))[1])
    assert second(number(0.4)).item() == pytest.approx(-np.sin(0.4), rel=1e-12)


def test_hessian_of_a_quadratic_form(rng: np.random.Generator) -> None:
    a = rng.standard_normal((3, 3))
    h = rt.hessian(lambda x: rt.matmul(x, rt.matmul(a, x)), rng.standard_normal(3))
    np.testing.assert_allclose(h.data, a + a.T, rtol=1e-12)


def test_hessian_of_a_linear_function_is_zero() -> None:
    h = rt.hessian(lambda x: (x * 3.0).sum(), np.ones((2, 2)))
    np.testing.assert_array_equal(h.data, np.zeros((2, 2, 2, 2)))


def test_hessian_of_softmax_cross_entropy(rng: np.random.Generator) -> None:
    x = rng.standard_normal(5)
    p = np.exp(x) / np.exp(x).sum()
    h = rt.hessian(lambda t: F.cross_entropy(t, np.array(2)), x)
    np.testing.assert_allclose(h.data, np.diag(p) - np.outer(p, p), atol=1e-14)


def test_hessian_of_a_small_network_is_symmetric(rng: np.random.Generator) -> None:
    images = rng.standard_normal((2, 2, 5, 6))
    labels = np.array([0, 2])
    sizes = [(3, 2, 3, 2), (3,), (3, 12)]
    cells = [int(np.prod(size)) for size in sizes]
    start = 0.5 * rng.standard_normal(sum(cells))

    def loss(flat: Tensor) -> Tensor:
        w, b, v = (part.reshape(size) for part, size in zip(flat.split(cells), sizes, strict=True))
        h = rt.tanh(F.conv2d(images, w, b, stride=(1, 2), padding=(0, 1)))
        h = F.avg_pool2d(h, (2, 1), stride=(1, 1), padding=(0, 0))
        h = F.max_pool2d(h, (1, 2))
        return F.cross_entropy(F.linear(h.reshape(2, -1)[:, :12], v), labels)

    h = rt.hessian(loss, start).data
    np.testing.assert_allclose(h, h.T, atol=1e-14)
    assert np.abs(h).max() > 1e-2
    step, v = 1e-5, rng.standard_normal(len(start))
    ahead, behind = (rt.grad(loss)(start + s * step * v).data for s in (1, -1))
    np.testing.assert_allclose(h @ v, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
