"""Threads: Python threads that enter a native step together and park between steps.

They are made when the first step needs them and wait on locks otherwise. The native call releases
the interpreter, so they run side by side; the step that holds the crew has it to itself, so two
models in two Python threads take turns, and the split of the work, hence every bit of the result,
depends on the number of threads only. After a fork the child makes a crew of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import numpy as np

from rot180.errors import ArgumentError

__all__ = ["get_num_threads", "run_together", "set_num_threads"]

Work = Callable[[int, int], None]
"""Called as work(part, parts) by each thread."""

Linger = Callable[[int, int], None]
"""Called as linger(address, goal): wait for a moment for the counter at an address to get there."""


class _Crew:
    """Parked threads, one for each part but the first, which the caller does."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.busy = threading.Lock()
        self._members: list[_Member] = []
        self._runs = np.zeros(1, np.int64)

    def run(self, work: Work, parts: int, linger: Linger | None) -> None:
        """Do all parts, and return when all are done, also when Ctrl-C arrives meanwhile."""
        with self.busy:
            while len(self._members) < parts - 1:
                self._members.append(_Member(len(self._members) + 1))
            helpers = self._members[: parts - 1]
            following = int(self._runs[0]) + 2
            for member in helpers:
                member.start(work, parts, linger, (self._runs.ctypes.data, following))
            self._runs += 1
            try:
                work(0, parts)
            finally:
                self._wait(helpers)
        for member in helpers:
            if member.error is not None:
                raise member.error

    @staticmethod
    def _wait(helpers: list[_Member]) -> None:
        interrupted: BaseException | None = None
        for member in helpers:
            while True:
                try:
                    member.done.acquire()
                    break
                except KeyboardInterrupt as error:  # arrays are in use until the others are done
                    interrupted = error
        if interrupted is not None:
            raise interrupted


class _Member:
    """One parked thread. Both locks are held from the start: releasing one lets the other go on."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.error: BaseException | None = None
        self.done, self._go = threading.Lock(), threading.Lock()
        self.done.acquire()
        self._go.acquire()
        self._work: Work | None = None
        self._parts = 1
        self._linger: Linger | None = None
        self._next = (0, 0)
        threading.Thread(target=self._live, name=f"rot180-{part}", daemon=True).start()

    def start(
        self, work: Work, parts: int, linger: Linger | None, following: tuple[int, int]
    ) -> None:
        """Wake the thread up; afterwards it lingers until the counter shows the following run."""
        self._work, self._parts, self.error = work, parts, None
        self._linger, self._next = linger, following
        self._go.release()

    def _live(self) -> None:
        while True:
            if self._linger is not None:
                self._linger(*self._next)
            self._go.acquire()
            try:
                assert self._work is not None
                self._work(self.part, self._parts)
            except BaseException as error:
                self.error = error
            finally:
                self._work = None
                self.done.release()


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_crew = _Crew()
_threads = 0
"""What `set_num_threads` was told; 0: as many as there are processors."""


def set_num_threads(n: int) -> None:
    """How many threads a compiled step uses from now on (also in steps that are compiled already).

    The same number gives the same bits; another number may round some sums differently.

    Args:
        n: at least 1.

    Raises:
        ArgumentError: less than 1.
    """
    global _threads
    if not isinstance(n, int) or n < 1:
        raise ArgumentError("set_num_threads: number of threads", expected="1 or more", got=repr(n))
    _threads = n


def get_num_threads() -> int:
    """How many threads a compiled step may use: all processors of this process by default."""
    return _threads or _processors()


def run_together(work: Work, parts: int, linger: Linger | None = None) -> None:
    """Call `work(part, parts)` once for each part, all at the same time.

    Args:
        work: what to do.
        parts: how many.
        linger: how a thread waits, before it parks, for a run that may follow at once.
    """
    global _crew
    if parts == 1:
        work(0, 1)
        return
    if _crew.process != os.getpid():  # a child after a fork has none of its parent's threads
        _crew = _Crew()
    _crew.run(work, parts, linger)
