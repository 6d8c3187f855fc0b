"""A traced training step, run instruction by instruction, has the bits of the eager one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180.nn.functional as F
from rot180 import nn
from rot180.core import Program, Tensor, default_generator, generator_state, set_generator_state
from rot180.errors import ShapeError, TraceError
from rot180.nn.models import cnn, lenet5, resnet20, vgg6
from rot180.optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    StepLR,
    clip_grad_norm_,
    clip_grad_value_,
)
from rot180.train.tracing import trace_forward, trace_loss, trace_step

OPTIMIZERS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.05}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (Adam, {"weight_decay": 0.1}),
    (AdamW, {"lr": 0.01}),
    (RMSprop, {}),
    (RMSprop, {"momentum": 0.8, "centered": True}),
    (Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
]


class Twins:
    """Two equal trainings with one stream of random numbers each: eager, and of a program."""

    def __init__(
        self,
        build: Callable[[np.random.Generator], nn.Module],
        optimizer: Callable[[Any], Optimizer],
        shape: tuple[int, ...],
        loss: Callable[..., Tensor] = F.cross_entropy,
        target: tuple[tuple[int, ...], str] | None = None,
        dtype: str = "float64",
    ) -> None:
        self.eager, self.traced = (build(np.random.default_rng(1)) for _ in range(2))
        for model in (self.eager, self.traced):
            model.to(dtype)
        self.first, self.second = (optimizer(m.parameters()) for m in (self.eager, self.traced))
        self.loss = loss
        self.x = (shape, dtype)
        self.y = ((shape[0],), "int64") if target is None else target
        self.stream = generator_state()
        self.rng = np.random.default_rng(2)
        self.program = self.trace()

    def trace(self) -> Program:
        return trace_step(self.traced, self.loss, self.second, self.x, self.y)

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        x = self.rng.standard_normal(self.x[0]).astype(self.x[1])
        shape, dtype = self.y
        if dtype == "int64":
            return x, self.rng.integers(0, 3, shape)
        return x, self.rng.uniform(0.05, 0.95, shape).astype(dtype)

    def step(self) -> None:
        """One step of each; afterwards everything is equal."""
        x, y = self.batch()
        state = generator_state()
        out = self.eager(Tensor(x))
        loss = self.loss(out, Tensor(y))
        self.first.zero_grad()
        loss.backward()
        self.first.step()
        after = generator_state()
        set_generator_state(state)
        outputs = self.program.step(x=x, y=y)
        assert generator_state() == after
        np.testing.assert_array_equal(outputs["loss"], loss.data)
        np.testing.assert_array_equal(outputs["output"], out.data)
        self.compare()

    def compare(self) -> None:
        for (name, ours), theirs in zip(
            self.traced.state_dict().items(), self.eager.state_dict().values(), strict=True
        ):
            np.testing.assert_array_equal(ours.data, theirs.data, err_msg=name)
        ours, theirs = self.second.state_dict(), self.first.state_dict()
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            np.testing.assert_array_equal(value, theirs[key], err_msg=key)


NETWORKS = {
    "lenet5": (lambda g: lenet5(num_classes=3, input_size=12, generator=g), (3, 1, 12, 12)),
    "vgg6": (lambda g: vgg6(2, 3, 8, generator=g), (3, 2, 8, 8)),
    "resnet20": (lambda g: resnet20(2, 3, 9, generator=g), (3, 2, 9, 8)),
    "cnn": (lambda g: cnn(1, 3, 8, generator=g), (3, 1, 8, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks(name: str, dtype: str) -> None:
    build, shape = NETWORKS[name]
    twins = Twins(build, lambda p: SGD(p, lr=0.05, momentum=0.9), shape, dtype=dtype)
    for _ in range(3):
        twins.step()
    assert not twins.program.stale()


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_optimizers(kind: type[Optimizer], options: dict[str, Any], dtype: str) -> None:
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: kind(p, **options), shape, dtype=dtype)
    for _ in range(4):
        twins.step()


def _two_dimensional(g: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding="same", groups=2, mode="convolution", generator=g),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.AvgPool2d(3, 2, 1),
        nn.ConvTranspose2d(8, 6, 3, stride=2, generator=g),
        nn.BatchNorm2d(6, momentum=None),
        nn.LeakyReLU(0.1),
        nn.ReflectionPad2d(1),
        nn.MaxPool2d(3, 2, 1),
        nn.Dropout2d(0.3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.Flatten(),
        nn.LayerNorm(36),
        nn.GELU(),
        nn.Linear(36, 3, generator=g),
    )


def _one_dimensional(g: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 6, 3, dilation=2, padding_mode="circular", padding=2, generator=g),
        nn.InstanceNorm1d(6, affine=True, track_running_stats=True),
        nn.Softplus(),
        nn.MaxPool1d(2),
        nn.AdaptiveMaxPool1d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(12, 3, generator=g),
        nn.BatchNorm1d(3, affine=False),
    )


def _three_dimensional(g: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(4, 4, (2, 3, 2), generator=g),
        nn.BatchNorm3d(4),
        nn.ELU(),
        nn.MaxPool3d(2),
        nn.Flatten(),
        nn.Linear(4 * 2 * 2 * 1, 3, generator=g),
    )


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (_two_dimensional, (3, 4, 9, 7)),
        (_one_dimensional, (3, 4, 9)),
        (_three_dimensional, (3, 4, 5, 6, 4)),
    ],
)
def test_families_of_layers(build: Any, shape: tuple[int, ...]) -> None:
    twins = Twins(build, Adam, shape)
    for _ in range(3):
        twins.step()


def test_a_recurrence_shares_its_weights() -> None:
    class Unrolled(nn.Module):
        def __init__(self, g: np.random.Generator) -> None:
            self.cell = nn.Linear(4, 4, generator=g)
            self.norm = nn.BatchNorm1d(4)
            self.head = nn.Linear(4, 3, generator=g)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = x + F.tanh(self.norm(self.cell(x)))
            y: Tensor = self.head(x)
            return y

    twins = Twins(Unrolled, lambda p: SGD(p, lr=0.1), (5, 4))
    for _ in range(3):
        twins.step()


LOSSES: dict[str, tuple[Any, str]] = {
    "smoothed": (nn.CrossEntropyLoss([1.0, 2.0, 0.5], label_smoothing=0.1), "int64"),
    "nll": (lambda out, y: F.nll_loss(F.log_softmax(out, 1), y, ignore_index=2), "int64"),
    "mse": (F.mse_loss, "float64"),
    "huber": (nn.HuberLoss(delta=0.5), "float64"),
    "bce": (lambda out, y: F.binary_cross_entropy(F.sigmoid(out), y), "float64"),
    "bce of logits": (nn.BCEWithLogitsLoss(), "float64"),
    "kl": (lambda out, y: F.kl_div(F.log_softmax(out, 1), y, "batchmean"), "float64"),
    "soft": (lambda out, y: F.cross_entropy(out, F.softmax(y, 1)), "float64"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, dtype = LOSSES[name]
    if isinstance(loss, nn.Module):
        loss.double()
    target = ((4,), dtype) if dtype == "int64" else ((4, 3), dtype)
    twins = Twins(
        lambda g: nn.Sequential(nn.Linear(5, 3, generator=g)),
        lambda p: AdamW(p, lr=0.02),
        (4, 5),
        loss,
        target,
    )
    for _ in range(3):
        twins.step()


def test_schedules_need_no_new_program() -> None:
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: Adam(p, lr=0.1), shape)
    schedules = [StepLR(o, 1, 0.5) for o in (twins.first, twins.second)]
    for _ in range(3):
        twins.step()
        for schedule in schedules:
            schedule.step()
    assert not twins.program.stale()


def test_eager_and_traced_steps_can_take_turns() -> None:
    build, shape = NETWORKS["cnn"]
    twins = Twins(build, lambda p: SGD(p, lr=0.05, momentum=0.9, dampening=0.5), shape)
    for turn in range(4):
        if turn % 2:
            twins.eager, twins.traced = twins.traced, twins.eager
            twins.first, twins.second = twins.second, twins.first
            twins.program = twins.trace()
        twins.step()


def test_a_loaded_state_is_used_by_the_same_program() -> None:
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: AdamW(p, lr=0.05), shape)
    saved = {k: v.data.copy() for k, v in twins.eager.state_dict().items()}
    twins.step()
    state = twins.first.state_dict()
    twins.step()
    for model, optimizer in ((twins.eager, twins.first), (twins.traced, twins.second)):
        model.load_state_dict(saved)
        optimizer.load_state_dict(state)
    assert not twins.program.stale()
    twins.step()


def test_groups_and_frozen_parameters() -> None:
    def build(g: np.random.Generator) -> nn.Module:
        model = lenet5(num_classes=3, input_size=12, generator=g)
        for parameter in model.features.parameters():  # type: ignore[attr-defined]
            parameter.requires_grad = False
        return model

    def optimizer(parameters: Any) -> Optimizer:
        first, *rest = parameters
        return SGD([{"params": [first], "lr": 0.5}, {"params": rest, "momentum": 0.9}], lr=0.1)

    twins = Twins(build, optimizer, NETWORKS["lenet5"][1])
    for _ in range(2):
        twins.step()
    # What is frozen is read and neither differentiated nor written.
    forms = [i for i in twins.program.instructions if i.phase == "backward"]
    assert not any(getattr(i.kind, "name", "") == "conv" for i in forms)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.traced.eval(),
        lambda t: t.traced.features[0].weight.requires_grad_(False),
        lambda t: setattr(t.traced.classifier, "2", nn.Linear(120, 84).double()),
        lambda t: t.second.param_groups[0].update(momentum=0.0),
        lambda t: t.second.add_param_group({"params": Tensor(np.zeros(2))}),
        lambda t: t.traced.float(),
    ],
)
def test_a_program_knows_that_it_is_stale(change: Any) -> None:
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: SGD(p, lr=0.05, momentum=0.9), shape)
    twins.step()
    assert not twins.program.stale()
    change(twins)
    assert twins.program.stale()


def test_targets_are_checked_before_the_step() -> None:
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: SGD(p, lr=0.05), shape)
    x, y = twins.batch()
    y[1] = 7
    before = [p.data.copy() for p in twins.traced.parameters()]
    errors = []
    for run in (
        lambda: F.cross_entropy(twins.eager(Tensor(x)), y),
        lambda: twins.program.step(x=x, y=y),
    ):
        with pytest.raises(ShapeError) as caught:
            run()
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert "target out of range" in errors[0]
    for parameter, kept in zip(twins.traced.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.data, kept)
    with pytest.raises(ShapeError, match=r"input x; expected float64\[3, 1, 12, 12\], got float32"):
        twins.program.step(x=x.astype(np.float32), y=y)


@pytest.mark.parametrize("bounds", [(0.05, None), (None, 1e-3), (0.01, 1e-3), (1e6, 1e6)])
def test_gradients_are_bounded(bounds: tuple[float | None, float | None]) -> None:
    by_norm, by_value = bounds
    build, shape = NETWORKS["lenet5"]
    twins = Twins(build, lambda p: SGD(p, lr=0.5, momentum=0.9), shape)
    twins.program = trace_step(
        twins.traced, twins.loss, twins.second, twins.x, twins.y,
        clip_grad_norm=by_norm, clip_grad_value=by_value,
    )  # fmt: skip
    for _ in range(2):
        x, y = twins.batch()
        loss = twins.loss(twins.eager(Tensor(x)), y)
        twins.first.zero_grad()
        loss.backward()
        if by_value is not None:
            clip_grad_value_(twins.eager.parameters(), by_value)
        if by_norm is not None:
            total = clip_grad_norm_(twins.eager.parameters(), by_norm)
        twins.first.step()
        outputs = twins.program.step(x=x, y=y)
        if by_norm is not None:
            np.testing.assert_allclose(outputs["grad_norm"], total, rtol=1e-12)
        for ours, theirs in zip(twins.traced.parameters(), twins.eager.parameters(), strict=True):
            np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-12, atol=1e-14)


def test_evaluation_and_inference(rng: np.random.Generator) -> None:
    model = resnet20(2, 3, 9, generator=rng)
    model(Tensor(rng.standard_normal((4, 2, 9, 8)).astype(np.float32)))
    model.eval()
    x = rng.standard_normal((3, 2, 9, 8)).astype(np.float32)
    y = np.array([0, 1, 2])
    loss = trace_loss(model, F.cross_entropy, (x.shape, "float32"), (y.shape, "int64"))
    forward = trace_forward(model, (x.shape, "float32"))
    expected = model(Tensor(x))
    assert not loss.writes
    assert not forward.writes
    assert {i.phase for i in (*loss.instructions, *forward.instructions)} == {"forward"}
    np.testing.assert_array_equal(forward.step(x=x)["output"], expected.data)
    outputs = loss.step(x=x, y=y)
    np.testing.assert_array_equal(outputs["output"], expected.data)
    np.testing.assert_array_equal(outputs["loss"], F.cross_entropy(expected, y).data)


def test_the_first_layer_has_no_input_gradient() -> None:
    build, shape = NETWORKS["vgg6"]
    program = Twins(build, lambda p: SGD(p, lr=0.1), shape).program
    (x,) = (value for value in program.of_role("input") if value.name == "x")
    made = [program.value(n).shape for i in program.instructions for n in i.outputs]
    assert x.shape not in made
    convs = [i for i in program.instructions if getattr(i.kind, "name", "") == "conv"]
    assert len(convs) == 6 + 5 + 6


class _Looks(nn.Module):
    def __init__(self, look: Callable[[Tensor], Any]) -> None:
        self.linear = nn.Linear(4, 3)
        self.look = look

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        self.look(y)
        return y


UNBOUND = Tensor(np.ones(3, np.float32), requires_grad=True)


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (lambda y: 1 if y.sum() > 0 else 2, "if, while, and, or, not needs the values of bool"),
        (lambda y: float(y.sum()), r"\.item needs the values of float32\[\]"),
        (lambda y: np.asarray(y), "NumPy needs the values"),
        (lambda y: np.tanh(y.data), "a function of NumPy needs the values"),
        (lambda y: y.data + 1, "arithmetic on the array itself"),
        (lambda y: y.tolist(), r"\.tolist needs"),
        (lambda y: y.data == 3, "a comparison"),
        (lambda y: y[y > 0], "NumPy needs the values of bool|NumPy"),
        (lambda y: y + UNBOUND, "requires a gradient and is no parameter"),
    ],
)
def test_a_look_at_values_names_the_line(look: Any, words: str) -> None:
    model = _Looks(look)
    arrays = [p.data for p in model.parameters()]
    with pytest.raises(TraceError, match=rf"tracing: .*{words}.*test_tracing\.py, line \d+"):
        trace_loss(model, F.cross_entropy, ((2, 4), "float32"), ((2,), "int64"))
    # Whatever happens, the model has its arrays back.
    assert all(p.data is a for p, a in zip(model.parameters(), arrays, strict=True))


def test_a_kept_value_of_a_trace_is_refused() -> None:
    kept: list[Tensor] = []
    model = _Looks(kept.append)
    given = ((2, 4), "float32")
    trace_forward(model, given)
    with pytest.raises(TraceError, match="NumPy"):
        F.relu(kept[0])
    assert repr(kept[0]) == "tensor(%5 float32[2, 3])"
    model.look = lambda y: y + kept[0]
    with pytest.raises(TraceError, match=r"a value of another trace.*test_tracing\.py"):
        trace_forward(model, given)


def test_the_default_generator_is_where_eager_training_left_it() -> None:
    build, shape = NETWORKS["cnn"]
    twins = Twins(build, SGD, shape)
    keys = [v for v in twins.program.of_role("scalar") if v.dtype == np.uint64]
    assert [v.name for v in keys] == ["dropout key", "dropout key"]
    before = default_generator().bit_generator.state
    twins.trace()
    assert default_generator().bit_generator.state == before
