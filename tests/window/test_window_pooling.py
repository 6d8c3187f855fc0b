"""Pool windows: ceil_mode, the limit on padding, divisors."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rot180.errors import ArgumentError, ShapeError
from rot180.window import Window, pool_divisors, pool_window


@st.composite
def pools(draw, dilated=True):
    """Arguments of a pool along one axis, with padding within the limit."""
    kernel, stride = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    dilation = draw(st.integers(1, 3)) if dilated else 1
    limit = (dilation * (kernel - 1) + 1) // 2
    pair = (draw(st.integers(0, limit)), draw(st.integers(0, limit)))
    return (kernel,), (stride,), (pair,), (dilation,), draw(st.integers(1, 16))


def brute_starts(kernel, stride, pair, dilation, size, ceil_mode):
    """First cells of the windows, in input coordinates: added one by one while allowed."""
    effective = dilation * (kernel - 1) + 1
    starts = [-pair[0]]
    padded_end = size + pair[1]
    if starts[0] + effective > padded_end and not ceil_mode:
        return []
    while True:
        start = starts[-1] + stride
        end, previous_end = start + effective, starts[-1] + effective
        if ceil_mode:
            # One more window where the last did not reach the end, if it starts before the padding.
            if previous_end >= padded_end or start >= size:
                return starts
        elif end > padded_end:
            return starts
        starts.append(start)


@given(pools(), st.booleans())
def test_windows_are_those_found_by_walking(pool, ceil_mode):
    kernel, stride, padding, dilation, size = pool
    starts = brute_starts(kernel[0], stride[0], padding[0], dilation[0], size, ceil_mode)
    try:
        window = pool_window(*pool[:4], ceil_mode, input_size=(size,))
    except ShapeError as error:
        if "no output" in str(error):
            assert (
                not ceil_mode
                or size + sum(padding[0]) + stride[0] <= dilation[0] * (kernel[0] - 1) + 1
            )
        else:
            assert dilation[0] > 1  # taps that jump over a small input
        return
    (axis,) = window.axes
    assert [axis.position(p, 0) for p in range(axis.output_size(size))] == starts
    assert (axis.kernel, axis.before) == (kernel[0], padding[0][0])
    if not ceil_mode:
        assert window == Window.of(kernel, stride, padding, dilation)
    elif axis.after != padding[0][1]:
        assert axis.remainder(size) == 0
        assert 0 < axis.after - padding[0][1] < stride[0]


@given(pools(), st.booleans())
def test_every_output_has_a_cell(pool, ceil_mode):
    try:
        window = pool_window(*pool[:4], ceil_mode, input_size=(pool[4],))
    except ShapeError:
        return
    (axis,) = window.axes
    assert all(axis.live_taps(p, pool[4]) for p in range(axis.output_size(pool[4])))


@given(pools(dilated=False), st.booleans())
def test_divisors_are_counted_cells(pool, ceil_mode):
    kernel, stride, padding, _, size = pool
    starts = brute_starts(kernel[0], stride[0], padding[0], 1, size, ceil_mode)
    assume(starts)
    assume(starts[0] + kernel[0] <= size + padding[0][1] or ceil_mode)
    try:
        pool_window(*pool[:4], ceil_mode, input_size=(size,))
    except ShapeError:
        return
    for include, cells in (
        (True, range(-padding[0][0], size + padding[0][1])),
        (False, range(size)),
    ):
        (counts,) = pool_divisors(kernel, stride, padding, ceil_mode, include, input_size=(size,))
        assert list(counts) == [sum(s + r in cells for r in range(kernel[0])) for s in starts]
        assert min(counts) >= 1


def test_a_last_window_that_would_start_in_the_padding_is_dropped():
    """PyTorch's rule; without it the last window of 5 cells, kernel 2, padding 1 reads nothing."""
    kept = pool_window(3, 2, 1, ceil_mode=True, input_size=(6,))
    assert (kept.output_size((6,)), kept.after) == ((4,), (2,))
    dropped = pool_window(2, 3, 1, ceil_mode=True, input_size=(5,))
    assert (dropped.output_size((5,)), dropped.after) == ((2,), (1,))


