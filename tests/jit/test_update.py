"""Update: every cell of every parameter moves by its law, in place, whoever does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, code_of, given, run

import rot180 as rt
from rot180.core import expression as e
from rot180.core import kinds
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.update import Moved, Update
from rot180.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

SIZES = (1, 7, 96, 1000, 33, 16, 5)
PARAMETER = [rt.tensor(np.ones(1), requires_grad=True)]
OPTIMISERS: dict[str, Optimizer] = {
    "sgd": SGD(PARAMETER, 0.1),
    "nesterov": SGD(PARAMETER, 0.1, 0.9, weight_decay=1e-3, nesterov=True),
    "adam": Adam(PARAMETER, 0.01, weight_decay=1e-2),
    "adamw": AdamW(PARAMETER, 0.01),
    "rmsprop": RMSprop(PARAMETER, 0.01, momentum=0.5, centered=True),
    "adagrad": Adagrad(PARAMETER, 0.01, 0.1),
}


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(("dtype", "parts"), [("float32", 1), ("float64", 2), ("float32", 7)])
def test_parameters_move_by_their_law(
    dtype: str, parts: int, name: str, target: str, rng: np.random.Generator
) -> None:
    optimiser = OPTIMISERS[name]
    group = optimiser.param_groups[0]
    stated = optimiser.law(group)
    numbers = stated.numbers({**optimiser.settings(group), "step": 3.0, "first": 0.0})
    moves = tuple((move.target, move.kind.body) for move in stated.moves)
    cells = ("p", "g", *(state for state, _ in stated.states))
    parameters = tuple(
        Moved(size, moves, tuple((c, f"{c}{i}") for c in cells), tuple((t, t) for t in numbers))
        for i, size in enumerate(SIZES)
    )
    kernel = Update(parameters, dtype)
    arrays: dict[str, Buffer] = {t: given(np.array([v], dtype)) for t, v in numbers.items()}
    expected: dict[str, Any] = {}
    for i, size in enumerate(SIZES):
        values = {c: rng.random(size).astype(dtype) for c in cells}
        names = {c: f"{c}{i}" for c in cells}
        arrays |= {names[c]: given(v, written=names[c] in kernel.writes) for c, v in values.items()}
        values |= {text: np.full(size, value, dtype) for text, value in numbers.items()}
        for move in stated.moves:
            values[move.target] = kinds.run(move.kind, *(values[n] for n in move.kind.inputs))
        expected |= {names[c]: values[c] for c in cells if names[c] in kernel.writes}
    made = run(kernel, arrays, target, parts)
    assert set(made) == set(expected)
    for array, value in expected.items():
        np.testing.assert_allclose(made[array], value, rtol=8 * np.finfo(dtype).eps, err_msg=array)


def test_what_stands_for_no_array_lives_to_the_end_of_the_step(rng: np.random.Generator) -> None:
    p, g, old = map(e.variable, ("p", "g", "old"))
    moves = (("old", p), ("p", old + g), ("g", old * g))
    kernel = Update((Moved(21, moves, (("p", "a"), ("g", "b"))),), "float64")
    values = rng.standard_normal((2, 21))
    arrays = {"a": given(values[0], written=True), "b": given(values[1], written=True)}
    made = run(kernel, arrays, parts=2)
    np.testing.assert_array_equal(made["a"], values[0] + values[1])
    np.testing.assert_array_equal(made["b"], values[0] * values[1])


def test_other_processors_are_compiled_for() -> None:
    moves = (("p", e.variable("p") - e.variable("g") * e.variable("lr")),)
    one, two = (Moved(n, moves, (("p", f"p{n}"), ("g", f"g{n}")), (("lr", "lr"),)) for n in (9, 40))
    assert code_of(Update((one, two)), TARGETS["neon"])
