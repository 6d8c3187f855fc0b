"""The schedule: whatever the calls, every dependency is kept and segments go by the same blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rot180.jit.planning.schedule import Draft, groups, touching, worthwhile
from rot180.jit.planning.task import Call, Task


@dataclass(frozen=True)
class Fake:
    """A kernel that reads some arrays and writes one."""

    arrays: tuple[str, ...]
    by_blocks: int = 0
    dtype: str = "float32"

    def emit(self, name: str, target: Any) -> Any:
        raise NotImplementedError


def draft(reads: list[int], write: int, blocks: int) -> Draft:
    names = tuple(dict.fromkeys([*reads, write]))
    arrays = tuple(f"a{n}" for n in names)
    task = Task("fake", (), (), lambda places: [])
    return Draft(task, Call(Fake(arrays, blocks), {}, (f"a{write}",)), names)


READS = st.lists(st.integers(0, 6), max_size=3)
DRAFTS = st.lists(
    st.builds(draft, READS, st.integers(0, 6), st.sampled_from([0, 4, 8])), max_size=14
)


@given(DRAFTS, st.integers(1, 3))
@settings(deadline=None, max_examples=200)
def test_dependencies_are_kept(drafts: list[Draft], parts: int) -> None:
    found = groups(drafts, parts)
    order = [one for group in found for one in group]
    assert sorted(map(id, order)) == sorted(map(id, drafts))
    place = {id(one): n for n, one in enumerate(order)}
    for n, later in enumerate(drafts):
        for earlier in drafts[:n]:
            shared = (earlier.written & set(later.names)) | (later.written & set(earlier.names))
            if shared:
                assert place[id(earlier)] < place[id(later)]


@given(DRAFTS, st.integers(1, 3))
@settings(deadline=None, max_examples=100)
def test_a_segment_goes_by_the_same_blocks(drafts: list[Draft], parts: int) -> None:
    for group in groups(drafts, parts):
        if len(group) > 1:
            (blocks,) = {one.blocks for one in group}
            assert worthwhile(blocks, parts)


@pytest.mark.parametrize(
    ("blocks", "parts", "answer"),
    [(8, 2, True), (1, 2, False), (3, 2, False), (9, 2, True), (4, 3, False)],
)
def test_blocks_are_dealt_out_evenly(blocks: int, parts: int, answer: bool) -> None:
    assert worthwhile(blocks, parts) is answer


def test_spans_that_touch() -> None:
    assert touching([(None, 0, 10)], [(None, 9, 12)])
    assert not touching([(None, 0, 10)], [(None, 10, 12)])
    assert not touching([(3, 0, 1)], [(None, 0, 12)])
    assert touching([(3, 0, 1)], [(4, 0, 1), (3, 0, 1)])
    assert not touching([], [(None, 0, 1)])
