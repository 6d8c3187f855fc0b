"""Errors that teach: what went wrong, the arithmetic, what was expected, what came, and the rule.

Every error of this library is a `Rot180Error` and also the built-in error a user would expect
(`ValueError`, `TypeError`, ...). A message is one line, so that it survives logs and terminals.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "CheckError",
    "DTypeError",
    "DataError",
    "GraphError",
    "MissingExtraError",
    "NumericsError",
    "Rot180Error",
    "ShapeError",
    "TraceError",
]


class Rot180Error(Exception):
    """The root of all errors raised on purpose by this library.

    Args:
        what: what happened, in a few words, naming the operation.
        arithmetic: the computation that failed, with the numbers put in.
        expected: what would have been right.
        got: what came instead.
        rule: the law that was broken, or the thing to try.

    >>> print(Rot180Error("no output", arithmetic="(3 - 5) // 1 + 1 = -1", rule="kernel ≤ input"))
    no output: (3 - 5) // 1 + 1 = -1. Rule: kernel ≤ input.
    """

    def __init__(
        self, what: str, *, arithmetic: str = "", expected: str = "", got: str = "", rule: str = ""
    ) -> None:
        message = what
        if arithmetic:
            message += f": {arithmetic}"
        if expected or got:
            message += f"; expected {expected}" if expected else ";"
            if got:
                message += f"{',' if expected else ''} got {got}"
        if rule:
            message += f". Rule: {rule}."
        super().__init__(message)


class ShapeError(Rot180Error, ValueError):
    """Shapes or sizes do not fit together."""


class DTypeError(Rot180Error, TypeError):
    """A data type that the operation cannot work with, or two that do not mix."""


class ArgumentError(Rot180Error, ValueError):
    """An argument outside its allowed values."""


class GraphError(Rot180Error, RuntimeError):
    """The graph of a backward pass is used against its rules."""


class TraceError(Rot180Error, RuntimeError):
    """Code that cannot become a program: it looks at values that are known only when it runs."""


class NumericsError(Rot180Error, ArithmeticError):
    """A NaN or infinity where none may be."""


class CheckError(Rot180Error, AssertionError):
    """A check found something wrong: a gradient, an adjoint, a rule that does not hold."""


class DataError(Rot180Error, ValueError):
    """A file or a data set that is damaged, truncated or inconsistent."""


class MissingExtraError(Rot180Error, ImportError):
    """A feature needs a library of an extra that is not installed.

    >>> print(MissingExtraError("pictures", "matplotlib", "plot"))
    pictures need matplotlib, which is not installed: python -m pip install "rot180[plot]"
    """

    def __init__(self, feature: str, library: str, extra: str) -> None:
        super().__init__(
            f"{feature} need {library}, which is not installed: "
            f'python -m pip install "rot180[{extra}]"'
        )
