"""Several sides do the same work in turn, each in a process of its own.

A side is a function, named by module, that makes the work; only its own process imports it, so that
idle threads and memory of one side are no other's. All of them have the same processors.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import resource
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["Side", "Worker", "ratio", "take_turns"]


@dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Attributes:
        name: what tables call it.
        module: whose functions make its work; it also has `set_threads`.
        options: arguments of its functions that make it this side.
        environment: variables of its process.
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def _peak() -> int:
    """The most bytes that this process ever held in memory.

    Linux hands a process its parent's peak in `ru_maxrss`, and tells its own in /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _serve(side: Side, threads: int, pipe: Connection) -> None:
    """Answer until the other end closes; what goes wrong is an answer too."""
    os.environ.update(side.environment)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    module = importlib.import_module(side.module)
    module.set_threads(threads)
    answer = _Answer(module, side.options)
    while (message := pipe.recv()) is not None:
        pipe.send(_guarded(answer, message))


class _Answer:
    """What a process does when it is asked."""

    def __init__(self, module: Any, options: dict[str, Any]) -> None:
        self._module, self._options = module, options
        self._work: Callable[[], object] | None = None
        self._each = 1

    def __call__(self, message: tuple[str, dict[str, Any]] | str | int) -> float:
        """Seconds of the first time, of the median time, or the peak of memory."""
        if isinstance(message, tuple):
            function, arguments = message
            make = getattr(self._module, function)
            self._work = None  # its memory goes before more is taken
            self._work, self._each = make(**arguments, **self._options)
            return self._time()
        if message == "peak":
            return _peak()
        self._time()  # whoever spun or slept wakes up, caches fill
        return statistics.median(self._time() for _ in range(int(message))) / self._each

    def _time(self) -> float:
        assert self._work is not None
        start = time.perf_counter()
        self._work()
        return time.perf_counter() - start


def _guarded(answer: _Answer, message: Any) -> float | str:
    try:
        return answer(message)
    except Exception as error:
        first, *_ = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {first}"


class Worker:
    """A side's process.

    Attributes:
        fault: why it could not do what it was asked.

    Args:
        side: whose.
        threads: how many processors it has.
    """

    def __init__(self, side: Side, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        # who is told to end does not leave its daemons behind
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.side = side
        self.fault = ""
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(side, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, message: Any) -> None:
        """Send a message, without waiting for the answer."""
        self._pipe.send(message)

    def answer(self) -> float:
        """Wait for the answer.

        Raises:
            RuntimeError: the side cannot do it; says why.
        """
        found = self._pipe.recv()
        if isinstance(found, str):
            self.fault = f"{self.side.name}: {found}"
            raise RuntimeError(self.fault)
        return float(found)

    def answers(self) -> bool:
        """Wait for the answer: whether there is one; `fault` says why not."""
        with contextlib.suppress(RuntimeError):
            self.answer()
        return not self.fault

    def make(self, function: str, **arguments: Any) -> float:
        """Make the work and do it once: the seconds of that first time."""
        self.ask((function, arguments))
        return self.answer()

    def seconds(self, repeats: int) -> float:
        """The median of so many times, after one more that is not counted."""
        self.ask(repeats)
        return self.answer()

    def peak(self) -> int:
        """The most bytes that the process held."""
        self.ask("peak")
        return int(self.answer())

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()
        self._pipe.close()


def take_turns(workers: list[Worker], rounds: int, turn: float) -> dict[str, list[float]]:
    """Seconds of every side in every round.

    Args:
        workers: with their work made.
        rounds: how often each has its turn; who begins changes from round to round.
        turn: seconds that a turn should take.
    """
    repeats = {w.side.name: max(1, round(turn / w.seconds(1))) for w in workers}
    times: dict[str, list[float]] = {w.side.name: [] for w in workers}
    for number in range(rounds):
        first = number % len(workers)
        for worker in workers[first:] + workers[:first]:
            name = worker.side.name
            times[name].append(worker.seconds(repeats[name]))
    return times


def ratio(theirs: list[float], ours: list[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile of theirs ÷ ours, each of one round."""
    found = sorted(a / b for a, b in zip(theirs, ours, strict=True))
    if len(found) < 2:
        return found[0], found[0], found[0]
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
    return middle, low, high
