"""The list of all operations, so that no test table can forget one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["OPERATIONS", "operation"]

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""Every public operation by its name."""

F = TypeVar("F", bound=Callable[..., Any])


def operation(function: F) -> F:
    """Register a public operation under its own name."""
    OPERATIONS[function.__name__] = function
    return function
