"""One implementation for 1, 2, 3 and any number of spatial axes: conv, conv1d, conv2d, conv3d."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from rot180.ops.registry import operation

__all__ = ["Member", "member"]

P = ParamSpec("P")
R = TypeVar("R")

_LAYOUTS = {
    1: "(N, C, W) or (C, W)",
    2: "(N, C, H, W) or (C, H, W)",
    3: "(N, C, D, H, W) or (C, D, H, W)",
}


class Member(NamedTuple):
    """One member of a family.

    Attributes:
        name: the operation, as error messages call it.
        axes: how many axes are spatial; None: the arguments say it.
    """

    name: str
    axes: int | None


def member(
    general: Callable[Concatenate[Member, P], R], name: str, axes: int | None = None
) -> Callable[P, R]:
    """The operation of a family with a fixed number of axes, or (None) the general one.

    The docstring is that of the family, with a line that says which axes the input has.
    """
    which = Member(name, axes)

    def function(*args: P.args, **options: P.kwargs) -> R:
        return general(which, *args, **options)

    _, *parameters = inspect.signature(general).parameters.values()
    function.__name__ = function.__qualname__ = name
    function.__module__ = general.__module__
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    law, newline, rest = (general.__doc__ or "").partition("\n")
    layout = "" if axes is None else f"\n\n    Here the input is {_LAYOUTS[axes]}."
    function.__doc__ = law + layout + newline + rest
    return operation(function)
