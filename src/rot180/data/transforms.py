"""Changes to whole batches of images: normalise, pad and crop, flip, rotate, resize.

Every transform takes a batch (N, C, H, W) and an explicit generator. One law holds for all values:
uint8 means 0..255, float means 0..1 or already normalised. The geometric ones keep the dtype, so
their order among themselves is free; `Normalize` makes float32 and stands last.
No transform writes into the batch it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rot180.errors import ArgumentError, DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Transform(Protocol):
    """Anything that turns one batch into another, drawing only from `generator`."""

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The changed batch."""
        ...


@dataclass(frozen=True)
class Compose:
    """Transforms one after the other, first to last.

    >>> both = Compose([HorizontalFlip(), Normalize(0.5, 0.5)])
    >>> both(np.zeros((2, 1, 4, 4), np.uint8), np.random.default_rng(0)).max()
    np.float32(-1.0)
    """

    transforms: Sequence[Transform]

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", tuple(self.transforms))

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The batch after every transform."""
        for transform in self.transforms:
            images = transform(images, generator)
        return images


@dataclass(frozen=True)
class Normalize:
    """`(x − mean) / std` per channel, x on the scale 0..1; gives float32 (float64 stays).

    Args:
        mean: one number per channel, or one for all.
        std: the same, none of them zero.

    Raises:
        ArgumentError: a std that is not positive.
        ShapeError: not one number per channel.

    >>> Normalize((0.5,), (0.25,))(np.full((1, 1, 1, 1), 255, np.uint8)).tolist()
    [[[[2.0]]]]
    """

    mean: tuple[float, ...] | float
    std: tuple[float, ...] | float

    def __post_init__(self) -> None:
        std = np.asarray(self.std)
        if not (np.all(np.isfinite(self.mean)) and np.all(np.isfinite(std) & (std > 0))):
            raise ArgumentError(
                "Normalize",
                expected="finite means and positive deviations",
                got=f"mean {self.mean}, std {self.std}",
            )

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The normalised batch; nothing is drawn."""
        _check(images, "Normalize")
        kind = np.float64 if images.dtype == np.float64 else np.float32
        top = 255.0 if images.dtype == np.uint8 else 1.0
        mean, std = self._column(self.mean, images, kind), self._column(self.std, images, kind)
        result: NDArray[Any] = images.astype(kind)
        result -= mean * kind(top)
        result /= std * kind(top)
        return result

    def _column(self, value: Any, images: NDArray[Any], kind: type) -> NDArray[Any]:
        numbers: NDArray[Any] = np.atleast_1d(np.asarray(value, kind))
        if numbers.shape not in ((1,), images.shape[1:2]):
            raise ShapeError(
                "Normalize: one mean and std per channel",
                expected=f"{images.shape[1]} numbers",
                got=f"{numbers.size}",
            )
        return numbers.reshape(1, -1, 1, 1)


@dataclass(frozen=True)
class PadCrop:
    """Zeros all around, then a window of the old size at a random place, for each image anew.

    Args:
        padding: rows and columns added on every side, or (rows, columns); every shift from
            −padding to +padding is equally likely.

    Raises:
        ArgumentError: negative padding, or no generator.
    """

    padding: int | tuple[int, int]

    def __post_init__(self) -> None:
        if min(_pair(self.padding, "PadCrop: padding")) < 0:
            raise ArgumentError("PadCrop: padding", expected="0 or more", got=f"{self.padding}")

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The shifted batch; draws N row shifts, then N column shifts."""
        _check(images, "PadCrop")
        draw = _needed(generator, "PadCrop")
        rows, columns = _pair(self.padding, "PadCrop: padding")
        count, _, height, width = images.shape
        top = draw.integers(0, 2 * rows + 1, size=count)
        left = draw.integers(0, 2 * columns + 1, size=count)
        padded = np.pad(images, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        return np.ascontiguousarray(windows[np.arange(count), :, top, left])


@dataclass(frozen=True)
class HorizontalFlip:
    """Left and right exchanged, for each image with probability `p`.

    Raises:
        ArgumentError: p outside 0..1, or no generator.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ArgumentError("HorizontalFlip: p", expected="0 to 1", got=f"{self.p}")

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The batch with some images mirrored; draws N numbers."""
        _check(images, "HorizontalFlip")
        flipped = np.flatnonzero(_needed(generator, "HorizontalFlip").random(len(images)) < self.p)
        result: NDArray[Any] = images.copy()
        result[flipped] = images[flipped, ..., ::-1]
        return result


@dataclass(frozen=True)
class Rotate:
    """A turn about the centre by an angle drawn evenly from −degrees..degrees, bilinear.

    Positive angles turn counter-clockwise. What comes from outside the image is zero.

    Args:
        degrees: the largest angle, in degrees.

    Raises:
        ArgumentError: a negative angle, or no generator.
    """

    degrees: float

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise ArgumentError("Rotate: degrees", expected="0 to 180", got=f"{self.degrees}")

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The batch, each image turned by its own angle; draws N numbers."""
        _check(images, "Rotate")
        draw = _needed(generator, "Rotate")
        return rotated(images, draw.uniform(-self.degrees, self.degrees, len(images)))


