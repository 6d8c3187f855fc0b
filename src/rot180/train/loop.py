"""The loop itself: epochs, batches, updates, validation, records and checkpoints."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import detect_anomaly, generator_state, set_generator_state
from rot180.errors import ArgumentError, DataError, Rot180Error
from rot180.train.evaluation import Tally, measure
from rot180.train.faults import explain_non_finite, located, require_finite
from rot180.train.interrupt import InterruptGuard, TrainingInterrupted
from rot180.train.resume import restore_state, save_state
from rot180.train.settings import History
from rot180.train.step import Eager, choose

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rot180.nn import Module
    from rot180.train.callbacks import Callback
    from rot180.train.evaluation import Batches, Loss
    from rot180.train.progress import Reporter
    from rot180.train.run import RunFolder
    from rot180.train.settings import Settings

__all__ = ["Loop"]


class Loop:
    """One training in progress, which callbacks see.

    Attributes:
        epoch, batch, step: epochs behind us, batches behind us in this one, updates behind us.
        batch_loss, rate: the loss of the latest batch, the learning rate of the latest update.
        tally, grad_norm: sums of this epoch so far, and the latest logged norm of the gradient.
        record: the numbers of the latest epoch.
        history: all of them.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Any,
        schedule: Any,
        loss: Loss,
        train: Batches,
        val: Batches | None,
        settings: Settings,
        callbacks: Sequence[Callback],
        run: RunFolder | None,
        reporter: Reporter,
    ) -> None:
        self.model, self.optimizer, self.schedule, self.loss = model, optimizer, schedule, loss
        self.train, self.val, self.settings = train, val, settings
        self.callbacks, self.run_folder, self.reporter = callbacks, run, reporter
        self.epoch = self.batch = self.step = 0
        self.batch_loss = self.rate = math.nan
        self.record: dict[str, Any] = {}
        self.history = History()
        self.tally = Tally()
        self.grad_norm: float | None = None
        self._make, self._why_eager = choose(model, loss, optimizer, settings)
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._fixed: list[Any] | None = None
        self._batches = self._count(train, settings.limit_train_batches)

    @property
    def epochs(self) -> int:
        """How many epochs there will be."""
        return 1 if self.settings.fast_dev_run else self.settings.epochs

    def stop(self, reason: str) -> None:
        """End the training after this epoch."""
        self.history.stopped = reason

    def run(self) -> History:
        """Train to the end, from wherever the loop stands."""
        started = time.monotonic()
        guard = InterruptGuard(self._on_interrupt, active=self.run_folder is not None)
        # what overflows is noticed and told by us, once and with its place
        silence = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        with contextlib.closing(self.reporter), guard, silence:
            if self._why_eager:
                self.reporter.note(f"not compiled, for {self._why_eager}")
            for callback in self.callbacks:
                callback.on_train_start(self)
            while self.epoch < self.epochs and not self.history.stopped:
                self._run_epoch(guard)
                if guard.pending and self.epoch < self.epochs:
                    self._leave()
            for callback in self.callbacks:
                callback.on_train_end(self)
        self.history.seconds = time.monotonic() - started
        if self.history.stopped:
            self.reporter.note(f"stopped early: {self.history.stopped}")
        return self.history

    # ---------------------------------------------------------------- one epoch

    def _run_epoch(self, guard: InterruptGuard) -> None:
        started = time.monotonic()
        self.reporter.start_epoch(self.epoch + 1, self.epochs, self._batches, self.batch)
        self.model.train()
        if self.batch == 0:
            self.tally = Tally()
            for callback in self.callbacks:
                callback.on_epoch_start(self)
        with contextlib.closing(self._iterate()) as batches:
            for x, y in batches:
                self._run_batch(x, y)
                if self.batch < self._batches and self._at_update():
                    if guard.pending:
                        self.save()
                        self._leave()
                    if self._checkpoint_due():
                        self.save()
        if self._batches == 0:
            raise DataError("fit: there is no batch to train on", got="an empty data set")
        self._end_epoch(time.monotonic() - started)

    def _end_epoch(self, seconds: float) -> None:
        numbers = {"epoch": self.epoch + 1, "step": self.step, "lr": self.rate}
        numbers |= {f"train_{key}": value for key, value in self.tally.compute().items()}
        if self.val is not None:
            limit = 1 if self.settings.fast_dev_run else self.settings.limit_val_batches
            count = self._count(self.val, limit)
            found = measure(self._make, self.val, count)
            numbers |= {f"val_{key}": value for key, value in found.items()}
        if self.grad_norm is not None:
            numbers["grad_norm"] = self.grad_norm
        numbers["seconds"] = round(seconds, 3)
        self.record = numbers
        self.history.epochs.append(numbers)
        if self._interval() == "epoch":
            self._advance_schedule()
        self._log({"kind": "epoch", **numbers})
        self.reporter.epoch(numbers, self.epochs)
        self.epoch, self.batch = self.epoch + 1, 0
        for callback in self.callbacks:
            callback.on_epoch_end(self)
        improved = self._note_best()
        require_finite(self.model, f"after epoch {self.epoch}", self._rate())
        if self.run_folder is not None:
            # before the checkpoint: a checkpoint that knows of a best epoch has its weights
            if improved or self.settings.keep == "last":
                self.run_folder.save_weights(self.model, epoch=self.epoch)
            self.save()

    def _iterate(self) -> Generator[tuple[Any, Any], None, None]:
        """The batches that are left of this epoch."""
        if self.settings.overfit_batches:
            yield from self._fix_batches()[self.batch :]
        else:
            yield from _first(self.train, self._batches - self.batch)

    def _fix_batches(self) -> list[tuple[Any, Any]]:
        if self._fixed is None:
            with contextlib.closing(_first(self.train, self._batches)) as first:
                self._fixed = list(first)
        return self._fixed

    def _count(self, batches: Batches, limit: int | float | None) -> int:
        total = len(batches)
        if batches is self.train and self.settings.overfit_batches:
            total = min(total, self.settings.overfit_batches)
        if self.settings.fast_dev_run:
            return min(total, 1)
        if limit is None:
            return total
        return min(total, limit if isinstance(limit, int) else max(1, int(total * limit)))

    # ---------------------------------------------------------------- one batch

    def _at_update(self) -> bool:
        every = self.settings.accumulate_grad_batches
        return self.batch % every == 0 or self.batch == self._batches

    def _run_batch(self, x: Any, y: Any) -> None:
        where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
        before = generator_state()
        # the last group of an epoch may be smaller: its gradient is the mean over its own batches
        every = self.settings.accumulate_grad_batches
        group = min(every, self._batches - self.batch // every * every)
        watch = detect_anomaly() if self.settings.detect_anomaly else contextlib.nullcontext()
        try:
            with watch:
                if isinstance(self._make, Eager):
                    anew = self.batch % every == 0
                    self.batch_loss = self._make.backward(x, y, anew=anew, share=group)
                else:
                    self.batch_loss = self._make(x, y)
            if not math.isfinite(self.batch_loss):
                set_generator_state(before)
                raise explain_non_finite(self.model, self.loss, x, y, where, self._rate())
        except Rot180Error as error:
            raise located(error, where) from error
        self.tally.update(self.batch_loss, self._make.output, y)
        self.batch += 1
        if self._at_update():
            self._update()
        self.reporter.batch(self.batch, self.batch_loss)
        for callback in self.callbacks:
            callback.on_batch_end(self)

    def _update(self) -> None:
        log = (self.step + 1) % self.settings.log_every_n_steps == 0 or self.step == 0
        norms = self._norms() if log and self.settings.log_grad_norms else None
        self.rate = self._rate()
        if isinstance(self._make, Eager):
            self._make.update()
        self.step += 1
        if self._interval() == "batch":
            self._advance_schedule()
        if log:
            numbers = {"epoch": self.epoch + 1, "step": self.step, "loss": self.batch_loss}
            line = {"kind": "step", **numbers, "lr": self.rate}
            if norms is not None:
                self.grad_norm = math.sqrt(sum(norm * norm for norm in norms.values()))
                line |= {"grad_norm": self.grad_norm, "grad_norms": norms}
            self._log(line)

    def _norms(self) -> dict[str, float]:
        return {
            name: float(np.sqrt(np.sum(np.square(gradient, dtype=np.float64))))
            for name, gradient in self._make.gradients().items()
        }

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _interval(self) -> str | None:
        if self.schedule is None:
            return None
        return self.settings.schedule_interval or getattr(self.schedule, "interval", "epoch")

    def _advance_schedule(self) -> None:
        if getattr(self.schedule, "needs_metric", False):
            self.schedule.step(self.record.get("val_loss", self.record["train_loss"]))
        else:
            self.schedule.step()

    # ---------------------------------------------------------------- what is kept

    def _note_best(self) -> bool:
        prefix = "val" if self.val is not None else "train"
        key = f"{prefix}_accuracy" if f"{prefix}_accuracy" in self.record else f"{prefix}_loss"
        value, best = self.record[key], self.history.best
        improved = best is None or (value > best if "accuracy" in key else value < best)
        if improved:
            self.history.best, self.history.best_epoch = value, self.epoch
        return improved

    def _log(self, record: dict[str, Any]) -> None:
        if self.run_folder is not None:
            self.run_folder.log(record)

    def _checkpoint_due(self) -> bool:
        if self.run_folder is None:
            return False
        every, unit = self.settings.checkpoint_interval()
        since = self.step - self._saved_step
        return (since if unit == "steps" else time.monotonic() - self._saved_at) >= every

    def save(self) -> None:
        """Write a checkpoint of this moment (between two updates), if there is a run folder."""
        if self.run_folder is None:
            return
        require_finite(self.model, f"epoch {self.epoch + 1}, batch {self.batch}", self._rate())
        save_state(self, self.run_folder)
        self._saved_at, self._saved_step = time.monotonic(), self.step

    def restore(self) -> None:
        """Continue from the newest complete checkpoint of the run folder.

        Raises:
            DataError: there is none, or all are damaged.
            ArgumentError: it belongs to another model, optimiser or data set.
        """
        if self.run_folder is None:
            raise ArgumentError("fit: resume", rule="resume=True needs run_folder=")
        if self.settings.overfit_batches:
            self._fix_batches()
        restore_state(self, self.run_folder)
        self._saved_step = self.step

    def _on_interrupt(self) -> None:
        self.reporter.note("Ctrl-C: saving after this batch; once more to stop at once")

    def _leave(self) -> None:
        assert self.run_folder is not None
        raise TrainingInterrupted(
            f"interrupted in epoch {self.epoch + 1} after {self.batch} batches, everything is saved"
            f"; continue with: rot180 train --resume {self.run_folder.path}"
        )


def _first(batches: Batches, count: int) -> Generator[tuple[Any, Any], None, None]:
    """The first `count` batches; the pass over the loader ends with this generator's."""
    iterator = iter(batches)
    try:
        for _ in range(count):
            batch = next(iterator, None)
            if batch is None:
                return
            yield batch
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
