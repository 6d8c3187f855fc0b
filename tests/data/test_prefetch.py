"""Batches made ahead by a thread: the same ones, the same state, and nothing left behind."""

import threading
import time

import numpy as np
import pytest

from rot180.data import Compose, DataLoader, HorizontalFlip, Normalize, PadCrop, digits
from rot180.data.prefetch import ahead
from rot180.errors import ArgumentError


def threads():
    return [t for t in threading.enumerate() if t.name == "rot180-data"]


def loader(prefetch, **options):
    images = digits("train").subset(np.arange(50))
    transform = Compose([PadCrop(2), HorizontalFlip(), Normalize(images.mean, images.std)])
    return DataLoader(
        images, 8, shuffle=True, generator=3, transform=transform, prefetch=prefetch, **options
    )


def same(first, second):
    return all(
        np.array_equal(a, b) for one, two in zip(first, second, strict=True) for a, b in
        zip(one, two, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("depth", [1, 2, 3, 20])
def test_the_batches_and_the_states_are_the_same(depth):
    plain, made = loader(0), loader(depth)
    for _ in range(2):
        for one, two in zip(plain, made, strict=True):
            assert same([one], [two])
            time.sleep(0.001)  # so that the thread is ahead
            assert made.state_dict() == plain.state_dict()
    assert made.state_dict() == plain.state_dict()


@pytest.mark.parametrize("at", [1, 3, 7])
def test_resuming_while_batches_wait(at):
    whole = list(loader(0))
    first = loader(3)
    for number, _ in enumerate(first, start=1):
        if number == at:
            time.sleep(0.01)
            kept = first.state_dict()
            break
    second = loader(2)
    second.load_state_dict(kept)
    assert same(list(second), whole[at:])


def test_threads_end_with_their_pass():
    for number, _ in enumerate(loader(2)):
        assert threads()
        if number == 2:
            break
    assert not threads()
    assert len(list(loader(2))) == 7
    assert not threads()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in loader(2):
            raise KeyboardInterrupt
    assert not threads()


def test_an_error_comes_where_its_batch_would_have_come():
    def source():
        yield 1
        yield 2
        raise ZeroDivisionError("the third")

    seen = []
    with pytest.raises(ZeroDivisionError, match="the third"):  # noqa: PT012
        for item in ahead(source(), 3):
            seen.append(item)  # noqa: PERF402
    assert seen == [1, 2]
    assert not threads()


def test_no_more_than_the_depth_is_made():
    made = []
    items = ahead((made.append(i) or i for i in range(100)), 2)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(made) <= 4
    items.close()
    assert not threads()


def test_what_is_made_ahead_by_default():
    images = digits("test")
    normalise = Normalize(images.mean, images.std)
    assert DataLoader(images).prefetch == 0
    assert DataLoader(images, transform=normalise).prefetch == 0
    assert DataLoader(images, transform=Compose([PadCrop(1), normalise])).prefetch == 2
    assert DataLoader(images, transform=lambda x, g: x).prefetch == 0
    assert DataLoader(list(zip([1], [2], strict=True))).prefetch == 0
    with pytest.raises(ArgumentError, match="prefetch"):
        DataLoader(images, prefetch=-1)
