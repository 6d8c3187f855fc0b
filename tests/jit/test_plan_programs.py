"""Whole steps of random small networks: compiled, under guard, against the reference reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE
from programs import compared, random_model

import rot180 as rt
from rot180 import nn, optim
from rot180.jit.emission.target import TARGETS
from rot180.nn.functional import cross_entropy
from rot180.train.tracing import trace_forward, trace_loss, trace_step

BATCHES = (1, 2, 5, 16, 19, 40)
BOUNDS = {"float64": 1e-10, "float32": 1e-3}


def step_of(seed: int) -> None:
    """One network, batch, data type and number of threads that follow from the seed."""
    rng = np.random.default_rng(seed)
    rt.manual_seed(seed)
    dtype, axes = ("float64", "float32")[seed % 2], (2, 2, 1, 2, 3)[seed % 5]
    model, shape = random_model(rng, axes, dtype)
    n = BATCHES[seed % 6]
    if n == 1 and any("BatchNorm" in type(m).__name__ for m in model.modules()):
        n = 3
    move = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = rng.standard_normal((n, *shape)).astype(dtype), rng.integers(0, 4, n)
    program = trace_step(model, cross_entropy, move, (x.shape, dtype), (y.shape, y.dtype))
    compared(program, 1 + seed // 2 % 2, {"x": x, "y": y}, BOUNDS[dtype])


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int) -> None:
    step_of(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 60))
def test_more_random_networks(seed: int) -> None:
    step_of(seed)


def small(dtype: str) -> Any:
    rt.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(128, 3),
    ).to(dtype)  # fmt: skip


@pytest.mark.parametrize("n", BATCHES[1:])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("what", ["predict", "evaluate"])
def test_evaluation(what: str, parts: int, n: int, rng: np.random.Generator) -> None:
    model = small("float64").eval()
    x, y = rng.standard_normal((n, 2, 8, 8)), rng.integers(0, 3, n)
    if what == "predict":
        program, given = trace_forward(model, (x.shape, x.dtype)), {"x": x}
    else:
        program = trace_loss(model, cross_entropy, (x.shape, x.dtype), (y.shape, y.dtype))
        given = {"x": x, "y": y}
    compared(program, parts, given, 1e-10)


@pytest.mark.parametrize(
    "move",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
        lambda p: optim.Adam(p, lr=0.01),
        lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ],
)
@pytest.mark.parametrize("clip", [None, 0.01])
def test_updates(clip: float | None, move: Any, rng: np.random.Generator) -> None:
    rt.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).to("float64")
    x, y = rng.standard_normal((11, 2, 8, 8)), rng.integers(0, 3, 11)
    program = trace_step(
        model, cross_entropy, move(model.parameters()), (x.shape, x.dtype), (y.shape, y.dtype),
        clip_grad_norm=clip,
    )  # fmt: skip
    compared(program, 2, {"x": x, "y": y}, 1e-10)


def test_lanes_that_no_image_fills_stay_harmless(rng: np.random.Generator) -> None:
    """An operation that makes infinities of zeros, between two sums over images."""

    class Logs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 3, 1, bias=False), nn.Conv2d(3, 2, 3)

        def forward(self, x: Any) -> Any:
            return self.second(rt.log(self.first(x * x).abs())).flatten(1)

    rt.manual_seed(2)
    model = Logs().to("float64")
    move = optim.SGD(model.parameters(), lr=0.1)
    x, y = rng.standard_normal((5, 1, 4, 4)), rng.integers(0, 8, 5)
    program = trace_step(model, cross_entropy, move, (x.shape, x.dtype), (y.shape, y.dtype))
    compared(program, 2, {"x": x, "y": y}, 1e-10)


@pytest.mark.parametrize("n", [3, 19, 128])
@pytest.mark.parametrize("precision", ["fast", "direct"])
def test_precision(precision: str, n: int, rng: np.random.Generator) -> None:
    rt.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(32 * 16, 5),
    )  # fmt: skip
    move = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = rng.standard_normal((n, 3, 12, 12)).astype(np.float32)
    y = rng.integers(0, 5, n)
    program = trace_step(model, cross_entropy, move, (x.shape, x.dtype), (y.shape, y.dtype))
    compared(
        program, 2, {"x": x, "y": y}, 2e-4 if precision == "fast" else 2e-5, precision=precision
    )


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("n", [1, 5, 19])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_processor_runs_a_step(
    dtype: str, n: int, target: str, rng: np.random.Generator
) -> None:
    model = small(dtype)
    move = optim.AdamW(model.parameters(), lr=0.01, eps=1e-3)
    x, y = rng.standard_normal((n, 2, 8, 8)).astype(dtype), rng.integers(0, 3, n)
    program = trace_step(model, cross_entropy, move, (x.shape, dtype), (y.shape, y.dtype))
    compared(program, 2, {"x": x, "y": y}, BOUNDS[dtype], target=TARGETS[target])
