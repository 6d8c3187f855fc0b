"""Trees of plain values and arrays <-> JSON beside named arrays: what a checkpoint is made of."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rot180.errors import DataError, DTypeError

__all__ = ["Arrays", "pack", "unpack"]

Arrays: TypeAlias = dict[str, NDArray[Any]]


def pack(tree: Any, name: str, arrays: Arrays) -> Any:
    """The JSON-able twin of a tree; its arrays go to `arrays`, named by their place in it.

    Args:
        tree: dicts, lists, tuples, numbers, strings, None, and arrays (or tensors) as leaves.
        name: prefix of the names the arrays get.
        arrays: filled with the arrays found, as contiguous copies.

    Raises:
        DTypeError: a leaf of another type.

    >>> arrays = {}
    >>> pack({"lr": 0.1, "buffers": [np.zeros(3)]}, "sgd", arrays)
    {'lr': 0.1, 'buffers': [{'$array': 'sgd.buffers.0'}]}
    >>> unpack(_, arrays)
    {'lr': 0.1, 'buffers': [array([0., 0., 0.])]}
    """
    if isinstance(tree, float) and not math.isfinite(tree):
        return {"$float": repr(float(tree))}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, np.generic):
        return pack(tree.item(), name, arrays)
    if isinstance(tree, dict):
        if all(isinstance(key, str) for key in tree):
            return {key: pack(value, f"{name}.{key}", arrays) for key, value in tree.items()}
        return {
            "$pairs": [[key, pack(value, f"{name}.{key}", arrays)] for key, value in tree.items()]
        }
    if isinstance(tree, list | tuple):
        return [pack(value, f"{name}.{index}", arrays) for index, value in enumerate(tree)]
    values = getattr(tree, "data", tree) if not isinstance(tree, np.ndarray) else tree
    if isinstance(values, np.ndarray) and values.dtype != object:
        # np.array keeps 0-d arrays 0-d, which ascontiguousarray does not
        arrays[name] = np.array(values, order="C", copy=True)
        return {"$array": name}
    raise DTypeError(
        f"checkpoint: {name} cannot be stored",
        expected="numbers, strings, arrays, and dicts and lists of them",
        got=type(tree).__name__,
    )


def unpack(packed: Any, arrays: Arrays) -> Any:
    """The inverse of `pack` (tuples come back as lists).

    Raises:
        DataError: an array that the tree names is not among `arrays`.
    """
    if isinstance(packed, list):
        return [unpack(value, arrays) for value in packed]
    if not isinstance(packed, dict):
        return packed
    if packed.keys() == {"$array"}:
        if packed["$array"] not in arrays:
            raise DataError(f"checkpoint: the array {packed['$array']!r} is missing")
        return arrays[packed["$array"]]
    if packed.keys() == {"$float"}:
        return float(packed["$float"])
    if packed.keys() == {"$pairs"}:
        return {key: unpack(value, arrays) for key, value in packed["$pairs"]}
    return {key: unpack(value, arrays) for key, value in packed.items()}
