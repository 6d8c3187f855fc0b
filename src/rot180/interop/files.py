"""Writing a file so that a reader sees the whole old one or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from rot180.errors import DataError

__all__ = ["force", "read_bytes", "write_atomically"]


def write_atomically(path: str | os.PathLike[str], content: bytes, *, lasting: bool = True) -> None:
    """Replace the file `path` by `content` in one step.

    The bytes go to a temporary file in the same folder, are forced to the disk, and only then take
    the name: a crash, a kill or a full disk at any moment leaves the old file untouched.

    Args:
        path: the file to write; its folder must exist.
        content: the whole new content.
        lasting: force it to the disk, which a busy one may take a second for; False: what a failure
            of power may cost.

    Raises:
        DataError: the folder is absent, not writable or full; names the path and the reason.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "note.txt"), b"whole")
    ...     Path(folder, "note.txt").read_bytes()
    b'whole'
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                if lasting:
                    os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:  # Ctrl-C too must not leave the temporary file behind
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"cannot write {target}",
            got=error.strerror or str(error),
            rule="a failed write leaves the old file as it was",
        ) from error
    if lasting:
        with contextlib.suppress(OSError):  # where the system lets no folder be opened
            force(target.parent)


def force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk; Windows forces names by itself."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole content of `path`; a file that cannot be read is a DataError that names it.

    >>> read_bytes("no/such/file")
    Traceback (most recent call last):
        ...
    rot180.errors.DataError: cannot read no/such/file; got No such file or directory
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}", got=error.strerror or str(error)) from error
