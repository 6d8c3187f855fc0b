import math

import numpy as np
import pytest

from rot180.core import Tensor, tensor
from rot180.errors import ArgumentError, NumericsError
from rot180.optim import clip_grad_norm_, clip_grad_value_


def with_gradients(rng, dtype=np.float64):
    params = []
    for shape in [(3, 4), (5,), (0, 2), (2, 2)]:
        p = tensor(np.zeros(shape, dtype), requires_grad=True)
        p.grad = Tensor(rng.standard_normal(shape).astype(dtype))
        params.append(p)
    params[-1].grad = None
    return params


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_follows_pytorch(rng, norm_type, max_norm, dtype):
    torch = pytest.importorskip("torch")
    params = with_gradients(rng, dtype)
    theirs = [torch.zeros(p.shape, requires_grad=True) for p in params[:2]]
    for p, t in zip(params[:2], theirs, strict=True):
        t.data = torch.tensor(p.data)
        t.grad = torch.tensor(p.grad.data.copy())
    total = clip_grad_norm_(params, max_norm, norm_type)
    oracle = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(total, oracle.item(), rtol=tolerance)
    for p, t in zip(params[:2], theirs, strict=True):
        assert p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad.data, t.grad.numpy(), rtol=tolerance)
    assert params[-1].grad is None


def test_a_norm_that_is_not_finite_does_not_hide(rng):
    params = with_gradients(rng)
    params[0].grad.data[0, 0] = np.nan
    with pytest.raises(NumericsError, match="not finite; got nan"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert np.isfinite(params[1].grad.data).all()
    assert math.isnan(clip_grad_norm_(params, 1.0))
    assert np.isnan(params[1].grad.data).all()


def test_no_gradients_have_norm_zero():
    assert clip_grad_norm_([], 1.0) == 0.0
    assert clip_grad_norm_(tensor(np.zeros(2), requires_grad=True), 1.0) == 0.0


def test_values_are_bounded_in_place(rng):
    params = with_gradients(rng, np.float32)
    array = params[0].grad.data
    expected = np.clip(array, -0.5, 0.5)
    clip_grad_value_(params, np.float64(0.5))
    assert params[0].grad.data is array
    np.testing.assert_array_equal(array, expected)


def test_bad_bounds_are_refused():
    for call in [
        lambda: clip_grad_norm_([], -1.0),
        lambda: clip_grad_norm_([], 1.0, 0.0),
        lambda: clip_grad_value_([], -1.0),
    ]:
        with pytest.raises(ArgumentError):
            call()
