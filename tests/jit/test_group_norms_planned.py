"""Group, layer and instance norm in whole steps: one kernel each way, results as by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import compared

import rot180 as rt
from rot180 import nn, optim
from rot180.nn.functional import cross_entropy
from rot180.train.tracing import trace_forward, trace_step

NORMS: dict[str, Any] = {
    "group": lambda: (nn.GroupNorm(2, 8), nn.ReLU()),
    "group without weights": lambda: (nn.GroupNorm(4, 8, affine=False),),
    "instance": lambda: (nn.InstanceNorm2d(8, affine=True), nn.ReLU()),
    "instance without weights": lambda: (nn.InstanceNorm2d(8),),
    "layer": lambda: (nn.LayerNorm((8, 6, 6)), nn.ReLU()),
    "layer without weights": lambda: (nn.LayerNorm((8, 6, 6), elementwise_affine=False),),
}


def network(norm: str, dtype: str) -> Any:
    rt.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), *NORMS[norm](), nn.Conv2d(8, 4, 3, padding=1), nn.Flatten(),
        nn.Linear(144, 4),
    ).to(dtype)  # fmt: skip


def arrays(n: int, dtype: str, rng: np.random.Generator) -> dict[str, Any]:
    x = rng.standard_normal((n, 3, 8, 8)).astype(dtype)
    return {"x": x, "y": rng.integers(0, 4, n)}


def step(model: Any, given: dict[str, Any]) -> Any:
    move = optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1, momentum=0.9)
    specs = [(a.shape, a.dtype) for a in given.values()]
    return trace_step(model, cross_entropy, move, *specs)


def titles(plan: Any) -> list[str]:
    return [task.title for task in plan.tasks if "norm" in task.title or "generic" in task.title]


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("n", "dtype"), [(3, "float64"), (20, "float32"), (40, "float64")])
@pytest.mark.parametrize("norm", NORMS)
def test_steps(norm: str, n: int, dtype: str, parts: int, rng: np.random.Generator) -> None:
    model, given = network(norm, dtype), arrays(n, dtype, rng)
    bound = 1e-10 if dtype == "float64" else 1e-3
    plan = compared(step(model, given), parts, given, bound)
    word = f"{norm.split()[0]} norm"
    rectified = " + relu" if len(NORMS[norm]()) == 2 else ""
    assert titles(plan) == [word + rectified, f"gradient of {word}"]


@pytest.mark.parametrize("norm", NORMS)
def test_predictions(norm: str, rng: np.random.Generator) -> None:
    model = network(norm, "float64").eval()
    x = rng.standard_normal((20, 3, 8, 8))
    compared(trace_forward(model, (x.shape, x.dtype)), 2, {"x": x}, 1e-10)


@pytest.mark.parametrize("shape", [(20, 12), (20, 5, 12)])
def test_a_layer_norm_of_the_last_axis(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    rt.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(12, 12), nn.LayerNorm(12), nn.ReLU(), nn.Flatten(),
        nn.Linear(int(np.prod(shape[1:])), 4),
    )  # fmt: skip
    given = {"x": rng.standard_normal(shape), "y": rng.integers(0, 4, shape[0])}
    compared(step(model.to("float64"), given), 2, given, 1e-10)


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kept", ["weight", "bias"])
def test_one_parameter_is_frozen(norm: str, kept: str, rng: np.random.Generator) -> None:
    model, given = network(norm, "float64"), arrays(20, "float64", rng)
    getattr(model[1], kept).requires_grad = False
    compared(step(model, given), 2, given, 1e-10)


def test_a_residual_reads_what_was_normalised(rng: np.random.Generator) -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)
            self.out = nn.Linear(288, 4)

        def forward(self, x: Any) -> Any:
            z = self.conv(x)
            return self.out((self.norm(z).relu() + z).flatten(1))

    rt.manual_seed(0)
    model, given = Around().to("float64"), arrays(20, "float64", rng)
    plan = compared(step(model, given), 2, given, 1e-10)
    assert "group norm + relu" in titles(plan)
