"""What mean pools and max pools share: their windows, and sizes to try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rot180.check.catalogue.family import Trial
from rot180.core import Array, Tensor
from rot180.ops import OPERATIONS
from rot180.window import Window, pool_window

__all__ = ["WINDOW", "arguments", "forward", "trials", "window_of"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]
WINDOW = ("kernel_size", "stride", "padding", "ceil_mode")


def forward(operation: str, arrays: Arrays, options: Options) -> Array:
    """The output of a pool."""
    out: Tensor = OPERATIONS[operation](arrays["x"], **options)
    return out.data


def arguments(x: Array, options: Options, names: tuple[str, ...]) -> dict[str, Any]:
    """The named options as the window's functions take them."""
    words = {"kernel_size": "kernel"}
    given = {words.get(name, name): options[name] for name in names if name in options}
    return {**given, "input_size": x.shape[2:]}


def window_of(x: Array, options: Options) -> Window:
    """The window of a pool, `ceil_mode` resolved."""
    return pool_window(**arguments(x, options, (*WINDOW, "dilation")))


def trials(operation: str) -> Iterator[Trial]:
    """Windows that overlap, are padded, and are cut off at the end."""
    rank = int(operation[-2])
    settings = [
        Trial(
            (("x", (batch, 2, *(size + i % 2 for i in range(rank)))),),
            (("kernel_size", k), ("stride", s), ("padding", p), ("ceil_mode", ceil)),
        )
        for k, s, p, ceil in ((2, 2, 0, False), (3, 2, 1, False), (3, 2, 1, True), (4, 3, 1, True),
                              (4, 3, 2, True), (4, 2, 1, True))
        for batch in (2, 3)
        for size in (5, 6, 7, 8, 10)
    ]  # fmt: skip
    yield from sorted(settings, key=lambda trial: trial.cells)
