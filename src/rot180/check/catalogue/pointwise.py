"""Activations and other functions of single cells: δx = g · f′(x), with f′ from the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import engine_case, entry, once
from rot180.check.mistake import Case
from rot180.core import Array, Map, Tensor, gradients, run
from rot180.core.kinds import OUTPUT
from rot180.ops import OPERATIONS

__all__ = ["POINTWISE"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]

_OPERATIONS = (
    "relu", "leaky_relu", "relu6", "elu", "gelu", "silu", "softplus", "softsign", "sigmoid", "tanh",
    "hardtanh", "hardsigmoid", "hardswish", "exp", "log", "sqrt", "square", "sin", "cos", "abs",
    "reciprocal", "erf",
)  # fmt: skip


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    out: Tensor = OPERATIONS[operation](arrays["x"], **options)
    return out.data


def _prepare(operation: str, arrays: Arrays, options: Options) -> Case:
    def f(x: Tensor) -> Tensor:
        out: Tensor = OPERATIONS[operation](x, **options)
        return out

    case = engine_case(operation, f, arrays, options, {"dx": "x"})
    x = Tensor(arrays["x"], requires_grad=True)
    y = f(x)
    case.extra["slope"] = _slope(f, arrays["x"])
    case.extra["f"] = f
    case.extra["map"] = y.grad_fn.kind if y.grad_fn is not None else None
    return case


def _slope(f: Any, x: Array) -> Array:
    leaf = Tensor(x, requires_grad=True)
    (d,) = gradients([f(leaf)], [leaf], [np.ones(x.shape)])
    return np.zeros_like(x) if d is None else d.data


def _at_the_output(case: Case) -> Array | None:
    with np.errstate(all="ignore"):
        made = case.arrays["g"] * _slope(case.extra["f"], case.extra["y"])
    return made if np.isfinite(made).all() else None


def _at_the_input(case: Case) -> Array | None:
    """The derivative is written in terms of y, as y·(1 − y), and x was put in for it."""
    kind = case.extra["map"]
    if not isinstance(kind, Map):
        return None
    derivative, positions = kind.derivative(0)
    if OUTPUT not in positions:
        return None
    with np.errstate(all="ignore"):
        made: Array = run(derivative, case.arrays["g"], *(case.arrays["x"] for _ in positions))
    return made if np.isfinite(made).all() else None


def _changed_in_place(case: Case) -> Iterator[Array]:
    """The saved x was put through another activation before the backward pass read it."""
    for other in ("relu", "sigmoid", "tanh"):
        if other == case.operation:
            continue  # that is the derivative at the output
        changed = _forward(other, case.arrays, {})

        def h(x: Tensor, name: str = other) -> Tensor:
            out: Tensor = OPERATIONS[name](x)
            return out

        with np.errstate(all="ignore"):
            made = case.arrays["g"] * _slope(case.extra["f"], changed)
        # a slope of 1 everywhere is a derivative that is missing
        if np.isfinite(made).all() and not np.array_equal(made, case.arrays["g"]):
            yield made
            yield made * _slope(h, case.arrays["x"])


def _divided(case: Case) -> Array | None:
    slope = case.extra["slope"]
    return case.arrays["g"] / slope if (slope != 0).all() else None


def _g(case: Case) -> Array:
    return case.arrays["g"]


MISTAKES = (
    entry("activation derivative missing", "dx", "chain", once(_g),
          "δx = g instead of g·f′(x)", "multiply by the derivative"),
    entry("upstream gradient dropped", "dx", "chain", once(lambda case: case.extra["slope"]),
          "δx = f′(x) instead of g·f′(x)", "multiply by the upstream gradient"),
    entry("derivative taken at the output", "dx", "chain", once(_at_the_output),
          "g·f′(f(x)) instead of g·f′(x)",
          "the formula of f′ is in x; x may have been changed in place by the forward pass"),
    entry("derivative taken at the input", "dx", "chain", once(_at_the_input),
          "the formula of f′ is in y = f(x), and x was put in for y",
          "save the output of the forward pass"),
    entry("value in place of the derivative", "dx", "chain",
          once(lambda case: _g(case) * case.extra["y"]), "g·f(x) instead of g·f′(x)",
          "multiply by the derivative"),
    entry("derivative applied twice", "dx", "chain",
          once(lambda case: _g(case) * case.extra["slope"] ** 2), "g·f′(x)² instead of g·f′(x)",
          "apply it once: in the layer or in the loss, not in both"),
    entry("negative gradients dropped", "dx", "chain",
          once(lambda case: np.maximum(_g(case), 0) * case.extra["slope"]),
          "max(g, 0)·f′(x) instead of g·f′(x)", "the mask is that of x, g passes with its sign"),
    entry("mask taken from the gradient", "dx", "chain",
          once(lambda case: np.maximum(_g(case), 0)), "g·[g > 0] instead of g·[x > 0]",
          "the mask is that of x"),
    entry("saved array changed in place", "dx", "graph", _changed_in_place,
          "f′ of an x that became relu(x), sigmoid(x) or tanh(x) after the forward pass",
          "save a copy, or do not change what is saved", 13),
    entry("mask inverted", "dx", "chain",
          once(lambda case: _g(case) * (1 - case.extra["slope"])), "g·(1 − f′(x))",
          "let g pass where x > 0"),
    entry("divided by the derivative", "dx", "chain", once(_divided),
          "g / f′(x) instead of g·f′(x)", "multiply"),
    entry("gradient divided by itself", "dx", "chain",
          once(lambda case: np.sign(_g(case)) * case.extra["slope"]), "sign(g)·f′(x)",
          "hand g on as it is", 11),
    entry("absolute derivative", "dx", "chain",
          once(lambda case: _g(case) * np.abs(case.extra["slope"])),
          "g·|f′(x)|: the sign was lost", "the derivative has a sign", 11),
    *factors("dx"),
)  # fmt: skip


def _draw(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    x = 2 * rng.standard_normal(trial.shapes[0][1])
    return {"x": np.abs(x) + 0.1 if operation in ("log", "sqrt") else x}


def _trials(operation: str) -> Iterator[Trial]:
    for n in (3, 5, 7):
        yield Trial((("x", (n, 4)),))


POINTWISE = Family(
    _OPERATIONS, ("x",), ("x",), (("dx", "x"),),
    ("negative_slope", "alpha", "beta", "threshold", "approximate", "min_val", "max_val"),
    _forward, _prepare, MISTAKES, _draw, _trials,
)  # fmt: skip
