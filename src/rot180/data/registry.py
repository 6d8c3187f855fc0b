"""Every data set by its name, and one function that loads any of them or a folder of pictures."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rot180.data.cifar import cifar10
from rot180.data.digits import ATTRIBUTION, digits
from rot180.data.folder import image_folder
from rot180.data.mnist import fashion_mnist, mnist
from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from rot180.data.imageset import ImageSet


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before it is loaded.

    Args:
        name: its name on the command line.
        load: (root, split) → the set; an embedded one needs no root.
        description: one line.
        image_shape: (C, H, W).
        train: images for training (all batches present).
        test: images for testing.
        licence: under which it may be used, as far as its authors say.
        attribution: whom to name.
        embedded: part of this package; nothing to fetch.
    """

    name: str
    load: Callable[[Path, str], ImageSet]
    description: str
    image_shape: tuple[int, int, int]
    train: int
    test: int
    licence: str
    attribution: str
    embedded: bool = False


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "digits",
            lambda root, split: digits(split),
            "handwritten digits, grey",
            (1, 8, 8),
            1437,
            360,
            "CC BY 4.0",
            ATTRIBUTION,
            embedded=True,
        ),
        DatasetInfo(
            "mnist",
            mnist,
            "handwritten digits, grey",
            (1, 28, 28),
            60_000,
            10_000,
            "CC BY-SA 3.0",
            "The MNIST database of handwritten digits, Y. LeCun, C. Cortes, C. Burges",
        ),
        DatasetInfo(
            "fashion_mnist",
            fashion_mnist,
            "articles of clothing, grey",
            (1, 28, 28),
            60_000,
            10_000,
            "MIT",
            "Fashion-MNIST, H. Xiao, K. Rasul, R. Vollgraf, Zalando SE, 2017",
        ),
        DatasetInfo(
            "cifar10",
            cifar10,
            "photographs of animals and vehicles, colour",
            (3, 32, 32),
            50_000,
            10_000,
            "none stated",
            "Learning multiple layers of features from tiny images, A. Krizhevsky, 2009",
        ),
    )
}
"""Name → what is known of it."""


def default_root() -> Path:
    """Where downloaded data sets live when nobody says otherwise: the platform's cache folder."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rot180"


def load(
    name_or_folder: str | PathLike[str],
    split: str = "train",
    root: str | PathLike[str] | None = None,
    size: int | tuple[int, int] | None = None,
) -> ImageSet:
    """A data set by its name, or a folder of pictures by its path.

    Args:
        name_or_folder: a key of `DATASETS` (`fashion-mnist` works too), or the path of a folder
            with one sub-folder per class; write `./digits` for a folder called like a data set.
        split: "train" or "test"; digits and folders also know "all".
        root: where a data set that is not embedded lies; `default_root()` if None.
        size: for a folder only: scale every picture to it.

    Returns:
        The set.

    Raises:
        ArgumentError: neither a name nor a folder; an unknown split; `size` for a data set.
        DataError: not there (the message says how to fetch it) or damaged.

    >>> load("digits", "test")
    ImageSet('digits test', 360 images 1×8×8, 10 classes)
    """
    name = os.fspath(name_or_folder).replace("-", "_")
    if name in DATASETS:
        if size is not None:
            raise ArgumentError(
                f"load: size is for folders, {name} has one", rule="use the transform Resize"
            )
        return DATASETS[name].load(Path(root) if root is not None else default_root(), split)
    if Path(name_or_folder).is_dir():
        return image_folder(name_or_folder, split, size)
    raise ArgumentError(
        f"load: no data set and no folder {os.fspath(name_or_folder)!r}",
        expected=f"{', '.join(DATASETS)}, or a folder with one sub-folder per class",
    )
