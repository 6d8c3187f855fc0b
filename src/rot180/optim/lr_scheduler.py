"""Schedules: the learning rate as a pure function of the number of steps taken.

Because nothing is accumulated, a schedule resumes exactly and may be composed (`SequentialLR`).
A schedule is set up after its optimiser and stepped after it, per epoch or per batch as wished.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rot180.errors import ArgumentError
from rot180.optim.optimizer import Group, Optimizer, at_least

__all__ = [
    "CosineAnnealingLR",
    "LRScheduler",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "SequentialLR",
    "StepLR",
]


class LRScheduler:
    """Writes `rate(base, epoch)` into every parameter group, at once and after each `step()`.

    Args:
        optimizer: its groups' learning rates at this moment (`initial_lr` where another schedule
            was here before) are the bases.

    Attributes:
        last_epoch: how often `step` was called.
        base_lrs: the learning rates the schedule starts from, one per group.
        interval: after what a training loop should call `step`: an "epoch" or a "batch".
        needs_metric: whether `step` takes a metric.
    """

    interval: ClassVar[str] = "epoch"
    needs_metric: ClassVar[bool] = False

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.last_epoch = 0
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.apply(0)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps, for a group that starts from `base`."""
        raise NotImplementedError

    def apply(self, epoch: int) -> None:
        """Write the settings of step `epoch` into the groups."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, epoch)

    def step(self) -> None:
        """Go on by one."""
        self.last_epoch += 1
        self.apply(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rates now in force, one per group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, as plain JSON-able values."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; the learning rates are written again.

        Raises:
            ArgumentError: a state of other groups, or no state of a schedule.
        """
        name = f"{type(self).__name__}.load_state_dict"
        if not {"last_epoch", "base_lrs"} <= state_dict.keys():
            raise ArgumentError(name, expected="last_epoch and base_lrs", got=repr([*state_dict]))
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ArgumentError(
                f"{name}: number of groups",
                expected=str(len(self.base_lrs)),
                got=str(len(state_dict["base_lrs"])),
            )
        self.base_lrs = [float(base) for base in state_dict["base_lrs"]]
        self.last_epoch = int(state_dict["last_epoch"])
        self.apply(self.last_epoch)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ArgumentError(f"{name} is out of range", expected=">= 1", got=repr(value))
    return value


