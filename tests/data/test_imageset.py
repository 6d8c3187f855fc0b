from __future__ import annotations

import numpy as np
import pytest

from rot180.data import ImageSet, digits, stratified_split
from rot180.data.digits import ATTRIBUTION
from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError


def make(rng, count=12, channels=3, size=4):
    images = rng.integers(0, 256, (count, channels, size, size)).astype(np.uint8)
    return ImageSet(images, rng.integers(0, 3, count), ("a", "b", "c"), "made")


def test_items_and_shape(rng):
    made = make(rng)
    image, label = made[-1]
    np.testing.assert_array_equal(image, made.images[11])
    assert label == made.labels[11]
    assert isinstance(label, int)
    assert len(made) == 12
    assert len(list(made)) == 12
    assert made.labels.dtype == np.int64
    assert repr(made) == "ImageSet('made', 12 images 3×4×4, 3 classes)"


def test_moments_are_numpys(rng):
    made = make(rng, count=2500)
    scaled = made.images / 255
    np.testing.assert_allclose(made.mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(made.std, scaled.std(axis=(0, 2, 3)), rtol=1e-12)
    constant = ImageSet(np.full((3, 1, 2, 2), 7, np.uint8), np.zeros(3, int), ("a",), "constant")
    assert constant.std == (0.0,)  # exactly: the sums are integers


def test_moments_of_nothing():
    empty = ImageSet(np.zeros((0, 1, 2, 2), np.uint8), np.zeros(0, int), ("a",), "empty")
    with pytest.raises(DataError, match="no pixel"):
        _ = empty.mean


def test_subset(rng):
    made = make(rng)
    some = made.subset([3, -1, 3], "some")
    np.testing.assert_array_equal(some.images, made.images[[3, 11, 3]])
    assert some.name == "some"
    np.testing.assert_array_equal(made.subset(made.labels == 1).labels, [1] * sum(made.labels == 1))
    assert len(made.subset([])) == 0
    for wrong in ([12], [-13], [0.5], [[1, 2]], [True]):
        with pytest.raises(ArgumentError, match="subset"):
            made.subset(wrong)


def test_what_is_refused(rng):
    images, labels = np.zeros((2, 1, 3, 3), np.uint8), np.array([0, 1])
    with pytest.raises(DTypeError, match="images; expected uint8, got float64"):
        ImageSet(images / 1, labels, ("a", "b"), "x")
    with pytest.raises(DTypeError, match="labels; expected integers"):
        ImageSet(images, labels / 1, ("a", "b"), "x")
    with pytest.raises(ShapeError, match=r"expected \(N, C, H, W\), got \(2, 3, 3\)"):
        ImageSet(images[:, 0], labels, ("a", "b"), "x")
    with pytest.raises(ShapeError, match=r"labels of shape \(2,\), got \(1,\)"):
        ImageSet(images, labels[:1], ("a", "b"), "x")
    for label in (-1, 2):
        with pytest.raises(DataError, match=f"label of image 1 out of range; .* got {label}"):
            ImageSet(images, np.array([0, label]), ("a", "b"), "x")


def test_digits_are_the_published_ones():
    everything = digits("all")
    assert everything.images.shape == (1797, 1, 8, 8)
    assert np.bincount(everything.labels).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180
    ]  # fmt: skip
    ink = (everything.images.astype(int) * 16 + 254) // 255
    assert ink.max() == 16
    np.testing.assert_array_equal(ink * 255 // 16, everything.images)  # nothing lost
    # The first image of the set, a nought, as every copy of it shows it.
    assert ink[0, 0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert ink[0, 0, 7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]
    assert everything.labels[:10].tolist() == list(range(10))
    assert "CC BY 4.0" in ATTRIBUTION


def test_digits_split_is_stratified_and_pinned():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert np.bincount(test.labels).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    train_at, test_at = stratified_split(digits("all").labels)
    assert sorted([*train_at, *test_at]) == list(range(1797))
    # Pinned: another split on another machine or version would make figures incomparable.
    assert test_at[:8].tolist() == [2, 3, 11, 13, 15, 20, 21, 32]
    with pytest.raises(ArgumentError, match="'train', 'test', 'all'"):
        digits("validation")


@pytest.mark.parametrize("count", [1, 2, 5, 11, 100])
def test_split_shares(rng, count):
    labels = rng.integers(0, 4, count)
    train, test = stratified_split(labels, 0.3)
    assert len(test) == int(np.ceil(round(0.3 * count, 9)))
    assert sorted([*train, *test]) == list(range(count))
    shares = np.bincount(labels, minlength=4) * len(test) / count
    assert np.all(np.abs(np.bincount(labels[test], minlength=4) - shares) < 1)


def test_split_seed_and_fraction(rng):
    labels = rng.integers(0, 3, 60)
    assert stratified_split(labels, seed=1)[1].tolist() != stratified_split(labels)[1].tolist()
    for wrong in (0, 1, 1.5):
        with pytest.raises(ArgumentError, match="0 < fraction < 1"):
            stratified_split(labels, wrong)
