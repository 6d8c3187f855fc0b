"""CIFAR-10 in its original binary layout: records of one label byte and 3,072 pixel bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.data._files import CHUNK, opened, read_at_most
from rot180.data.imageset import ImageSet
from rot180.data.split import check_split
from rot180.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from numpy.typing import NDArray

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

ARCHIVE = "cifar-10-binary.tar.gz"
"""The official archive's name."""

_RECORD = 1 + 3 * 32 * 32
_MAX_BYTES = 100_000 * _RECORD  # a batch has 10,000 records; ten times that is no batch
_FILES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}


def cifar10(root: str | PathLike[str], split: str = "train") -> ImageSet:
    """CIFAR-10: small colour photographs, 32×32, three channels, ten classes.

    Training takes whichever of the five batches are present; the set's name says which.
    An archive is read as a stream: nothing is written to disk and no link in it is followed.

    Args:
        root: the folder with the `.bin` files, a folder above it (`cifar-10-batches-bin/`,
            `cifar10/`) or above an archive (`cifar-10-binary*.tar*`), or such an archive itself
            (tar, plain or packed with gzip or xz).
        split: "train" or "test".

    Returns:
        The set, images (N, 3, 32, 32).

    Raises:
        ArgumentError: another split.
        DataError: nothing found, or a file that is damaged: size not a multiple of 3,073, a label
            above 9 (file and record are named), a broken archive.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    check_split("cifar10", split, tuple(_FILES))
    root, wanted = Path(root), _FILES[split]
    folder = _folder(root)
    if folder is not None:
        found = [name for name in wanted if (folder / name).is_file()]
        batches = {name: _file_batch(folder / name) for name in found}
    else:
        batches = _archive_batches(root if root.is_file() else _archive(root), wanted)
    if not batches:
        raise DataError(f"{root}: no {' or '.join(wanted)}")
    # In the order of their numbers, whatever the archive's order.
    parts = [batches[name] for name in wanted if name in batches]
    numbers = ", ".join(name[len("data_batch_") : -4] for name in wanted if name in batches)
    return ImageSet(
        np.concatenate([images for images, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
        CIFAR10_CLASSES,
        f"cifar10 train (batches {numbers})" if split == "train" else "cifar10 test",
    )


def _folder(root: Path) -> Path | None:
    names = [name for group in _FILES.values() for name in group]
    for below in ("", "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"):
        if any((root / below / name).is_file() for name in names):
            return root / below
    return None


def _archive(root: Path) -> Path:
    for folder in (root, root / "cifar10"):
        if (folder / ARCHIVE).is_file():
            return folder / ARCHIVE
        archives = sorted(folder.glob("cifar-10-binary*.tar*"))
        if len(archives) > 1:
            raise DataError(
                f"{folder}: several CIFAR-10 archives, name one",
                got=", ".join(path.name for path in archives),
            )
        if archives:
            return archives[0]
    raise DataError(
        f"cifar10: no data_batch_1.bin, test_batch.bin or {ARCHIVE} in {root}",
        rule='get it with rot180 data fetch cifar10, or rot180.data.fetch("cifar10", root)',
    )


def _file_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with opened(path) as file:
        return _batch(file, str(path))


def _archive_batches(
    path: Path, wanted: Sequence[str]
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    import tarfile

    batches = {}
    with opened(path) as stream:
        try:
            # "r|" never seeks: what a damaged header claims is not allocated and not jumped to.
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = member.name.rsplit("/", 1)[-1]
                    if name not in wanted:
                        continue
                    where = f"{path}: {name}"
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
                        raise DataError(f"{where} is a link or no plain file, and is not followed")
                    if name in batches:
                        raise DataError(f"{where} is there twice")
                    content = archive.extractfile(member)
                    batches[name] = _batch(content, where, member.size)
                _check_end(archive.fileobj, path)
        except (DataError, OSError, EOFError):
            raise  # ours, or the packing's, which `opened` names
        except Exception as error:  # tarfile lets through whatever its parsing meets
            raise DataError(f"{path}: damaged tar archive: {error!a}") from error
    return batches


def _check_end(stream: Any, path: Path) -> None:
    """After the last member only zeros may follow; tarfile takes a broken header for the end."""
    rest = read_at_most(stream, CHUNK)
    if any(rest) or len(rest) == CHUNK:
        raise DataError(f"{path}: damaged tar archive: something follows its end")


def _batch(
    file: Any, where: str, declared: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = read_at_most(file, _MAX_BYTES + 1)
    size = len(content)
    if size > _MAX_BYTES:
        raise DataError(f"{where} is too long", expected=f"at most {_MAX_BYTES:,} bytes")
    if declared is not None and size != declared:
        raise DataError(f"{where} is truncated", expected=f"{declared:,} bytes", got=f"{size:,}")
    if size == 0 or size % _RECORD:
        raise DataError(
            f"{where} does not hold whole records",
            arithmetic=f"{size:,} = {size // _RECORD} · {_RECORD:,} + {size % _RECORD}",
            expected=f"a positive multiple of {_RECORD:,} bytes (1 + 3 · 32 · 32)",
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0]
    wrong = np.flatnonzero(labels > 9)
    if wrong.size:
        raise DataError(
            f"{where}: label of record {wrong[0]} out of range",
            expected="0 to 9",
            got=f"{labels[wrong[0]]}",
        )
    return records[:, 1:].reshape(-1, 3, 32, 32), labels.astype(np.int64)