class StepLR(LRScheduler):
    """base · gamma^⌊epoch / step_size⌋.

    Args:
        optimizer: whose learning rates are set.
        step_size: steps between two reductions, at least 1.
        gamma: the factor of one reduction.

    >>> from rot180.core import tensor
    >>> from rot180.optim import SGD
    >>> schedule = StepLR(SGD([tensor([0.0], requires_grad=True)], lr=1.0), step_size=2)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = _positive("StepLR: step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps."""
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """base · gamma^(number of milestones reached).

    Args:
        optimizer: whose learning rates are set.
        milestones: the steps at which to reduce.
        gamma: the factor of one reduction.
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps."""
        return base * self.gamma ** bisect_right(self.milestones, epoch)


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base − eta_min) · (1 + cos(π·epoch/T_max)) / 2.

    Loshchilov and Hutter, "SGDR", 2017, without restarts.

    Args:
        optimizer: whose learning rates are set.
        T_max: steps from the base down to `eta_min`, at least 1.
        eta_min: the lowest learning rate.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = _positive("CosineAnnealingLR: T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps."""
        return _cosine(base, self.eta_min, epoch / self.T_max)


class LinearWarmup(LRScheduler):
    """base · (start_factor + (1 − start_factor) · min(epoch / total_iters, 1)).

    PyTorch's `LinearLR` with end factor 1.

    Args:
        optimizer: whose learning rates are set.
        total_iters: steps until the base is reached, at least 1.
        start_factor: the part of the base to start with, above 0 and at most 1.
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, start_factor: float = 1.0 / 3
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ArgumentError(
                "LinearWarmup: start_factor", expected="0 < value <= 1", got=repr(start_factor)
            )
        self.total_iters = _positive("LinearWarmup: total_iters", total_iters)
        self.start_factor = start_factor
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps."""
        done = min(epoch / self.total_iters, 1.0)
        return base * (self.start_factor + (1.0 - self.start_factor) * done)


class SequentialLR(LRScheduler):
    """One schedule after the other, each counting from 0: for instance warm-up, then cosine.

    Args:
        optimizer: whose learning rates are set; the same one that the schedules were made for.
        schedulers: the schedules in their order.
        milestones: the steps at which the next one takes over, ascending, one fewer.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ) -> None:
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(set(milestones)):
            raise ArgumentError(
                "SequentialLR: milestones",
                expected=f"{len(schedulers) - 1} ascending steps for {len(schedulers)} schedules",
                got=repr(list(milestones)),
            )
        for schedule in schedulers:
            if schedule.optimizer is not optimizer:
                raise ArgumentError("SequentialLR: a schedule belongs to another optimiser")
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        super().__init__(optimizer)

    def apply(self, epoch: int) -> None:
        """Let the schedule whose turn it is write the settings of step `epoch`."""
        turn = bisect_right(self.milestones, epoch)
        start = self.milestones[turn - 1] if turn else 0
        self.schedulers[turn].apply(epoch - start)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule and its parts stand."""
        parts = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": parts}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        for schedule, part in zip(self.schedulers, state_dict["schedulers"], strict=True):
            schedule.load_state_dict(part)
        super().load_state_dict(state_dict)


class OneCycleLR(LRScheduler):
    """From max_lr/div_factor up to max_lr and down to 1/final_div_factor of the start, once.

    Momentum (or β₁) goes the opposite way. Smith and Topin, "Super-convergence", 2019. To be
    stepped after every batch.

    Args:
        optimizer: whose learning rates and momentum are set.
        max_lr: the peak, one number or one per group.
        total_steps: length of the cycle; or leave it out and give
        epochs, steps_per_epoch: whose product it is.
        pct_start: the part of the cycle that goes up, between 0 and 1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum takes part.
        base_momentum, max_momentum: the bounds of momentum.
        div_factor: peak over start.
        final_div_factor: start over end.

    Raises:
        ArgumentError: a length that is not given, or a setting out of range; a step beyond the end.
    """

    interval = "batch"

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError(
                    "OneCycleLR: length", expected="total_steps, or epochs and steps_per_epoch"
                )
            total_steps = epochs * steps_per_epoch
        if not 0 <= pct_start <= 1:
            raise ArgumentError("OneCycleLR: pct_start", expected="0 to 1", got=repr(pct_start))
        if anneal_strategy not in _STRATEGIES:
            raise ArgumentError(
                "OneCycleLR: anneal_strategy",
                expected=" or ".join(_STRATEGIES),
                got=repr(anneal_strategy),
            )
        peaks = (
            list(max_lr) if isinstance(max_lr, Sequence) else [max_lr] * len(optimizer.param_groups)
        )
        if len(peaks) != len(optimizer.param_groups):
            raise ArgumentError(
                "OneCycleLR: max_lr",
                expected=f"{len(optimizer.param_groups)} values",
                got=str(len(peaks)),
            )
        for peak in peaks:
            at_least("OneCycleLR: max_lr", peak)
        self.total_steps = _positive("OneCycleLR: total_steps", total_steps)
        self.turn = float(pct_start * total_steps) - 1
        self.anneal = _STRATEGIES[anneal_strategy]
        self.momenta = (max_momentum, base_momentum) if cycle_momentum else None
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["initial_lr"] = peak / div_factor
        super().__init__(optimizer)

    def _between(self, start: float, peak: float, end: float, epoch: int) -> float:
        """`start` to `peak` until the turn, then on to `end`."""
        if epoch <= self.turn:
            return self.anneal(start, peak, epoch / self.turn if self.turn else 1.0)
        length = self.total_steps - 1 - self.turn
        return self.anneal(peak, end, (epoch - self.turn) / length if length else 1.0)

    def rate(self, base: float, epoch: int) -> float:
        """The learning rate after `epoch` steps; `base` is the start of the cycle."""
        return self._between(base, base * self.div_factor, base / self.final_div_factor, epoch)

    def apply(self, epoch: int) -> None:
        """Write learning rate and momentum of step `epoch` into the groups."""
        if epoch >= self.total_steps + 1:
            raise ArgumentError(
                "OneCycleLR: the cycle is over",
                expected=f"at most {self.total_steps} steps",
                got=str(epoch),
            )
        super().apply(epoch)
        if self.momenta is not None:
            high, low = self.momenta
            for group in self.optimizer.param_groups:
                _set_momentum(group, self._between(high, low, high, epoch))


def _set_momentum(group: Group, momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum
    else:
        raise ArgumentError(
            "OneCycleLR: the optimiser has no momentum", rule="pass cycle_momentum=False"
        )


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _linear(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


_STRATEGIES = {"cos": _cosine, "linear": _linear}
