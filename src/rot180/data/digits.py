"""The embedded data set: 1,797 real handwritten digits, there without any download.

Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, CC BY 4.0.
"""

from __future__ import annotations

import numpy as np

from rot180.data.imageset import ImageSet
from rot180.data.split import check_split, stratified_split

ATTRIBUTION = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, "
    "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0"
)
"""To be shown wherever the images are passed on."""


def digits(split: str = "train") -> ImageSet:
    """The embedded digits: 8×8, one channel, ten classes.

    The file stores ink from 0 to 16. The set shows it as ordinary grey, `ink · 255 // 16`, so that
    16 becomes 255; nothing is lost, `ink = (grey · 16 + 254) // 255`.

    Args:
        split: "train" (1,437 images), "test" (360) or "all" (1,797, in the file's order). Train and
            test are `stratified_split(labels)`: a fifth of each class, the same on every machine.

    Returns:
        The set, images (N, 1, 8, 8).

    Raises:
        ArgumentError: another split.

    Source: `ATTRIBUTION`.

    >>> digits("train"), len(digits("test"))
    (ImageSet('digits train', 1437 images 1×8×8, 10 classes), 360)
    """
    from importlib.resources import files

    check_split("digits", split, ("train", "test", "all"))
    with (
        files("rot180.data").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        ink, labels = stored["images"], stored["labels"]
    grey = (ink.astype(np.uint16) * 255 // 16).astype(np.uint8)[:, np.newaxis]
    everything = ImageSet(grey, labels, tuple("0123456789"), "digits all")
    if split == "all":
        return everything
    train, test = stratified_split(labels)
    return everything.subset(train if split == "train" else test, f"digits {split}")
