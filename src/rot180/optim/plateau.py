"""The one schedule that looks at the training: reduce when a metric stops improving."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rot180.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]

_STATE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class ReduceLROnPlateau:
    """Multiply the learning rates by `factor` when a metric has not improved for `patience` epochs.

    Args:
        optimizer: whose learning rates are set.
        mode: "min" when less is better (a loss), "max" when more is (an accuracy).
        factor: below 1.
        patience: epochs without improvement that are still tolerated.
        threshold: how much counts as an improvement,
        threshold_mode: relative to the best ("rel") or as a difference ("abs").
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: lower bound of every learning rate.
        eps: a smaller change of the learning rate is not made.

    Raises:
        ArgumentError: factor not below 1, or an unknown mode.

    >>> from rot180.core import tensor
    >>> from rot180.optim import SGD
    >>> optimizer = SGD([tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]
    """

    interval: ClassVar[str] = "epoch"
    needs_metric: ClassVar[bool] = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0 <= factor < 1:
            raise ArgumentError(
                "ReduceLROnPlateau: factor", expected="0 <= value < 1", got=repr(factor)
            )
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                "ReduceLROnPlateau: mode",
                expected="mode min or max, threshold_mode rel or abs",
                got=f"{mode!r}, {threshold_mode!r}",
            )
        self.optimizer = optimizer
        self.sign = 1.0 if mode == "min" else -1.0
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.relative = threshold_mode == "rel"
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.eps = eps
        self.best = self.sign * math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0

    def _improves(self, metric: float) -> bool:
        if self.relative:
            return self.sign * metric < self.sign * self.best * (1 - self.sign * self.threshold)
        return self.sign * metric < self.sign * self.best - self.threshold

    def step(self, metrics: float) -> None:
        """Count one epoch with this metric, and reduce if it is time."""
        metric = float(metrics)
        self.last_epoch += 1
        if self._improves(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _reduce(self) -> None:
        for group in self.optimizer.param_groups:
            old = float(group["lr"])
            new = max(old * self.factor, self.min_lr)
            if old - new > self.eps:
                group["lr"] = new

    def get_last_lr(self) -> list[float]:
        """The learning rates now in force, one per group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What the schedule has seen, as plain values."""
        return {key: getattr(self, key) for key in _STATE}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken (the learning rates are the optimiser's state)."""
        for key in _STATE:
            if key not in state_dict:
                raise ArgumentError(f"ReduceLROnPlateau.load_state_dict: {key!r} is missing")
        for key in _STATE:
            setattr(self, key, state_dict[key])
