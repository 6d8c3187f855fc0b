"""Losses and the softmax: compositions; the sum over classes is where f − e(y) comes from.

    −ln softmax(x)[y] = −x[y] + ln Σ e^x      with gradient softmax(x) − e(y)

`reduction` is "mean" (default), "sum" or "none" everywhere.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rot180.core import (
    Along,
    Array,
    ArrayLike,
    Map,
    Rows,
    Take,
    Tensor,
    apply,
    look,
    pointwise,
)
from rot180.core import expression as e
from rot180.errors import ArgumentError, ShapeError
from rot180.ops import elementwise as ew
from rot180.ops.operands import apply_map, as_tensor, cast, floating, normal_axis, pick_axis
from rot180.ops.reduce import logsumexp, mean, sum
from rot180.ops.registry import operation
from rot180.ops.shape import reshape

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "l2_penalty",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "softmax",
]


def _reduce(loss: Tensor, reduction: str, what: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return sum(loss)
    if reduction == "none":
        return loss
    raise ArgumentError(
        f"{what}: reduction", expected='"mean", "sum" or "none"', got=repr(reduction)
    )


# Softmax


@operation
def log_softmax(input: ArrayLike, axis: int | None = None, *, dim: int | None = None) -> Tensor:
    """Law: z = x − ln Σ e^x along an axis (the last by default)."""
    axis, _ = pick_axis(axis, dim)
    x = floating(input, "log_softmax")
    at = normal_axis(-1 if axis is None else axis, x.ndim, "log_softmax")
    return x - logsumexp(x, at, True) if x.shape[at] else x


@operation
def softmax(input: ArrayLike, axis: int | None = None, *, dim: int | None = None) -> Tensor:
    """Law: z = e^x / Σ e^x along an axis (the last by default)."""
    axis, _ = pick_axis(axis, dim)
    return ew.exp(log_softmax(input, axis))


# Classification


@operation
def nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Law: l = −weight[y] · x[y]; "mean" divides by Σ weight[y], as PyTorch does.

    Args:
        input: log-probabilities, (N, C), (N, C, spatial...) or (C,).
        target: class indices, (N,), (N, spatial...) or a number.
        weight: (C,), 1 by default.
        ignore_index: targets of this value count nowhere.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: shapes that do not fit, or a target outside 0 to C − 1.
    """
    what = "nll_loss"
    x, y, classes = _classes(input, target, what)
    picked, share = _pick(x, y, weight, ignore_index, classes, what)
    loss = ew.neg(picked)
    if reduction == "mean":
        return sum(loss) / sum(share)
    return _reduce(reshape(loss, as_tensor(target).shape), reduction, what)


def _classes(input: ArrayLike, target: ArrayLike, what: str) -> tuple[Tensor, Tensor, int]:
    """Input as (N, C, ...), target as (N, ...), and C."""
    x, y = floating(input, what), as_tensor(target)
    if x.ndim == 1 and y.ndim == 0:
        x, y = reshape(x, (1, *x.shape)), reshape(y, (1,))
    if x.ndim < 2 or y.shape != (x.shape[0], *x.shape[2:]):
        raise ShapeError(
            f"{what}: target",
            expected=f"shape {(*x.shape[:1], *x.shape[2:])} for input {x.shape}",
            got=str(y.shape),
            rule="input is (N, C, ...), target the class index of each (N, ...)",
        )
    return x, y, x.shape[1]


def _pick(
    x: Tensor, y: Tensor, weight: ArrayLike | None, ignore_index: int, classes: int, what: str
) -> tuple[Tensor, Tensor]:
    """Weight times x[y] for each target, and the weight (both 0 where it is ignored)."""
    look(functools.partial(_require_classes, what, classes, ignore_index), y)
    counted, index = apply(_counted(ignore_index), y), apply(_index(ignore_index), y)
    at = reshape(index, (index.shape[0], 1, *index.shape[1:]))
    picked = reshape(apply(Take("pick", Along(x.shape, 1)), x, at), y.shape)
    share = cast(counted, x.dtype)
    # An ignored cell must not turn 0 · (−∞) into NaN.
    picked = ew.where(counted, picked, 0.0)
    if weight is not None:
        w = floating(weight, what)
        if w.shape != (classes,):
            raise ShapeError(f"{what}: weight", expected=f"({classes},)", got=str(w.shape))
        share = share * apply(Take("pick", Rows(w.shape, 0)), w, index)
        picked = picked * share
    return picked, share


@functools.lru_cache(maxsize=64)
def _counted(ignore_index: int) -> Map:
    return pointwise("counted", lambda y: e.not_equal(y, ignore_index), "bool")


@functools.lru_cache(maxsize=64)
def _index(ignore_index: int) -> Map:
    """The target, 0 where it is ignored."""
    return pointwise("index", lambda y: e.where(e.not_equal(y, ignore_index), y, 0), "int64")


