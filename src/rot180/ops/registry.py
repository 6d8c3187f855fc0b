"""The list of all operations, so that no test table can forget one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from rot180.core.modes import state

__all__ = ["OPERATIONS", "operation"]

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""Every public operation by its name."""

F = TypeVar("F", bound=Callable[..., Any])


def operation(function: F) -> F:
    """Register a public operation under its own name; while tracing, its calls are scopes."""
    name = function.__name__

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        if state.tracer is None:
            return function(*args, **options)
        return state.tracer.call(name, function, args, options)

    # doctest looks for functions that a module defines itself, and runs them in its namespace.
    vars(sys.modules[function.__module__]).setdefault("__test__", {})[name] = function
    OPERATIONS[name] = called
    return cast("F", called)
