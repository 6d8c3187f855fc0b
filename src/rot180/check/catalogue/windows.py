"""Changes of a reading that several catalogues share: what can be done wrong with a window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from operator import add, sub

from rot180.check.mistake import Case, Change
from rot180.check.reading import Axes, Reading

__all__ = [
    "dilated_more", "front_only", "interleaved", "not_cropped", "not_dilated", "off_by_one",
    "one_axis_turned", "ones", "only", "quarter_turned", "sides_swapped", "stride_lost",
    "stride_plus_one", "transposed", "turned",
]  # fmt: skip

Changes = Callable[[Case], Iterator[Change]]


def walked(reading: Reading, field: str = "kernel") -> Axes:
    """How the axes of the kernel (or of z) are walked in the right reading."""
    given: Axes = getattr(reading, field)
    return given or tuple((i, False) for i in range(reading.rank))


def toggled(axes: Axes, which: tuple[int, ...]) -> Axes:
    """The same walk with some axes taken from their other end."""
    return tuple((a, turned != (i in which)) for i, (a, turned) in enumerate(axes))


def turned(field: str = "kernel") -> Changes:
    """All axes from the other end: a turn by 180 degrees too few, or too many."""

    def changes(case: Case) -> Iterator[Change]:
        axes = walked(case.relation, field)
        yield {field: toggled(axes, tuple(range(len(axes))))}

    return changes


def one_axis_turned(axis: int | None) -> Changes:
    """The kernel of two axes turned along `axis` only; None: kernels of three axes or more."""

    def changes(case: Case) -> Iterator[Change]:
        r = case.relation
        if axis is not None and r.rank == 2:
            yield {"kernel": toggled(walked(r), (1 - axis,))}
        if axis is None and r.rank > 2:
            for count in range(1, r.rank):
                for which in itertools.combinations(range(r.rank), count):
                    yield {"kernel": toggled(walked(r), which)}

    return changes


def _is_square(r: Reading, field: str) -> bool:
    sizes = r.taps if field == "kernel" else r.outputs
    return r.rank == 2 and sizes[0] == sizes[1]


def quarter_turned(case: Case) -> Iterator[Change]:
    """Turned by 90 degrees, one way or the other, in place of 180."""
    if _is_square(case.relation, "kernel"):
        (_, first), (_, second) = walked(case.relation)
        yield {"kernel": ((1, not second), (0, first))}
        yield {"kernel": ((1, second), (0, not first))}


def transposed(field: str = "kernel") -> Changes:
    """Rows for columns, with the turn or instead of it."""

    def changes(case: Case) -> Iterator[Change]:
        if _is_square(case.relation, field):
            (_, first), (_, second) = walked(case.relation, field)
            yield {field: ((1, second), (0, first))}
            yield {field: ((1, not second), (0, not first))}

    return changes


def _before(r: Reading, *values: int) -> tuple[int, ...]:
    return tuple(values) if len(values) == r.rank else values * r.rank


def stride_lost(case: Case) -> Iterator[Change]:
    """S = 1."""
    yield {"stride": _before(case.relation, 1)}


def stride_plus_one(case: Case) -> Iterator[Change]:
    """S zeros between neighbours instead of S − 1."""
    yield {"stride": tuple(s + 1 for s in case.relation.stride)}


def not_dilated(case: Case) -> Iterator[Change]:
    """D = 1, with the padding of the dilated kernel, or with its own."""
    r = case.relation
    yield {"dilation": _before(r, 1)}
    shorter = (e - taps for e, taps in zip(r.effective, r.taps, strict=True))
    before = tuple(map(sub, r.before, shorter))
    if before != r.before:
        yield {"dilation": _before(r, 1), "before": before}


def dilated_more(case: Case) -> Iterator[Change]:
    """D zeros between the taps instead of D − 1."""
    yield {"dilation": tuple(d + 1 for d in case.relation.dilation)}


def not_cropped(case: Case) -> Iterator[Change]:
    """A = 0."""
    r = case.relation
    sides = map(add, r.before, case.extra["after"])
    yield {"before": _before(r, 0), "extent": tuple(map(add, r.sizes, sides))}


def front_only(case: Case) -> Iterator[Change]:
    """A + B cut off in front, and nothing at the end."""
    yield {"before": tuple(map(add, case.relation.before, case.extra["after"]))}


def sides_swapped(case: Case) -> Iterator[Change]:
    """A and B exchanged."""
    yield {"before": case.extra["after"]}


def off_by_one(case: Case) -> Iterator[Change]:
    """A ± 1."""
    for step in (1, -1):
        yield {"before": tuple(a + step for a in case.relation.before)}


def interleaved(case: Case) -> Iterator[Change]:
    """Channels dealt out to the groups one by one."""
    if case.relation.groups > 1 and case.relation.channels > 1:
        yield {"interleaved": True}


def ones(role: str) -> Changes:
    """An operand replaced by ones."""

    def changes(case: Case) -> Iterator[Change]:
        yield {"ones": role}

    return changes


def only(loop: str) -> Changes:
    """Of one loop only the last point, or only the first."""

    def changes(case: Case) -> Iterator[Change]:
        r = case.relation
        count = {"n": r.batch, "k": r.filters, "c": r.channels}[loop]
        if count > 1:
            yield {"only": ((loop, count - 1),)}
            yield {"only": ((loop, 0),)}

    return changes
