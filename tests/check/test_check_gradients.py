"""`check.gradients`: what it finds, what it lets pass, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rot180 as rt
import rot180.nn.functional as F
from broken import ZOO, Mistake
from rot180 import check
from rot180.errors import ArgumentError, CheckError, NumericsError

TIES = {"max pool to all ties", "max pool to the last tie"}


def found(f: Any, *inputs: Any, **options: Any) -> check.GradientCheck:
    return check.gradients(f, *inputs, raise_exception=False, **options)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("mistake", ZOO, ids=[m.name for m in ZOO])
def test_the_zoo(mistake: Mistake, fast: bool, rng: np.random.Generator) -> None:
    arrays = mistake.inputs(rng)
    assert found((mistake.forward, mistake.right), *arrays, fast_mode=fast)
    wrong = found((mistake.forward, mistake.wrong), *arrays, fast_mode=fast)
    if mistake.name == "max pool to the last tie":
        assert wrong  # a subgradient, too; only the rule for ties differs
    elif not fast or mistake.name not in TIES:
        assert not wrong


def test_it_says_which_cells_and_the_factor() -> None:
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    answer = found((lambda x: x * x, lambda g, x: g * x), x)
    assert not answer
    assert answer.inputs[0].wrong.all()
    assert "4 of 4 cells of input 0 differ; in cell [" in answer.headline()
    assert any("is 0.5 times the difference" in line for line in answer.advice)
    one = found((lambda x: x * x, lambda g, x: 2 * g * np.where(x == 3, 0, x)), x)
    assert np.argwhere(one.inputs[0].wrong).tolist() == [[1, 1]]
    assert "[1, 1]" in str(one)
    assert one.to_dict()["inputs"][0]["wrong"] == 1


def test_it_raises_as_torch_does() -> None:
    with pytest.raises(CheckError, match="cells of input 0 differ") as raised:
        check.gradients((np.sin, lambda g, x: g * np.sin(x)), np.ones(3))
    assert isinstance(raised.value, AssertionError)
    assert not raised.value.result  # type: ignore[attr-defined]
    assert "\n" not in str(raised.value)
    assert check.gradients(F.tanh, (rt.tensor(np.ones(3), requires_grad=True),))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (F.relu, [0.0, 1.0, -1.0]),
        (F.relu, [3e-7, -3e-7, 2.0]),
        (lambda x: abs(x), [0.0, 0.5]),
        (lambda x: x.max(), [2.0, 2.0, 1.0]),
        (lambda x: F.max_pool1d(x, 2), [[[1.0, 1.0, 1.0, 0.0]]]),
        (lambda x: F.max_pool1d(x, 2, ties="split"), [[[1.0, 1.0, 1.0, 0.0]]]),
    ],
)
def test_kinks_pass(f: Any, x: list[float]) -> None:
    assert found(f, np.array(x))


def test_kinks_are_named_and_do_not_excuse_other_values() -> None:
    x = np.array([0.0, 1.0])
    answer = found(F.relu, x)
    assert answer.inputs[0].kinks.tolist() == [True, False]
    assert any("kink" in line for line in answer.advice)
    relu = lambda x: np.maximum(x, 0)  # noqa: E731
    for slope, right in ((0.0, True), (0.3, True), (1.0, True), (1.2, False), (-0.1, False)):
        answer = found((relu, lambda g, x, s=slope: g * np.where(x > 0, 1, s)), x)
        assert bool(answer) == right, slope


def test_a_gradient_to_all_ties_is_no_subgradient() -> None:
    tied = np.ones((1, 1, 4))
    assert not found(lambda x: F.max_pool1d(x, 2, ties="all"), tied)


def test_randomness_between_calls_is_noticed() -> None:
    rng = np.random.default_rng(1)
    answer = found(lambda x: x * rng.random(), np.ones(3))
    assert not answer
    assert "different values when it is called again" in answer.headline()
    assert "dropout" in answer.headline()
    assert found(lambda x: x * (1 + 1e-9 * rng.random()), np.ones(3), nondet_tol=1e-6)


def test_a_backward_pass_that_drops_part_of_g_is_noticed() -> None:
    for backward in (lambda g, x: x > 0, lambda g, x: (x > 0) * np.maximum(g, 0)):
        answer = found((lambda x: np.maximum(x, 0), backward), np.ones(1), seed=5)
        assert "not linear in the upstream gradient" in answer.headline()


def test_changes_in_place_are_noticed() -> None:
    def backward(g: Any, x: Any) -> Any:
        g *= 2 * x
        return g

    answer = found((lambda x: x * x, backward), np.array([1.0, 2.0]))
    assert "the upstream gradient was changed in place" in answer.headline()


def test_float32_is_compared_with_differences_in_float64() -> None:
    x = np.linspace(-2, 2, 7).astype(np.float32)
    answer = found(F.sigmoid, x)
    assert answer
    assert answer.inputs[0].analytic.dtype == np.float64
    assert any("float64" in line for line in answer.advice)
    narrow = found((np.tanh, lambda g, x: (g * (1 - np.tanh(x) ** 2)).astype(np.float32)), x)
    assert narrow
    only = found(lambda x: rt.tensor(np.ones(7, np.float32)) * x, x)
    assert only
    assert any("the step was raised" in line for line in only.advice)


def test_a_step_that_does_not_suit_is_said() -> None:
    answer = found(lambda x: rt.sin(1e6 * x) * 1e-6, np.array([0.3]), eps=1e-3)
    assert any("eps=1e-0" in line for line in answer.advice)
    noisy = found(lambda x: x + 1e9, np.array([0.3]), eps=1e-9)
    assert noisy, str(noisy)


def test_large_inputs_are_sampled_and_still_covered() -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    answer = found(F.tanh, x, max_cells=50)
    assert answer
    assert answer.inputs[0].visited == 50
    assert len(answer.inputs[0].directions) == 4
    one_cell = np.zeros(5000)
    one_cell[4321] = 3.0
    wrong = (np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2) + one_cell)
    assert not found(wrong, x, max_cells=50)


def test_only_what_asks_for_a_gradient_is_checked() -> None:
    pair = (lambda x, y: x * y, lambda g, x, y: (g * y, 7 * g))
    f = rt.function(*pair)
    x, y = rt.tensor(np.ones(2), requires_grad=True), rt.tensor(np.ones(2))
    assert found(f, x, y)
    assert not found(f, x.data, y.data)


def test_bad_input_in_one_line() -> None:
    for call, error, text in (
        (lambda: found(F.relu, np.array([np.nan])), NumericsError, "input 0 holds NaN"),
        (lambda: found(F.relu, np.array([1, 2])), ArgumentError, "no input has a gradient"),
        (lambda: found(3, np.ones(1)), ArgumentError, "no function"),
        (lambda: found(F.relu, np.ones(1), eps=-1), ArgumentError, "eps"),
        (lambda: found(rt.log, np.array([0.0])), NumericsError, "not finite"),
        (lambda: found(lambda x: x > 0, np.ones(1)), ArgumentError, "no float output"),
    ):
        with np.errstate(all="ignore"), pytest.raises(error, match=text) as raised:
            call()
        assert "\n" not in str(raised.value)


def test_wrong_shapes_and_nan_gradients_are_problems() -> None:
    assert "NaN" in found((np.sqrt, lambda g, x: g * np.nan), np.ones(2)).headline()


def test_a_picture(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    answer = found((np.sin, lambda g, x: g * np.sin(x)), np.ones((2, 2, 3, 3)))
    path = answer.save(tmp_path / "wrong.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match="ending"):
        answer.save(tmp_path / "wrong.xyz")


def test_functions_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert found(torch.tanh, x)

    class Wrong(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    assert not found(Wrong, x)
