"""How long a compiled step takes on this machine, and why: its plan and where its time goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import ArgumentError
from rot180.ops import cross_entropy
from rot180.train.step import Eager, compile

if TYPE_CHECKING:
    from rot180.jit import Plan
    from rot180.nn import Module

__all__ = ["Measured", "measure_step"]


@dataclass(frozen=True)
class Measured:
    """What was measured of one model on random images.

    Attributes:
        first: seconds of the first step, which makes (or loads) the code.
        step: seconds of each later training step.
        evaluate: seconds of each evaluation of such a batch.
        shares: (task, kernel, share of the step's time), in order.
        plan: the plan of the step.
    """

    first: float
    step: tuple[float, ...]
    evaluate: tuple[float, ...]
    shares: tuple[tuple[str, str, float], ...]
    plan: Plan


def measure_step(
    model: Module,
    optimizer: Any,
    shape: tuple[int, ...],
    classes: int,
    *,
    seconds: float = 2.0,
    precision: str = "fast",
) -> Measured:
    """Time training steps and evaluations on random images.

    Args:
        model: trained as it is measured.
        optimizer: of its parameters.
        shape: (N, C, spatial...) of a batch.
        classes: how many scores the model gives.
        seconds: how long to measure each of the two (three steps at least).
        precision: as for `compile`.

    Raises:
        ArgumentError: llvmlite is not installed, so there is nothing compiled to measure.
        ShapeError: images that do not fit the model.
        TraceError: a model that cannot be compiled; names the line.
    """
    compiled = compile(model, cross_entropy, optimizer, precision=precision)
    if isinstance(compiled, Eager):
        raise ArgumentError("bench: nothing is compiled, for llvmlite is not installed")
    draw = np.random.default_rng(0)
    x = draw.random(shape, np.float32)
    y = draw.integers(0, classes, shape[0])
    model.train()
    first = _time(lambda: compiled(x, y))
    runner = compiled.runner("step", x, y)
    totals: dict[int, float] = {}

    def step() -> None:
        compiled(x, y)
        for at, (_, _, share) in enumerate(runner.profile()):
            totals[at] = totals.get(at, 0.0) + share

    steps = _repeat(lambda: compiled(x, y), seconds)
    for _ in range(min(20, len(steps))):
        step()
    whole = sum(totals.values()) or 1.0
    shares = tuple(
        (task, kernel, totals[at] / whole) for at, (task, kernel, _) in enumerate(runner.profile())
    )
    compiled.evaluate(x, y)
    evaluations = _repeat(lambda: compiled.evaluate(x, y), seconds)
    return Measured(first, steps, evaluations, shares, runner.plan)


def _time(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _repeat(work: Any, seconds: float) -> tuple[float, ...]:
    until, found = time.perf_counter() + seconds, list[float]()
    while len(found) < 3 or time.perf_counter() < until:
        found.append(_time(work))
    return tuple(found)
