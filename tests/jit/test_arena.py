"""The arena: what lives at the same time lies apart; placement is close to what lives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rot180.jit.planning.arena import ALIGNMENT, Life, peak, place, place_apart

ROWS = st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 20), st.integers(0, 8)), max_size=25)
LIVES = ROWS.map(
    lambda rows: {n: Life(size, at, at + more) for n, (size, at, more) in enumerate(rows)}
)


def apart(lives: dict[int, Life], offsets: dict[object, int], size: int) -> None:
    assert set(offsets) == set(lives)
    for n, one in lives.items():
        start = offsets[n]
        assert start >= 0
        assert start % ALIGNMENT == 0
        assert start + one.size + ALIGNMENT <= size, "the slack behind a buffer is in the arena"
        for m, other in lives.items():
            if m < n and one.first <= other.last and other.first <= one.last:
                end = start + one.size
                assert end <= offsets[m] or offsets[m] + other.size <= start


@given(LIVES)
@settings(deadline=None, max_examples=100)
def test_no_two_live_buffers_share_a_byte(lives: dict[int, Life]) -> None:
    offsets, size = place(lives)
    apart(lives, offsets, size)
    assert size >= peak(lives)


@given(LIVES, st.data())
@settings(deadline=None, max_examples=100)
def test_buffers_of_a_kind_share_with_their_kind_only(
    lives: dict[int, Life], data: st.DataObject
) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(lives)))) if lives else set()
    kinds = {n: lives[n].size // 1000 for n in some}
    lives = {n: Life(kinds.get(n, 0) * 1000 + 7, x.first, x.last) if n in some else x
             for n, x in lives.items()}  # fmt: skip
    offsets, size = place_apart(lives, kinds)
    apart(lives, offsets, size)
    for n in some:
        for m, other in lives.items():
            if m != n and kinds.get(m) != kinds[n]:
                end = offsets[n] + lives[n].size
                assert end <= offsets[m] or offsets[m] + other.size <= offsets[n]


@given(LIVES)
@settings(deadline=None, max_examples=100)
def test_the_peak_is_the_fullest_call(lives: dict[int, Life]) -> None:
    calls = range(30)
    full = [sum(x.size for x in lives.values() if x.first <= c <= x.last) for c in calls]
    assert peak(lives) == max(full)


def test_a_chain_needs_two_buffers() -> None:
    lives = {n: Life(640, n, n + 1) for n in range(50)}
    assert place(lives)[1] == 2 * (640 + ALIGNMENT)
    assert place({}) == ({}, 0)
