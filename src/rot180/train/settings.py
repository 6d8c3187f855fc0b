"""How to train, and what a training has shown: plain values without behaviour."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import Any

from rot180.errors import ArgumentError

__all__ = ["History", "Settings"]


@dataclass(frozen=True)
class Settings:
    """How to train; `fit` documents each of them.

    Raises:
        ArgumentError: a value outside its range.
    """

    epochs: int = 10
    clip_grad_norm: float | None = None
    clip_grad_value: float | None = None
    accumulate_grad_batches: int = 1
    fast_dev_run: bool = False
    overfit_batches: int = 0
    limit_train_batches: int | float | None = None
    limit_val_batches: int | float | None = None
    log_every_n_steps: int = 50
    log_grad_norms: bool = True
    detect_anomaly: bool = False
    checkpoint_every: int | str | None = None
    keep: str = "last"
    schedule_interval: str | None = None
    eager: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate_grad_batches", "log_every_n_steps"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("clip_grad_norm", "clip_grad_value"):
            value = getattr(self, name)
            _require(name, value, value is None or value > 0, "a positive number or None")
        for name in ("limit_train_batches", "limit_val_batches"):
            value = getattr(self, name)
            fits = value is None or (value > 0 and (isinstance(value, int) or value <= 1))
            _require(name, value, fits, "a number of batches, a share such as 0.1, or None")
        _require("overfit_batches", self.overfit_batches, self.overfit_batches >= 0, "0 or more")
        _require("keep", self.keep, self.keep in ("last", "best"), '"last" or "best"')
        kinds = (None, "batch", "epoch")
        fits = self.schedule_interval in kinds
        _require("schedule_interval", self.schedule_interval, fits, '"batch", "epoch" or None')
        self.checkpoint_interval()

    def checkpoint_interval(self) -> tuple[float, str]:
        """How often to save inside an epoch: (number, "steps" or "seconds"); never: infinity."""
        every = self.checkpoint_every
        if every is None:
            return math.inf, "steps"
        with contextlib.suppress(ValueError):
            if isinstance(every, int) and every > 0:
                return float(every), "steps"
            units = {"s": 1, "m": 60, "h": 3600}
            if isinstance(every, str) and every[-1:] in units and float(every[:-1]) > 0:
                return float(every[:-1]) * units[every[-1]], "seconds"
        raise ArgumentError(
            "checkpoint_every",
            expected='a number of steps, or a time such as "30s"',
            got=f"{every!r}",
        )


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ArgumentError(f"fit: {name}", expected=expected, got=repr(value))


@dataclass
class History:
    """What a training has shown.

    Attributes:
        epochs: one record per epoch: "epoch", "step", "train_loss", "train_accuracy", "val_loss",
            "val_accuracy", "lr", "seconds" (what does not apply is absent).
        best: the best value of the validation accuracy, or of the loss where there is no accuracy.
        best_epoch: when it was reached, from 1.
        stopped: why the training ended early, "" if it did not.
        seconds: wall time of this process's part.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int | None = None
    stopped: str = ""
    seconds: float = 0.0
