"""Windows of several axes: construction, names, errors."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.errors import ArgumentError, ShapeError
from rot180.window import Axis, Window

axes = st.builds(
    Axis,
    kernel=st.integers(1, 12),
    stride=st.integers(1, 12),
    dilation=st.integers(1, 12),
    before=st.integers(-30, 30),
    after=st.integers(-30, 30),
)
windows = st.builds(
    Window, axes=st.lists(axes, min_size=1, max_size=4).map(tuple), groups=st.integers(1, 999)
)


@given(windows)
def test_a_name_reads_back_as_the_same_window(window):
    again = Window.parse(window.name)
    assert again == window
    assert hash(again) == hash(window)
    assert again.name == window.name


@given(windows, windows)
def test_names_are_equal_only_for_equal_windows(one, other):
    assert (one.name == other.name) == (one == other)


@given(windows)
def test_a_name_is_a_file_name_on_every_system(window):
    assert set(window.name) <= set("kspdgmx-.0123456789")
    assert not window.name.endswith(".")


def test_names_can_be_read():
    assert Window.of((3, 3), 2, 1).name == "k3x3-s2x2-p1.1x1.1-d1x1-g1"
    assert Window.of((7,), 1, ((6, -2),), 3, 4).name == "k7-s1-p6.m2-d3-g4"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "k3x3",
        "k3-s1-p0.0-d1-g0",
        "k0-s1-p0.0-d1-g1",
        "k03-s1-p0.0-d1-g1",
        "k3-s1-p0.0-d1-g1\n",
        " k3-s1-p0.0-d1-g1",
        "k3-s1-p0-d1-g1",
        "k3-s1-pm0.0-d1-g1",
        "k3-s1-p-1.0-d1-g1",
        "k3x3-s1-p0.0-d1-g1",
        "k3x3-s1x1-p0.0-d1x1-g1",
        "k3x-s1-p0.0-d1-g1",
        "K3-S1-P0.0-D1-G1",
        "k٣-s1-p0.0-d1-g1",
    ],
)
def test_what_is_no_name_is_an_error_that_shows_one(name):
    with pytest.raises(ArgumentError, match=r"expected a name like 'k3x3-s2x2-p1\.1x1\.1-d1x1-g1'"):
        Window.parse(name)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_an_argument_error(text):
    try:
        window = Window.parse(text)
    except ArgumentError:
        return
    assert window.name == text


def test_one_int_means_every_axis():
    expected = Window.of((3, 3), (2, 2), (1, 1), (1, 1))
    assert Window.of((3, 3), 2, 1) == expected
    assert Window.of(3, (2, 2), 1) == expected
    assert Window.of(3, 2, (1, 1)) == expected
    assert Window.of(3, 2, ((1, 1), (1, 1))) == expected
    assert Window.of(3, 2, 1, axes=2) == expected
    assert Window.of(3, 2, 1, input_size=(9, 9)) == expected
    assert Window.of([3, 3], [2, 2], [[1, 1], 1]) == expected
    assert (expected.kernel, expected.stride, expected.dilation) == ((3, 3), (2, 2), (1, 1))
    assert (expected.before, expected.after) == ((1, 1), (1, 1))


def test_numpy_integers_are_integers():
    window = Window.of(np.array([3, 3]), np.int64(2), np.int32(1), axes=2, groups=np.uint8(2))
    assert window == Window.of((3, 3), 2, 1, groups=2)
    assert all(type(n) is int for n in window.kernel + window.stride + window.before)
    assert type(window.groups) is int
    assert type(Axis(np.int64(3)).kernel) is int


def test_sizes_of_several_axes():
    window = Window.of((3, 2, 4), (2, 1, 3), ((1, 1), (0, 1), (2, 2)), (1, 3, 1))
    assert window.output_size((6, 9, 5)) == (3, 7, 2)
    assert window.remainder((6, 9, 5)) == (1, 0, 2)
    assert window.arithmetic((6, 9, 5))[1] == "(9 + 0 + 1 - 4) // 1 + 1 = 7"
    inputs = window.input_gradient((6, 9, 5))
    weights = window.weight_gradient((6, 9, 5))
    for axis, size, x, w in zip(window.axes, (6, 9, 5), inputs, weights, strict=True):
        assert x == axis.input_gradient(size)
        assert w == axis.weight_gradient(size)


def test_taps_of_several_axes_are_the_product():
    window = Window.of((2, 3), (2, 1), ((0, 1), (1, 1)))
    rows, columns = (list(a.taps(n)) for a, n in zip(window.axes, (5, 4), strict=True))
    expected = [((p, q), (r, s), (h, w)) for p, r, h in rows for q, s, w in columns]
    assert list(window.taps((5, 4))) == expected


def test_equal_arguments_give_one_object():
    assert Window.of((3, 3), 1, "same") is Window.of(3, (1, 1), ((1, 1), 1))


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))]
)
def test_a_window_can_be_copied_and_sent_to_other_processes(again):
    window = Window.of((3, 5), 2, ((1, -1), 2), 3, 4)
    twin = again(window)
    assert twin == window
    assert (twin.kernel, twin.before, twin.name) == (window.kernel, window.before, window.name)


def test_a_window_is_frozen():
    with pytest.raises(AttributeError):
        Window.of((3,)).groups = 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernel": (3, 3), "stride": (1, 2, 1)},
            (
                "conv: stride has the wrong length; expected one int, or 2 for 2 spatial axes, "
                "got 3: (1, 2, 1)"
            ),
        ),
        (
            {"kernel": (3, 3), "stride": 0},
            (
                "conv: stride out of range; expected stride >= 1, got 0. Rule: neighbouring "
                "outputs read windows that lie stride >= 1 cells apart."
            ),
        ),
        (
            {"kernel": (3, 0)},
            (
                "conv: kernel_size out of range; expected kernel_size >= 1, got 0. Rule: a window "
                "has at least one tap along every axis."
            ),
        ),
        (
            {"kernel": (3,), "dilation": 0},
            (
                "conv: dilation out of range; expected dilation >= 1, got 0. Rule: neighbouring "
                "taps read cells that lie dilation >= 1 cells apart; 1 means no gaps."
            ),
        ),
        (
            {"kernel": (3,), "groups": 0},
            (
                "conv: groups out of range; expected groups >= 1, got 0. Rule: the channels are "
                "cut into groups >= 1 equal parts; 1 means all see all."
            ),
        ),
        (
            {"kernel": (3,), "stride": 1.0},
            (
                "conv: stride is no integer; expected an int, or a tuple with one int per axis, "
                "got 1.0 (float)"
            ),
        ),
        (
            {"kernel": (3,), "padding": (True,)},
            (
                "conv: padding is no integer; expected an int, or a tuple with one int per axis, "
                "got True (bool)"
            ),
        ),
        (
            {"kernel": 3},
            (
                "conv: the number of spatial axes is unknown; expected a tuple such as kernel="
                "(3, 3), or axes=2, got single integers only"
            ),
        ),
    ],
)
def test_errors_say_what_is_expected(arguments, message):
    with pytest.raises(ArgumentError) as caught:
        Window.of(**arguments, op="conv")
    assert str(caught.value) == message


@pytest.mark.parametrize("first", [1, (1, 1)])
def test_a_float_is_refused_also_after_the_equal_int(first):
    """1 == 1.0 == True, so a cache that is asked before the check would let them through."""
    Window.of((3, 3), first)
    for wrong in (1.0, True, (1, 1.0), (True, 1), np.True_, np.float64(1), np.array([1.0, 1.0])):
        with pytest.raises(ArgumentError, match="stride is no integer"):
            Window.of((3, 3), wrong)


def test_an_array_is_not_one_integer():
    with pytest.raises(ArgumentError, match="groups is no integer"):
        Window.of((3, 3), groups=np.array([1, 2]))


def test_a_window_needs_an_axis():
    with pytest.raises(ArgumentError, match="number of axes >= 1, got 0"):
        Window(())
    with pytest.raises(ArgumentError, match="number of axes >= 1, got 0"):
        Window.of(())


def test_sizes_must_be_one_per_axis():
    window = Window.of((3, 3))
    for ask in (window.output_size, window.remainder, window.taps, window.arithmetic):
        with pytest.raises(ShapeError, match=r"expected 2 spatial sizes, got 3: \(5, 5, 5\)"):
            ask((5, 5, 5))


def test_no_output_names_operation_and_axis():
    with pytest.raises(ShapeError, match=r"conv2d: no output along axis 1: \(2 \+ 0 \+ 0 - 3\)"):
        Window.of((3, 3)).output_size((5, 2), op="conv2d")
