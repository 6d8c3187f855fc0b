from __future__ import annotations

import json

import numpy as np
import pytest

from rot180.data import Compose, DataLoader, HorizontalFlip, ImageSet, PadCrop, Rotate
from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

AUGMENT = Compose([PadCrop(1), HorizontalFlip(), Rotate(10)])


@pytest.fixture
def images(rng):
    pixels = rng.integers(0, 256, (23, 2, 5, 4)).astype(np.uint8)
    return ImageSet(pixels, np.arange(23), tuple(map(str, range(23))), "made")


def same(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for (x, y), (u, v) in zip(left, right, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def labels_of(loader):
    return [label for _, y in loader for label in y.tolist()]


def test_in_order_scaled_and_contiguous(images):
    loader = DataLoader(images, batch_size=5)
    batches = list(loader)
    assert len(batches) == len(loader) == 5
    assert labels_of(loader) == list(range(23))  # never shuffled unless asked
    for x, y in batches:
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        assert y.dtype == np.int64
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in batches]), images.images.astype(np.float32) / np.float32(255)
    )


def test_batches_of_transposed_images_are_contiguous(images):
    sideways = ImageSet(images.images.transpose(0, 1, 3, 2), images.labels, images.classes, "t")
    assert all(x.flags.c_contiguous for x, _ in DataLoader(sideways, 4))
    assert all(x.flags.c_contiguous for x, _ in DataLoader(sideways, 4, transform=lambda x, g: x))


@pytest.mark.parametrize(
    ("drop_last", "size", "count"), [(False, 5, 5), (True, 5, 4), (True, 23, 1), (False, 100, 1)]
)
def test_length(images, drop_last, size, count):
    loader = DataLoader(images, size, drop_last=drop_last)
    assert len(loader) == len(list(loader)) == count
    if drop_last:
        assert {len(y) for _, y in loader} == {size}


def test_shuffling_is_a_permutation_drawn_anew_from_the_seed(images):
    first, second = DataLoader(images, 4, shuffle=True, generator=7), None
    one, two = labels_of(first), labels_of(first)
    assert sorted(one) == sorted(two) == list(range(23))
    assert one != two
    second = DataLoader(images, 4, shuffle=True, generator=7)
    assert [labels_of(second), labels_of(second)] == [one, two]
    drawn = np.random.Generator(np.random.PCG64(7))
    assert labels_of(DataLoader(images, 4, shuffle=True, generator=drawn)) == one
    assert labels_of(DataLoader(images, 4, shuffle=True)) != labels_of(
        DataLoader(images, 4, shuffle=True)
    )


def test_nested_loops_are_independent(images):
    plain = DataLoader(images, 6, shuffle=True, generator=1, transform=AUGMENT)
    alone = [list(plain), list(plain), list(plain)]
    loader = DataLoader(images, 6, shuffle=True, generator=1, transform=AUGMENT)
    outer, inner = [], []
    for batch in loader:
        outer.append(batch)
        if len(outer) <= 2:
            inner.append(list(loader))
    same(outer, alone[0])
    same(inner[0], alone[1])
    same(inner[1], alone[2])


def test_the_global_generator_is_left_alone(images):
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    list(DataLoader(images, 4, shuffle=True, generator=0, transform=AUGMENT))
    after = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("stop", [0, 1, 3, 4, 5, 9])
def test_resuming_gives_the_same_bits(images, shuffle, stop):
    """Stopped after `stop` batches of three passes (five each), everything after is the same."""

    def make():
        return DataLoader(images, 5, shuffle=shuffle, generator=3, transform=AUGMENT)

    straight, loader = make(), make()
    expected = [batch for _ in range(3) for batch in straight]
    seen, state = [], loader.state_dict()
    for _ in range(3):
        for batch in loader:
            if len(seen) == stop:
                break
            seen.append(batch)
            state = loader.state_dict()
        else:
            continue
        break
    assert state["epoch"] * 5 + state["position"] == stop
    resumed = DataLoader(images, 5, shuffle=shuffle, generator=99, transform=AUGMENT)
    resumed.load_state_dict(json.loads(json.dumps(state)))
    assert resumed.state_dict() == state
    # At the end of a pass, the resumed pass has nothing left, as the interrupted one had.
    rest = [batch for _ in range(3 - state["epoch"]) for batch in resumed]
    same(seen + rest, expected)
    same(list(resumed), list(straight))