def test_stride_is_the_kernel_unless_given():
    window = pool_window((2, 3), input_size=(6, 6))
    assert window.stride == window.kernel == (2, 3)


def test_sides_and_axes_have_their_own_divisors():
    rows, columns = pool_divisors(
        (3, 2), (2, 2), ((1, 0), (0, 1)), count_include_pad=False, input_size=(6, 5)
    )
    assert rows == (2, 3, 3)
    assert columns == (2, 2, 1)


def test_padding_beyond_half_the_kernel_prints_the_limit():
    with pytest.raises(ArgumentError) as caught:
        pool_window((2, 3), padding=(1, 2), dilation=1, input_size=(8, 8), op="max_pool2d")
    assert str(caught.value) == (
        "max_pool2d: padding before axis 1 out of range: effective kernel 1*(3-1)+1 = 3, half of "
        "it 3 // 2 = 1; expected 0 <= padding <= 1, got 2. Rule: padding of a pool is at most half "
        "the effective kernel, so that every window holds input cells; to crop, slice the input."
    )
    assert pool_window(3, 1, 2, dilation=2, input_size=(8,)).output_size((8,)) == (8,)


def test_a_pool_does_not_crop():
    with pytest.raises(ArgumentError, match="padding after axis 0 out of range"):
        pool_window(3, 1, ((0, -1),), input_size=(8,))


def test_taps_that_jump_over_a_small_input_are_an_error():
    with pytest.raises(ShapeError, match=r"output 0 along axis 0 .* taps lie at -2, \.\.\., 1"):
        pool_window(2, 1, 2, dilation=3, input_size=(1,))


def test_errors_name_the_operation():
    with pytest.raises(ShapeError, match=r"max_pool1d: no output along axis 0: \(2 \+ 0 \+ 0 - 5"):
        pool_window(5, 1, input_size=(2,), op="max_pool1d")
    with pytest.raises(ShapeError, match="no input along axis 0; expected at least 1 cell, got 0"):
        pool_window(2, input_size=(0,))
    with pytest.raises(ArgumentError, match="avg_pool2d: kernel_size has the wrong length"):
        pool_divisors((2, 2, 2), input_size=(4, 4), op="avg_pool2d")


def test_agrees_with_pytorch():
    """An outside opinion on sizes and divisors, where PyTorch is installed."""
    torch = pytest.importorskip("torch")
    for kernel in (1, 2, 3, 5):
        for stride in (1, 2, 3, 4):
            for padding in range(kernel // 2 + 1):
                for size in range(1, 10):
                    for ceil_mode in (False, True):
                        for include in (False, True):
                            check_against_torch(
                                torch, kernel, stride, padding, size, ceil_mode, include
                            )


def check_against_torch(torch, kernel, stride, padding, size, ceil_mode, include):
    arguments = (kernel, stride, padding, ceil_mode, include)
    ones = torch.ones((1, 1, size), dtype=torch.float64)
    try:
        theirs = torch.nn.functional.avg_pool1d(ones, *arguments)[0, 0].tolist()
    except RuntimeError:
        with pytest.raises(ShapeError):
            pool_divisors(*arguments, input_size=(size,))
        return
    (divisors,) = pool_divisors(*arguments, input_size=(size,))
    (cells,) = pool_divisors(*arguments[:4], False, input_size=(size,))
    assert [n / d for n, d in zip(cells, divisors, strict=True)] == theirs, arguments


def test_resolving_does_not_walk_over_all_outputs():
    """oneDNN lists a pool over 4,294,967,311 cells; its window is still a few integers."""
    window = pool_window(7, 5, 3, input_size=(4_294_967_311,), ceil_mode=True)
    assert window.output_size((4_294_967_311,)) == (858_993_463,)
