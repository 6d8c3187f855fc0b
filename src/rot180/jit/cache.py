"""The cache of machine code, in memory and on disk.

A kernel's key is made of its descriptor, the target and the versions that took part, so an entry is
never stale: another version has other keys. Files are written under a temporary name and renamed,
carry a checksum, and a damaged one is made anew. Several processes may use a folder at once.

Whoever can write into the folder can run code in your processes: it is made for you alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["Cache", "default_folder"]

_MAGIC = b"rot180 code 1\n"
_LIMIT = 256 << 20
"""Bytes that the folder may hold; the entries that were not used for longest go first."""
_OFTEN = 256
"""After so many new entries of a process, and after the first, the folder is trimmed."""


def default_folder() -> Path:
    """What the variable ROT180_CACHE says, else where this system keeps caches."""
    if "ROT180_CACHE" in os.environ:
        return Path(os.environ["ROT180_CACHE"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "rot180" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rot180"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rot180"


class Cache:
    """Machine code by key.

    Attributes:
        folder: where the files are, None for none.
        made, found: how many entries were compiled, and how many were read from disk.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.made = self.found = 0

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The code of a key, from disk or made now (and kept)."""
        code = self._read(key)
        if code is not None:
            self.found += 1
            return code
        code = make()
        self.made += 1
        self._write(key, code)
        if self.made % _OFTEN == 1:
            self.trim()
        return code

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.o"

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head, digest, code = data[: len(_MAGIC)], data[len(_MAGIC) :][:32], data[len(_MAGIC) + 32 :]
        if head != _MAGIC or hashlib.sha256(code).digest() != digest:
            return None  # damaged: it is made anew and replaced
        with contextlib.suppress(OSError):
            os.utime(path)
        return code

    def _write(self, key: str, code: bytes) -> None:
        """Keep an entry; a full disk or a folder that cannot be written costs the entry only."""
        path = self._path(key)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(code).digest() + code)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    # What `rot180 cache` shows and clears

    def entries(self) -> list[tuple[Path, int, float]]:
        """(file, bytes, last use) of every entry, the oldest first."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = []
        for path in self.folder.glob("*.o"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: entry[2])

    def trim(self, limit: int = _LIMIT) -> None:
        """Remove what was not used for longest until the rest fits."""
        entries = self.entries()
        total = sum(size for _, size, _ in entries)
        for path, size, _ in entries:
            if total <= limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size

    def clear(self) -> int:
        """Remove every entry; returns how many there were."""
        entries = self.entries()
        for path, _, _ in entries:
            with contextlib.suppress(OSError):
                path.unlink()
        return len(entries)
