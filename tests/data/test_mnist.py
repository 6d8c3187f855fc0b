from __future__ import annotations

import gzip

import numpy as np
import pytest
from test_idx import idx_bytes

from rot180.data import fashion_mnist, mnist
from rot180.errors import ArgumentError, DataError


def write(folder, rng, *, count=20, labels=None, prefix="train", pack=bytes, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    images = rng.integers(0, 256, (count, 5, 4)).astype(np.uint8)
    labels = np.arange(count) % 10 if labels is None else np.asarray(labels)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        (folder / f"{prefix}-{kind}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))
    return images


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz")])
def test_layouts(tmp_path, rng, folder, pack, suffix):
    images = write(tmp_path / folder, rng, pack=pack, suffix=suffix)
    write(tmp_path / folder, rng, prefix="t10k", count=7, pack=pack, suffix=suffix)
    train = mnist(tmp_path)
    np.testing.assert_array_equal(train.images[:, 0], images)
    assert train.name == "mnist train"
    assert train.classes == tuple("0123456789")
    assert len(mnist(tmp_path, "test")) == 7


def test_fashion_has_its_own_folder_and_names(tmp_path, rng):
    write(tmp_path / "MNIST" / "raw", rng, count=3)
    write(tmp_path / "FashionMNIST" / "raw", rng, count=4)
    assert len(mnist(tmp_path)) == 3
    assert len(fashion_mnist(tmp_path)) == 4
    assert fashion_mnist(tmp_path).classes[9] == "Ankle boot"


def test_missing_files_say_how_to_fetch(tmp_path):
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte or .*rot180 data fetch mnist"):
        mnist(tmp_path)
    with pytest.raises(DataError, match=r"rot180 data fetch fashion_mnist"):
        fashion_mnist(tmp_path, "test")


def test_inconsistent_files(tmp_path, rng):
    write(tmp_path, rng, labels=np.zeros(19))
    with pytest.raises(DataError, match=r"do not match: train-images.* has 20, train-labels.* 19"):
        mnist(tmp_path)
    write(tmp_path, rng, labels=[*range(10), *range(1, 11)])
    with pytest.raises(DataError, match="label 19 out of range; expected 0 to 9, got 10"):
        mnist(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.zeros((20, 1))))
    with pytest.raises(DataError, match=r"not the right kind of IDX file; expected uint8 of shape"):
        mnist(tmp_path)
    path.write_bytes(idx_bytes(np.zeros(20), 0x0C))
    with pytest.raises(DataError, match="got int32"):
        mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((20, 0, 4))))
    path.write_bytes(idx_bytes(np.zeros(20)))
    with pytest.raises(DataError, match="without pixels"):
        mnist(tmp_path)


def test_unknown_split(tmp_path):
    with pytest.raises(ArgumentError, match="one of 'train', 'test', got 'validation'"):
        mnist(tmp_path, "validation")


def test_the_real_data(material):
    train, test = mnist(material / "data"), mnist(material / "data", "test")
    assert train.images.shape == (60_000, 1, 28, 28)
    # The class counts as published with the data set.
    assert np.bincount(train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    assert np.bincount(test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    # The constants everybody normalises MNIST with.
    assert train.mean == pytest.approx((0.1307,), abs=5e-5)
    assert train.std == pytest.approx((0.3081,), abs=5e-5)