@dataclass(frozen=True)
class Resize:
    """Bilinear scaling to `size`, pixel centres at half-integers (PyTorch's align_corners=False).

    Enlarging interpolates between neighbours; shrinking widens the same triangle to cover every
    source pixel (antialiasing, as Pillow does), so that no pixel is skipped.

    Args:
        size: rows and columns of the result, or (rows, columns).

    Raises:
        ArgumentError: a size below 1.

    >>> Resize(2)(np.array([[[[0, 10], [20, 30]]]], np.uint8)).tolist()
    [[[[0, 10], [20, 30]]]]
    >>> Resize((1, 4))(np.array([[[[0, 100]]]], np.uint8)).tolist()
    [[[[0, 25, 75, 100]]]]
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        if min(_pair(self.size, "Resize: size")) < 1:
            raise ArgumentError("Resize: size", expected="1 or more", got=f"{self.size}")

    def __call__(
        self, images: NDArray[Any], generator: np.random.Generator | None = None
    ) -> NDArray[Any]:
        """The batch at the new size, dtype kept (uint8 is rounded); nothing is drawn."""
        _check(images, "Resize")
        rows, columns = _pair(self.size, "Resize: size")
        if images.shape[2:] == (rows, columns):
            return images
        if 0 in images.shape[2:]:
            raise ShapeError("Resize: no pixel to scale", got=f"{images.shape}")
        kind = np.float64 if images.dtype == np.float64 else np.float32
        down = _triangle(images.shape[2], rows).astype(kind)
        across = _triangle(images.shape[3], columns).astype(kind)
        # Contiguous first: the matrix product's last bits depend on the memory layout.
        return _as(down @ (np.ascontiguousarray(images, kind) @ across.T), images.dtype)


def rotated(images: NDArray[Any], degrees: NDArray[Any]) -> NDArray[Any]:
    """Each image of a batch turned counter-clockwise by its own angle, bilinear, zero outside.

    Args:
        images: (N, C, H, W).
        degrees: (N,) angles.

    >>> rotated(np.array([[[[1, 2], [3, 4]]]], np.uint8), np.array([90.0])).tolist()
    [[[[2, 4], [1, 3]]]]
    """
    count, channels, height, width = images.shape
    if not images.size:
        return images
    kind = np.float64 if images.dtype == np.float64 else np.float32
    angle = np.deg2rad(degrees).reshape(-1, 1, 1)
    y = np.arange(height).reshape(1, -1, 1) - (height - 1) / 2
    x = np.arange(width).reshape(1, 1, -1) - (width - 1) / 2
    # Where the pixel now at (y, x) was before: the inverse turn, rows pointing down. With one
    # ring of zeros around the image, everything outside may be clipped onto the ring.
    row = np.clip(x * np.sin(angle) + y * np.cos(angle) + (height + 1) / 2, 0, height + 1)
    column = np.clip(x * np.cos(angle) - y * np.sin(angle) + (width + 1) / 2, 0, width + 1)
    top = np.minimum(row.astype(np.int64), height)
    left = np.minimum(column.astype(np.int64), width)
    # Channels last for the gathering, so that one index fetches all channels of a cell.
    ringed = np.zeros((count, height + 2, width + 2, channels), kind)
    ringed[:, 1:-1, 1:-1] = images.transpose(0, 2, 3, 1)
    cells = ringed.reshape(-1, channels)
    corner = (np.arange(count).reshape(-1, 1, 1) * (height + 2) + top) * (width + 2) + left
    low, right = (row - top).astype(kind)[..., None], (column - left).astype(kind)[..., None]
    upper = (1 - right) * cells.take(corner, axis=0) + right * cells.take(corner + 1, axis=0)
    corner += width + 2
    lower = (1 - right) * cells.take(corner, axis=0) + right * cells.take(corner + 1, axis=0)
    turned = (1 - low) * upper + low * lower
    return _as(np.ascontiguousarray(turned.transpose(0, 3, 1, 2)), images.dtype)


@lru_cache(maxsize=64)
def _triangle(before: int, after: int) -> NDArray[np.float64]:
    """(after, before) weights of bilinear scaling; every row sums to one."""
    scale = before / after
    reach = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(before) - centres[:, np.newaxis])
    weights = np.maximum(0.0, 1.0 - distance / reach)
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False  # shared by every call
    return weights


def _as(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype == np.uint8:
        values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return values


def _check(images: NDArray[Any], name: str) -> None:
    if images.ndim != 4:
        raise ShapeError(f"{name}: a batch", expected="(N, C, H, W)", got=f"{images.shape}")
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise DTypeError(
            f"{name}: a batch", expected="uint8, float32 or float64", got=str(images.dtype)
        )


def _needed(generator: np.random.Generator | None, name: str) -> np.random.Generator:
    if generator is None:
        raise ArgumentError(f"{name} is random", expected="a numpy.random.Generator", got="None")
    return generator


def _pair(value: int | tuple[int, int], what: str) -> tuple[int, int]:
    pair: Any = (value, value) if isinstance(value, int) else value
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not all(isinstance(part, int) for part in pair)
    ):
        raise ArgumentError(what, expected="an integer or two (rows, columns)", got=f"{value!r}")
    return pair[0], pair[1]
