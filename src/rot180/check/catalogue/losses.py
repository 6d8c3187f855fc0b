"""Softmax and losses: δx = (softmax(x) − t) / m at the logits, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import draw_normal, engine_case, entry, once
from rot180.check.mistake import Case
from rot180.core import Array, Tensor
from rot180.ops import OPERATIONS

__all__ = ["BINARY", "CROSS_ENTROPY", "SOFTMAX", "SQUARED"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]
Make = Callable[[Case], "Array | None"]


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _slope(f: Array) -> Array:
    return np.asarray(f * (1 - f))


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    out: Tensor = OPERATIONS[operation](arrays["x"], arrays["t"], **options)
    return out.data


def _prepare(operation: str, arrays: Arrays, options: Options) -> Case:
    def f(x: Tensor, t: Tensor) -> Tensor:
        out: Tensor = OPERATIONS[operation](x, t.detach(), **options)
        return out

    case = engine_case(operation, f, arrays, options, {"dx": "x"})
    x, t = arrays["x"], arrays["t"]
    is_mean = options.get("reduction", "mean") == "mean"
    case.facts["N"] = x.shape[0]
    if operation == "cross_entropy":
        classes = x.shape[1]
        if t.dtype.kind != "f":
            t = np.moveaxis(np.eye(classes)[t], -1, 1)
        smoothing = options.get("label_smoothing", 0.0)
        t = t * (1 - smoothing) + smoothing / classes
        count = t.sum() if smoothing == 0 else x.size / classes
        case.facts["classes"] = classes
    else:
        count = x.size
    g = arrays["g"]
    if g.ndim and operation == "cross_entropy":
        g = np.expand_dims(g, 1)
    # what stands in front of f − t
    case.extra |= {"t": t, "front": g / count if is_mean else g, "count": count, "is_mean": is_mean}
    return case


def _in_front(make: Callable[[Array, Array], Array]) -> Make:
    """A wrong f − t with the right factor in front."""
    return lambda case: case.extra["front"] * make(case.arrays["x"], case.extra["t"])


def _scaled(factor: Callable[[Case], float | None]) -> Make:
    def make(case: Case) -> Array | None:
        by = factor(case)
        return None if by is None or by == 1 else by * case.answers["dx"].value

    return make


def _without_g(case: Case) -> Array | None:
    g, right = case.arrays["g"], case.answers["dx"].value
    if not g.ndim:
        return None if g == 0 else np.asarray(right / g)
    if g.shape == right.shape:
        return np.asarray(right / np.where(g == 0, 1, g))
    count = case.extra["count"] if case.extra["is_mean"] else 1
    return np.asarray((_softmax(case.arrays["x"], 1) - case.extra["t"]) / count)


REDUCTION = (
    entry("not divided by the batch", "dx", "loss",
          once(_scaled(lambda case: case.extra["count"] if case.extra["is_mean"] else None)),
          "f − t instead of (f − t) / m", 'divide by m, or use reduction="sum"'),
    entry("divided by the batch twice", "dx", "loss",
          once(_scaled(lambda case: 1 / case.extra["count"] if case.extra["is_mean"] else None)),
          "(f − t) / m² instead of (f − t) / m", "divide once: in the loss, not in the layers too"),
    entry("divided although the loss is a sum", "dx", "loss",
          once(_scaled(lambda case: None if case.extra["is_mean"] else 1 / case.extra["count"])),
          "(f − t) / m instead of f − t", 'reduction="sum" has no 1/m'),
    entry("upstream gradient dropped", "dx", "chain", once(_without_g),
          "the upstream gradient of the loss is not 1", "multiply by the upstream gradient"),
    *factors("dx", without=(
        "averaged over the batch", "multiplied by the batch", "averaged over the positions",
        "averaged over batch and positions")),
)  # fmt: skip

_CE = (
    entry("softmax twice", "dx", "loss",
          once(_in_front(lambda x, t: _softmax(_softmax(x, 1), 1) - t)),
          "softmax(softmax(x)) − t", "the loss takes logits: no softmax layer before it"),
    entry("sigmoid's derivative kept with cross-entropy", "dx", "loss",
          once(_in_front(lambda x, t: (_softmax(x, 1) - t) * _slope(_softmax(x, 1)))),
          "(f − t)·f·(1 − f) instead of f − t", "it cancels against the logarithm: f − t is all"),
    entry("softmax's cross terms missing", "dx", "loss",
          once(_in_front(lambda x, t: t * (_softmax(x, 1) - 1))),
          "−t·(1 − f): only the diagonal of softmax's derivative",
          "every logit moves every probability: f − t"),
    entry("target not subtracted", "dx", "loss", once(_in_front(lambda x, t: _softmax(x, 1))),
          "f instead of f − t", "subtract 1 at the true class"),
    entry("softmax missing", "dx", "loss", once(_in_front(lambda x, t: x - t)),
          "x − t instead of softmax(x) − t", "put the logits through softmax first"),
    entry("derivative of the logarithm alone", "dx", "loss",
          once(_in_front(lambda x, t: -t / _softmax(x, 1))),
          "−t / f: the derivative at the probabilities, not at the logits",
          "multiply by softmax's derivative; together f − t"),
    entry("softmax over the wrong axis", "dx", "loss",
          once(_in_front(lambda x, t: _softmax(x, 0) - t)),
          "probabilities that sum to 1 over the batch", "softmax over the classes (axis 1)"),
    entry("sigmoid in place of softmax", "dx", "loss",
          once(_in_front(lambda x, t: _sigmoid(x) - t)),
          "sigmoid(x) − t", "one of many classes: softmax"),
    entry("divided by the classes, too", "dx", "loss",
          once(_scaled(lambda case: 1 / case.facts["classes"])), "(f − t) / (m·C)",
          "the mean is over the images, not over the classes"),
)  # fmt: skip


def _draw_classes(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    shape = trial.shapes[0][1]
    return {"x": rng.standard_normal(shape), "t": rng.integers(0, shape[1], shape[0])}


def _draw_targets(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    shape = trial.shapes[0][1]
    return {"x": rng.standard_normal(shape), "t": rng.random(shape)}


def _trials(operation: str) -> Iterator[Trial]:
    for n, c in ((3, 4), (5, 3), (7, 5)):
        yield Trial((("x", (n, c)),))


_LOSS_OPTIONS = ("reduction",)
CROSS_ENTROPY = Family(
    ("cross_entropy",), ("x", "t"), ("x", "t"), (("dx", "x"),),
    (*_LOSS_OPTIONS, "label_smoothing"), _forward, _prepare, (*_CE, *REDUCTION), _draw_classes,
    _trials,
)  # fmt: skip

_BCE = (
    entry("sigmoid's derivative kept with cross-entropy", "dx", "loss",
          once(_in_front(lambda x, t: (_sigmoid(x) - t) * _sigmoid(x) * (1 - _sigmoid(x)))),
          "(f − t)·f·(1 − f) instead of f − t", "it cancels against the logarithm: f − t is all"),
    entry("sigmoid twice", "dx", "loss", once(_in_front(lambda x, t: _sigmoid(_sigmoid(x)) - t)),
          "sigmoid(sigmoid(x)) − t", "the loss takes logits: no sigmoid before it"),
    entry("sigmoid missing", "dx", "loss", once(_in_front(lambda x, t: x - t)),
          "x − t instead of sigmoid(x) − t", "put the logits through sigmoid first"),
    entry("target not subtracted", "dx", "loss", once(_in_front(lambda x, t: _sigmoid(x))),
          "f instead of f − t", "subtract the target"),
    entry("derivative of the logarithm alone", "dx", "loss",
          once(_in_front(lambda x, t: (_sigmoid(x) - t) / (_sigmoid(x) * (1 - _sigmoid(x))))),
          "(f − t) / (f·(1 − f)): the derivative at the probability, not at the logit",
          "multiply by sigmoid's derivative; together f − t"),
)  # fmt: skip
BINARY = Family(
    ("binary_cross_entropy_with_logits",), ("x", "t"), ("x", "t"), (("dx", "x"),), _LOSS_OPTIONS,
    _forward, _prepare, (*_BCE, *REDUCTION), _draw_targets, _trials,
)  # fmt: skip

_MSE = (
    entry("sign of the difference only", "dx", "loss",
          once(_in_front(lambda x, t: np.sign(x - t))), "sign(x − t) instead of 2·(x − t)",
          "that is the derivative of |x − t|"),
    entry("target not subtracted", "dx", "loss", once(_in_front(lambda x, t: 2 * x)),
          "2x instead of 2·(x − t)", "subtract the target"),
    entry("squared error itself", "dx", "loss", once(_in_front(lambda x, t: (x - t) ** 2)),
          "(x − t)² instead of 2·(x − t)", "hand the derivative on, not the loss"),
    entry("divided by the batch only", "dx", "loss",
          once(_scaled(lambda case: case.extra["count"] / case.facts["N"] if case.extra["is_mean"]
                       else None)),
          "2·(x − t) / N instead of / (number of cells)", "the mean is over all cells", 11),
)  # fmt: skip
SQUARED = Family(
    ("mse_loss",), ("x", "t"), ("x", "t"), (("dx", "x"),), _LOSS_OPTIONS,
    _forward, _prepare, (*_MSE, *REDUCTION), _draw_targets, _trials,
)  # fmt: skip


# Softmax alone: δx = y · (g − Σ g·y)


def _alone(operation: str, arrays: Arrays, options: Options) -> Array:
    out: Tensor = OPERATIONS[operation](arrays["x"], **options)
    return out.data


def _alone_case(operation: str, arrays: Arrays, options: Options) -> Case:
    def f(x: Tensor) -> Tensor:
        out: Tensor = OPERATIONS[operation](x, **options)
        return out

    return engine_case(operation, f, arrays, options, {"dx": "x"})


def _axis(case: Case) -> int:
    return int(case.options.get("axis", case.options.get("dim", -1)))


def _dot(case: Case) -> Array:
    return np.asarray((case.arrays["g"] * case.extra["y"]).sum(_axis(case), keepdims=True))


def _maximum_differentiated(case: Case) -> Iterator[Array]:
    """The gradient of the largest number that is subtracted: a constant, off at one cell."""
    x, right = case.arrays["x"], case.answers["dx"].value
    top = np.zeros_like(x)
    top[np.unravel_index(int(x.argmax()), x.shape)] = 1
    rows = x.size // x.shape[_axis(case)]
    for count in range(1, rows + 1):
        yield right + count * top
        yield right - count * top


SOFTMAX = Family(
    ("softmax",), ("x",), ("x",), (("dx", "x"),), ("axis", "dim"), _alone, _alone_case, (
        entry("softmax cell by cell", "dx", "loss",
              once(lambda case: case.arrays["g"] * case.extra["y"] * (1 - case.extra["y"])),
              "g·y·(1 − y): only the diagonal of the derivative", "y·(g − Σ g·y)"),
        entry("sum over the classes missing", "dx", "loss",
              once(lambda case: case.arrays["g"] * case.extra["y"]),
              "g·y instead of y·(g − Σ g·y)", "subtract Σ g·y in every row"),
        entry("derivative of log_softmax", "dx", "loss",
              once(lambda case: case.arrays["g"] - case.extra["y"]
                   * case.arrays["g"].sum(_axis(case), keepdims=True)),
              "g − y·Σ g: that is log_softmax's", "y·(g − Σ g·y)"),
        entry("y forgotten in front", "dx", "loss",
              once(lambda case: case.arrays["g"] - _dot(case)), "g − Σ g·y", "y·(g − Σ g·y)"),
        entry("upstream gradient dropped", "dx", "chain",
              once(lambda case: case.extra["y"] * (1 - case.extra["y"])),
              "y·(1 − y)", "multiply by the upstream gradient"),
        entry("subtracted maximum differentiated", "dx", "loss", _maximum_differentiated,
              "off by a whole number at the largest logit: the gradient of max(x) was added",
              "the maximum is subtracted for range only: it is a constant, and one for each row"),
        *factors("dx"),
    ), draw_normal, _trials,
)  # fmt: skip
