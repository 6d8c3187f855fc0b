"""Modes of the running thread: whether a graph is recorded, whether anomalies are looked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "detect_anomaly",
    "enable_grad",
    "is_grad_enabled",
    "listening",
    "no_grad",
    "set_grad_enabled",
    "state",
]


class _State(threading.local):
    """What the current thread does; every thread starts with these values.

    Attributes:
        grad: record a graph.
        anomaly: look for NaN and for changed arrays at every operation.
        cause: the operation whose gradient is being computed, None outside a backward sweep.
        listener: is shown every operation that is applied, None: nobody listens.
        tracer: writes operations down instead of running them, None: they run.
    """

    grad = True
    anomaly = False
    cause: Any = None
    listener: Callable[..., None] | None = None
    tracer: Any = None


state = _State()


@contextlib.contextmanager
def set_grad_enabled(flag: bool) -> Iterator[None]:
    """Record a graph, or do not, inside the block (and restore what was, also after an error)."""
    before, state.grad = state.grad, flag
    try:
        yield
    finally:
        state.grad = before


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Record no graph inside: a context manager, and a decorator."""
    with set_grad_enabled(False):
        yield


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """Record a graph inside, also within `no_grad`: a context manager, and a decorator."""
    with set_grad_enabled(True):
        yield


def is_grad_enabled() -> bool:
    """Whether operations record a graph now, in this thread."""
    return state.grad


@contextlib.contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first operation whose value or gradient is NaN, and say where it was called.

    Inside the block every operation remembers the line of the user's code that called it, its
    result and its gradients are searched for NaN, and saved arrays are compared with a checksum,
    so that a change made behind the library's back (through NumPy) is noticed too. Slower.
    """
    before, state.anomaly = state.anomaly, True
    try:
        yield
    finally:
        state.anomaly = before


@contextlib.contextmanager
def listening(listener: Callable[..., None]) -> Iterator[None]:
    """Show every operation that is applied inside, forward or in a sweep, to a listener.

    Args:
        listener: called as `listener(kind, inputs, output, record)` with tensors; `record` is the
            record of a select's choice, None for other kinds.
    """
    before, state.listener = state.listener, listener
    try:
        yield
    finally:
        state.listener = before
