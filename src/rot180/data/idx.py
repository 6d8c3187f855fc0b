"""IDX, the format of MNIST: a magic number, big-endian sizes, then the array itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.data._files import opened, read_at_most
from rot180.errors import DataError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""IDX type code → big-endian NumPy type."""

_MAX_DIMENSIONS = 64  # NumPy's own limit; the format would allow 255


def read_idx(path: str | PathLike[str], *, max_bytes: int = 1 << 32) -> NDArray[Any]:
    """Read one IDX file, plain or packed (gzip, xz), exactly as long as its header says.

    The layout: two zero bytes, the type code, the number of dimensions, each size as a big-endian
    32-bit integer, then the values in C order. Memory follows the bytes that really arrive,
    never the sizes that the header claims.

    Args:
        path: the file; whether it is packed is told from its first bytes.
        max_bytes: the largest array that is accepted, in bytes.

    Returns:
        A writable array in the machine's byte order: uint8, int8, int16, int32, float32 or
        float64.

    Raises:
        DataError: wrong magic or type code, no or too many dimensions, truncated, over-long,
            damaged packing, larger than `max_bytes`.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "file formats".

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with opened(path) as file:
        dtype, shape = _header(read_at_most(file, 4), file, path)
        # A zero among huge sizes declares no bytes, yet NumPy cannot hold such a shape either.
        if math.prod(max(size, 1) for size in shape) * dtype.itemsize > max_bytes:
            raise DataError(
                f"{path}: the IDX header declares too much",
                arithmetic=_arithmetic(shape, dtype),
                expected=f"at most {max_bytes:,} bytes",
            )
        declared = math.prod(shape) * dtype.itemsize
        content = read_at_most(file, declared + 1)
    if len(content) != declared:
        raise DataError(
            f"{path}: {'truncated' if len(content) < declared else 'over-long'} IDX file",
            arithmetic=_arithmetic(shape, dtype),
            expected=f"{declared:,} bytes after the header",
            got=f"{len(content):,}" if len(content) < declared else "more",
        )
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(magic: bytearray, file: Any, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise DataError(
            f"{path}: not an IDX file",
            expected=f"first bytes 00 00, a type code ({_hexes(DTYPES)}), the dimension count",
            got=_hexes(magic) or "an empty file",
        )
    dimensions = magic[3]
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise DataError(
            f"{path}: IDX dimension count",
            expected=f"1 to {_MAX_DIMENSIONS}",
            got=str(dimensions),
        )
    sizes = read_at_most(file, 4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(
            f"{path}: truncated IDX header",
            arithmetic=f"{dimensions} dimensions · 4 bytes = {4 * dimensions}",
            got=f"{len(sizes)}",
        )
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    return np.dtype(DTYPES[magic[2]]), shape


def _arithmetic(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    factors = " · ".join(str(size) for size in (*shape, dtype.itemsize))
    return f"{factors} = {math.prod(shape) * dtype.itemsize:,} bytes"


def _hexes(values: Any) -> str:
    return " ".join(f"{value:02x}" for value in values)
