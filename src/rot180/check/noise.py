"""Noise: how far two right results of one sum may lie apart, from their data types alone.

A sum of n terms of size |a| that is added up in any order is off by a small multiple of
ε · Σ|a|, with ε the spacing of the data type. So the floor of a comparison is taken from the
sum of the absolute terms, cell by cell, and never from a tolerance somebody liked.
"""

from __future__ import annotations

import numpy as np

from rot180.core import Array
from rot180.errors import NumericsError, ShapeError

__all__ = ["cell_text", "floor", "require_finite", "require_shape", "spacing"]

_FACTOR = 32.0
"""Roundings of one cell that add up the same way; measured: below 4 for sums of 10,000 terms."""


def spacing(*arrays: Array) -> float:
    """ε of the coarsest float type among the arrays; float64's, where there is none.

    >>> spacing(np.zeros(2, np.float32), np.zeros(2)) == np.finfo(np.float32).eps
    np.True_
    """
    floats = [float(np.finfo(a.dtype).eps) for a in arrays if a.dtype.kind == "f"]
    return max(floats, default=float(np.finfo(np.float64).eps))


def floor(size: Array, epsilon: float) -> Array:
    """The floor of each cell, from its sum of absolute terms; a cell without terms is exact."""
    return np.asarray(_FACTOR * epsilon * size)


def require_finite(what: str, name: str, array: Array) -> None:
    """Refuse NaN and infinity, naming the first cell.

    Raises:
        NumericsError: there is one.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        count = int(array.size - np.isfinite(array).sum())
        raise NumericsError(
            f"{what}: {name} holds NaN or infinity",
            got=f"{array[bad]} in cell {cell_text(bad)}, {count} of {array.size} cells in all",
            rule="only finite numbers can be compared",
        )


def require_shape(what: str, name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse a shape that is not the expected one.

    Raises:
        ShapeError: it is not.
    """
    if got != expected:
        raise ShapeError(f"{what}: shape of {name}", expected=str(expected), got=str(got))


def cell_text(cell: tuple[int, ...]) -> str:
    """A cell as it is written in an index."""
    return "[" + ", ".join(map(str, cell)) + "]"
