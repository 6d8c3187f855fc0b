"""The learning-rate range test: what it suggests, and that it leaves no trace."""

import numpy as np
import pytest

from rot180 import nn
from rot180.core import generator_state, manual_seed
from rot180.data import DataLoader, digits
from rot180.errors import ArgumentError
from rot180.optim import SGD, Adam
from rot180.train import lr_find


def parts(optimizer):
    manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)
    )
    loader = DataLoader(digits("train"), batch_size=64, shuffle=True, generator=1)
    return model, optimizer(model.parameters()), loader


@pytest.mark.parametrize("optimizer", [lambda p: SGD(p, lr=0.3, momentum=0.9), Adam])
def test_everything_is_as_before(optimizer):
    model, made, loader = parts(optimizer)
    before = (
        {name: np.array(value) for name, value in model.state_dict().items()},
        made.state_dict(),
        generator_state(),
        loader.state_dict(),
    )
    curve = lr_find(model, made, loader, num_steps=40)
    after = {name: np.array(value) for name, value in model.state_dict().items()}
    assert all(np.array_equal(before[0][name], after[name]) for name in after)
    assert made.state_dict() == before[1]
    assert generator_state() == before[2]
    assert loader.state_dict() == before[3]
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len(curve.rates) == len(curve.losses)


def test_the_suggestion_learns_and_the_curve_falls():
    model, made, loader = parts(lambda p: SGD(p, lr=1e-3))
    curve = lr_find(model, made, loader, start_lr=1e-5, end_lr=100.0, num_steps=80)
    assert 1e-3 < curve.suggestion < 10
    assert min(curve.losses) < 0.7 * curve.losses[0]
    assert list(curve.rates) == sorted(curve.rates)


def test_an_explosion_ends_the_test_early():
    model, made, loader = parts(lambda p: SGD(p, lr=1e-3))
    curve = lr_find(model, made, loader, start_lr=1e-4, end_lr=1e30, num_steps=60)
    assert len(curve.rates) < 60


def test_wrong_arguments():
    model, made, loader = parts(Adam)
    for options in ({"start_lr": 0}, {"start_lr": 2.0}, {"num_steps": 3}, {"smoothing": 1.0}):
        with pytest.raises(ArgumentError, match="lr_find"):
            lr_find(model, made, loader, **options)
    with pytest.raises(ArgumentError, match="no batch"):
        lr_find(model, made, [])
