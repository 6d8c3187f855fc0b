"""Transposed convolutions: sizes, output_padding, and the convolution they are the adjoint of."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rot180.errors import ArgumentError, ShapeError
from rot180.window import Axis, Window, output_padding_for, transposed

axes = st.builds(
    Axis,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 5),
    before=st.integers(-3, 6),
    after=st.integers(-3, 6),
)


@given(axes, st.integers(1, 8), st.integers(0, 4))
def test_sizes_and_relation_by_scattering(axis, inputs, extra):
    """Every input cell p adds to the cells S·p + D·r of a long output, then padding is cut off."""
    assume(extra < max(axis.stride, axis.dilation))
    long = axis.stride * (inputs - 1) + axis.effective + extra
    size = long - axis.before - axis.after
    assume(size >= 1)
    scattered = {
        (p, r, axis.stride * p + axis.dilation * r - axis.before)
        for p in range(inputs)
        for r in range(axis.kernel)
    }
    window, sizes = transposed(Window((axis,), 3), (inputs,), extra)
    assert sizes == (size,)
    assert window.output_size(sizes) == (inputs,)
    assert window.groups == 3
    kept = {(p, r, h) for p, r, h in scattered if 0 <= h < size}
    assert set(window.axes[0].taps(size)) == kept


@given(axes, st.integers(1, 20))
def test_it_undoes_the_size_of_a_convolution(axis, size):
    """Output padding = remainder, and there and back again gives the same window and size."""
    assume(size + axis.before + axis.after >= axis.effective)
    window = Window((axis,))
    back = transposed(window, window.output_size((size,)), window.remainder((size,)))
    assert back == (window, (size,))


def gives(window, inputs, extra, size):
    try:
        return transposed(window, (inputs,), extra)[1] == (size,)
    except ShapeError:  # padding cuts everything off
        return False


@given(axes, st.integers(1, 8), st.integers(-10, 40))
def test_output_padding_is_found_where_there_is_one(axis, inputs, size):
    window = Window((axis,))
    extras = range(max(axis.stride, axis.dilation))
    by_trial = [extra for extra in extras if gives(window, inputs, extra, size)]
    if by_trial:
        assert output_padding_for(window, (inputs,), (size,)) == tuple(by_trial)
    elif size >= 1:
        with pytest.raises(ShapeError, match="cannot be reached"):
            output_padding_for(window, (inputs,), (size,))


def test_the_question_people_ask():
    """8 cells from 4 with kernel 3, stride 2, padding 1: output_padding 1."""
    window = Window.of((3, 3), 2, 1)
    assert transposed(window, (4, 4))[1] == (7, 7)
    assert transposed(window, (4, 4), (1, 0))[1] == (8, 7)
    assert output_padding_for(window, (4, 4), (8, 8)) == (1, 1)


def test_output_padding_not_below_the_stride_is_an_error():
    with pytest.raises(ArgumentError) as caught:
        transposed(Window.of((3, 3), 2, 1), (4, 4), (1, 2), op="conv_transpose2d")
    assert str(caught.value) == (
        "conv_transpose2d: output_padding of axis 1 out of range: max(stride, dilation) = "
        "max(2, 1) = 2; expected 0 <= output_padding < 2, got 2. Rule: output_padding is the "
        "remainder of the convolution's sizes, no zero padding; a stride leaves fewer cells over "
        "than itself."
    )
    with pytest.raises(ArgumentError, match="expected output_padding >= 0, got -1"):
        transposed(Window.of((3, 3), 2, 1), (4, 4), -1)


def test_a_size_that_cannot_be_reached_prints_the_ones_that_can():
    with pytest.raises(ShapeError) as caught:
        output_padding_for(Window.of((3,), 2, 1), (4,), (9,))
    assert str(caught.value) == (
        "conv_transpose: output size of axis 0 cannot be reached: (4 - 1)*2 - (1) - (1) + 3 = 7 "
        "without output_padding; expected a size from 7 to 8, got 9. Rule: output_padding is at "
        "least 0 and below max(stride, dilation); change the padding for other sizes."
    )


def test_no_output_and_no_input_are_errors():
    with pytest.raises(ShapeError, match=r"no output along axis 0: \(1 - 1\)\*1 - \(2\) - \(2\)"):
        transposed(Window.of((3,), 1, 2), (1,))
    with pytest.raises(ShapeError, match="no input along axis 0"):
        transposed(Window.of((9,)), (0,))
    with pytest.raises(ShapeError, match="expected 1 spatial sizes, got 2"):
        transposed(Window.of((3,)), (4, 4))
