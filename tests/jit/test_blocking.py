"""Blocking and layouts: every cell is covered, none outside; register blocks fit the registers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from harness import places
from hypothesis import given
from hypothesis import strategies as st

from rot180.jit.emission.blocking import cut, register_block, vectors
from rot180.jit.emission.layout import Columns, Planes, plain


@given(st.integers(0, 200), st.integers(1, 17))
def test_a_cut_covers_all_once(extent: int, step: int) -> None:
    seen = [range(i, i + width) for start, stop, width in cut(extent, step)
            for i in range(start, stop, width)]  # fmt: skip
    assert list(itertools.chain(*seen)) == list(range(extent))


@given(st.integers(1, 200), st.sampled_from([1, 2, 4, 8, 16]), st.booleans())
def test_vectors_cover_a_row(cells: int, lanes: int, blocked: bool) -> None:
    row = vectors(cells, lanes, lanes if blocked else 1)
    covered = set()
    for number in range(row.count):
        start = row.start(number)
        assert 0 <= start <= cells - row.per
        covered |= set(range(start, start + row.per))
        if number + 1 < row.count or not row.shifted:
            assert start == number * row.per
    assert covered == set(range(cells))


@given(st.integers(1, 200), st.sampled_from([1, 2, 4, 8, 16]))
def test_a_short_row_is_one_vector_with_spare_lanes(cells: int, lanes: int) -> None:
    row = vectors(cells, lanes, 1, spare=True)
    if cells > lanes:
        assert row == vectors(cells, lanes, 1)
        assert row.live == row.lanes
    else:
        assert (row.count, row.start(0), row.live, row.shifted) == (1, 0, cells, False)
        assert cells <= row.lanes < 2 * cells


@given(st.sampled_from([16, 32]), st.integers(1, 64), st.integers(1, 130), st.integers(0, 8))
def test_register_blocks_fit(registers: int, width: int, height: int, reach: int) -> None:
    w, h = register_block(registers, width, height, reach)
    assert 1 <= w <= width
    assert 1 <= h <= height
    assert (w, h) == (1, 1) or w * h + w + reach + 1 <= registers - 1


@given(
    st.integers(1, 20), st.integers(1, 3), st.lists(st.integers(1, 4), max_size=3),
    st.sampled_from([1, 4, 16]), st.data(),
)  # fmt: skip
def test_planes_hold_every_cell_at_a_place_of_its_own(
    images: int, channels: int, sizes: list[int], block: int, data: st.DataObject
) -> None:
    halo = st.tuples(*(st.integers(0, 2) for _ in sizes))
    planes = Planes(images, channels, tuple(sizes), block, data.draw(halo), data.draw(halo))
    found = places(planes)
    assert found.shape == (images, channels, *sizes)
    assert len(np.unique(found)) == found.size
    assert found.min() >= 0
    assert found.max() < planes.size
    assert planes.origin() == found[(0,) * found.ndim]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (1, 5)])
def test_plain_is_row_major(shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    np.testing.assert_array_equal(places(plain(shape)), np.arange(size).reshape(shape))


def test_columns_are_blocks_of_vectors() -> None:
    features = Planes(37, 5, (), 16)
    columns = Columns(features)
    assert columns.sizes == (3,)
    found = places(features)
    for image, feature in itertools.product(range(37), range(5)):
        at = columns.origin(image // 16) + feature * columns.plane + image % 16
        assert at == found[image, feature]
