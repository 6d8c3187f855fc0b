"""Opening files that somebody else wrote: plain, gzip or xz, in bounded memory, with one error.

The packing is told from the first bytes, never from the name.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from rot180.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at once; nothing larger is allocated before the bytes for it have arrived."""

_XZ_MEMORY = 256 << 20  # `xz -9` asks for 65 MiB to unpack; a header may ask for gigabytes


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A binary file that unpacks itself (gzip, xz) while it is read.

    Damage met while reading inside the `with` block leaves it as `DataError` naming the file.

    Args:
        path: the file.

    Yields:
        A readable binary file; not seekable when packed.

    Raises:
        DataError: missing, unreadable, a folder, or damaged.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(6)
            raw.seek(0)
            if magic.startswith(b"\x1f\x8b"):
                import gzip

                with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                    yield unpacked  # type: ignore[misc]  # typeshed: GzipFile is no BinaryIO
            elif magic == b"\xfd7zXZ\x00":
                with io.BufferedReader(_XzReader(raw, path), CHUNK) as unpacked_xz:
                    yield unpacked_xz
            else:
                yield raw
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def read_at_most(file: Any, count: int) -> bytearray:
    """Up to `count` bytes, fewer only at the end of the file, in pieces of at most `CHUNK`.

    A header may claim any number of bytes; memory follows those that really come.
    """
    content = bytearray()
    while len(content) < count:
        piece = file.read(min(CHUNK, count - len(content)))
        if not piece:
            break
        content += piece
    return content


class _XzReader(io.RawIOBase):
    """One xz stream with a memory limit, which `lzma.LZMAFile` has no way to set."""

    def __init__(self, raw: BinaryIO, path: Path) -> None:
        try:
            import lzma
        except ImportError as error:  # Python can be built without it
            raise DataError(f"{path}: xz-packed, but this Python was built without xz") from error
        self._raw = raw
        self._error = lzma.LZMAError
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            while not self._decoder.eof:
                packed = self._raw.read(CHUNK // 16) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not packed:
                    raise EOFError("the xz stream ends early")
                piece = self._decoder.decompress(packed, max_length=len(view))
                if piece:
                    view[: len(piece)] = piece
                    return len(piece)
        except self._error as error:
            raise OSError(f"damaged xz stream: {error}") from error
        if self._decoder.unused_data or self._raw.read(1):
            raise OSError("bytes follow the end of the xz stream")
        return 0
