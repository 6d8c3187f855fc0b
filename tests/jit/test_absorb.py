"""Absorption: sums and products for each channel leave the program, and its results stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import compared

import rot180 as rt
from rot180 import nn
from rot180.jit.planning.absorb import absorbed
from rot180.train.tracing import trace_forward

LAYERS = {
    "conv": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "conv without bias": lambda: nn.Conv2d(4, 6, 3, bias=False),
    "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4),
    "twice each": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "one filter": lambda: nn.Conv2d(4, 1, 3),
    "strided": lambda: nn.Conv2d(4, 6, 3, stride=2),
    "1×1": lambda: nn.Conv2d(4, 6, 1),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 2, stride=2),
    "transposed in groups": lambda: nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2),
}


def norm(channels: int, **settings: Any) -> nn.Module:
    """A batch norm that has seen something, in evaluation mode."""
    made = nn.BatchNorm2d(channels, **settings)
    rng = np.random.default_rng(channels)
    for tensor in (*made.parameters(), *made.buffers()):
        if tensor.dtype.kind == "f":
            tensor.data[...] = rng.random(tensor.shape) + 0.5
    return made.eval()


def traced(model: Any, n: int = 5) -> Any:
    return trace_forward(model.eval(), ((n, 4, 8, 8), np.dtype("float64")))


def maps_over_images(program: Any, n: int = 5) -> list[str]:
    made = {i.outputs[0]: i for i in program.instructions}
    return [
        i.kind.name
        for number, i in made.items()
        if i.kind.name in ("sub", "mul", "add") and program.value(number).shape[:1] == (n,)
    ]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_batch_norm_goes_into_the_weights(layer: str, affine: bool) -> None:
    rt.manual_seed(0)
    first = LAYERS[layer]()
    channels = first.out_channels
    model = nn.Sequential(first, norm(channels, affine=affine), nn.ReLU()).to("float64")
    program = traced(model)
    after = absorbed(program).check()
    kept = {"one filter": 1, "transposed in groups": 1}.get(layer, 0)
    found = maps_over_images(after)
    if not kept:
        assert found == ["add"], found
    x = np.random.default_rng(1).standard_normal((5, 4, 8, 8))
    compared(program, 1, {"x": x}, 1e-10)


def test_a_linear_layer_takes_it_up_too(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(7, 6), nn.BatchNorm1d(6)).to("float64").eval()
    for buffer in model.buffers():
        if buffer.dtype.kind == "f":
            buffer.data[...] = rng.random(buffer.shape) + 0.5
    program = trace_forward(model, ((20, 7), np.dtype("float64")))
    assert maps_over_images(absorbed(program), 20) == ["add"]
    compared(program, 1, {"x": rng.standard_normal((20, 7))}, 1e-10)


def test_a_result_that_others_read_stays() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), norm(4)

        def forward(self, x: Any) -> Any:
            z = self.conv(x)
            return self.norm(z) + z

    program = traced(Both().to("float64"))
    assert absorbed(program) is program


def test_a_bias_alone_changes_nothing() -> None:
    program = traced(nn.Sequential(nn.Conv2d(4, 6, 3)).to("float64"))
    assert absorbed(program) is program


def test_what_is_taken_from_a_number_stays(rng: np.random.Generator) -> None:
    """Its sign is another: c − z is not z − c."""

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)
            self.level = nn.Parameter(rng.standard_normal((4, 1, 1)))

        def forward(self, x: Any) -> Any:
            return (self.level - self.conv(x)) * self.level

    program = traced(Turned().to("float64"))
    assert absorbed(program) is program
    compared(program, 1, {"x": rng.standard_normal((5, 4, 8, 8))}, 1e-10)
