"""Image files of any kind Pillow reads: one class per sub-folder, or a single picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.data.imageset import ImageSet
from rot180.data.split import check_split, stratified_split
from rot180.data.transforms import Resize
from rot180.errors import ArgumentError, DataError, MissingExtraError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

_SPLIT_FOLDERS = {"train": ("train",), "test": ("test", "val", "valid")}

# Pillow hands EPS to Ghostscript, another program; an image folder must never start one.
_REFUSED = frozenset({"EPS"})


def image_folder(
    path: str | PathLike[str],
    split: str | None = None,
    size: int | tuple[int, int] | None = None,
) -> ImageSet:
    """A folder of pictures: each sub-folder is a class, named after it, in sorted order.

    Where the folder holds `train/` and `test/` (or `val/`) with the class folders inside, a split
    is one of them; otherwise it is `stratified_split`, a fifth of each class for testing.
    Classes are always those of the whole folder, so the labels of both splits agree. Hidden files
    and files that are no pictures by their suffix are passed over.

    Args:
        path: the folder.
        split: "train", "test", or everything: "all" or None.
        size: rows and columns to scale every picture to, or (rows, columns); needed where the
            pictures differ in size.

    Returns:
        The set: one channel if every picture of the split is grey, else three.

    Raises:
        MissingExtraError: Pillow is not installed.
        ArgumentError: another split.
        DataError: no folder, no class, a class without pictures, a damaged picture (its path is
            named), or pictures of different sizes without `size` (two of them are named).
    """
    path = Path(path)
    check_split("image_folder", split, ("train", "test", "all", None))
    split = None if split == "all" else split
    suffixes = _suffixes()
    roots = _split_roots(path)
    groups = {name: _pictures(root, suffixes) for name, root in (roots or {"": path}).items()}
    classes = tuple(sorted({label for group in groups.values() for label in group}))
    if not classes:
        raise DataError(f"{path}: no class folders", rule="one sub-folder of pictures per class")
    for name in classes:
        if not any(group.get(name) for group in groups.values()):
            raise DataError(f"{path}: class folder {name!r} holds no pictures")
    if roots and split is not None:
        if split not in groups:
            words = " or ".join(f"{name}/" for name in _SPLIT_FOLDERS[split])
            raise DataError(f"{path}: no {words} beside {next(iter(roots))}/")
        groups = {split: groups[split]}
    files = [
        (file, index)
        for group in groups.values()
        for index, name in enumerate(classes)
        for file in group.get(name, ())
    ]
    labels = np.array([index for _, index in files], np.int64)
    if split is not None and not roots:
        chosen = stratified_split(labels)[split == "test"]
        files, labels = [files[index] for index in chosen], labels[chosen]
    name = f"{path.resolve().name} {split or 'all'}"
    return ImageSet(_stack([file for file, _ in files], size), labels, classes, name)


def read_image(
    path: str | PathLike[str],
    channels: int | None = None,
    size: int | tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """One picture as an array, whatever its mode: palette, 1 bit, 16 bit, alpha, CMYK, ...

    Transparent parts show white, as on a page; a camera's rotation tag is obeyed; of an animation
    the first frame is taken. 16-bit grey is divided by 257, float is taken as 0..1.

    Args:
        path: the file.
        channels: 1 (grey, ITU-R 601 luma of a colour picture), 3 (colour), or None for what the
            picture has.
        size: rows and columns to scale to, or (rows, columns).

    Returns:
        (C, H, W) uint8, 0 to 255.

    Raises:
        MissingExtraError: Pillow is not installed.
        ArgumentError: another number of channels.
        DataError: no picture, damaged, or so many pixels that it must be a bomb.
    """
    if channels not in (None, 1, 3):
        raise ArgumentError("read_image: channels", expected="1, 3 or None", got=f"{channels!r}")
    path = Path(path)
    _suffixes()  # Pillow there, all its formats registered
    from PIL import Image, ImageOps

    allowed = [name for name in Image.OPEN if name not in _REFUSED]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of files are no news to our users
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=allowed) as picture:
                pixels = _pixels(ImageOps.exif_transpose(picture), channels)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except Exception as error:  # decoders let through whatever a damaged file makes them do
        raise DataError(f"{path}: not a readable picture: {_one_line(error)}") from error
    if size is None:
        return pixels
    return np.asarray(Resize(size)(pixels[np.newaxis])[0], np.uint8)


def _pixels(picture: Any, channels: int | None) -> NDArray[np.uint8]:
    """(C, H, W) of an open Pillow image."""
    if picture.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow's own conversion would clip
        values = np.asarray(picture, np.float64)
        top = 1.0 if picture.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= top):
            raise ValueError(f"values {values.min():g} to {values.max():g}, expected 0 to {top:g}")
        grey = np.rint(values * (255.0 / top)).astype(np.uint8)[np.newaxis]
        return grey if channels != 3 else np.repeat(grey, 3, axis=0)
    palette = picture.mode in ("P", "PA")
    colour = picture.mode not in ("1", "L", "LA", "La")
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert(picture.mode.upper())
    if picture.mode in ("LA", "RGBA", "PA") or "transparency" in picture.info:
        from PIL import Image

        picture = picture.convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(page, picture)
    if channels is None and palette:  # a palette may hold nothing but greys
        values = np.asarray(picture.convert("RGB"))
        colour = bool((values != values[:, :, :1]).any())
    if channels is None:
        channels = 3 if colour else 1
    if channels == 1:
        return np.array(picture.convert("L"), np.uint8)[np.newaxis]
    return np.ascontiguousarray(np.moveaxis(np.asarray(picture.convert("RGB")), 2, 0))


def _stack(files: list[Path], size: int | tuple[int, int] | None) -> NDArray[np.uint8]:
    images = []
    for file in files:
        images.append(read_image(file, size=size))
        if images[-1].shape[1:] != images[0].shape[1:]:
            first, this = (
                f"{image.shape[1]}×{image.shape[2]}" for image in (images[0], images[-1])
            )
            raise DataError(
                "pictures of different sizes (rows×columns)",
                arithmetic=f"{files[0]} is {first}, {file} is {this}",
                rule="give size= to scale all of them",
            )
    if not images:
        raise DataError("no pictures in this split", rule="each class needs two or more")
    channels = max(len(image) for image in images)
    result = np.empty((len(images), channels, *images[0].shape[1:]), np.uint8)
    for index, image in enumerate(images):
        result[index] = image  # a grey picture among coloured ones fills all three channels
    return result


def _split_roots(path: Path) -> dict[str, Path]:
    """The folders of the splits, none where `train` is just a class of its own."""
    roots = {}
    for split, names in _SPLIT_FOLDERS.items():
        for name in names:
            if split not in roots and (path / name).is_dir() and _folders(path / name):
                roots[split] = path / name
    return roots


def _pictures(root: Path, suffixes: frozenset[str]) -> dict[str, list[Path]]:
    """Class name → its picture files, both in sorted order."""
    return {
        folder.name: sorted(
            file
            for file in folder.iterdir()
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
        )
        for folder in _folders(root)
    }


def _folders(root: Path) -> list[Path]:
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from error
    return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _suffixes() -> frozenset[str]:
    """The file suffixes of pictures that Pillow can read here."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("image folders", "pillow", "data") from error
    extensions = Image.registered_extensions()
    return frozenset(
        suffix for suffix, kind in extensions.items() if kind in Image.OPEN and kind not in _REFUSED
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
