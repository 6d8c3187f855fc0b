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
from queue import SimpleQueue

import numpy as np

from rot180.errors import ArgumentError

__all__ = ["get_num_threads", "run_together", "set_num_threads"]

Work = Callable[[int, int], None]
"""Called as work(part, parts) by each thread. The caller's part 0 may be called again where Ctrl-C
interrupted it: then it does what is left, which is nothing after native code has run."""

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
            interrupted: BaseException | None = None
            run = int(self._runs[0]) + 1
            while True:
                try:
                    self._together(run, work, parts, linger)
                    break
                except Exception:
                    raise
                except BaseException as error:  # Ctrl-C: do what is left
                    interrupted = error
        if interrupted is not None:
            raise interrupted
        for member in self._members[: parts - 1]:
            if member.error is not None:
                raise member.error

    def _together(self, run: int, work: Work, parts: int, linger: Linger | None) -> None:
        """One run; called again it does what is left of it."""
        while len(self._members) < parts - 1:
            self._members.append(_Member(len(self._members) + 1))
        helpers = self._members[: parts - 1]
        for member in helpers:
            member.start(run, work, parts, linger, self._runs.ctypes.data)
        self._runs[0] = run
        failed: Exception | None = None
        try:
            work(0, parts)
        except Exception as error:  # arrays are in use until the others are done
            failed = error
        for member in helpers:
            member.wait(run)
        if failed is not None:
            raise failed


class _Member:
    """One parked thread, which knows the number of the latest run that it has finished."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.error: BaseException | None = None
        self._finished = 0
        self._orders: SimpleQueue[tuple[int, Work, int, Linger | None, int]] = SimpleQueue()
        self._news: SimpleQueue[int] = SimpleQueue()
        threading.Thread(target=self._live, name=f"rot180-{part}", daemon=True).start()

    def start(self, run: int, work: Work, parts: int, linger: Linger | None, counter: int) -> None:
        """Wake the thread up; afterwards it lingers until the counter shows the following run."""
        self._orders.put((run, work, parts, linger, counter))

    def wait(self, run: int) -> None:
        """Return when the thread has finished a run."""
        while self._finished < run:
            self._news.get()

    def _live(self) -> None:
        while True:
            run, work, parts, linger, counter = self._orders.get()
            if run <= self._finished:  # after Ctrl-C its caller may have said it twice
                continue
            self.error = None
            try:
                work(self.part, parts)
            except BaseException as error:
                self.error = error
            del work  # and what it holds
            self._finished = run
            self._news.put(run)
            if linger is not None:
                linger(counter, run + 1)


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
    """Call `work(part, parts)` for each part, all at the same time, and wait for all.

    Threads that wait for one another would wait for ever for one that Ctrl-C keeps away. So the
    work is done to its end first, wherever the interruption hits, and is raised then.

    Args:
        work: what to do; see `Work`.
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
