"""Named arrays in a safetensors file: plain bytes behind a JSON header, nothing executable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from rot180.errors import ArgumentError, DataError, DTypeError
from rot180.interop.files import read_bytes, write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

__all__ = ["load_safetensors", "save_safetensors"]

# The format's names of the data types that NumPy shares with it; its numbers are little-endian.
_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_WRITABLE = frozenset(np.dtype(code) for code in _DTYPES.values())
_RESERVED = "__metadata__"


def save_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, ArrayLike],
    metadata: Mapping[str, str] | None = None,
    *,
    lasting: bool = True,
) -> None:
    """Write named arrays (or tensors) and a few texts to `path`, in one step.

    Args:
        path: the file; replaced as a whole, see `write_atomically`.
        tensors: name to array of bool, int, uint or float of any shape, strides and byte order.
        metadata: texts kept beside the arrays. The library writes several of them in an order of
            its own, so that only files with one text at most are the same byte for byte.
        lasting: see `write_atomically`.

    Raises:
        DTypeError: an array whose type the format has no name for (complex, object, text).
        ArgumentError: a name or a metadata entry that is not text, or a reserved name.
        DataError: the file cannot be written; the old one is untouched.

    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "w.safetensors")
    ...     save_safetensors(path, {"weight": np.float32([[1, 2]])}, {"epoch": "3"})
    ...     load_safetensors(path)
    ({'weight': array([[1., 2.]], dtype=float32)}, {'epoch': '3'})
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or name == _RESERVED:
            raise ArgumentError(
                "save_safetensors: bad tensor name",
                expected=f"text other than {_RESERVED!r}",
                got=repr(name),
            )
        array = np.asarray(value)
        little = array.dtype.newbyteorder("<")
        if little not in _WRITABLE:
            raise DTypeError(
                f"save_safetensors: tensor {name!r}",
                expected="bool, an integer or a float of at most 64 bits",
                got=str(array.dtype),
            )
        # The writer copies memory as it lies, so it must lie in C order.
        arrays[name] = np.asarray(array, dtype=little, order="C")
    texts = dict(metadata or {})
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ArgumentError(
                "save_safetensors: bad metadata",
                expected="text to text",
                got=f"{key!r}: {text!r}",
                rule="encode numbers and lists as text, for instance with json.dumps",
            )
    write_atomically(path, save(arrays, metadata=texts or None), lasting=lasting)


def load_safetensors(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Read what `save_safetensors` (or any other program) wrote.

    Args:
        path: the file.

    Returns:
        The arrays by name, each writable and owning its memory, and the metadata texts.

    Raises:
        DataError: the file cannot be read, is truncated, over-long or inconsistent, or holds a
            data type that NumPy has not (bfloat16, float8).
    """
    content = read_bytes(path)
    try:
        entries = dict(deserialize(content))  # type: ignore[no-untyped-call]
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{path} is not a whole safetensors file",
            got=" ".join(str(error).split()),
            rule="the header's length, shapes and offsets must account for every byte",
        ) from error
    texts = header.pop(_RESERVED, None) or {}
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for name in header:  # the reader's own order changes from call to call
        entry = entries[name]
        code = _DTYPES.get(str(entry["dtype"]))
        if code is None:
            raise DataError(
                f"{path}: tensor {name!r} has a data type that NumPy has not",
                expected=", ".join(_DTYPES),
                got=str(entry["dtype"]),
            )
        flat = np.frombuffer(entry["data"], dtype=code)
        try:
            shaped = flat.reshape(entry["shape"])
        except ValueError as error:  # a size of 2**63 beside a size of 0 counts as no bytes
            raise DataError(
                f"{path}: tensor {name!r} has an impossible shape", got=str(entry["shape"])
            ) from error
        tensors[name] = shaped.astype(shaped.dtype.newbyteorder("="), copy=True)
    return tensors, texts
