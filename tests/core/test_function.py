"""Functions of the user: classes with forward and backward, and plain pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradients as check
import rot180 as rt
from rot180.core import Context, Function, Tensor
from rot180.errors import GraphError, ShapeError


class Cube(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g * 3.0 * x * x


class Exp(Function):
    """Saves its own output."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        y = rt.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return g * y


class SumAndProduct(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, y)
        ctx.scale = scale  # type: ignore[attr-defined]
        return (x + y) * scale, x * y

    @staticmethod
    def backward(ctx: Context, g_sum: Tensor, g_product: Tensor) -> Any:
        x, y = ctx.saved_tensors
        scale = ctx.scale  # type: ignore[attr-defined]
        return g_sum * scale + g_product * y, g_sum * scale + g_product * x, None


def arrays(count: int, rng: np.random.Generator) -> list[Any]:
    return [rng.standard_normal((2, 3)) for _ in range(count)]


@pytest.mark.parametrize("cls", [Cube, Exp])
def test_first_and_second_order(cls: type[Function], rng: np.random.Generator) -> None:
    check.check_gradient(cls.apply, arrays(1, rng), rng)
    check.check_second_order(cls.apply, arrays(1, rng), rng)


def test_several_outputs(rng: np.random.Generator) -> None:
    check.check_gradient(lambda x, y: SumAndProduct.apply(x, y, 2.5), arrays(2, rng), rng)
    check.check_second_order(lambda x, y: SumAndProduct.apply(x, y, 2.5), arrays(2, rng), rng)


def test_an_output_that_is_not_used_has_gradient_zero(rng: np.random.Generator) -> None:
    x, y = (Tensor(a, requires_grad=True) for a in arrays(2, rng))
    _, product = SumAndProduct.apply(x, y, 2.5)
    g = rng.standard_normal((2, 3))
    product.backward(g)
    np.testing.assert_allclose(x.grad.data, g * y.data)


def test_the_first_output_alone_can_be_saved_and_the_second_swept(rng: np.random.Generator) -> None:
    class Both(Function):
        @staticmethod
        def forward(ctx: Context, x: Tensor) -> tuple[Tensor, Tensor]:
            a, b = rt.sin(x), rt.exp(x)
            ctx.save_for_backward(b, x)
            return a, b

        @staticmethod
        def backward(ctx: Context, ga: Tensor, gb: Tensor) -> Tensor:
            b, x = ctx.saved_tensors
            return ga * rt.cos(x) + gb * b

    check.check_gradient(Both.apply, arrays(1, rng), rng)
    check.check_second_order(Both.apply, arrays(1, rng), rng)


def test_needs_input_grad_and_no_graph_without_need() -> None:
    seen: list[tuple[bool, ...]] = []

    class Look(Function):
        @staticmethod
        def forward(ctx: Context, x: Tensor, y: Tensor, n: int) -> Tensor:
            assert not rt.is_grad_enabled()
            seen.append(ctx.needs_input_grad)
            return x * y

        @staticmethod
        def backward(ctx: Context, g: Tensor) -> Any:
            return g, g, None

    x, y = rt.tensor([1.0], requires_grad=True), rt.tensor([2.0])
    assert Look.apply(x, y, 3).requires_grad
    assert not Look.apply(y, y, 3).requires_grad
    with rt.no_grad():
        assert not Look.apply(x, y, 3).requires_grad
    assert seen == [(True, False, False), (False, False, False), (True, False, False)]


def wrong(answer: Any) -> Tensor:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Context, x: Tensor, n: int) -> Tensor:
            return x * float(n)

        @staticmethod
        def backward(ctx: Context, g: Tensor) -> Any:
            return answer

    made: Tensor = Wrong.apply(rt.tensor([1.0, 2.0], requires_grad=True), 2)
    return made


@pytest.mark.parametrize("answer", [np.ones(2), (np.ones(2),), (np.ones(2), None, None)])
def test_a_wrong_number_of_gradients(answer: Any) -> None:
    with pytest.raises(GraphError, match=r"Wrong\.backward: one gradient for each.*2 values"):
        wrong(answer).backward([1.0, 2.0])


def test_a_gradient_of_the_wrong_shape() -> None:
    with pytest.raises(ShapeError, match=r"Wrong\.backward.*argument 0.*\(2,\), got \(3,\)"):
        wrong((np.ones(3), None)).backward([1.0, 2.0])


def test_none_is_no_gradient() -> None:
    y = wrong((None, None))
    x = y.grad_fn.parents[0]
    y.backward([1.0, 2.0])
    assert isinstance(x, Tensor)
    assert x.grad is None


def test_a_gradient_comes_back_in_the_type_of_its_argument() -> None:
    y = wrong((np.ones(2), None))
    x = y.grad_fn.parents[0]
    y.backward([1.0, 2.0])
    assert x.grad.dtype == np.float32


def test_saved_tensors_are_checked_for_changes() -> None:
    x = rt.tensor([1.0, 2.0], requires_grad=True)
    y = Cube.apply(x)
    x.writable()[0] = 5.0
    with pytest.raises(GraphError, match="Cube saved"):
        y.backward([1.0, 2.0])
    y = Exp.apply(x)
    y.writable()[0] = 5.0
    with pytest.raises(GraphError, match="Exp saved"):
        y.backward([1.0, 2.0])


def test_a_second_sweep_is_refused() -> None:
    y = Cube.apply(rt.tensor([1.0, 2.0], requires_grad=True))
    y.backward([1.0, 2.0])
    with pytest.raises(GraphError, match="saved by Cube were freed"):
        y.backward([1.0, 2.0])


def test_plain_pairs_of_functions_on_arrays(rng: np.random.Generator) -> None:
    product = rt.function(lambda a, b: a @ b, lambda g, a, b: (g @ b.T, a.T @ g), "product")
    given = [rng.standard_normal((2, 3)), rng.standard_normal((3, 4))]
    check.check_gradient(product, given, rng, [(0,), (1,)])
    half = product(Tensor(given[0]), given[1])
    assert not half.requires_grad
    x = Tensor(given[0], requires_grad=True)
    y = product(x, given[1])
    g = rng.standard_normal(y.shape)
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, g @ given[1].T)
    assert y.grad_fn.name == "product"


def test_a_pair_with_a_gradient_of_the_wrong_shape() -> None:
    swapped = rt.function(lambda a: a.T, lambda g, a: g, "swapped")
    y = swapped(Tensor(np.zeros((2, 3)), requires_grad=True))
    with pytest.raises(ShapeError, match=r"swapped.*argument 0.*\(2, 3\), got \(3, 2\)"):
        y.backward(np.zeros((3, 2)))
