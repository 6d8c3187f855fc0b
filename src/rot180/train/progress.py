"""Telling how the training goes: a bar on a terminal, one line per epoch elsewhere, or nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Reporter", "epoch_line"]

_MODES = ("auto", "bar", "lines", "quiet")


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    """One line of text for an epoch record.

    >>> epoch_line({"epoch": 3, "train_loss": 0.25, "val_accuracy": 0.9875, "seconds": 1.5}, 30)
    'epoch  3/30  loss 0.2500  val accuracy 98.75 %  1.5 s'
    """
    parts = [f"epoch {record['epoch']:{len(str(epochs))}d}/{epochs}"]
    for key, name in (
        ("train_loss", "loss"),
        ("train_accuracy", "accuracy"),
        ("val_loss", "val loss"),
        ("val_accuracy", "val accuracy"),
    ):
        value = record.get(key)
        if value is not None:
            number = f"{100 * value:.2f} %" if "accuracy" in key else f"{value:.4f}"
            parts.append(f"{name} {number}")
    if record.get("lr") is not None:
        parts.append(f"lr {record['lr']:.2e}")
    parts.append(f"{record['seconds']:.1f} s")
    return "  ".join(parts)


class Reporter:
    """Writes progress to a stream; never to a file, never anything that changes results.

    Args:
        mode: "auto" (a bar on a terminal, else lines; lines where the variable CI is set), "bar",
            "lines" or "quiet" (warnings only).
        stream: standard output when None. NO_COLOR is respected.

    Raises:
        ArgumentError: another mode.
    """

    def __init__(self, mode: str = "auto", stream: TextIO | None = None) -> None:
        if mode not in _MODES:
            raise ArgumentError("progress", expected=" or ".join(_MODES), got=repr(mode))
        self.stream = stream if stream is not None else sys.stdout
        if mode == "auto":
            terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
            mode = "bar" if terminal and not os.environ.get("CI") else "lines"
        self.mode = mode
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def start_epoch(self, epoch: int, epochs: int, batches: int, done: int) -> None:
        """An epoch begins (1-based), `done` of its `batches` batches being behind us already."""
        if self.mode != "bar":
            return
        if self._bar is None:
            # rich costs a tenth of a second, which only a terminal's user should pay
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining

            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                Remaining(),
            )
            self._bar = Progress(*columns, console=Console(file=self.stream), transient=True)
            self._bar.start()
        if self._task is not None:
            self._bar.remove_task(self._task)
        name = f"epoch {epoch:{len(str(epochs))}d}/{epochs}"
        self._task = self._bar.add_task(name, total=batches, completed=done, loss="")

    def batch(self, done: int, loss: float) -> None:
        """A batch is done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, loss=f"loss {loss:.4f}")

    def epoch(self, record: dict[str, Any], epochs: int) -> None:
        """An epoch is done: one line."""
        if self.mode != "quiet":
            self._line(epoch_line(record, epochs))

    def note(self, line: str) -> None:
        """Something worth knowing: one line, unless quiet."""
        if self.mode != "quiet":
            self._line(line)

    def warn(self, line: str) -> None:
        """Something that must be known: one line, also when quiet, on standard error."""
        if self._bar is not None:
            self._bar.console.print(
                f"warning: {line}", markup=False, highlight=False, soft_wrap=True
            )
        else:
            sys.stderr.write(f"warning: {line}\n")

    def close(self) -> None:
        """Take the bar away; safe to call twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _line(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self.stream.write(line + "\n")
            self.stream.flush()
