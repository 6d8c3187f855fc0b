"""Items made ahead: a background thread makes the next ones while the current one is in use.

The thread does exactly what the `for` loop would have done, in the same order, so nothing about the
items depends on it. NumPy and native steps release the interpreter, and so the two overlap.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int) -> Generator[T, None, None]:
    """The same items, up to `depth` of them made before they are asked for.

    An error of the source is raised where its item would have come. When this generator ends or is
    closed (`break`, an error, Ctrl-C), the thread ends with it, after the item that it is making.

    Args:
        items: the source, which the thread goes through.
        depth: at least 1.

    >>> list(ahead(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    work = _Work(items, depth)
    try:
        while (item := work.take()) is not None:
            yield item[0]
    finally:
        work.stop()


class _Work(Generic[T]):
    """What the thread and its reader share."""

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items, self._depth = items, depth
        self._made: deque[tuple[T]] = deque()
        self._changed = threading.Condition()
        self._done = self._stopped = False
        self._error: BaseException | None = None
        # settings such as np.errstate belong to a context; the thread works in that of its reader
        run = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=run, args=(self._make,), name="rot180-data", daemon=True
        )
        self._thread.start()

    def _make(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._made.append((item,))
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: len(self._made) < self._depth or self._stopped)
                    if self._stopped:
                        return
        except BaseException as error:  # it is the reader's, who raises it
            self._error = error
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def take(self) -> tuple[T] | None:
        """The next item, None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._done)
            if self._made:
                item = self._made.popleft()
                self._changed.notify_all()
                return item
        if self._error is not None:
            raise self._error
        return None

    def stop(self) -> None:
        """Let the thread end, and wait until it has."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
