"""The checks of `gradients.py` find every wrong gradient of the zoo, and accept the right ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradients as check
import rot180 as rt
from broken import ZOO, Mistake, Window, input_gradient

named = pytest.mark.parametrize("mistake", ZOO, ids=[m.name for m in ZOO])


def verdict(mistake: Mistake, backward: str, rng: np.random.Generator) -> None:
    """Run the check that suits the mistake's function; raises AssertionError where it fails."""
    f = rt.function(mistake.forward, getattr(mistake, backward), "checked")
    arrays = mistake.inputs(rng)
    if mistake.ties:
        check.check_first_tie_wins(f, arrays, rng)
    else:
        check.check_gradient(f, arrays, rng, mistake.linear)


def test_the_zoo_is_large_and_has_no_name_twice() -> None:
    assert len(ZOO) >= 25
    assert len({m.name for m in ZOO}) == len(ZOO)


@named
def test_the_right_gradient_is_accepted(mistake: Mistake, rng: np.random.Generator) -> None:
    verdict(mistake, "right", rng)


@named
def test_the_wrong_gradient_is_caught(mistake: Mistake, rng: np.random.Generator) -> None:
    with pytest.raises(AssertionError, match=r"adjoint:|difference:|ties:"):
        verdict(mistake, "wrong", rng)


@pytest.mark.parametrize("seed", range(5))
@named
def test_every_mistake_is_caught_with_any_seed(mistake: Mistake, seed: int) -> None:
    with pytest.raises(AssertionError):
        verdict(mistake, "wrong", np.random.default_rng(seed))


def agree(mistake: Mistake, arrays: list[Any], g: Any) -> bool:
    """Whether the wrong gradient is the right one for this upstream gradient."""
    pairs = [backward(g, *arrays) for backward in (mistake.right, mistake.wrong)]
    right, wrong = (given if isinstance(given, tuple) else (given,) for given in pairs)
    return all(np.allclose(a, b) for a, b in zip(right, wrong, strict=True))


ROTATIONS = [
    "gradient turned in the weight gradient",
    "sum spread along the wrong axis",
    "rows of a permutation not sent back",
    "pieces of a join exchanged",
    "upstream gradient dropped",
    "negative gradients dropped by relu",
    "largest value's gradient divided by itself",
]


@pytest.mark.parametrize("name", ROTATIONS)
def test_an_upstream_gradient_of_ones_hides_rotations_and_reorderings(
    name: str, rng: np.random.Generator
) -> None:
    (mistake,) = (m for m in ZOO if m.name == name)
    arrays = mistake.inputs(rng)
    shape = np.shape(mistake.forward(*arrays))
    assert agree(mistake, arrays, np.ones(shape))
    assert not agree(mistake, arrays, rng.standard_normal(shape))


@pytest.mark.parametrize("turn", [lambda w: w, lambda w: np.rot90(w, 1, (2, 3))])
def test_sums_hide_the_rotation(turn: Any, rng: np.random.Generator) -> None:
    """Σ dx = Σ g · Σ w per channel, turned or not, as long as nothing is cropped."""
    x, w = rng.standard_normal((2, 1, 6, 7)), rng.standard_normal((1, 1, 3, 3))
    g = rng.standard_normal((2, 1, 4, 5))
    right = input_gradient(g, x, w, Window(1, 0, 0))
    wrong = input_gradient(g, x, w, Window(1, 0, 0), turn=turn)
    assert not np.allclose(right, wrong)
    np.testing.assert_allclose(right.sum(), wrong.sum())
    np.testing.assert_allclose(right.sum(), g.sum() * w.sum())


# Expected values that documents print for an upstream gradient of ones.
PRINTED = {"test_worked_examples.py", "test_published.py"}

BANNED = re.compile(
    r"sum\(\)\.backward\("
    r"\)|backward\(\s*(?:rt\.tensor\(|Tensor\()?np\.ones(?:_like)?\([^*]*\)\)"
)


def test_no_test_sends_ones_backwards() -> None:
    folder = Path(__file__).parent
    found = [
        f"{path.relative_to(folder)}:{number}"
        for path in sorted(folder.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path.name not in PRINTED and BANNED.search(line)
    ]
    assert found == []


def test_the_ban_knows_what_it_looks_for() -> None:
    ones = "np.on" + "es"
    assert BANNED.search("y.sum()" + ".backward()")
    assert BANNED.search(f"y.backward({ones}(y.shape))")
    assert BANNED.search(f"y.backward(Tensor({ones}_like(y.data)))")
    assert not BANNED.search("y.backward(rng.standard_normal(y.shape))")
