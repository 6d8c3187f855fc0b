"""Checkpoints that are complete or not there: numbered folders and one pointer.

    checkpoint/
        000007/            model.safetensors  optimizer.safetensors  state.json
        000008/            ...
        LAST               "000008": the switch, replaced atomically

A checkpoint is written whole under a temporary name, made durable, renamed to its number, and only
then becomes `LAST`; the one before it stays as a reserve and older ones go. `state.json` holds the
sizes and checksums of its neighbours and its own, so that damage is found before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rot180.errors import DataError
from rot180.interop import load_safetensors, read_bytes, save_safetensors, write_atomically
from rot180.interop.files import force

if TYPE_CHECKING:
    from rot180.train.packing import Arrays

__all__ = ["Checkpoint", "CheckpointStore"]

_FILES = ("model.safetensors", "optimizer.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds, verified.

    Attributes:
        model: the state dict of the model.
        arrays: every other array (optimiser, loader, callbacks), by name.
        state: the plain values of `state.json`.
        path: the folder it was read from.
        warnings: one line for every newer checkpoint that was damaged and passed over.
    """

    model: Arrays
    arrays: Arrays
    state: dict[str, Any]
    path: Path
    warnings: tuple[str, ...] = ()


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        root: the folder `checkpoint/` of a run; made when the first one is saved.

    >>> import tempfile, numpy as np
    >>> store = CheckpointStore(Path(tempfile.mkdtemp()) / "checkpoint")
    >>> store.save({"weight": np.ones(2)}, {}, {"epoch": 1}).name
    '000001'
    >>> store.load().state["epoch"]
    1
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._good: str | None = None  # the newest one that was written or verified by us

    def save(self, model: Arrays, arrays: Arrays, state: dict[str, Any]) -> Path:
        """Write one checkpoint; when this returns the disk has it and `LAST` names it.

        Args:
            model: the state dict of the model.
            arrays: every other array, by name.
            state: JSON-able values.

        Returns:
            The folder of the new checkpoint.

        Raises:
            DataError: it could not be written (a full disk, ...); the one before it is untouched.
        """
        name = f"{max([0, *map(int, self._names())]) + 1:06d}"
        temporary = self.root / f"{name}.{os.getpid()}.tmp"
        folder = self.root / name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            for file, content in zip(_FILES, (model, arrays), strict=True):
                save_safetensors(temporary / file, content, lasting=False)
            # the checksums are of what the disk gives back, not of what was meant to be there
            blobs = {file: read_bytes(temporary / file) for file in _FILES}
            write_atomically(temporary / "state.json", _seal(state, blobs), lasting=False)
            for file in (*_FILES, "state.json"):
                force(temporary / file)
            force(temporary)
            temporary.rename(folder)  # on the disk with LAST, which is in the same folder
            write_atomically(self.root / "LAST", f"{name}\n".encode())
        except (OSError, DataError) as error:
            _remove(temporary)
            if self._pointer() != name:  # the switch did not happen: the half-way one goes
                _remove(folder)
            cause = error.__cause__ if isinstance(error, DataError) else error
            raise DataError(
                f"the checkpoint could not be written to {self.root}",
                got=getattr(cause, "strerror", None) or str(error),
                rule=f"the checkpoint before it ({self._good or 'none yet'}) is intact; "
                "make room, then resume the run",
            ) from error
        self._clean(keep={name, self._good})
        self._good = name
        return folder

    def load(self) -> Checkpoint:
        """The newest complete checkpoint, verified.

        Raises:
            DataError: there is none, or every one of them is damaged.
        """
        names = sorted(self._names(), reverse=True)
        pointer = self._pointer()
        if pointer in names:
            names.remove(pointer)
            names.insert(0, pointer)
        warnings: list[str] = []
        for name in names:
            try:
                found = _read(self.root / name)
            except DataError as error:
                warnings.append(f"{error}; trying the checkpoint before it")
                continue
            self._good = name
            self._clean(keep=set(names))
            return Checkpoint(*found, path=self.root / name, warnings=tuple(warnings))
        if not names:
            raise DataError(
                f"there is no checkpoint in {self.root}",
                rule="a run can be resumed once its first checkpoint is written",
            )
        raise DataError(f"every checkpoint in {self.root} is damaged: {warnings[0]}")

    def any(self) -> bool:
        """Whether a checkpoint was ever finished here."""
        return bool(self._names())

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return [entry.name for entry in self.root.iterdir() if entry.name.isdecimal()]

    def _pointer(self) -> str | None:
        try:
            return (self.root / "LAST").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None

    def _clean(self, keep: set[str | None]) -> None:
        """Remove the other checkpoints and what interrupted writes have left behind."""
        for entry in list(self.root.iterdir()):
            if entry.is_dir() and entry.name not in keep:
                _remove(entry)
            elif entry.name.endswith(".tmp"):
                entry.unlink(missing_ok=True)


def _canonical(state: dict[str, Any]) -> bytes:
    return json.dumps(state, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _seal(state: dict[str, Any], blobs: dict[str, bytes]) -> bytes:
    files = {
        file: {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
        for file, blob in blobs.items()
    }
    body = {**state, "files": files}
    sealed = {"checksum": hashlib.sha256(_canonical(body)).hexdigest(), **body}
    return json.dumps(sealed, indent=1, allow_nan=False).encode()


def _read(folder: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    """Both array files and the state of one checkpoint, or a DataError that says what is wrong."""
    try:
        state = json.loads((folder / "state.json").read_bytes())
        checksum, files = state.pop("checksum"), state["files"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"checkpoint {folder.name}: state.json is damaged") from error
    if checksum != hashlib.sha256(_canonical(state)).hexdigest():
        raise DataError(f"checkpoint {folder.name}: state.json is damaged (checksum)")
    del state["files"]
    parts = []
    for file in _FILES:
        blob, wanted = read_bytes(folder / file), files[file]
        if len(blob) != wanted["bytes"]:
            raise DataError(
                f"checkpoint {folder.name}: {file} is damaged",
                expected=f"{wanted['bytes']} bytes",
                got=str(len(blob)),
            )
        if hashlib.sha256(blob).hexdigest() != wanted["sha256"]:
            raise DataError(f"checkpoint {folder.name}: {file} is damaged (checksum)")
        parts.append(load_safetensors(folder / file)[0])
    return parts[0], parts[1], state


def _remove(folder: Path) -> None:
    """Remove a folder as far as possible; what is in use now is left for the next time."""
    shutil.rmtree(folder, ignore_errors=True)
