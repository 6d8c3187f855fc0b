"""The relation h = S·p + D·r − A, enumerated by brute force and read three ways."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rot180.errors import ArgumentError, ShapeError
from rot180.window import Axis

axes = st.builds(
    Axis,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 4),
    before=st.integers(-3, 6),
    after=st.integers(-3, 6),
)
sizes = st.integers(0, 14)


def fits(axis, size):
    return size >= 1 and size + axis.before + axis.after >= axis.effective


def brute_outputs(axis, size):
    """How many windows fit, counted one by one."""
    padded = size + axis.before + axis.after
    last_tap = axis.dilation * (axis.kernel - 1)
    return sum(axis.stride * p + last_tap < padded for p in range(padded + 1))


def brute_triples(axis, size):
    """The forward relation by asking every triple."""
    return {
        (p, r, h)
        for p in range(brute_outputs(axis, size))
        for r in range(axis.kernel)
        for h in range(size)
        if h == axis.stride * p + axis.dilation * r - axis.before
    }


@given(axes, sizes)
def test_sizes_are_what_counting_gives(axis, size):
    assume(fits(axis, size))
    outputs = brute_outputs(axis, size)
    assert axis.output_size(size) == outputs
    reached = axis.stride * (outputs - 1) + axis.effective
    assert axis.remainder(size) == size + axis.before + axis.after - reached
    assert 0 <= axis.remainder(size) < axis.stride


@given(axes, sizes)
def test_taps_are_the_relation(axis, size):
    assume(fits(axis, size))
    taps = list(axis.taps(size))
    assert len(taps) == len(set(taps))
    assert taps == sorted(taps)
    assert set(taps) == brute_triples(axis, size)


@given(axes, sizes, st.integers(0, 20))
def test_live_taps_are_those_that_read_a_cell(axis, size, p):
    live = [r for r in range(axis.kernel) if 0 <= axis.position(p, r) < size]
    assert list(axis.live_taps(p, size)) == live


@given(axes, sizes)
def test_input_gradient_is_the_relation_read_for_h(axis, size):
    assume(fits(axis, size))
    record = axis.input_gradient(size)
    outputs = axis.output_size(size)
    dilated = record.dilate * (outputs - 1) + 1
    assert record.window.output_size(dilated) == size  # exactly, no crop and no fill-up
    assert record.window.stride == 1
    read = {
        (cell // record.dilate, axis.kernel - 1 - turned, h)
        for h, turned, cell in record.window.taps(dilated)
        if cell % record.dilate == 0  # the others are the zeros between the entries of g
    }
    assert read == brute_triples(axis, size)


@given(axes, sizes)
def test_weight_gradient_is_the_relation_read_for_r(axis, size):
    assume(fits(axis, size))
    record = axis.weight_gradient(size)
    window = record.window
    assert (window.kernel, window.dilation) == (axis.output_size(size), record.dilate)
    assert window.output_size(size) == record.taps + record.surplus
    read = {(p, r, h) for r, p, h in window.taps(size) if r < record.taps}
    assert read == brute_triples(axis, size)


@given(axes, sizes)
def test_without_the_turn_the_relation_is_another(axis, size):
    """Forgetting the 180 degrees goes unnoticed only where nothing but a middle tap is live."""
    assume(fits(axis, size))
    record = axis.input_gradient(size)
    dilated = record.dilate * (axis.output_size(size) - 1) + 1
    unturned = {
        (cell // record.dilate, r, h)
        for h, r, cell in record.window.taps(dilated)
        if cell % record.dilate == 0
    }
    only_middle = all(2 * r == axis.kernel - 1 for _, r, _ in axis.taps(size))
    assert (unturned == brute_triples(axis, size)) == only_middle


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_every_remainder_comes_back(stride, dilation):
    """Sizes in a row walk through all remainders 0..S−1, each giving H back exactly."""
    axis = Axis(kernel=3, stride=stride, dilation=dilation, before=2, after=1)
    seen = set()
    for size in range(20, 20 + stride):
        record = axis.input_gradient(size)
        seen.add(axis.remainder(size))
        assert record.window.before == axis.effective - 1 - axis.before
        assert record.window.after == axis.effective - 1 - axis.after + axis.remainder(size)
        assert record.window.output_size(stride * (axis.output_size(size) - 1) + 1) == size
    assert seen == set(range(stride))


@given(axes, sizes)
def test_with_stride_one_the_input_gradient_is_an_involution(axis, size):
    axis = Axis(axis.kernel, 1, axis.dilation, axis.before, axis.after)
    assume(fits(axis, size))
    back = axis.input_gradient(size).window
    assert back.input_gradient(axis.output_size(size)).window == axis


@given(axes, sizes)
def test_the_weight_gradient_of_the_weight_gradient_is_the_window(axis, size):
    """Stride and dilation change places twice; surplus taps are the only trace."""
    assume(fits(axis, size))
    record = axis.weight_gradient(size)
    again = record.window.weight_gradient(size)
    assert again.window == Axis(
        axis.kernel + record.surplus, axis.stride, axis.dilation, axis.before, axis.after
    )
    assert (again.taps, again.surplus) == (axis.output_size(size), 0)


def test_the_shape_that_tells_mistakes_apart():
    """5 cells, kernel 4, stride 3, padding 2: remainder 2 (see mlpack's and MOOC's mistakes)."""
    axis = Axis(kernel=4, stride=3, before=2, after=2)
    assert (axis.output_size(5), axis.remainder(5)) == (2, 2)
    assert axis.input_gradient(5).window == Axis(4, 1, 1, before=1, after=3)
    assert axis.weight_gradient(5).surplus == 2


@given(axes, sizes)
def test_an_axis_has_an_output_or_an_error_never_less(axis, size):
    if fits(axis, size):
        assert axis.output_size(size) >= 1
    else:
        for ask in (axis.output_size, axis.remainder, axis.input_gradient, axis.weight_gradient):
            with pytest.raises(ShapeError, match=r"no (out|in)put along axis 0"):
                ask(size)
        with pytest.raises(ShapeError):
            axis.taps(size)


def test_no_output_prints_the_arithmetic():
    with pytest.raises(ShapeError) as caught:
        Axis(kernel=5).output_size(3, op="conv", axis=1)
    assert str(caught.value) == (
        "conv: no output along axis 1: (3 + 0 + 0 - 5) // 1 + 1 = -1; expected an input of "
        "at least 5, got 3. Rule: the effective kernel dilation*(kernel-1)+1 must fit into "
        "the padded input."
    )


def test_a_crop_is_printed_as_one():
    axis = Axis(kernel=3, stride=2, dilation=2, before=1, after=-2)
    assert axis.arithmetic(9) == "(9 + 1 - 2 - 5) // 2 + 1 = 2"
    assert axis.output_size(9) == 2


@pytest.mark.parametrize("name", ["kernel", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_are_at_least_one(name, value):
    given = {"kernel": 3} | {name: value}
    with pytest.raises(ArgumentError, match=rf"out of range; expected .* >= 1, got {value}\. Rule"):
        Axis(**given)


@pytest.mark.parametrize("value", [1.0, True, "1", None, 2.5])
@pytest.mark.parametrize("name", ["kernel", "stride", "dilation", "before", "after"])
def test_only_integers_are_integers(name, value):
    with pytest.raises(ArgumentError, match="is no integer"):
        Axis(**({"kernel": 3} | {name: value}))


def test_an_axis_is_frozen_and_hashable():
    axis = Axis(3, 1, 1, 1, 1)
    assert axis == Axis(kernel=3, before=1, after=1)
    assert len({axis, Axis(3, 1, 1, 1, 1), Axis(3)}) == 2
    with pytest.raises(AttributeError):
        axis.kernel = 4
