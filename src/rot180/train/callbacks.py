"""What a user's code may do at the turning points of a training, and early stopping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from rot180.train.loop import Loop

__all__ = ["Callback", "EarlyStop"]


class Callback:
    """Override what you need; every method gets the running `Loop`.

    The loop shows `model`, `optimizer`, `epoch`, `batch`, `step`, `record` (the numbers of the
    epoch that just ended), `history`, and `stop(reason)`, which ends the training after this epoch.
    """

    def on_train_start(self, loop: Loop) -> None:
        """Before the first batch, after a resume has restored everything."""

    def on_epoch_start(self, loop: Loop) -> None:
        """Before the first batch of an epoch (not when an epoch is resumed in its middle)."""

    def on_batch_end(self, loop: Loop) -> None:
        """After each batch; `loop.batch_loss` is its loss."""

    def on_epoch_end(self, loop: Loop) -> None:
        """After validation, before the checkpoint; `loop.record` holds the numbers."""

    def on_train_end(self, loop: Loop) -> None:
        """After the last epoch (not after an error or Ctrl-C)."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep for an exact resume: plain values and arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""


class EarlyStop(Callback):
    """Stop when a number has not improved for some epochs.

    Args:
        patience: epochs without improvement that are allowed, at least 1.
        monitor: a key of the epoch record, such as "val_loss" or "val_accuracy".
        min_delta: the least change that counts as an improvement.
        mode: "min" or "max"; None: "max" for accuracies, else "min".

    Raises:
        ArgumentError: an argument outside its values; at run time, a monitor the record lacks.

    >>> EarlyStop(patience=3, monitor="val_accuracy").mode
    'max'
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        mode: str | None = None,
    ) -> None:
        if patience < 1:
            raise ArgumentError("early stop", expected="patience >= 1", got=str(patience))
        if mode not in (None, "min", "max"):
            raise ArgumentError("early stop", expected='mode "min" or "max"', got=repr(mode))
        self.patience = patience
        self.monitor = monitor
        self.min_delta = min_delta
        self.mode = mode or ("max" if "accuracy" in monitor else "min")
        self.best: float | None = None
        self.waited = 0

    def on_epoch_end(self, loop: Loop) -> None:
        """Compare this epoch with the best one so far."""
        value = loop.record.get(self.monitor)
        if not isinstance(value, int | float):
            numbers = [k for k, v in loop.record.items() if isinstance(v, float)]
            raise ArgumentError(
                "early stop: nothing to watch",
                expected=f"a monitor among {', '.join(numbers)}",
                got=repr(self.monitor),
                rule="val_ numbers need a validation set",
            )
        gain = math.inf if self.best is None else value - self.best
        if self.best is not None and self.mode == "min":
            gain = -gain
        if gain > self.min_delta:
            self.best, self.waited = float(value), 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            loop.stop(f"{self.monitor} has not improved for {self.waited} epochs")

    def state_dict(self) -> dict[str, Any]:
        """The best value and the epochs waited."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore both."""
        self.best, self.waited = state["best"], state["waited"]
