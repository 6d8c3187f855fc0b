import json

import numpy as np
import pytest

from rot180.core import Tensor, tensor
from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

CASES = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    (AdamW, {"lr": 0.02}),
    (AdamW, {"lr": 0.02, "weight_decay": 0.3, "betas": (0.5, 0.9)}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.02, "momentum": 0.8, "centered": True, "weight_decay": 0.1}),
    (Adagrad, {"lr": 0.1}),
    (Adagrad, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
]
SHAPES = [(3, 4), (5,), (2, 1, 3, 3), ()]
EVERY = pytest.mark.parametrize(
    ("kind", "options"), CASES, ids=lambda case: getattr(case, "__name__", None)
)


def parameters(rng, dtype=np.float64):
    return [tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in SHAPES]


def give_gradients(params, rng):
    for p in params:
        p.grad = Tensor(np.asarray(rng.standard_normal(p.shape), dtype=p.dtype))


@EVERY
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_steps_follow_pytorch(rng, kind, options, dtype, tolerance):
    torch = pytest.importorskip("torch")
    ours = parameters(rng, dtype)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in ours]
    optimizer = kind(ours, **options)
    # one parameter never gets a gradient
    oracle = getattr(torch.optim, kind.__name__)(theirs, **options)
    for _ in range(50):
        give_gradients(ours[:3], rng)
        for p, t in zip(ours[:3], theirs, strict=False):
            t.grad = torch.tensor(p.grad.data.copy())
        optimizer.step()
        oracle.step()
    for p, t in zip(ours, theirs, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=tolerance, atol=tolerance)


@EVERY
def test_groups_follow_pytorch(rng, kind, options):
    torch = pytest.importorskip("torch")
    ours = parameters(rng)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in ours]
    split = [{}, {"lr": 0.003, "weight_decay": 0.2}]
    optimizer = kind([{"params": part, **extra} for part, extra in
                      zip([ours[:2], ours[2:]], split, strict=True)], **options)  # fmt: skip
    oracle = getattr(torch.optim, kind.__name__)(
        [{"params": p, **e} for p, e in zip([theirs[:2], theirs[2:]], split, strict=True)],
        **options,
    )
    for _ in range(5):
        give_gradients(ours, rng)
        for p, t in zip(ours, theirs, strict=True):
            t.grad = torch.tensor(p.grad.data.copy())
        optimizer.step()
        oracle.step()
    for p, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-13, atol=1e-13)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_restored_state_continues_with_the_same_bits(rng, kind, options, dtype):
    params = parameters(rng, dtype)
    optimizer = kind(params, **options)
    for _ in range(3):
        give_gradients(params[:-1], rng)
        optimizer.step()
    saved = optimizer.state_dict()
    arrays = {k: v for k, v in saved.items() if isinstance(v, np.ndarray)}
    plain = json.loads(json.dumps({k: v for k, v in saved.items() if k not in arrays}))
    copies = [tensor(p.data.copy(), requires_grad=True) for p in params]
    other = kind(copies, lr=123.0)
    other.load_state_dict({**plain, **arrays})
    assert other.state_dict().keys() == saved.keys()
    for _ in range(3):
        give_gradients(params, rng)
        for p, copy in zip(params, copies, strict=True):
            copy.grad = Tensor(p.grad.data.copy())
        optimizer.step()
        other.step()
    for p, copy in zip(params, copies, strict=True):
        assert p.data.tobytes() == copy.data.tobytes()


@EVERY
def test_gradients_and_saved_states_are_not_touched(rng, kind, options):
    params = parameters(rng)
    optimizer = kind(params, **options)
    give_gradients(params, rng)
    optimizer.step()
    saved = optimizer.state_dict()
    before = {k: np.array(v, copy=True) for k, v in saved.items()}
    kept = [p.grad.data.copy() for p in params]
    optimizer.step()
    for p, gradient in zip(params, kept, strict=True):
        np.testing.assert_array_equal(p.grad.data, gradient)
    for key, value in saved.items():
        np.testing.assert_array_equal(value, before[key])


@EVERY
def test_the_memory_of_a_parameter_stays(rng, kind, options):
    array = rng.standard_normal((3, 4)).astype(np.float32)
    p = tensor(array, requires_grad=True)
    version = p.version.count
    optimizer = kind([p], **{**options, "lr": np.float64(0.1)})
    give_gradients([p], rng)
    optimizer.step()
    assert p.data is array
    assert p.dtype == np.float32
    assert p.version.count > version
    assert all(v.dtype == np.float32 for v in optimizer.state[p].values() if hasattr(v, "dtype"))


