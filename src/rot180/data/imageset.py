"""A set of labelled images in memory: what every reader of this folder returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with one class each.

    Args:
        images: (N, C, H, W) uint8, 0 to 255.
        labels: (N,) integers, each in 0..len(classes)−1; kept as int64.
        classes: the name of each class.
        name: what the set is called in reports, with the split.

    Raises:
        DTypeError: images are not uint8, or labels are no integers.
        ShapeError: not four axes, or the counts of images and labels differ.
        DataError: a label out of range.

    >>> two = ImageSet(np.zeros((2, 1, 8, 8), np.uint8), np.array([0, 1]), ("cat", "dog"), "two")
    >>> len(two), two.image_shape, two.mean
    (2, (1, 8, 8), (0.0,))
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.dtype != np.uint8:
            raise DTypeError(f"{self.name}: images", expected="uint8", got=str(images.dtype))
        if not np.issubdtype(labels.dtype, np.integer):
            raise DTypeError(f"{self.name}: labels", expected="integers", got=str(labels.dtype))
        if images.ndim != 4:
            raise ShapeError(f"{self.name}: images", expected="(N, C, H, W)", got=f"{images.shape}")
        if labels.shape != images.shape[:1]:
            raise ShapeError(
                f"{self.name}: one label per image",
                expected=f"labels of shape ({len(images)},)",
                got=f"{labels.shape}",
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if wrong.size:
            raise DataError(
                f"{self.name}: label of image {wrong[0]} out of range",
                expected=f"0 to {len(self.classes) - 1}",
                got=f"{labels[wrong[0]]}",
            )
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))
        object.__setattr__(self, "classes", tuple(self.classes))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        return self.images[index], int(self.labels[index])

    def __repr__(self) -> str:
        channels, height, width = self.image_shape
        return (
            f"ImageSet({self.name!r}, {len(self)} images {channels}×{height}×{width}, "
            f"{len(self.classes)} classes)"
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def subset(self, indices: ArrayLike, name: str | None = None) -> ImageSet:
        """The images at `indices` (integers in any order, or a mask of N booleans), copied.

        Raises:
            ArgumentError: not one-dimensional, not integers, or out of range.
        """
        chosen: NDArray[Any] = np.asarray(indices)
        if chosen.size == 0:
            chosen = chosen.reshape(-1).astype(np.int64)
        mask = chosen.dtype == bool
        if chosen.ndim != 1 or not (mask or np.issubdtype(chosen.dtype, np.integer)):
            raise ArgumentError(
                f"{self.name}: subset",
                expected="a list of integers or a mask",
                got=f"{chosen.dtype} of shape {chosen.shape}",
            )
        if mask and len(chosen) != len(self):
            raise ArgumentError(
                f"{self.name}: subset", expected=f"a mask of {len(self)}", got=f"{len(chosen)}"
            )
        if not mask and chosen.size and not -len(self) <= chosen.min() <= chosen.max() < len(self):
            raise ArgumentError(
                f"{self.name}: subset",
                expected=f"indices below {len(self)}",
                got=f"{chosen.min()} to {chosen.max()}",
            )
        return ImageSet(self.images[chosen], self.labels[chosen], self.classes, name or self.name)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel over the whole set, on the scale 0..1."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation (divisor N·H·W) of each channel, on the scale 0..1."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if not self.images.size:
            raise DataError(f"{self.name}: no pixel to take a mean of")
        means, deviations = [], []
        for channel in range(self.images.shape[1]):
            # A histogram holds the whole set in 256 integers, and integers add up exactly.
            histogram = np.zeros(256, np.int64)
            for start in range(0, len(self), 1024):
                pixels = self.images[start : start + 1024, channel].ravel()
                histogram += np.bincount(pixels, minlength=256)
            counts = histogram.tolist()
            count = sum(counts)
            total = sum(value * times for value, times in enumerate(counts))
            squares = sum(value * value * times for value, times in enumerate(counts))
            means.append(total / (255 * count))
            deviations.append(math.sqrt(count * squares - total * total) / (255 * count))
        return tuple(means), tuple(deviations)
