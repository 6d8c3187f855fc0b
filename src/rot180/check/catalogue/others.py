"""Broadcasting, reductions, indices, joins: small operations whose gradients go wrong, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import draw_normal, engine_case, entry, once
from rot180.check.mistake import Case, Mistake
from rot180.core import Array, Tensor
from rot180.ops import OPERATIONS

__all__ = ["BROADCAST", "JOIN", "NORM", "REDUCE", "ROWS"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]


def _family(
    operations: tuple[str, ...], inputs: tuple[str, ...], gradients: tuple[tuple[str, str], ...],
    options: tuple[str, ...], call: Callable[[str, Mapping[str, Any], Options], Tensor],
    mistakes: tuple[Mistake, ...], trials: Callable[[str], Iterator[Trial]],
    draw: Callable[[str, Trial, Any], dict[str, Array]] = draw_normal,
) -> Family:  # fmt: skip
    """A family whose forward pass and right gradients are one call of the engine."""

    def forward(operation: str, arrays: Arrays, given: Options) -> Array:
        return call(operation, {n: a for n, a in arrays.items() if n != "g"}, given).data

    def prepare(operation: str, arrays: Arrays, given: Options) -> Case:
        def f(**tensors: Tensor) -> Tensor:
            return call(operation, tensors, given)

        return engine_case(operation, f, arrays, given, dict(gradients))

    return Family(
        operations, inputs, inputs, gradients, options, forward, prepare, mistakes, draw, trials
    )


# x ∘ w with broadcasting


def _unsummed(gradient: str, name: str) -> Callable[[Case], Iterable[Array]]:
    """The gradient before it is summed over the axes that were repeated."""

    def arrays(case: Case) -> Iterator[Array]:
        a, g = case.arrays[name], case.arrays["g"]
        other = case.arrays["w" if name == "x" else "x"]
        full = {
            "mul": g * other, "add": g, "sub": g if name == "x" else -g,
            "div": g / other if name == "x" else -g * other / a**2,
        }[case.operation] + np.zeros(g.shape)  # fmt: skip
        if a.shape == g.shape:
            return
        yield full
        aligned = (1,) * (g.ndim - a.ndim) + a.shape
        axes = tuple(i for i, size in enumerate(aligned) if size == 1 and g.shape[i] != 1)
        first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(g.ndim))
        last = tuple(slice(-1, None) if i in axes else slice(None) for i in range(g.ndim))
        yield full[first].reshape(a.shape)
        yield full[last].reshape(a.shape)
        case.extra[f"mean {gradient}"] = full.mean(axes).reshape(a.shape)

    return arrays


def _averaged(gradient: str, name: str) -> Callable[[Case], Iterable[Array]]:
    def arrays(case: Case) -> Iterator[Array]:
        list(_unsummed(gradient, name)(case))
        if f"mean {gradient}" in case.extra:
            yield case.extra[f"mean {gradient}"]

    return arrays


def _broadcast_mistakes(gradient: str, name: str) -> tuple[Mistake, ...]:
    return (
        entry("broadcast not summed back", gradient, "broadcast", _unsummed(gradient, name),
              "an operand that was repeated gets one of its shares",
              "sum the gradient over every axis that was repeated"),
        entry("broadcast averaged back", gradient, "broadcast", _averaged(gradient, name),
              "the mean over the repeated axes in place of the sum", "sum, do not average"),
        entry("upstream gradient dropped", gradient, "chain",
              once(lambda case: _ones(case, gradient)), "g left out",
              "multiply by the upstream gradient"),
        *factors(gradient, without=("averaged over the batch",)),
    )  # fmt: skip


def _ones(case: Case, gradient: str) -> Array | None:
    f = OPERATIONS[case.operation]
    operands = {n: a for n, a in case.arrays.items() if n != "g"}
    g = {**operands, "g": np.ones_like(case.arrays["g"])}
    made = engine_case(
        case.operation, lambda **t: f(t["x"], t["w"]), g, {}, {"dx": "x", "dw": "w"}
    ).answers  # fmt: skip
    return made[gradient].value


def _pair_trials(operation: str) -> Iterator[Trial]:
    yield Trial((("x", (3, 4)), ("w", (4,))))
    yield Trial((("x", (5, 3, 4)), ("w", (3, 1))))


BROADCAST = _family(
    ("mul", "add", "sub", "div"), ("x", "w"), (("dx", "x"), ("dw", "w")), (),
    lambda op, a, o: OPERATIONS[op](a["x"], a["w"]),
    (*_broadcast_mistakes("dx", "x"), *_broadcast_mistakes("dw", "w")), _pair_trials,
)  # fmt: skip


# Reductions


def _axis(case: Case) -> int | None:
    axis = case.options.get("axis", case.options.get("dim"))
    return axis if axis is None else int(axis) % case.arrays["x"].ndim


def _spread(case: Case) -> Array:
    """g, repeated over the axis that was reduced."""
    x, g, axis = case.arrays["x"], case.arrays["g"], _axis(case)
    if axis is None:
        return np.broadcast_to(g.reshape((1,) * x.ndim), x.shape)
    kept = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    return np.broadcast_to(g.reshape(kept), x.shape)


def _wrong_axis(case: Case) -> Iterator[Array]:
    x, g, axis = case.arrays["x"], case.arrays["g"], _axis(case)
    if axis is None or x.ndim < 2:
        return
    flat = g.reshape([size for i, size in enumerate(x.shape) if i != axis])
    for other in range(x.ndim):
        wrong = np.expand_dims(flat, other)
        shares = case.answers["dx"].value / _safe(_spread(case))
        if other != axis and np.broadcast_shapes(*_fit(wrong.shape, x.shape)) == x.shape:
            yield np.broadcast_to(wrong, x.shape) * shares


def _fit(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (a, b) if all(i in (1, j) for i, j in zip(a, b, strict=True)) else ((1,),)


def _safe(a: Array) -> Array:
    return np.where(a == 0, 1.0, a)


def _not_divided(case: Case) -> Array | None:
    return _spread(case) if case.operation == "mean" else None


def _divided_by_all(case: Case) -> Array | None:
    return _spread(case) / case.arrays["x"].size if case.operation == "mean" else None


def _ties(case: Case) -> tuple[Array, Array] | None:
    """Where x is the largest, and g spread."""
    if case.operation not in ("amax", "amin"):
        return None
    x, axis = case.arrays["x"], _axis(case)
    best = (x.max if case.operation == "amax" else x.min)(axis=axis, keepdims=True)
    return (x == best).astype(float), _spread(case)


def _every_tie(case: Case) -> Array | None:
    found = _ties(case)
    return None if found is None else found[0] * found[1]


def _signs(case: Case) -> Array | None:
    found = _ties(case)
    return None if found is None else np.sign(case.answers["dx"].value)


def _unmasked(case: Case) -> Array | None:
    return None if _ties(case) is None else _spread(case)


REDUCTIONS = (
    entry("spread along the wrong axis", "dx", "broadcast", _wrong_axis,
          "g was given its lost axis back in the wrong place", "np.expand_dims(g, axis)"),
    entry("mean not divided", "dx", "broadcast", once(_not_divided), "g instead of g / n",
          "divide by the number of cells"),
    entry("divided by all cells", "dx", "broadcast", once(_divided_by_all),
          "g / (all cells) instead of g / (cells of the axis)", "count the reduced axis only"),
    entry("handed to every tie", "dx", "max pool", once(_every_tie),
          "each of several equal largest cells gets the whole g", "record one winner"),
    entry("handed to all cells", "dx", "max pool", once(_unmasked),
          "every cell gets g, not the winner alone", "multiply by the mask of the winner"),
    entry("gradient divided by itself", "dx", "chain", once(_signs),
          "sign(g) at the winner: 1 whatever g is", "do not normalise: hand g on"),
    entry("upstream gradient dropped", "dx", "chain",
          once(lambda case: case.answers["dx"].value / _safe(_spread(case))),
          "g left out", "multiply by the upstream gradient"),
    *factors("dx", without=("averaged over the batch", "multiplied by the batch")),
)  # fmt: skip


def _reduce_trials(operation: str) -> Iterator[Trial]:
    yield Trial((("x", (4, 4)),), (("axis", 1),))
    yield Trial((("x", (5, 5)),), (("axis", 0),))


def _few_values(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    return {"x": rng.integers(0, 3, trial.shapes[0][1]).astype(float)}


REDUCE = _family(
    ("sum", "mean", "amax", "amin"), ("x",), (("dx", "x"),), ("axis", "dim", "keepdims", "keepdim"),
    lambda op, a, o: OPERATIONS[op](a["x"], **o), REDUCTIONS, _reduce_trials, _few_values,
)  # fmt: skip


# Norms: ‖x‖_p


def _power(case: Case) -> float:
    return float(case.options.get("p", 2.0))


def _without_sign(case: Case) -> Array:
    return np.asarray(case.answers["dx"].value * np.sign(case.arrays["x"]))


def _whole(case: Case) -> Array:
    x = case.arrays["x"]
    return np.broadcast_to(np.asarray(case.arrays["g"]).reshape((1,) * x.ndim), x.shape)


def _norm_trials(operation: str) -> Iterator[Trial]:
    for p in (1, 2, 3):
        yield Trial((("x", (4, 3)),), (("p", p),))


NORM = _family(
    ("norm",), ("x",), (("dx", "x"),), ("p",), lambda op, a, o: OPERATIONS[op](a["x"], **o), (
        entry("sign of x ignored", "dx", "norm", once(_without_sign),
              "|x|^(p−1) instead of sign(x)·|x|^(p−1)", "the derivative of |x| is sign(x)"),
        entry("not divided by the norm", "dx", "norm",
              once(lambda case: case.answers["dx"].value * case.extra["y"] ** (_power(case) - 1)
                   if _power(case) > 1 else None),
              "g·x^(p−1) instead of g·x^(p−1) / ‖x‖^(p−1)", "divide by the norm"),
        entry("upstream gradient dropped", "dx", "chain",
              once(lambda case: case.answers["dx"].value / _safe(_whole(case))),
              "g left out", "multiply by the upstream gradient"),
        *factors("dx", without=("averaged over the batch", "multiplied by the batch")),
    ), _norm_trials,
)  # fmt: skip


# Rows by index


def _rows(case: Case) -> tuple[Array, Array, Array]:
    x, index = case.arrays["x"], case.arrays["index"].astype(int)
    g = case.arrays["g"]
    return x, index.reshape(-1), g.reshape(-1, *x.shape[1:])


def _assigned(case: Case) -> Array:
    x, index, g = _rows(case)
    out = np.zeros_like(x)
    out[index] = g
    return out


def _not_sent_back(case: Case) -> Array | None:
    x, index, g = _rows(case)
    return g[index] if len(index) == len(x) else None


def _first_rows(case: Case) -> Array | None:
    x, _, g = _rows(case)
    if len(g) > len(x):
        return None
    out = np.zeros_like(x)
    out[: len(g)] = g
    return out


def _take(op: str, a: Mapping[str, Any], o: Options) -> Tensor:
    index = a["index"]
    numbers = np.asarray(index.data if isinstance(index, Tensor) else index).astype(np.int64)
    out: Tensor
    if op == "embedding":
        out = OPERATIONS[op](numbers, a["x"])
    else:
        out = OPERATIONS["index_select"](a["x"], 0, numbers)
    return out


def _draw_rows(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    shape = trial.shapes[0][1]
    index = np.array([2, 0, 2, 1, 2])[: shape[0]]
    return {"x": rng.standard_normal(shape), "index": index}


def _row_trials(operation: str) -> Iterator[Trial]:
    yield Trial((("x", (4, 3)), ("index", (4,))))
    yield Trial((("x", (5, 3)), ("index", (5,))))


ROWS = _family(
    ("index_select", "embedding"), ("x", "index"), (("dx", "x"),), (), _take, (
        entry("repeated indices lost", "dx", "accumulate", once(_assigned),
              "δx[i] = g instead of δx[i] += g: a row that was read twice keeps one gradient",
              "np.add.at(dx, index, g)"),
        entry("rows not sent back", "dx", "index", once(_not_sent_back),
              "g[index] instead of δx[index] += g", "scatter, do not gather"),
        entry("index ignored", "dx", "index", once(_first_rows),
              "g was put into the first rows", "np.add.at(dx, index, g)"),
        *factors("dx"),
    ), _row_trials, _draw_rows,
)  # fmt: skip


# Joins: z = [x; w]


def _one_row(name: str) -> Callable[[Case], Array]:
    def make(case: Case) -> Array:
        g, x, a = case.arrays["g"], case.arrays["x"], case.arrays[name]
        start = 0 if name == "x" else len(x)
        return np.broadcast_to(g[start], a.shape)

    return make


def _other_piece(name: str) -> Callable[[Case], Array | None]:
    def make(case: Case) -> Array | None:
        g, a = case.arrays["g"], case.arrays[name]
        return g[len(g) - len(a) :] if name == "x" else g[: len(a)]

    return make


def _join_mistakes(gradient: str, name: str) -> tuple[Mistake, ...]:
    return (
        entry("one row instead of a range", gradient, "index", once(_one_row(name)),
              "g[i] instead of g[i : i + n]", "cut the range that this piece filled"),
        entry("pieces of the join exchanged", gradient, "index", once(_other_piece(name)),
              "the range of another piece", "begin where this piece began"),
        *factors(gradient),
    )  # fmt: skip


def _join_trials(operation: str) -> Iterator[Trial]:
    yield Trial((("x", (3, 2)), ("w", (4, 2))))
    yield Trial((("x", (5, 2)), ("w", (3, 2))))


JOIN = _family(
    ("cat", "concatenate"), ("x", "w"), (("dx", "x"), ("dw", "w")), (),
    lambda op, a, o: OPERATIONS["cat"]((a["x"], a["w"])),
    (*_join_mistakes("dx", "x"), *_join_mistakes("dw", "w")), _join_trials,
)  # fmt: skip