def test_a_strided_parameter_moves_too(rng):
    base = rng.standard_normal((4, 6))
    p = tensor(base[::2, ::-1], requires_grad=True)
    expected = p.data - 0.5
    p.grad = Tensor(np.ones(p.shape))
    SGD([p], lr=0.5).step()
    np.testing.assert_array_equal(base[::2, ::-1], expected)


def test_parameters_without_a_gradient_are_skipped(rng):
    params = parameters(rng)
    before = [p.data.copy() for p in params]
    optimizer = Adam(params)
    optimizer.zero_grad()
    optimizer.step()
    assert optimizer.state == {}
    for p, old in zip(params, before, strict=True):
        np.testing.assert_array_equal(p.data, old)


def test_zero_grad_forgets(rng):
    params = parameters(rng)
    give_gradients(params, rng)
    SGD(params, 0.1).zero_grad()
    assert all(p.grad is None for p in params)


def test_adam_scales_every_element_by_itself():
    p = tensor(np.zeros(2), requires_grad=True)
    p.grad = tensor(np.array([1.0, 100.0]))
    Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.data, [-0.1, -0.1], rtol=1e-6)


def test_settings_may_be_changed_between_steps():
    p = tensor(np.zeros(1), requires_grad=True)
    p.grad = tensor(np.ones(1))
    optimizer = SGD([p], lr=1.0)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step()
    np.testing.assert_array_equal(p.data, [-1.25])


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SGD, {"lr": -1.0}, "SGD: lr is out of range; expected >= 0, got -1.0"),
        (SGD, {"lr": float("nan")}, "SGD: lr is out of range"),
        (SGD, {"lr": 0.1, "momentum": -0.1}, "SGD: momentum is out of range"),
        (SGD, {"lr": 0.1, "nesterov": True}, "expected momentum > 0 and dampening = 0"),
        (Adam, {"betas": (0.9, 1.0)}, "Adam: betas is out of range; expected 0 <= value < 1"),
        (AdamW, {"weight_decay": -1}, "AdamW: weight_decay"),
        (RMSprop, {"alpha": 1.5}, "RMSprop: alpha"),
        (Adagrad, {"lr_decay": -1.0}, "Adagrad: lr_decay"),
    ],
)
def test_bad_settings_name_the_rule(kind, options, message):
    with pytest.raises(ArgumentError, match=message):
        kind([tensor(np.zeros(2), requires_grad=True)], **options)


def test_bad_parameters_are_refused(rng):
    p = tensor(np.zeros(2), requires_grad=True)
    for params, message in [
        ([], "no parameters"),
        (p, "put a single one into a list"),
        ([np.zeros(2)], "must be a tensor"),
        ([p, p], "appears twice"),
        ([{"params": [p]}, {"params": [p]}], "appears twice"),
        ([{"lr": 0.1}], "the key 'params'"),
        ([{"params": [p], "speed": 1}], "unknown setting 'speed'"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            SGD(params, 0.1)


def test_a_state_that_does_not_fit_changes_nothing(rng):
    params = parameters(rng)
    optimizer = SGD(params, 0.1, momentum=0.9)
    give_gradients(params, rng)
    optimizer.step()
    saved = optimizer.state_dict()
    fewer = SGD(parameters(rng)[:2], 0.1)
    same = SGD(parameters(rng), 0.3)
    with pytest.raises(ArgumentError, match="belongs to nothing here"):
        fewer.load_state_dict(saved)
    with pytest.raises(ArgumentError, match=r"unknown name 'groups\.0\.speed'"):
        same.load_state_dict({**saved, "groups.0.speed": 1})
    with pytest.raises(ArgumentError, match="lacks 'lr'"):
        same.load_state_dict({k: v for k, v in saved.items() if k != "groups.0.lr"})
    with pytest.raises(ArgumentError, match="holds other parameters"):
        same.load_state_dict({**saved, "groups.0.params": [0]})
    with pytest.raises(ShapeError, match=r"1\.momentum_buffer; expected \(5,\), got \(6,\)"):
        same.load_state_dict({**saved, "1.momentum_buffer": np.zeros(6)})
    with pytest.raises(DTypeError, match="expected float64, got float32"):
        same.load_state_dict({**saved, "1.momentum_buffer": np.zeros(5, np.float32)})
    assert same.param_groups[0]["lr"] == 0.3
    assert same.state == {}


def test_the_repr_names_the_settings():
    optimizer = SGD([tensor(np.zeros(2), requires_grad=True)], 0.1)
    assert repr(optimizer).startswith("SGD(1 parameters, lr=0.1, momentum=0.0")
    assert isinstance(optimizer, Optimizer)
