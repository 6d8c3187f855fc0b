"""The run folder: everything one training leaves behind.

config.toml          what was asked for, and what is needed to use the model
metrics.jsonl        one JSON object per line: kind "step" (every few steps) or "epoch"
model.safetensors    the weights, with PyTorch's keys
checkpoint/          for an exact resume, see `CheckpointStore`
curves.png  confusion.png  mistakes.png  report.html
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w

from rot180._version import __version__
from rot180.errors import ArgumentError, DataError
from rot180.interop import save_model, write_atomically
from rot180.train.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from rot180.nn import Module
    from rot180.train.packing import Arrays

# the same parser, which Python has inside since 3.11
_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

__all__ = ["RunFolder", "next_run_path", "parse_toml", "read_toml", "strict_json"]


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is no TOML; says where.
    """
    tables: dict[str, Any] = _toml.loads(text)
    return tables


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        DataError: it cannot be read or is no TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is no valid TOML file: {error}") from error


def next_run_path(root: Path, name: str) -> Path:
    """The first of `root/name-1`, `root/name-2`, ... that is not there yet."""
    number = 1
    while (root / f"{name}-{number}").exists():
        number += 1
    return root / f"{name}-{number}"


class RunFolder:
    """One run on disk; make it with `create` or `open`.

    Attributes:
        path: the folder.
        config: the tables of `config.toml`.
        checkpoints: its checkpoints.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.checkpoints = CheckpointStore(path / "checkpoint")

    @classmethod
    def create(cls, path: Path | str, config: dict[str, Any]) -> RunFolder:
        """A new run folder with its `config.toml`.

        Raises:
            ArgumentError: the path is taken.
            DataError: it cannot be made.
        """
        path = Path(path)
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ArgumentError(
                    f"{path} is there already",
                    rule="choose another folder with -o, or continue that run with --resume",
                )
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot make the run folder {path}", got=str(error.strerror)
            ) from error
        write_atomically(path / "config.toml", tomli_w.dumps(_without_none(config)).encode())
        return cls(path, config)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """The run folder that is there.

        Raises:
            DataError: it is no run folder, or its config is damaged.
        """
        path = Path(path)
        if not (path / "config.toml").is_file():
            raise DataError(
                f"{path} is no run folder",
                expected="a folder with config.toml, as rot180 train leaves it",
                got="no such folder" if not path.exists() else "no config.toml",
            )
        return cls(path, read_toml(path / "config.toml"))

    @property
    def model_path(self) -> Path:
        """`model.safetensors`."""
        return self.path / "model.safetensors"

    def save_weights(self, model: Module, **notes: Any) -> None:
        """Write `model.safetensors`, with notes (such as the epoch) as its metadata.

        The same weights and notes give the same bytes: all notes are one text, for the format's
        writer puts several in no fixed order.

        Raises:
            DataError: it cannot be written; the old one is untouched.
        """
        about = json.dumps({"version": __version__, **notes}, sort_keys=True)
        save_model(model, self.model_path, {"rot180": about})

    def save_checkpoint(self, model: Arrays, arrays: Arrays, state: dict[str, Any]) -> None:
        """Write a checkpoint; the library's version and the config of the run go with it.

        Raises:
            DataError: it cannot be written; the one before it is intact.
        """
        about = {"version": __version__, "config": strict_json(self.config)}
        self.checkpoints.save(model, arrays, {**about, **state})

    @property
    def metrics_path(self) -> Path:
        """`metrics.jsonl`."""
        return self.path / "metrics.jsonl"

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`; NaN and infinity become null.

        Raises:
            DataError: it cannot be written.
        """
        line = json.dumps(strict_json(record), allow_nan=False) + "\n"
        try:
            with self.metrics_path.open("ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise DataError(
                f"cannot write {self.metrics_path}", got=error.strerror or str(error)
            ) from error

    def sync_log(self) -> int:
        """Make `metrics.jsonl` durable; its length in bytes, which a checkpoint notes."""
        if not self.metrics_path.exists():
            return 0
        with self.metrics_path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def rewind_log(self, size: int) -> None:
        """Cut `metrics.jsonl` back to a checkpoint, so that no line comes twice."""
        if self.sync_log() > size:
            with self.metrics_path.open("r+b") as file:
                file.truncate(size)

    def records(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, all or of one kind; a torn last line is left out."""
        if not self.metrics_path.exists():
            return []
        found = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if kind is None or record.get("kind") == kind:
                found.append(record)
        return found


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [_without_none(value) for value in tree]
    return tree.item() if isinstance(tree, np.generic) else tree


def strict_json(tree: Any) -> Any:
    """The same tree without what JSON cannot say: NaN and infinity become null."""
    if isinstance(tree, dict):
        return {key: strict_json(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [strict_json(value) for value in tree]
    if isinstance(tree, np.generic):
        tree = tree.item()
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
