"""Padding words and numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.errors import ArgumentError
from rot180.window import PADDING_WORDS, Window, resolve_padding

kernels, strides, dilations, sizes = (
    st.integers(1, 7),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 30),
)


@given(kernels, strides, dilations)
def test_valid_pads_nothing(kernel, stride, dilation):
    assert resolve_padding("valid", (kernel,), stride, dilation) == ((0, 0),)


@given(kernels, dilations, sizes)
def test_full_gives_every_overlap_an_output(kernel, dilation, size):
    """And no window that would read zeros only: first and last hold exactly one cell's end."""
    window = Window.of((kernel,), 1, "full", dilation)
    (axis,) = window.axes
    outputs = axis.output_size(size)
    assert outputs == size + axis.effective - 1
    assert axis.position(0, kernel - 1) == 0
    assert axis.position(outputs - 1, 0) == size - 1


@given(kernels, dilations, sizes)
def test_same_keeps_the_size_and_puts_the_odd_cell_after(kernel, dilation, size):
    window = Window.of((kernel,), 1, "same", dilation)
    assert window.output_size((size,)) == (size,)
    assert window.after[0] - window.before[0] in (0, 1)
    assert window.before[0] + window.after[0] == dilation * (kernel - 1)


@given(kernels, strides, dilations, sizes)
def test_sized_words_give_size_over_stride_rounded_up(kernel, stride, dilation, size):
    found = {}
    for word in ("same_upper", "same_lower"):
        window = Window.of((kernel,), stride, word, dilation, input_size=(size,))
        assert window.output_size((size,)) == (-(-size // stride),)
        found[word] = (window.before[0], window.after[0])
    less, more = found["same_upper"]
    assert more - less in (0, 1)
    assert less >= 0
    assert found["same_lower"] == (more, less)


@given(kernels, dilations, sizes)
def test_without_stride_the_two_rules_called_same_agree(kernel, dilation, size):
    fixed = resolve_padding("same", (kernel,), 1, dilation)
    assert resolve_padding("same_upper", (kernel,), 1, dilation, (size,)) == fixed


def test_numbers_and_pairs():
    expected = ((1, 1), (2, 2))
    for padding in ((1, 2), [1, 2], ((1, 1), (2, 2)), (1, (2, 2)), [[1, 1], 2]):
        assert resolve_padding(padding, (3, 3)) == expected
    assert resolve_padding(2, (3, 3)) == ((2, 2), (2, 2))
    assert resolve_padding(((0, -2), (-1, 3)), 3) == ((0, -2), (-1, 3))
    assert resolve_padding(1, 3, axes=3) == ((1, 1),) * 3


def test_same_with_stride_prints_both_rules_with_numbers():
    with pytest.raises(ArgumentError) as caught:
        Window.of((3, 4), 2, "same", input_size=(6, 7), op="conv2d")
    assert str(caught.value) == (
        "conv2d: padding 'same' is ambiguous with stride (2, 2): PyTorch's rule "
        "dilation*(kernel-1) pads (1, 1), (1, 2); 'same_upper' pads (0, 1), (1, 2) for input size "
        "(6, 7); expected stride 1, or one of the two rules: the numbers as pairs, or "
        "'same_upper', got 'same'"
    )


def test_same_with_stride_prints_the_formula_where_the_size_is_unknown():
    with pytest.raises(ArgumentError, match=r"max\(\(ceil\(H/2\) - 1\)\*2 \+ 3 - H, 0\)"):
        Window.of((3, 3), 2, "same")


def test_a_sized_word_asks_for_the_size():
    with pytest.raises(ArgumentError, match="padding 'same_lower' depends on the input size"):
        resolve_padding("same_lower", (3, 3))


def test_an_unknown_word_is_answered_with_the_known_ones():
    with pytest.raises(ArgumentError) as caught:
        resolve_padding("SAME", (3, 3), op="conv2d")
    assert "got 'SAME'" in str(caught.value)
    assert all(word in str(caught.value) for word in PADDING_WORDS)


def test_two_sides_of_one_axis_are_a_pair():
    with pytest.raises(ArgumentError, match=r"Rule: the two sides .* as in \(\(1, 2\),\)"):
        resolve_padding((1, 2), (3,))
    assert resolve_padding(((1, 2),), (3,)) == ((1, 2),)


def test_a_pair_has_two_sides():
    with pytest.raises(ArgumentError, match=r"expected an int or a \(before, after\) pair"):
        resolve_padding(((1, 2, 3), 1), (3, 3))


@pytest.mark.parametrize("padding", [0.5, None, (1, 0.5), ((1, None), 1), ("same", "same")])
def test_padding_is_made_of_integers(padding):
    with pytest.raises(ArgumentError, match="padding is no integer"):
        resolve_padding(padding, (3, 3))