def _require_classes(what: str, classes: int, ignore_index: int, y: Array) -> None:
    if y.size == 1 and 0 <= y.item() < classes:
        return
    if y.size == 0 or y.view(f"u{y.itemsize}").max() < classes:  # as unsigned, −1 is large
        return
    bad = (y != ignore_index) & ((y < 0) | (y >= classes))
    if bad.any():
        raise ShapeError(
            f"{what}: target out of range",
            expected=f"0 to {classes - 1} (or ignore_index {ignore_index})",
            got=str(int(y[bad][0])),
        )


@operation
def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Law: l = −Σ_c t_c · ln softmax(x)_c, with gradient softmax(x) − t at the logits x.

    Args:
        input: logits, (N, C), (N, C, spatial...) or (C,).
        target: class indices (then t = e(y)), or probabilities of the input's shape.
        weight: (C,), a factor for every class.
        ignore_index: targets of this index count nowhere.
        reduction: "mean" divides by Σ weight[y] for indices, by N for probabilities.
        label_smoothing: ε: t becomes (1 − ε) · t + ε / C.

    Raises:
        ShapeError: shapes that do not fit, or a target outside 0 to C − 1.
        ArgumentError: label_smoothing outside 0 to 1, or an unknown reduction.

    >>> cross_entropy([[0.0, 0.0]], np.array([1])).item() == float(np.float32(np.log(2)))
    True
    """
    what = "cross_entropy"
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"{what}: label_smoothing", expected="0 to 1", got=str(label_smoothing))
    y = as_tensor(target)
    if y.dtype.kind == "f":
        return _soft_cross_entropy(input, y, weight, reduction, label_smoothing)
    x, y, classes = _classes(input, y, what)
    logp = log_softmax(x, 1)
    picked, share = _pick(logp, y, weight, ignore_index, classes, what)
    loss = ew.neg(picked)
    if label_smoothing:
        counted = apply(_counted(ignore_index), reshape(y, (y.shape[0], 1, *y.shape[1:])))
        factors = _class_weights(weight, x, what)
        spread = ew.neg(sum(ew.where(counted, logp * factors, 0.0), 1))
        loss = loss * (1.0 - label_smoothing) + spread * (label_smoothing / classes)
    if reduction == "mean":
        return sum(loss) / sum(share)
    return _reduce(reshape(loss, as_tensor(target).shape), reduction, what)


def _class_weights(weight: ArrayLike | None, x: Tensor, what: str) -> Tensor:
    if weight is None:
        return Tensor(np.ones((), x.dtype))
    w = floating(weight, what)
    if w.shape != (x.shape[1],):
        raise ShapeError(f"{what}: weight", expected=f"({x.shape[1]},)", got=str(w.shape))
    return reshape(w, (x.shape[1], *(1,) * (x.ndim - 2)))


def _soft_cross_entropy(
    input: ArrayLike, t: Tensor, weight: ArrayLike | None, reduction: str, smoothing: float
) -> Tensor:
    what = "cross_entropy"
    x = floating(input, what)
    if t.shape != x.shape:
        raise ShapeError(f"{what}: probabilities", expected=f"shape {x.shape}", got=str(t.shape))
    single = x.ndim == 1
    if single:
        x, t = reshape(x, (1, *x.shape)), reshape(t, (1, *t.shape))
    if smoothing:
        t = t * (1.0 - smoothing) + smoothing / x.shape[1]
    loss = ew.neg(sum(t * log_softmax(x, 1) * _class_weights(weight, x, what), 1))
    return _reduce(reshape(loss, ()) if single else loss, reduction, what)


# Regression, and probabilities of yes


def _pairwise(kind: Map, input: ArrayLike, target: ArrayLike, reduction: str) -> Tensor:
    x, t = floating(input, kind.name), floating(target, kind.name)
    if x.shape != t.shape:
        raise ShapeError(
            f"{kind.name}: input and target",
            expected="equal shapes",
            got=f"{x.shape} and {t.shape}",
            rule="nothing is broadcast in a loss; reshape one of them",
        )
    return _reduce(apply_map(kind, x, t), reduction, kind.name)


_MSE = pointwise("mse_loss", lambda x, t: (x - t) * (x - t))
_L1 = pointwise("l1_loss", lambda x, t: e.absolute(x - t))


@operation
def mse_loss(input: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Tensor:
    """Law: l = (x − t)², with gradient 2 · (x − t)."""
    return _pairwise(_MSE, input, target, reduction)


@operation
def l1_loss(input: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Tensor:
    """Law: l = |x − t|, with slope 0 where they are equal."""
    return _pairwise(_L1, input, target, reduction)


@functools.lru_cache(maxsize=64)
def _huber(delta: float) -> Map:
    def body(x: e.Expression, t: e.Expression) -> e.Expression:
        d = x - t
        size = e.absolute(d)
        return e.where(size <= delta, 0.5 * (d * d), delta * (size - 0.5 * delta))

    return pointwise("huber_loss", body)


@operation
def huber_loss(
    input: ArrayLike, target: ArrayLike, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """Law: l = d²/2 where |d| ≤ delta, else delta · (|d| − delta/2), with d = x − t."""
    if delta <= 0:
        raise ArgumentError("huber_loss: delta", expected="more than 0", got=str(delta))
    return _pairwise(_huber(float(delta)), input, target, reduction)


@operation
def smooth_l1_loss(
    input: ArrayLike, target: ArrayLike, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Law: l = huber_loss(delta = beta) / beta; beta = 0 is l1_loss."""
    if beta < 0:
        raise ArgumentError("smooth_l1_loss: beta", expected="at least 0", got=str(beta))
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


