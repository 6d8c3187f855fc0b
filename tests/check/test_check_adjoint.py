"""`check.adjoint`: one call for a linear map and its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180.nn.functional as F
from broken import CONVOLUTION, TRANSPOSED, Mistake
from rot180 import check
from rot180.errors import ArgumentError, CheckError, ShapeError


@pytest.mark.parametrize(
    ("name", "shapes", "over", "options"),
    [
        ("conv2d", [(2, 4, 5, 6), (6, 2, 3, 2)], 0, {"stride": 2, "groups": 2, "padding": 1}),
        ("conv2d", [(2, 4, 5, 6), (6, 2, 3, 2)], 1, {"stride": 2, "groups": 2, "padding": 1}),
        ("conv_transpose1d", [(2, 3, 4), (3, 2, 3)], 0, {"stride": 2, "output_padding": 1}),
        ("avg_pool2d", [(2, 2, 5, 5)], 0, {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("pad", [(2, 3)], 0, {"pad": (1, 2)}),
        ("unfold", [(1, 2, 5, 5)], 0, {"kernel_size": 2}),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_operations_by_name(
    name: str, shapes: list[Any], over: int, options: dict[str, Any], dtype: Any,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    answer = check.adjoint(name, *inputs, over=over, **options)
    assert answer
    assert answer.noise < (1e-10 if dtype == np.float64 else 1e-1)


@pytest.mark.parametrize("mistake", [*CONVOLUTION, *TRANSPOSED], ids=lambda m: m.name)
def test_wrong_adjoints(mistake: Mistake, rng: np.random.Generator) -> None:
    arrays = mistake.inputs(rng)
    answers = [
        check.adjoint((mistake.forward, mistake.wrong), *arrays, over=i, raise_exception=False)
        for i in range(2)
    ]
    assert not all(answers)
    wrong = next(a for a in answers if not a)
    assert wrong.wrong
    assert all(check.adjoint((mistake.forward, mistake.right), *arrays, over=i) for i in range(2))


def test_an_adjoint_of_ones_own() -> None:
    x = np.zeros((4, 3))
    assert check.adjoint(lambda x: x.sum(axis=0), x, adjoint=lambda g: np.tile(g, (4, 1)))
    with pytest.raises(CheckError, match=r"adjoint: <f\(v\), g> = .* ≠"):
        check.adjoint(lambda x: x.sum(axis=0), x, adjoint=lambda g: np.tile(g, (4, 1)) / 4)


def test_it_names_the_cells() -> None:
    def back(g: Any) -> Any:
        g = g.copy()
        g[2] = 0
        return g

    answer = check.adjoint(lambda x: 1 * x, np.zeros(5), adjoint=back, raise_exception=False)
    assert [cell for cell, *_ in answer.cells] == [(2,)]
    assert answer.to_dict()["wrong"] == 1
    assert "[2]" in str(answer)


def test_bad_input_in_one_line() -> None:
    for call, error, text in (
        (lambda: check.adjoint("conv9d", np.ones(1)), ArgumentError, "unknown operation"),
        (lambda: check.adjoint(F.relu, np.ones(3)), ArgumentError, "not linear in operand 0"),
        (lambda: check.adjoint(lambda x: x + 1, np.ones(3)), ArgumentError, "not linear"),
        (lambda: check.adjoint(F.relu, np.ones(3), over=1), ArgumentError, "over"),
        (
            lambda: check.adjoint(lambda x: x, np.ones(3), adjoint=lambda g: g[:2]),
            ShapeError,
            "shape of",
        ),
    ):
        with pytest.raises(error, match=text) as raised:
            call()
        assert "\n" not in str(raised.value)
