"""Arrays in and out without a copy, and which data types meet."""

from __future__ import annotations

import numpy as np
import pytest

import rot180 as rt
from rot180.core import Tensor
from rot180.errors import DTypeError, ShapeError


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
def test_numpy_in_and_out_shares_memory(dtype: type) -> None:
    array = np.zeros((2, 3), dtype)
    t = rt.tensor(array)
    assert t.data is array
    assert t.numpy() is array
    assert np.asarray(t) is array
    assert t.dtype == array.dtype
    array[0, 1] = 1
    assert t.data[0, 1] == 1


def test_views_of_any_strides_are_shared() -> None:
    array = np.arange(12.0).reshape(3, 4)
    t = rt.tensor(array.T[::-1])
    assert np.shares_memory(t.data, array)
    np.testing.assert_array_equal(t.data, array.T[::-1])


def test_dlpack_both_ways_shares_memory() -> None:
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)

    class Foreign:
        """Something that speaks DLPack and is no NumPy array."""

        def __dlpack__(self, **options: object) -> object:
            return array.__dlpack__(**options)  # type: ignore[arg-type]

        def __dlpack_device__(self) -> tuple[int, int]:
            return array.__dlpack_device__()

    t = rt.tensor(Foreign())
    assert np.shares_memory(t.data, array)
    back = np.from_dlpack(rt.tensor(array))
    assert np.shares_memory(back, array)


def test_torch_shares_memory_both_ways() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.arange(6.0).reshape(2, 3)
    ours = rt.tensor(theirs)
    ours.writable()[0, 0] = 9.0
    assert theirs[0, 0] == 9.0
    back = torch.from_dlpack(ours)
    assert back.data_ptr() == theirs.data_ptr()


def test_a_copy_when_numpy_is_asked_for_one() -> None:
    array = np.zeros(3)
    t = rt.tensor(array)
    assert not np.shares_memory(np.array(t), array)
    assert np.asarray(t, dtype=np.float32).dtype == np.float32


def test_python_numbers_become_float32_and_arrays_keep_their_type() -> None:
    assert rt.tensor(1.5).dtype == np.float32
    assert rt.tensor([1.0, 2.0]).dtype == np.float32
    assert rt.tensor([1, 2]).dtype == np.int64
    assert rt.tensor([True]).dtype == np.bool_
    assert rt.tensor(np.array([1.0])).dtype == np.float64
    assert rt.tensor(np.float64(1.0)).dtype == np.float64
    assert rt.tensor([1.0], dtype="float64").dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, "U3"])
def test_other_types_are_refused(dtype: object) -> None:
    with pytest.raises(DTypeError, match=r"not supported; expected float32, float64, an integer"):
        rt.tensor(np.zeros(2, dtype))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 1,
        lambda x: 2.5 * x,
        lambda x: x / 3,
        lambda x: 1 / x,
        lambda x: x**2,
        lambda x: x**0.5,
        lambda x: 2**x,
        lambda x: 1.5 - x,
        lambda x: x * np.float64(2.0),
        lambda x: np.float64(2.0) * x,
        lambda x: x * np.int64(2),
        lambda x: x * True,
        lambda x: x + np.arange(3),
        lambda x: x * rt.tensor([1, 2, 3]),
        lambda x: rt.tensor([True, False, True]) * x,
        lambda x: rt.where(x > 1, x, 0.0),
        lambda x: rt.maximum(x, 1),
        lambda x: x.clip(0.5, 2),
        lambda x: x.mean() + x.var() + x.std(),
        lambda x: rt.ops.gelu(x) + rt.ops.elu(x) + rt.ops.softplus(x) + rt.ops.hardswish(x),
        lambda x: rt.ops.norm(x) + rt.ops.logsumexp(x),
    ],
)
def test_numbers_and_integers_join_the_float_type(f, dtype) -> None:  # type: ignore[no-untyped-def]
    x = Tensor(np.array([0.5, 1.5, 2.5], dtype), requires_grad=True)
    y = f(x)
    assert y.dtype == dtype
    y.backward(np.random.default_rng(0).standard_normal(y.shape))
    assert x.grad.dtype == dtype


def test_integers_among_themselves() -> None:
    a, b = rt.tensor([1, 2, 3]), rt.tensor(np.array([2, 2, 2], np.int32))
    assert (a + b).dtype == np.int64
    assert (a / 2).dtype == np.float32
    assert (a * 1.5).dtype == np.float32
    assert (a**3).tolist() == [1, 8, 27]
    assert (a**3).dtype == np.int64
    assert (rt.tensor([True, False]) + 1).tolist() == [2, 1]
    assert a.sum().item() == 6
    assert rt.tensor(np.ones((100, 3), bool)).sum(1).tolist() == [3] * 100
    assert rt.tensor(np.full((100, 3), 200, np.uint8)).sum(1).tolist() == [600] * 100


MIXED = [
    ("add", lambda x, y: x + y),
    ("matmul", lambda x, y: rt.matmul(x, y)),
    ("where", lambda x, y: rt.where(x > 0.0, x, y)),
    ("cat", lambda x, y: rt.cat([x, y])),
    ("conv", lambda x, y: rt.nn.functional.conv1d(x[None], y[None])),
    ("linear", lambda x, y: rt.nn.functional.linear(x, y)),
    ("mse_loss", lambda x, y: rt.nn.functional.mse_loss(x, y)),
]


@pytest.mark.parametrize(("name", "f"), MIXED, ids=[name for name, _ in MIXED])
def test_float_types_do_not_mix(name, f) -> None:  # type: ignore[no-untyped-def]
    x, y = (rt.tensor(np.ones((3, 3), dtype)) for dtype in (np.float32, np.float64))
    with pytest.raises(DTypeError, match=rf"{name}: mixed data types.*float32.*float64"):
        f(x, y)


def test_the_rule_for_mixed_types_is_said() -> None:
    with pytest.raises(DTypeError, match=r"nothing is converted silently; use x\.astype"):
        rt.tensor([1.0]) + np.array([1.0])


def test_an_upstream_tensor_of_another_type_is_an_error() -> None:
    y = Tensor(np.ones((2, 3)), requires_grad=True).reshape(3, 2)
    with pytest.raises(DTypeError, match=r"upstream gradient.*float64, got float32"):
        y.backward(Tensor(np.zeros((3, 2), np.float32)))


def test_gradients_are_for_floats() -> None:
    with pytest.raises(DTypeError, match=r"requires_grad: only floating point.*got int64.*astype"):
        rt.tensor([1, 2], requires_grad=True)


def test_numpy_on_the_left_hands_over() -> None:
    array, t = np.array([1.0, 2.0]), rt.tensor(np.array([3.0, 4.0]))
    for made in (array + t, array * t, array - t, array / t, np.float64(2) * t, array @ t):
        assert isinstance(made, Tensor)


def test_python_protocols() -> None:
    t = rt.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(t) == 2
    assert [row.tolist() for row in t] == [[1.0, 2.0], [3.0, 4.0]]
    assert float(rt.tensor(2.5)) == 2.5
    assert int(rt.tensor(3)) == 3
    assert [0, 1, 2][rt.tensor(1)] == 1
    assert bool(rt.tensor(1.0) > 0.0)
    assert t.T.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert repr(t) == "tensor([[1., 2.],\n        [3., 4.]])"
    assert repr(rt.tensor(np.ones(1)) * 1.0) == "tensor([1.], dtype=float64)"
    with pytest.raises(ShapeError, match="item: not a single cell"):
        t.item()
    with pytest.raises(ShapeError, match="without axes has no length"):
        len(rt.tensor(1.0))