# The logarithms are cut off at −100, as in PyTorch, so that a sure and wrong answer costs 100.
_BCE = pointwise(
    "binary_cross_entropy",
    lambda x, t: -(t * e.maximum(e.log(x), -100.0) + (1.0 - t) * e.maximum(e.log(1.0 - x), -100.0)),
)
_BCE_LOGITS = pointwise(
    "binary_cross_entropy_with_logits",
    lambda x, t, p: (1.0 - t) * x + (1.0 + (p - 1.0) * t) * e.softplus(-x),
)


def _weighted(loss: Tensor, weight: ArrayLike | None, reduction: str, what: str) -> Tensor:
    return _reduce(loss if weight is None else loss * floating(weight, what), reduction, what)


@operation
def binary_cross_entropy(
    input: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, reduction: str = "mean"
) -> Tensor:
    """Law: l = −(t · ln x + (1 − t) · ln(1 − x)), logarithms cut off at −100.

    Args:
        input: probabilities, 0 to 1.
        target: t, of the same shape.
        weight: a factor, broadcast to the input's shape.
        reduction: "mean", "sum" or "none".

    Raises:
        ArgumentError: a probability outside 0 to 1.
    """
    what = "binary_cross_entropy"
    x = floating(input, what)
    # Untested in a traced step, a wrong one makes its loss NaN.
    look(_require_probabilities, x, essential=False)
    return _weighted(_pairwise(_BCE, x, target, "none"), weight, reduction, what)


def _require_probabilities(x: Array) -> None:
    if x.size and not ((x >= 0) & (x <= 1) | np.isnan(x)).all():
        raise ArgumentError(
            "binary_cross_entropy: probabilities",
            expected="0 to 1",
            got=f"{x.min()} to {x.max()}",
            rule="for logits use binary_cross_entropy_with_logits",
        )


@operation
def binary_cross_entropy_with_logits(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> Tensor:
    """Law: l = (1 − t) · x + (1 + (p − 1) · t) · ln(1 + e^−x); p = 1 has gradient sigmoid(x) − t.

    Args:
        input: logits.
        target: t, of the same shape.
        weight: a factor, broadcast to the input's shape.
        reduction: "mean", "sum" or "none".
        pos_weight: p, a factor for t = 1, broadcast to the input's shape.
    """
    what = "binary_cross_entropy_with_logits"
    x, t = floating(input, what), floating(target, what)
    if x.shape != t.shape:
        raise ShapeError(f"{what}: input and target", got=f"{x.shape} and {t.shape}")
    p = Tensor(np.ones((), x.dtype)) if pos_weight is None else floating(pos_weight, what)
    return _weighted(apply_map(_BCE_LOGITS, x, t, p), weight, reduction, what)


_KL = pointwise(
    "kl_div", lambda x, t: e.where(t > 0.0, t * (e.log(e.where(t > 0.0, t, 1.0)) - x), 0.0)
)
_KL_LOG = pointwise("kl_div", lambda x, t: e.exp(t) * (t - x))


@operation
def kl_div(
    input: ArrayLike, target: ArrayLike, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Law: l = t · (ln t − x) for log-probabilities x.

    Args:
        input: x = ln q.
        target: t (or ln t with `log_target`), of the same shape.
        reduction: "mean" over all cells, "batchmean" (the divergence: Σ / N), "sum" or "none".
        log_target: the target is given as its logarithm.
    """
    loss = _pairwise(_KL_LOG if log_target else _KL, input, target, "none")
    if reduction == "batchmean":
        return sum(loss) / (loss.shape[0] if loss.ndim else 1)
    return _reduce(loss, reduction, "kl_div")


@operation
def l2_penalty(parameters: Any, strength: float) -> Tensor:
    """Law: l = λ · Σ W² over all parameters, with gradient 2 · λ · W.

    Args:
        parameters: a tensor, or an iterable of tensors.
        strength: λ.

    Raises:
        ArgumentError: no parameters.
    """
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not tensors:
        raise ArgumentError("l2_penalty: no parameters")
    total = sum(ew.square(tensors[0]))
    for t in tensors[1:]:
        total = total + sum(ew.square(t))
    return total * strength
