import json
import warnings

import numpy as np
import pytest

from rot180.core import tensor
from rot180.errors import ArgumentError
from rot180.optim import (
    SGD,
    Adam,
    CosineAnnealingLR,
    LinearWarmup,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def two_groups(kind=SGD, **options):
    parts = [{"params": tensor(np.zeros(2), requires_grad=True)} for _ in range(2)]
    parts[1]["lr"] = 0.03
    return kind(parts, lr=0.1, **options)


def torch_groups(torch, kind="SGD", **options):
    parts = [{"params": [torch.zeros(2, requires_grad=True)]} for _ in range(2)]
    parts[1]["lr"] = 0.03
    return getattr(torch.optim, kind)(parts, lr=0.1, **options)


def settings(optimizer):
    return [(g["lr"], g.get("momentum", 0), *g.get("betas", ())) for g in optimizer.param_groups]


PURE = {
    "step": (StepLR, "StepLR", {"step_size": 3, "gamma": 0.5}),
    "multistep": (MultiStepLR, "MultiStepLR", {"milestones": [7, 2, 4], "gamma": 0.3}),
    "cosine": (CosineAnnealingLR, "CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    "warmup": (LinearWarmup, "LinearLR", {"total_iters": 6, "start_factor": 0.2}),
    "onecycle": (OneCycleLR, "OneCycleLR", {"max_lr": 0.5, "total_steps": 14}),
    "onecycle linear": (
        OneCycleLR,
        "OneCycleLR",
        {"max_lr": [0.5, 0.2], "epochs": 7, "steps_per_epoch": 2, "anneal_strategy": "linear"},
    ),
}


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_schedules_follow_pytorch(name, kind):
    torch = pytest.importorskip("torch")
    ours, theirs, options = PURE[name]
    optimizer = two_groups(kind)
    oracle = torch_groups(torch, kind.__name__)
    schedule = ours(optimizer, **options)
    reference = getattr(torch.optim.lr_scheduler, theirs)(oracle, **options)
    np.testing.assert_allclose(settings(optimizer), settings(oracle), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants its own step() in between
        for _ in range(13):
            schedule.step()
            reference.step()
            np.testing.assert_allclose(settings(optimizer), settings(oracle), rtol=1e-12)
    assert schedule.get_last_lr() == [g["lr"] for g in optimizer.param_groups]


def test_a_sequence_warms_up_and_cools_down():
    optimizer = two_groups()
    warm = LinearWarmup(optimizer, total_iters=4, start_factor=0.25)
    cool = CosineAnnealingLR(optimizer, T_max=6)
    schedule = SequentialLR(optimizer, [warm, cool], milestones=[4])
    seen = [schedule.get_last_lr()[0]]
    for _ in range(10):
        schedule.step()
        seen.append(schedule.get_last_lr()[0])
    np.testing.assert_allclose(seen[:5], [0.025, 0.04375, 0.0625, 0.08125, 0.1])
    np.testing.assert_allclose(seen[4:], [0.05 * (1 + np.cos(np.pi * t / 6)) for t in range(7)],
                               atol=1e-15)  # fmt: skip


@pytest.mark.parametrize("name", [*PURE, "sequence"])
def test_a_restored_schedule_continues_with_the_same_bits(name):
    def make(optimizer):
        if name == "sequence":
            parts = [LinearWarmup(optimizer), StepLR(optimizer, 2)]
            return SequentialLR(optimizer, parts, [5])
        kind, _, options = PURE[name]
        return kind(optimizer, **options)

    first = two_groups()
    schedule = make(first)
    for _ in range(5):
        schedule.step()
    second = two_groups()
    again = make(second)
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    assert settings(first) == settings(second)
    for _ in range(6):
        schedule.step()
        again.step()
        assert settings(first) == settings(second)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1, "factor": 0.5},
        {"patience": 0, "cooldown": 2, "min_lr": 0.01},
        {"mode": "max", "patience": 1, "threshold": 0.1},
        {"threshold_mode": "abs", "threshold": 0.2, "patience": 1},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.2, "patience": 1},
    ],
)
def test_plateau_follows_pytorch(rng, options):
    torch = pytest.importorskip("torch")
    optimizer, oracle = two_groups(), torch_groups(torch)
    schedule = ReduceLROnPlateau(optimizer, **options)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(oracle, **options)
    for metric in [*(1 + rng.random(20)), float("nan"), 0.5, 0.5, 0.4]:
        schedule.step(metric)
        reference.step(metric)
        assert settings(optimizer) == settings(oracle)
        assert schedule.num_bad_epochs == reference.num_bad_epochs


def test_a_restored_plateau_continues():
    first, second = two_groups(), two_groups()
    schedule = ReduceLROnPlateau(first, patience=3)
    for _ in range(3):
        schedule.step(1.0)
    again = ReduceLROnPlateau(second, patience=3)
    again.load_state_dict(schedule.state_dict())
    for _ in range(3):
        schedule.step(1.0)
        again.step(1.0)
        assert settings(first) == settings(second)
    with pytest.raises(ArgumentError, match="'best' is missing"):
        again.load_state_dict({})


def test_loops_know_when_to_step():
    optimizer = two_groups()
    assert StepLR(optimizer, 1).interval == "epoch"
    assert OneCycleLR(optimizer, 0.1, total_steps=3).interval == "batch"
    assert ReduceLROnPlateau(optimizer).needs_metric
    assert not StepLR(optimizer, 1).needs_metric


def test_bad_settings_are_refused():
    optimizer = two_groups()
    for make, message in [
        (lambda: StepLR(optimizer, 0), "StepLR: step_size is out of range; expected >= 1, got 0"),
        (lambda: CosineAnnealingLR(optimizer, 0), "CosineAnnealingLR: T_max"),
        (lambda: LinearWarmup(optimizer, start_factor=0.0), "start_factor"),
        (lambda: OneCycleLR(optimizer, 0.1), "total_steps, or epochs and steps_per_epoch"),
        (lambda: OneCycleLR(optimizer, 0.1, 9, anneal_strategy="up"), "cos or linear"),
        (lambda: OneCycleLR(optimizer, [0.1], 9), "expected 2 values, got 1"),
        (lambda: OneCycleLR(optimizer, 0.1, 9, pct_start=2.0), "pct_start"),
        (lambda: ReduceLROnPlateau(optimizer, factor=1.0), "factor"),
        (lambda: ReduceLROnPlateau(optimizer, mode="up"), "mode"),
        (lambda: SequentialLR(optimizer, [StepLR(optimizer, 1)], [1]), "0 ascending steps"),
        (lambda: StepLR(optimizer, 1).load_state_dict({}), "last_epoch and base_lrs"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            make()
    over = OneCycleLR(optimizer, 0.1, total_steps=2)
    over.step()
    over.step()
    with pytest.raises(ArgumentError, match="the cycle is over; expected at most 2 steps, got 3"):
        over.step()
