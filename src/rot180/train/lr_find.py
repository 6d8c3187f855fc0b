"""The learning-rate range test: raise the rate batch by batch and watch where the loss falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import generator_state, set_generator_state
from rot180.errors import ArgumentError
from rot180.ops import cross_entropy
from rot180.train.modes import as_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rot180.nn import Module
    from rot180.train.evaluation import Batches, Loss

__all__ = ["LRCurve", "lr_find"]


@dataclass(frozen=True)
class LRCurve:
    """What a range test found.

    Attributes:
        rates: the learning rates tried, ascending.
        losses: the loss of the batch at each of them, smoothed.
        suggestion: where the loss falls fastest; a good peak for a schedule.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def lr_find(
    model: Module,
    optimizer: Any,
    batches: Batches,
    *,
    loss: Loss = cross_entropy,
    start_lr: float = 1e-6,
    end_lr: float = 1.0,
    num_steps: int = 100,
    smoothing: float = 0.9,
) -> LRCurve:
    """Find a learning rate by trying: from small to large in equal ratios, one batch each.

    Model, optimiser, random state and loader are afterwards as before. The test ends early when
    the loss is four times its best, or not finite.

    Args:
        model: to be trained.
        optimizer: of its parameters.
        batches: training data, gone through as often as needed.
        loss: (output, y) to a scalar.
        start_lr: the first rate, above 0.
        end_lr: the last rate.
        num_steps: how many batches, at least 5.
        smoothing: share of the past in the running mean of the loss, from 0 to below 1.

    Raises:
        ArgumentError: an argument outside its values; no batch.

    Source: L. N. Smith, Cyclical learning rates for training neural networks, 2017.
    """
    if not 0 < start_lr < end_lr or num_steps < 5 or not 0 <= smoothing < 1:
        raise ArgumentError(
            "lr_find",
            expected="0 < start_lr < end_lr, num_steps >= 5, 0 <= smoothing < 1",
            got=f"{start_lr}, {end_lr}, {num_steps}, {smoothing}",
        )
    if not len(batches):
        raise ArgumentError("lr_find: there is no batch")
    loader = batches.state_dict() if hasattr(batches, "state_dict") else None
    weights = {name: np.array(value) for name, value in model.state_dict().items()}
    kept, random, training = optimizer.state_dict(), generator_state(), model.training
    rates = [float(rate) for rate in np.geomspace(start_lr, end_lr, num_steps)]
    losses: list[float] = []
    running = 0.0
    try:
        model.train()
        with np.errstate(all="ignore"):
            for rate, (x, y) in zip(rates, _forever(batches), strict=False):
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                value = loss(model(as_input(x, model)), y)
                running = smoothing * running + (1 - smoothing) * float(value.item())
                smooth = running / (1 - smoothing ** (len(losses) + 1))
                if not math.isfinite(smooth) or (losses and smooth > 4 * min(losses)):
                    break
                losses.append(smooth)
                value.backward()
                optimizer.step()
    finally:
        optimizer.zero_grad()
        model.load_state_dict(weights)
        model.train(training)
        optimizer.load_state_dict(kept)
        set_generator_state(random)
        if loader is not None:
            batches.load_state_dict(loader)  # type: ignore[attr-defined]
    if len(losses) < 2:
        raise ArgumentError(
            "lr_find: the loss exploded at once", rule=f"start lower than {start_lr:g}"
        )
    slopes = np.gradient(np.array(losses))
    # behind the lowest point the loss only comes back
    lowest = max(int(np.argmin(losses)), 1)
    steepest = int(np.argmin(slopes[:lowest]))
    return LRCurve(tuple(rates[: len(losses)]), tuple(losses), rates[steepest])


def _forever(batches: Batches) -> Iterator[tuple[Any, Any]]:
    while True:
        yield from batches
