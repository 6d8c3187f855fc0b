"""Receptive fields, against composing the relations tap by tap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.errors import ArgumentError, ShapeError
from rot180.window import Axis, ReceptiveField, Window, receptive_field

axes = st.builds(
    Axis,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    before=st.integers(-2, 3),
)


@given(st.lists(axes, min_size=1, max_size=4), st.integers(0, 3))
def test_a_span_is_from_the_first_to_the_last_cell_seen(chain, output):
    cells = {output}
    for axis in reversed(chain):
        cells = {axis.position(p, r) for p in cells for r in range(axis.kernel)}
    field = receptive_field(Window((axis,)) for axis in chain)
    assert field.span((output,)) == (range(min(cells), max(cells) + 1),)


def test_a_known_network():
    """LeNet-5: two times 5×5 convolution and 2×2 pool; the first padded by 2."""
    conv1, pool, conv2 = Window.of((5, 5), padding=2), Window.of((2, 2), 2), Window.of((5, 5))
    field = receptive_field([conv1, pool, conv2, pool])
    assert field == ReceptiveField(size=(16, 16), jump=(4, 4), start=(-2, -2))


def test_axes_are_separate():
    field = receptive_field([Window.of((3, 1), (2, 1), ((1, 0), 0)), Window.of((3, 5))])
    assert (field.size, field.jump, field.start) == ((7, 5), (2, 1), (-1, 0))


def test_errors():
    with pytest.raises(ArgumentError, match="receptive field: no windows"):
        receptive_field([])
    with pytest.raises(ShapeError, match="receptive field: the window and the input differ"):
        receptive_field([Window.of((3,)), Window.of((3, 3))])
    with pytest.raises(ShapeError, match="expected 1 spatial sizes, got 2"):
        receptive_field([Window.of((3,))]).span((0, 0))
    with pytest.raises(ArgumentError, match="axes >= 1, got 0"):
        ReceptiveField.identity(0)
