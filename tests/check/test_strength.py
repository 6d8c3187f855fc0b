"""`check.strength` and `check.discriminating_shape`: the tests that people write, graded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import check
from rot180.check.catalogue import FAMILIES, family_of
from rot180.errors import ArgumentError, ShapeError

# Sizes of tests in use, and mistakes they are known to miss, measured in plain NumPy before this
# catalogue existed.
KNOWN = [
    (
        {"x": (10, 3, 4, 4), "w": (8, 3, 2, 2), "compare": "mean"}, {"stride": 2, "padding": 2},
        {"kernel not turned", "kernel turned by 90 degrees", "weight gradient turned"},
    ),
    (
        {"x": (4, 3, 5, 5), "w": (2, 3, 3, 3)}, {"padding": 1},
        {"stride not undone", "stride not undone in the weight gradient", "remainder ignored"},
    ),
    (
        {"x": (1, 1, 6, 6), "w": (1, 1, 2, 2)}, {"stride": 2},
        {"overwritten where windows overlap", "remainder ignored",
         "padding cropped in front only", "averaged over the batch (dw)"},
    ),
    (
        {"x": (2, 2, 5, 5), "w": (3, 2, 1, 1)}, {},
        {"kernel not turned", "kernel turned by 90 degrees", "weight gradient turned"},
    ),
    (
        {"x": (2, 2, 8, 8), "w": (3, 2, 3, 3)}, {"stride": 2, "padding": 1},
        {"remainder split to both sides"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sizes", "options", "blind"), KNOWN)
def test_tests_in_use(sizes: dict[str, Any], options: dict[str, Any], blind: set[str]) -> None:
    found = check.strength(sizes, "conv2d", **options)
    assert not found
    assert blind <= {*found.missed, *found.hidden}
    assert 0 < found.score < 1
    assert "the test catches" in str(found)


def test_the_single_shape_that_catches_the_classic_nine() -> None:
    sizes = {"x": (2, 2, 5, 5), "w": (3, 2, 4, 4)}
    found = check.strength(sizes, "conv2d", stride=3, padding=2)
    classic = {
        "kernel not turned", "kernel turned by 90 degrees", "stride not undone",
        "stride not undone in the weight gradient", "overwritten where windows overlap",
        "weight gradient turned", "remainder split to both sides",
        "padding cropped in front only", "averaged over the batch (dw)",
    }  # fmt: skip
    assert classic <= set(found.caught)


def test_a_test_as_a_function(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 3, 3))
    g = rng.standard_normal((2, 3, 3, 3))
    right = rt.ops.conv_input_grad(x.shape, w, g).data

    def all_cells(backward: Any) -> None:
        dx, _ = backward(g, x, w)
        np.testing.assert_allclose(dx, right, rtol=1e-8, atol=1e-8)

    def only_the_sum(backward: Any) -> bool:
        dx, _ = backward(g, x, w)
        return bool(np.isclose(dx.sum(), right.sum()))

    strong, weak = check.strength(all_cells), check.strength(only_the_sum)
    assert "kernel not turned" in strong.caught
    assert "kernel not turned" in weak.missed
    assert set(weak.caught) < set(strong.caught)
    with pytest.raises(ArgumentError, match="rejects the right backward pass"):
        check.strength(lambda backward: False)


@pytest.mark.parametrize(
    "operation",
    [
        "conv2d", "conv1d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "linear", "sigmoid",
        "cross_entropy", "batch_norm", "softmax", "mul", "sum", "amax", "embedding", "cat",
    ],
)  # fmt: skip
def test_discriminating_shapes_tell_all_apart(operation: str) -> None:
    found = check.discriminating_shape(operation)
    assert not found.confused, str(found)
    assert not set(found.hidden) - {"absolute derivative", "equality replaced by a tolerance"}
    assert found.mistakes >= 5
    arrays = found.arrays()
    assert {name: a.shape for name, a in arrays.items() if name in found.shapes} == found.shapes
    assert operation in str(found)
    assert found.to_dict()["mistakes"] == found.mistakes


def test_the_catalogue_is_large_and_names_are_unique() -> None:
    assert sum(len(family.mistakes) for family in FAMILIES) >= 250
    distinct = {m.name for family in FAMILIES for m in family.mistakes if m.factor is None}
    assert len(distinct) >= 120
    for family in FAMILIES:
        names = [(m.name, m.gradient) for m in family.mistakes]
        assert len(set(names)) == len(names)
        for mistake in family.mistakes:
            assert mistake.algebra
            assert mistake.fix


def test_bad_input_in_one_line() -> None:
    sizes = {"x": (2, 2, 5, 5), "w": (3, 2, 3, 3)}
    for call, error, text in (
        (lambda: check.discriminating_shape("conv9d"), ArgumentError, "no catalogue"),
        (lambda: check.strength(sizes | {"compare": "max"}), ArgumentError, "compare"),
        (lambda: check.strength({"y": (1,)}), ArgumentError, "sizes"),
        (lambda: check.strength(3), ArgumentError, "no test"),  # type: ignore[arg-type]
        (lambda: check.strength(sizes, padding=-2), ShapeError, "does not exist for these sizes"),
        (lambda: family_of("nothing"), ArgumentError, "no catalogue"),
    ):
        with pytest.raises(error, match=text) as raised:
            call()
        assert "\n" not in str(raised.value)
