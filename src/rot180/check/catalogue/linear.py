"""Linear layers and matrix products: z = x · wᵀ + b, δx = g · w, δw = gᵀ · x, δb = Σ g."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import draw_normal, engine_case, entry, once
from rot180.check.mistake import Answer, Case
from rot180.core import Array
from rot180.ops import linear, matmul

__all__ = ["LINEAR", "MATMUL"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]


def _rows(case: Case) -> tuple[Array, Array, Array]:
    """Operands x and g as matrices of rows, and w."""
    x, g = case.arrays["x"], case.arrays["g"]
    return x.reshape(-1, x.shape[-1]), case.arrays["w"], g.reshape(-1, g.shape[-1])


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    return linear(arrays["x"], arrays["w"], arrays.get("b")).data


def _prepare(operation: str, arrays: Arrays, options: Options) -> Case:
    case = Case(operation, dict(arrays), dict(options))
    x, w, g = _rows(case)
    shape = arrays["x"].shape
    case.answers = {
        "dx": Answer((g @ w).reshape(shape), (np.abs(g) @ np.abs(w)).reshape(shape)),
        "dw": Answer(g.T @ x, np.abs(g.T) @ np.abs(x)),
        "db": Answer(g.sum(0), np.abs(g).sum(0)),
    }
    case.facts = {"N": len(x)}
    return case


def _not_transposed(case: Case) -> Array | None:
    x, w, g = _rows(case)
    return (g @ w.T).reshape(x.shape) if w.shape[0] == w.shape[1] else None


def _weight_transposed(case: Case) -> Iterator[Array]:
    x, _, g = _rows(case)
    yield x.T @ g


def _one_row(case: Case) -> Iterator[Array]:
    x, _, g = _rows(case)
    yield np.outer(g[0], x[0])
    yield np.outer(g[-1], x[-1])
    yield g[:, :, None] * x[:, None]


def _one_bias_row(case: Case) -> Iterator[Array]:
    _, _, g = _rows(case)
    yield from (g[0], g[-1], g)


MISTAKES = (
    entry("matrix not transposed", "dx", "matrix", once(_not_transposed),
          "δx = g·wᵀ instead of g·w", "forward multiplies by wᵀ, backward by w"),
    entry("upstream gradient dropped", "dx", "chain",
          once(lambda case: np.broadcast_to(case.arrays["w"].sum(0), case.arrays["x"].shape)),
          "δx = Σ w instead of g·w", "multiply by the upstream gradient"),
    *factors("dx"),
    entry("weight gradient transposed", "dw", "matrix", _weight_transposed,
          "δw = xᵀ·g instead of gᵀ·x", "δw has the shape of w"),
    entry("weight gradient not summed over the batch", "dw", "weight gradient", _one_row,
          "gᵀ·x of one row instead of the sum over rows", "add over the batch: g.T @ x"),
    entry("upstream gradient dropped in the weight gradient", "dw", "chain",
          once(lambda case: np.ones_like(_rows(case)[2]).T @ _rows(case)[0]),
          "δw = Σ x instead of gᵀ·x", "multiply by the upstream gradient"),
    *factors("dw"),
    entry("bias not summed over the batch", "db", "bias", _one_bias_row,
          "g of one row instead of Σ g", "g.sum(0)"),
    entry("upstream gradient dropped in the bias gradient", "db", "chain",
          once(lambda case: np.full(case.arrays["g"].shape[-1], float(case.facts["N"]))),
          "δb = N instead of Σ g", "sum the upstream gradient"),
    *factors("db"),
)  # fmt: skip


def _trials(operation: str) -> Iterator[Trial]:
    for n, i, o in ((3, 4, 4), (5, 4, 4), (5, 3, 3), (3, 4, 2)):
        yield Trial((("x", (n, i)), ("w", (o, i)), ("b", (o,))))


LINEAR = Family(
    ("linear",), ("x", "w", "b"), ("x", "w"), (("dx", "x"), ("dw", "w"), ("db", "b")), (),
    _forward, _prepare, MISTAKES, draw_normal, _trials,
)  # fmt: skip


# Matrix products: z = x · w


def _product(operation: str, arrays: Arrays, options: Options) -> Array:
    return matmul(arrays["x"], arrays["w"]).data


def _product_case(operation: str, arrays: Arrays, options: Options) -> Case:
    wanted = {"dx": "x", "dw": "w"}
    return engine_case(operation, lambda x, w: matmul(x, w), arrays, options, wanted)


def _fits(a: Array, b: Array, shape: tuple[int, ...]) -> Array | None:
    return a @ b if a.shape[-1] == b.shape[0] and (a.shape[0], b.shape[-1]) == shape else None


def _matrices(case: Case) -> tuple[Array, Array, Array] | None:
    x, w, g = case.arrays["x"], case.arrays["w"], case.arrays["g"]
    return (x, w, g) if x.ndim == w.ndim == 2 else None


def _first(case: Case) -> Array | None:
    given = _matrices(case)
    return None if given is None else _fits(given[2], given[1], given[0].shape)


def _second(case: Case) -> Array | None:
    given = _matrices(case)
    return None if given is None else _fits(given[0], given[2], given[1].shape)


def _square_trials(operation: str) -> Iterator[Trial]:
    yield Trial((("x", (3, 3)), ("w", (3, 3))))
    yield Trial((("x", (5, 5)), ("w", (5, 5))))


MATMUL = Family(
    ("matmul",), ("x", "w"), ("x", "w"), (("dx", "x"), ("dw", "w")), (),
    _product, _product_case, (
        entry("matrix not transposed", "dx", "matrix", once(_first),
              "δx = g·w instead of g·wᵀ", "transpose the other factor"),
        *factors("dx"),
        entry("matrix not transposed", "dw", "matrix", once(_second),
              "δw = x·g instead of xᵀ·g", "transpose the other factor"),
        *factors("dw"),
    ), draw_normal, _square_trials,
)  # fmt: skip