def test_after_a_loop_the_state_is_that_of_the_next_pass(images):
    loader = DataLoader(images, 5, shuffle=True, generator=3)
    for _ in loader:
        break
    state = loader.state_dict()
    assert (state["epoch"], state["position"], state["epoch_now"]) == (1, 0, None)
    second = DataLoader(images, 5, shuffle=True)
    second.load_state_dict(state)
    assert labels_of(second) == labels_of(loader)


def test_state_within_a_nested_loop_and_after_it(images):
    loader = DataLoader(images, 5, shuffle=True, generator=3)
    for number, _ in enumerate(loader):
        for _ in loader:
            pass
        if number == 1:
            assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (0, 2)
            break


def test_loading_into_a_running_loop_lets_it_end(images):
    loader = DataLoader(images, 5)
    state = loader.state_dict()
    running = iter(loader)
    next(running)
    loader.load_state_dict(state)
    assert len(list(running)) == 4
    assert labels_of(loader) == list(range(23))


def test_a_state_that_does_not_fit(images):
    state = DataLoader(images, 5, shuffle=True).state_dict()
    for loader, key in (
        (DataLoader(images, 4, shuffle=True), "batch_size"),
        (DataLoader(images, 5), "shuffle"),
        (DataLoader(images, 5, shuffle=True, drop_last=True), "drop_last"),
        (DataLoader(images.subset([1, 2]), 5, shuffle=True), "length"),
    ):
        with pytest.raises(ArgumentError, match=f"load_state_dict: {key}"):
            loader.load_state_dict(state)
    loader = DataLoader(images, 5, shuffle=True, generator=1)
    before = loader.state_dict()
    for wrong in (
        {},
        {**state, "generator": None},
        {**state, "generator": {"state": "xyz"}},
        {**state, "generator": {**state["generator"], "state": "-0x1"}},
        {**state, "epoch_start": {}},
        {**state, "position": "far"},
    ):
        with pytest.raises(DataError, match="damaged state"):
            loader.load_state_dict(wrong)
        assert loader.state_dict() == before


def test_empty(images):
    empty = images.subset([])
    for shuffle in (True, False):
        loader = DataLoader(empty, 4, shuffle=shuffle, transform=AUGMENT)
        assert len(loader) == 0
        assert list(loader) == []
    assert list(DataLoader([], 4)) == []


def test_any_data_set_of_pairs(images):
    pairs = [images[index] for index in range(len(images))]
    augmented = DataLoader(images, 4, shuffle=True, generator=2, transform=AUGMENT)
    same(DataLoader(pairs, 4, shuffle=True, generator=2, transform=AUGMENT), augmented)
    floats = [(image / 255, label) for image, label in pairs]
    x, y = next(iter(DataLoader(floats, 4)))
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, (images.images[:4] / 255).astype(np.float32))
    assert y.tolist() == [0, 1, 2, 3]


def test_samples_that_make_no_batch():
    image = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(ShapeError, match=r"image 1 does not fit .* \(1, 2, 2\) like image 0, got"):
        next(iter(DataLoader([(image, 0), (image[:, 1:], 1)], 2)))
    for label in (0.5, [1], "cat"):
        with pytest.raises(DTypeError, match="one integer per image"):
            next(iter(DataLoader([(image, label)])))
    with pytest.raises(DTypeError, match=r"uint8 .* or float, got int64"):
        next(iter(DataLoader([(image.astype(np.int64), 0)])))


def test_collate_fn_makes_the_batch(images):
    loader = DataLoader(images, 2, collate_fn=lambda samples: [label for _, label in samples])
    assert next(iter(loader)) == [0, 1]
    with pytest.raises(ArgumentError, match="collate_fn and transform"):
        DataLoader(images, collate_fn=list, transform=AUGMENT)


def test_wrong_arguments(images):
    for wrong in (0, -1, 2.0, True, None):
        with pytest.raises(ArgumentError, match="batch_size"):
            DataLoader(images, wrong)
    with pytest.raises(ArgumentError, match="__len__ and __getitem__, got generator"):
        DataLoader(pair for pair in images)
    with pytest.raises(ArgumentError, match="PCG64, got MT19937"):
        DataLoader(images, generator=np.random.Generator(np.random.MT19937(0)))
    for wrong in (-1, "seed", 1.5):
        with pytest.raises(ArgumentError, match="DataLoader: generator"):
            DataLoader(images, generator=wrong)
