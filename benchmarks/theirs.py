"""PyTorch's side of the benchmarks, the fastest that its users write: see `turns`.

The optimiser is the fused one, gradients are dropped and not zeroed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from benchmarks.networks import INPUTS, images, twin

__all__ = ["convolution", "inference", "set_threads", "training"]

Work = tuple[Callable[[], object], int]

RATE = 1e-5

set_threads = torch.set_num_threads


def _format(channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.contiguous_format


def _network(name: str, memory: torch.memory_format, weights: Any) -> Any:
    channels, size = INPUTS[name]
    torch.manual_seed(0)
    model = twin(name, channels, 10, size)
    if weights is not None:
        model.load_state_dict({key: torch.tensor(array) for key, array in weights.items()})
    return model.to(memory_format=memory)


def training(
    name: str, batch: int, channels_last: bool = False, compiled: bool = False,
    weights: dict[str, np.ndarray] | None = None,
) -> Work:  # fmt: skip
    """A training step, whose value is the loss."""
    memory = _format(channels_last)
    model = _network(name, memory, weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, fused=True)
    x, y = images(name, batch)
    inputs, targets = torch.tensor(x).to(memory_format=memory), torch.tensor(y)

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(x), y)

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(inputs, targets)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step, 1


def inference(
    name: str, batch: int, channels_last: bool = False, compiled: bool = False,
    weights: dict[str, np.ndarray] | None = None,
) -> Work:  # fmt: skip
    """The logits of a batch, in evaluation mode and inference mode."""
    memory = _format(channels_last)
    model = _network(name, memory, weights).eval()
    predict = torch.compile(model, dynamic=False) if compiled else model
    inputs = torch.tensor(images(name, batch)[0]).to(memory_format=memory)

    def logits() -> np.ndarray:
        with torch.inference_mode():
            return predict(inputs).numpy()

    return logits, 1


def convolution(
    what: str, batch: int, channels: int, filters: int, size: int, kernel: int,
    stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
    channels_last: bool = False,
) -> Work:  # fmt: skip
    """A convolution ("forward") or a gradient of it ("dx", "dw"), all operands in one format."""
    memory = _format(channels_last)
    rng = np.random.default_rng(0)

    def given(*shape: int) -> torch.Tensor:
        array = rng.standard_normal(shape).astype(np.float32)
        return torch.tensor(array).to(memory_format=memory)

    x, w = (
        given(batch, channels, size, size),
        given(filters, channels // groups, kernel, kernel),
    )
    moves = ([stride] * 2, [padding] * 2, [dilation] * 2)
    z = torch.nn.functional.conv2d(x, w, None, *moves, groups)
    if what == "forward":

        def forward() -> object:
            with torch.inference_mode():
                return torch.nn.functional.conv2d(x, w, None, *moves, groups)

        return forward, 1
    g = given(*z.shape)
    mask = [what == "dx", what == "dw", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(g, x, w, None, *moves, False, [0, 0], groups, mask), 1
