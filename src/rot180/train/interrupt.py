"""Ctrl-C during training: finish the batch, save, and say how to go on."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

__all__ = ["InterruptGuard", "TrainingInterrupted"]


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C, after everything was saved; the text says how to resume."""


class InterruptGuard:
    """While it is entered, the first Ctrl-C is only noted and the second one acts at once.

    Args:
        said: called with no arguments at the first Ctrl-C.
        active: False makes it do nothing, as in any thread but the main one.
    """

    def __init__(self, said: Callable[[], None], *, active: bool = True) -> None:
        self.pending = False
        self._said = said
        self._active = active and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> InterruptGuard:
        if self._active:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        self._said()
