"""MNIST and Fashion-MNIST from their four classic IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.data.idx import read_idx
from rot180.data.imageset import ImageSet
from rot180.data.split import check_split
from rot180.errors import DataError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

# The two sets share their file names, so a folder of its own goes before the root.
_MNIST_FOLDERS = ("mnist", "MNIST/raw", "MNIST", "")
_FASHION_FOLDERS = (
    "fashion_mnist",
    "fashion-mnist",
    "FashionMNIST/raw",
    "FashionMNIST",
    "fashion",
    "",
)
_PREFIXES = {"train": "train", "test": "t10k"}


def mnist(root: str | PathLike[str], split: str = "train") -> ImageSet:
    """MNIST: handwritten digits, 28×28, one channel, 60,000 for training and 10,000 for testing.

    Args:
        root: the folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, plain or with `.gz`, or a folder
            above it (`mnist/`, `MNIST/raw/`).
        split: "train" or "test".

    Returns:
        The set, images (N, 1, 28, 28).

    Raises:
        ArgumentError: another split.
        DataError: a file is missing or damaged, images and labels do not match, a label is > 9.
    """
    return _read("mnist", _MNIST_FOLDERS, tuple("0123456789"), Path(root), split)


def fashion_mnist(root: str | PathLike[str], split: str = "train") -> ImageSet:
    """Fashion-MNIST: ten kinds of clothing in MNIST's format; see `mnist` for the arguments.

    Below `root` it is looked for in `fashion_mnist/`, `fashion-mnist/`, `FashionMNIST/raw/`.
    """
    return _read("fashion_mnist", _FASHION_FOLDERS, FASHION_CLASSES, Path(root), split)


def _read(
    name: str, folders: tuple[str, ...], classes: tuple[str, ...], root: Path, split: str
) -> ImageSet:
    check_split(name, split, tuple(_PREFIXES))
    image_path = _find(name, folders, root, f"{_PREFIXES[split]}-images-idx3-ubyte")
    label_path = _find(name, folders, root, f"{_PREFIXES[split]}-labels-idx1-ubyte")
    images = _typed(image_path, 3, "(N, height, width)")
    labels = _typed(label_path, 1, "(N,)")
    if len(images) != len(labels):
        raise DataError(
            f"{name} {split}: images and labels do not match",
            arithmetic=f"{image_path.name} has {len(images)}, {label_path.name} has {len(labels)}",
        )
    if 0 in images.shape[1:]:
        raise DataError(f"{image_path}: images without pixels", got=f"{images.shape}")
    wrong = np.flatnonzero(labels >= len(classes))
    if wrong.size:
        raise DataError(
            f"{label_path}: label {wrong[0]} out of range",
            expected=f"0 to {len(classes) - 1}",
            got=f"{labels[wrong[0]]}",
        )
    return ImageSet(images[:, np.newaxis], labels.astype(np.int64), classes, f"{name} {split}")


def _find(name: str, folders: tuple[str, ...], root: Path, file_name: str) -> Path:
    for folder in folders:
        for suffix in ("", ".gz"):
            path = root / folder / (file_name + suffix)
            if path.is_file():
                return path
    raise DataError(
        f"{name}: no {file_name} or {file_name}.gz in {root}",
        rule=f'get it with rot180 data fetch {name}, or rot180.data.fetch("{name}", root)',
    )


def _typed(path: Path, ndim: int, expected: str) -> NDArray[Any]:
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim != ndim:
        raise DataError(
            f"{path}: not the right kind of IDX file",
            expected=f"uint8 of shape {expected}",
            got=f"{array.dtype} of shape {array.shape}",
        )
    return array
