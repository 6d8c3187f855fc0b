from __future__ import annotations

import numpy as np
import pytest

from rot180.data import Compose, HorizontalFlip, Normalize, PadCrop, Resize, Rotate
from rot180.data.transforms import rotated
from rot180.errors import ArgumentError, DTypeError, ShapeError

ALL = [Normalize(0.5, 0.2), PadCrop(2), HorizontalFlip(), Rotate(15), Resize((9, 4))]
DTYPES = [np.uint8, np.float32, np.float64]


def batch(rng, dtype=np.uint8, shape=(6, 3, 7, 8)):
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    return pixels if dtype == np.uint8 else (pixels / 255).astype(dtype)


@pytest.mark.parametrize("transform", ALL, ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
def test_laws_of_every_transform(rng, transform, dtype):
    images = batch(rng, dtype)
    before = images.copy()
    first = transform(images, np.random.default_rng(3))
    np.testing.assert_array_equal(images, before)  # the batch given is left alone
    np.testing.assert_array_equal(first, transform(images, np.random.default_rng(3)))
    normalised = dtype == np.uint8 and isinstance(transform, Normalize)
    assert first.dtype == (np.float32 if normalised else dtype)
    # No image depends on another one: a batch in Fortran order, and an empty one.
    np.testing.assert_array_equal(
        transform(np.asfortranarray(images), np.random.default_rng(3)), first
    )
    assert transform(images[:0], np.random.default_rng(3)).shape == (0, *first.shape[1:])
    with pytest.raises(ShapeError, match=r"\(N, C, H, W\)"):
        transform(images[0], rng)
    with pytest.raises(DTypeError, match="got int64"):
        transform(images.astype(np.int64), rng)


@pytest.mark.parametrize("transform", [PadCrop(2), HorizontalFlip(), Rotate(15)], ids=repr)
def test_random_ones_want_a_generator(rng, transform):
    with pytest.raises(ArgumentError, match="is random; expected a"):
        transform(batch(rng))


def test_compose_goes_first_to_last(rng):
    images = batch(rng)
    parts = [PadCrop(1), HorizontalFlip(), Normalize((0.4, 0.5, 0.6), 0.3)]
    expected, draw = images, np.random.default_rng(5)
    for part in parts:
        expected = part(expected, draw)
    np.testing.assert_array_equal(Compose(parts)(images, np.random.default_rng(5)), expected)
    assert Compose(parts) == Compose(tuple(parts))


def test_normalize(rng):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    images = batch(rng)
    column = np.array([mean, std])[:, :, np.newaxis, np.newaxis]
    expected = (images / 255 - column[0]) / column[1]
    np.testing.assert_allclose(Normalize(mean, std)(images), expected, atol=1e-6)
    np.testing.assert_allclose(Normalize(mean, std)(images / 255), expected, rtol=1e-12)
    with pytest.raises(ShapeError, match="expected 3 numbers, got 2"):
        Normalize((0.1, 0.2), 1.0)(images)
    for wrong in ((0.5, 0.0), (0.5, (1.0, -1.0)), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(ArgumentError, match="positive deviations"):
            Normalize(*wrong)


def test_padcrop_reaches_every_shift_and_only_those():
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    padded = np.pad(image[0, 0], 1)
    windows = {padded[i : i + 3, j : j + 3].tobytes() for i in range(3) for j in range(3)}
    cropped = PadCrop(1)(np.repeat(image, 300, axis=0), np.random.default_rng(0))
    assert {one.tobytes() for one in cropped[:, 0]} == windows
    rows_only = PadCrop((1, 0))(np.repeat(image, 100, axis=0), np.random.default_rng(0))
    assert {one.tobytes() for one in rows_only[:, 0]} == {
        padded[i : i + 3, 1:4].tobytes() for i in range(3)
    }
    for wrong in (-1, (1, -1), 1.5, (1, 2, 3), "2"):
        with pytest.raises(ArgumentError, match="PadCrop: padding"):
            PadCrop(wrong)


def test_flip(rng):
    images = batch(rng, shape=(400, 1, 2, 3))
    flipped = HorizontalFlip()(images, rng)
    mirrored = (flipped == images[..., ::-1]).all(axis=(1, 2, 3))
    same = (flipped == images).all(axis=(1, 2, 3))
    assert np.all(mirrored | same)
    assert 150 < mirrored.sum() < 250
    np.testing.assert_array_equal(HorizontalFlip(0)(images, rng), images)
    np.testing.assert_array_equal(HorizontalFlip(1)(images, rng), images[..., ::-1])
    with pytest.raises(ArgumentError, match="expected 0 to 1, got"):
        HorizontalFlip(1.5)


def test_rotation_by_quarter_turns_is_exact(rng):
    images = batch(rng, shape=(4, 2, 5, 5))
    turned = rotated(images, np.array([0.0, 90.0, 180.0, -90.0]))
    for index, turns in enumerate((0, 1, 2, 3)):
        np.testing.assert_array_equal(turned[index], np.rot90(images[index], turns, axes=(1, 2)))


def test_rotation_is_scipys(rng):
    ndimage = pytest.importorskip("scipy.ndimage")
    images = batch(rng, np.float64, (3, 2, 9, 7))
    angles = np.array([17.0, -33.0, 142.0])
    # SciPy interpolates towards the zeros outside only in this mode.
    expected = [
        ndimage.rotate(
            image, angle, axes=(1, 2), reshape=False, order=1, mode="grid-constant", prefilter=False
        )
        for image, angle in zip(images, angles, strict=True)
    ]
    np.testing.assert_allclose(rotated(images, angles), expected, atol=1e-12)


def test_rotate_draws_each_image_an_angle_within_the_bound():
    image = np.zeros((1, 1, 33, 33), np.float32)
    image[..., 16, 16:] = 1  # a hand that points right
    turned = Rotate(20)(np.repeat(image, 200, axis=0), np.random.default_rng(0))
    rows, columns = np.mgrid[:33, :33] - 16
    weight = turned[:, 0]
    angles = np.rad2deg(
        np.arctan2(-(weight * rows).sum(axis=(1, 2)), (weight * columns).sum(axis=(1, 2)))
    )
    assert -20.5 < angles.min() < -17
    assert 17 < angles.max() < 20.5
    assert abs(angles.mean()) < 2
    with pytest.raises(ArgumentError, match="Rotate: degrees"):
        Rotate(-1)


@pytest.mark.parametrize("size", [(5, 4), (14, 16), (20, 3), (1, 1), (3, 30), (7, 8)])
def test_resize_is_torchs_and_pillows(rng, size):
    torch = pytest.importorskip("torch")
    images = batch(rng, np.float64)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images), size, mode="bilinear", antialias=True
    ).numpy()
    np.testing.assert_allclose(Resize(size)(images), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 4), (14, 16), (3, 30)])
def test_resize_of_uint8_is_pillows(rng, size):
    image_module = pytest.importorskip("PIL.Image")
    images = batch(rng, shape=(2, 1, 7, 8))
    for image, scaled in zip(images, Resize(size)(images), strict=True):
        picture = image_module.fromarray(image[0]).resize(
            size[::-1], image_module.Resampling.BILINEAR
        )
        # Pillow rounds after each axis, we once.
        assert np.abs(np.asarray(picture, int) - scaled[0]).max() <= 1


def test_resize_keeps_a_constant_and_refuses_nothing_to_scale():
    constant = np.full((1, 1, 5, 6), 77, np.uint8)
    for size in (1, 4, 5, 17):
        np.testing.assert_array_equal(Resize(size)(constant), np.full((1, 1, size, size), 77))
    with pytest.raises(ShapeError, match="no pixel to scale"):
        Resize(3)(np.zeros((1, 1, 0, 6), np.uint8))
    for wrong in (0, (3, 0), 2.5):
        with pytest.raises(ArgumentError, match="Resize: size"):
            Resize(wrong)
