"""Mistakes of pools, losses, norms and small operations, as users write them; see `mistaken.py`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mistaken import FACTORS, Array, Entries, Given, Wrong, with_factors

SHORT = ("sign reversed", "averaged over the batch", "multiplied by the batch", "counted twice",
         "halved")  # fmt: skip
SCALES = ("sign reversed", "counted twice", "halved")


# Pools, by loops over windows


def window_of(v: Given) -> tuple[int, int, int, int, int]:
    """Kernel, stride, padding, and positions along both axes."""
    k, s = v.options["kernel_size"], v.options["stride"]
    return k, s, v.options["padding"], v.g.shape[2], v.g.shape[3]


def windows(v: Given) -> Any:
    """(p, q, rows of the input, columns of the input) of every window, cut at the borders."""
    k, s, a, p, q = window_of(v)
    for i, j in itertools.product(range(p), range(q)):
        h, w = i * s - a, j * s - a
        rows = range(max(h, 0), min(h + k, v.x.shape[2]))
        columns = range(max(w, 0), min(w + k, v.x.shape[3]))
        yield i, j, rows, columns


def divisor(v: Given, i: int, j: int) -> int:
    """Cells of the window inside the padded input."""
    k, s, a, *_ = window_of(v)
    sides = []
    for start, size in ((i * s - a, v.x.shape[2]), (j * s - a, v.x.shape[3])):
        sides.append(min(start + k, size + a) - start)
    return sides[0] * sides[1]


def mean_dx(v: Given, by: Any = divisor, add: bool = True, g: Array | None = None) -> Array:
    dx = np.zeros_like(v.x)
    g = v.g if g is None else g
    for i, j, rows, columns in windows(v):
        share = (g[:, :, i, j] / by(v, i, j))[:, :, None, None]
        at = np.s_[:, :, rows.start : rows.stop, columns.start : columns.stop]
        dx[at] = dx[at] + share if add else share
    return dx


def moved_mean(v: Given, step: int | None, before: int | None) -> Array:
    """Windows painted at other places."""
    k, s, a, *_ = window_of(v)
    step, before = (s if step is None else step), (a if before is None else before)
    size = 40
    wide = np.zeros((*v.x.shape[:2], v.x.shape[2] + 2 * size, v.x.shape[3] + 2 * size))
    for i, j in itertools.product(range(v.g.shape[2]), range(v.g.shape[3])):
        h, w = size + i * step - before, size + j * step - before
        wide[:, :, h : h + k, w : w + k] += (v.g[:, :, i, j] / divisor(v, i, j))[:, :, None, None]
    return wide[:, :, size : size + v.x.shape[2], size : size + v.x.shape[3]]


def first_cell(v: Given) -> Array:
    dx = np.zeros_like(v.x)
    _, s, a, p, q = window_of(v)
    for i, j in itertools.product(range(p), range(q)):
        h, w = i * s - a, j * s - a
        if 0 <= h < v.x.shape[2] and 0 <= w < v.x.shape[3]:
            dx[:, :, h, w] += v.g[:, :, i, j] / divisor(v, i, j)
    return dx


def inside(v: Given, i: int, j: int) -> int:
    return next(len(r) * len(c) for p, q, r, c in windows(v) if (p, q) == (i, j))


def kernel(v: Given) -> int:
    return int(v.options["kernel_size"])


POOL_FACTORS: Any = {
    "averaged over the batch": lambda v: 1 / v.x.shape[0],
    "divided by the cells of the window": lambda v: 1 / kernel(v) ** 2,
    "multiplied by the cells of the window": lambda v: float(kernel(v) ** 2),
}
MEAN: dict[str, Wrong] = {
    "mean pool not divided": lambda v: mean_dx(v, lambda v, i, j: 1),
    "mean pool divided by k instead of k·k": lambda v: mean_dx(v, lambda v, i, j: kernel(v)),
    "padding counted differently than forward": lambda v: mean_dx(v, inside),
    "cut windows divided by the whole kernel": lambda v: mean_dx(
        v, lambda v, i, j: kernel(v) ** 2
    ),
    "upstream gradient dropped": lambda v: mean_dx(v, g=np.ones_like(v.g)),
    "handed to one cell of the window": first_cell,
    "stride not undone": lambda v: moved_mean(v, 1, None),
    "kernel size taken for the stride": lambda v: moved_mean(v, kernel(v), None),
    "padding not cropped": lambda v: moved_mean(v, None, 0),
    "padding off by one": lambda v: moved_mean(v, None, v.options["padding"] + 1),
    "overwritten where windows overlap": lambda v: mean_dx(v, add=False),
}  # fmt: skip


def max_dx(v: Given, hand: Any, add: bool = True) -> Array:
    """`hand(seen, g)` says what each cell of a window gets; windows cut at the borders."""
    dx = np.zeros_like(v.x)
    for i, j, rows, columns in windows(v):
        at = np.s_[rows.start : rows.stop, columns.start : columns.stop]
        for n, c in itertools.product(range(v.x.shape[0]), range(v.x.shape[1])):
            share = hand(v.x[n, c][at], v.g[n, c, i, j])
            if add:
                dx[n, c][at] += share
            else:
                dx[n, c][at] = np.where(share != 0, share, dx[n, c][at])
    return dx


def winner(seen: Array, g: float, which: int = 0) -> Array:
    """The first (0) or the last (-1) of the largest cells gets g."""
    out = np.zeros(seen.shape)
    best = np.flatnonzero(seen.reshape(-1) == seen.max())[which]
    out.reshape(-1)[best] = g
    return out


def split(seen: Array, g: float) -> Array:
    mask = seen == seen.max()
    return g * mask / mask.sum()


def taps(v: Given) -> Any:
    """(n, c, p, q, tap in the uncut window) of every winner."""
    k, s, a, *_ = window_of(v)
    wide = np.pad(v.x, [(0, 0), (0, 0), (a, a + k), (a, a + k)], constant_values=-np.inf)
    for n, c, i, j in np.ndindex(v.g.shape):
        seen = wide[n, c, i * s : i * s + k, j * s : j * s + k]
        yield n, c, i, j, int(seen.argmax())


def at_tap(v: Given, place: Any, step: int | None = None, before: int | None = None) -> Array:
    k, s, a, *_ = window_of(v)
    step, before = (s if step is None else step), (a if before is None else before)
    dx = np.zeros_like(v.x)
    for n, c, i, j, tap in taps(v):
        r, q = place(tap, k)
        h, w = i * step - before + r, j * step - before + q
        if r is not None and 0 <= h < v.x.shape[2] and 0 <= w < v.x.shape[3]:
            dx[n, c, h, w] += v.g[n, c, i, j]
    return dx


def unravel(tap: int, k: int) -> tuple[int, int]:
    return tap // k, tap % k


def image_index(v: Given) -> Array:
    dx = np.zeros_like(v.x)
    for n, c, i, j, tap in taps(v):
        dx[n, c].reshape(-1)[tap % dx[n, c].size] += v.g[n, c, i, j]
    return dx


def zero_padded(v: Given) -> Array:
    """Padded with 0: a window of negative cells has its maximum outside."""
    k, s, a, *_ = window_of(v)
    wide = np.pad(v.x, [(0, 0), (0, 0), (a, a + k), (a, a + k)])
    out = np.zeros_like(wide)
    for n, c, i, j in np.ndindex(v.g.shape):
        seen = wide[n, c, i * s : i * s + k, j * s : j * s + k]
        h, w = divmod(int(seen.argmax()), k)
        out[n, c, i * s + h, j * s + w] += v.g[n, c, i, j]
    return out[:, :, a : a + v.x.shape[2], a : a + v.x.shape[3]]


def spread_over(v: Given) -> Array:
    return max_dx(v, lambda seen, g: np.full(seen.shape, g / kernel(v) ** 2))


MAX: dict[str, Wrong] = {
    "handed to every tie": lambda v: max_dx(v, lambda seen, g: g * (seen == seen.max())),
    "split between ties": lambda v: max_dx(v, split),
    "handed to the last tie": lambda v: max_dx(v, lambda seen, g: winner(seen, g, -1)),
    "equality replaced by a tolerance": lambda v: max_dx(
        v, lambda seen, g: g * (seen >= seen.max() - 0.1)
    ),
    "index in the window taken for the index in the image": image_index,
    "rows and columns of the index exchanged": lambda v: at_tap(
        v, lambda tap, k: unravel(tap, k)[::-1]
    ),
    "handed to a neighbour of the winner": lambda v: at_tap(
        v, lambda tap, k: unravel((tap + 1) % k**2, k)
    ),
    "spread over the window like a mean": spread_over,
    "repeated over the whole window": lambda v: max_dx(
        v, lambda seen, g: np.full(seen.shape, g)
    ),
    "handed to the smallest cell": lambda v: max_dx(v, lambda seen, g: winner(-seen, g)),
    "zeros of the padding win": zero_padded,
    "overwritten where windows overlap": lambda v: max_dx(v, winner, add=False),
    "stride not undone": lambda v: at_tap(v, unravel, step=1),
    "kernel size taken for the stride": lambda v: at_tap(v, unravel, step=kernel(v)),
    "padding not cropped": lambda v: at_tap(v, unravel, before=0),
    "upstream gradient dropped": lambda v: max_dx(v, lambda seen, g: winner(seen, 1.0)),
    "gradient divided by itself": lambda v: max_dx(v, lambda seen, g: winner(seen, g / abs(g))),
}  # fmt: skip


# Linear layers, products


def one_row(v: Given) -> Array:
    return np.outer(v.g[0], v.x[0])


LINEAR = {
    "dx": with_factors("dx", {
        "matrix not transposed": lambda v: v.g @ v.w.T if v.w.shape[0] == v.w.shape[1] else None,
        "upstream gradient dropped": lambda v: np.ones_like(v.g) @ v.w,
    }, lambda v: v.g @ v.w, SHORT),
    "dw": with_factors("dw", {
        "weight gradient transposed": lambda v: v.x.T @ v.g,
        "weight gradient not summed over the batch": one_row,
        "upstream gradient dropped in the weight gradient": lambda v: np.ones_like(v.g).T @ v.x,
    }, lambda v: v.g.T @ v.x, SHORT),
    "db": with_factors("db", {
        "bias not summed over the batch": lambda v: v.g[0],
        "upstream gradient dropped in the bias gradient": lambda v: np.full(
            v.g.shape[1], float(len(v.g))
        ),
    }, lambda v: v.g.sum(0), SHORT),
}  # fmt: skip
MATMUL = {
    "dx": with_factors("dx", {"matrix not transposed": lambda v: v.g @ v.w},
                       lambda v: v.g @ v.w.T, SCALES),
    "dw": with_factors("dw", {"matrix not transposed": lambda v: v.x @ v.g},
                       lambda v: v.x.T @ v.g, SCALES),
}  # fmt: skip


# Activations


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "silu": (
        lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
    "softplus": (lambda x: np.log1p(np.exp(x)), sigmoid),
    "sin": (np.sin, np.cos),
    "square": (lambda x: x * x, lambda x: 2 * x),
}  # fmt: skip
IN_THE_OUTPUT = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y}


def activation(f: Any, slope: Any, from_y: Any) -> dict[str, Entries]:
    entries: dict[str, Wrong] = {
        "activation derivative missing": lambda v: v.g,
        "upstream gradient dropped": lambda v: slope(v.x),
        "derivative taken at the output": lambda v: v.g * slope(f(v.x)),
        "value in place of the derivative": lambda v: v.g * f(v.x),
        "derivative applied twice": lambda v: v.g * slope(v.x) * slope(v.x),
        "negative gradients dropped": lambda v: v.g * (v.g > 0) * slope(v.x),
        "mask taken from the gradient": lambda v: v.g * (v.g > 0),
        "mask inverted": lambda v: v.g * (1 - slope(v.x)),
        "divided by the derivative": lambda v: (
            v.g / slope(v.x) if (slope(v.x) != 0).all() else None
        ),
        "gradient divided by itself": lambda v: v.g / np.abs(v.g) * slope(v.x),
        "absolute derivative": lambda v: v.g * np.abs(slope(v.x)),
    }
    if from_y is not None:
        entries["derivative taken at the input"] = lambda v: v.g * from_y(v.x)
    return {"dx": with_factors("dx", entries, lambda v: v.g * slope(v.x), SHORT)}


# Losses


def softmax(x: Array, axis: int = 1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def loss(v: Given, delta: Array) -> Array:
    return v.g * delta / (len(v.x) if v.options.get("reduction", "mean") == "mean" else 1)


def hot(v: Given) -> Array:
    return np.eye(v.x.shape[1])[v.t]


def entropy_dx(v: Given) -> Array:
    return loss(v, softmax(v.x) - hot(v))


CROSS_ENTROPY = {
    "dx": with_factors("dx", {
        "softmax twice": lambda v: loss(v, softmax(softmax(v.x)) - hot(v)),
        "sigmoid's derivative kept with cross-entropy": lambda v: loss(
            v, (softmax(v.x) - hot(v)) * softmax(v.x) * (1 - softmax(v.x))
        ),
        "softmax's cross terms missing": lambda v: loss(v, -hot(v) * (1 - softmax(v.x))),
        "target not subtracted": lambda v: loss(v, softmax(v.x)),
        "softmax missing": lambda v: loss(v, v.x - hot(v)),
        "derivative of the logarithm alone": lambda v: loss(v, -hot(v) / softmax(v.x)),
        "softmax over the wrong axis": lambda v: loss(v, softmax(v.x, 0) - hot(v)),
        "sigmoid in place of softmax": lambda v: loss(v, sigmoid(v.x) - hot(v)),
        "divided by the classes, too": lambda v: entropy_dx(v) / v.x.shape[1],
        "not divided by the batch": lambda v: v.g * (softmax(v.x) - hot(v)),
        "divided by the batch twice": lambda v: entropy_dx(v) / len(v.x),
        "upstream gradient dropped": lambda v: (softmax(v.x) - hot(v)) / len(v.x),
    }, entropy_dx, SCALES),
}  # fmt: skip


def binary(v: Given, delta: Array) -> Array:
    return v.g * delta / v.x.size


BINARY = {
    "dx": with_factors("dx", {
        "sigmoid's derivative kept with cross-entropy": lambda v: binary(
            v, (sigmoid(v.x) - v.t) * sigmoid(v.x) * (1 - sigmoid(v.x))
        ),
        "sigmoid twice": lambda v: binary(v, sigmoid(sigmoid(v.x)) - v.t),
        "sigmoid missing": lambda v: binary(v, v.x - v.t),
        "target not subtracted": lambda v: binary(v, sigmoid(v.x)),
        "derivative of the logarithm alone": lambda v: binary(
            v, -v.t / sigmoid(v.x) + (1 - v.t) / (1 - sigmoid(v.x))
        ),
        "not divided by the batch": lambda v: v.g * (sigmoid(v.x) - v.t),
        "divided by the batch twice": lambda v: binary(v, sigmoid(v.x) - v.t) / v.x.size,
        "upstream gradient dropped": lambda v: (sigmoid(v.x) - v.t) / v.x.size,
    }, lambda v: binary(v, sigmoid(v.x) - v.t), SCALES),
}  # fmt: skip
SQUARED = {
    "dx": with_factors("dx", {
        "sign of the difference only": lambda v: binary(v, np.sign(v.x - v.t)),
        "target not subtracted": lambda v: binary(v, 2 * v.x),
        "squared error itself": lambda v: binary(v, (v.x - v.t) ** 2),
        "divided by the batch only": lambda v: v.g * 2 * (v.x - v.t) / len(v.x),
        "not divided by the batch": lambda v: v.g * 2 * (v.x - v.t),
        "divided by the batch twice": lambda v: binary(v, 2 * (v.x - v.t)) / v.x.size,
        "upstream gradient dropped": lambda v: 2 * (v.x - v.t) / v.x.size,
    }, lambda v: binary(v, 2 * (v.x - v.t)), SCALES),
}  # fmt: skip


def shifted_maximum(v: Given) -> Array:
    """nptorch's softmax: one maximum for all rows, whose own gradient comes out as ±1 a row."""
    y = softmax(v.x)
    dx = y * (v.g - (v.g * y).sum(1, keepdims=True))
    dx.reshape(-1)[v.x.argmax()] += len(v.x)
    return dx


SOFTMAX = {
    "dx": with_factors("dx", {
        "softmax cell by cell": lambda v: v.g * softmax(v.x) * (1 - softmax(v.x)),
        "sum over the classes missing": lambda v: v.g * softmax(v.x),
        "derivative of log_softmax": lambda v: v.g - softmax(v.x) * v.g.sum(1, keepdims=True),
        "y forgotten in front": lambda v: v.g - (v.g * softmax(v.x)).sum(1, keepdims=True),
        "upstream gradient dropped": lambda v: softmax(v.x) * (1 - softmax(v.x)),
        "subtracted maximum differentiated": shifted_maximum,
    }, lambda v: softmax(v.x) * (v.g - (v.g * softmax(v.x)).sum(1, keepdims=True)), SHORT),
}  # fmt: skip


# Batch norm


def standard(v: Given) -> tuple[Array, Array, Array]:
    """The normalised x, 1/σ, and γ, for training or evaluation."""
    eps = v.options["eps"]
    gamma = v.w[None, :, None, None]
    if v.options["training"]:
        scale = 1 / np.sqrt(v.x.var((0, 2, 3), keepdims=True) + eps)
        return (v.x - v.x.mean((0, 2, 3), keepdims=True)) * scale, scale, gamma
    scale = 1 / np.sqrt(v.running_var[None, :, None, None] + eps)
    return (v.x - v.running_mean[None, :, None, None]) * scale, scale, gamma


def mean(a: Array) -> Array:
    return a.mean((0, 2, 3), keepdims=True)


def trained(v: Given, keep_mean: bool = True, keep_var: bool = True, g: Any = None) -> Array:
    z, s, gamma = standard(Given(v.arrays, {**v.options, "training": True}))
    d = (v.g if g is None else g) * gamma
    return s * (d - mean(d) * keep_mean - z * mean(d * z) * keep_var)


def norm_dx(v: Given) -> Array:
    if v.options["training"]:
        return trained(v)
    _, s, gamma = standard(v)
    return v.g * gamma * s


def training_only(make: Wrong) -> Wrong:
    return lambda v: make(v) if v.options["training"] else None


def other_mode(v: Given) -> Array:
    return norm_dx(Given(v.arrays, {**v.options, "training": not v.options["training"]}))


def half_scaled(v: Given) -> Array:
    z, s, gamma = standard(v)
    return s * (v.g * gamma - mean(v.g) - z * mean(v.g * z))


def unbiased(v: Given) -> Array:
    z, s, gamma = standard(v)
    m = v.x.size / v.x.shape[1]
    u = np.sqrt((m - 1) / m)
    d = v.g * gamma
    return s * u * (d - mean(d) - z * u * mean(d * z * u))


def without_eps(v: Given) -> Array:
    return trained(Given(v.arrays, {**v.options, "eps": 0.0}))


def terms(v: Given) -> tuple[Array, Array, Array]:
    z, s, gamma = standard(v)
    return z, s, v.g * gamma


def summed_terms(v: Given) -> Array:
    z, s, d = terms(v)
    m = v.x.size / v.x.shape[1]
    return s * (d - m * mean(d) - m * z * mean(d * z))


def plus_term(v: Given) -> Array:
    z, s, d = terms(v)
    return s * (d - mean(d) + z * mean(d * z))


NORM_X: dict[str, Wrong] = {
    "mean and variance taken for constants": training_only(lambda v: trained(v, False, False)),
    "variance taken for a constant": training_only(lambda v: trained(v, keep_var=False)),
    "mean taken for a constant": training_only(lambda v: trained(v, keep_mean=False)),
    "evaluated as in the other mode": other_mode,
    "scale missing": lambda v: norm_dx(Given({**v.arrays, "w": np.ones_like(v.w)}, v.options)),
    "scale missing in part": training_only(half_scaled),
    "not divided by the deviation": training_only(lambda v: trained(v) / standard(v)[1]),
    "divided by the variance": training_only(lambda v: trained(v) * standard(v)[1]),
    "unbiased variance": training_only(unbiased),
    "sums in place of means": training_only(summed_terms),
    "sign of a term": training_only(plus_term),
    "eps left out": training_only(without_eps),
    "upstream gradient dropped": lambda v: norm_dx(
        Given({**v.arrays, "g": np.ones_like(v.g)}, v.options)
    ),
}
NORM_FACTORS = ("sign reversed", "averaged over the batch", "counted twice", "halved")
BATCH_NORM = {
    "dx": with_factors("dx", NORM_X, norm_dx, NORM_FACTORS),
    "dw": with_factors("dw", {
        "scale's gradient from the input": lambda v: (v.g * v.x).sum((0, 2, 3)),
        "scale's gradient summed over the batch only": lambda v: (v.g * standard(v)[0]).sum(0),
        "scale's gradient multiplied by the scale": lambda v: (
            v.w * (v.g * standard(v)[0]).sum((0, 2, 3))
        ),
    }, lambda v: (v.g * standard(v)[0]).sum((0, 2, 3)), NORM_FACTORS),
    "db": with_factors("db", {
        "shift's gradient summed over the batch only": lambda v: v.g.sum(0),
        "shift's gradient multiplied by the scale": lambda v: v.w * v.g.sum((0, 2, 3)),
    }, lambda v: v.g.sum((0, 2, 3)), NORM_FACTORS),
}  # fmt: skip


# Small ones


def unbroadcast(full: Array, shape: tuple[int, ...], reduce: Any) -> Array:
    lead = full.ndim - len(shape)
    axes = tuple(
        i for i in range(full.ndim) if i < lead or (shape[i - lead] == 1 and full.shape[i] > 1)
    )
    return reduce(full, axes).reshape(shape)


MUL = {
    "dx": with_factors("dx", {
        "upstream gradient dropped": lambda v: np.ones_like(v.g) * v.w,
    }, lambda v: v.g * v.w, SCALES),
    "dw": with_factors("dw", {
        "broadcast not summed back": lambda v: v.g * v.x,
        "broadcast averaged back": lambda v: unbroadcast(v.g * v.x, v.w.shape, np.mean),
        "upstream gradient dropped": lambda v: unbroadcast(v.x, v.w.shape, np.sum),
    }, lambda v: unbroadcast(v.g * v.x, v.w.shape, np.sum), SCALES),
}  # fmt: skip


def along(v: Given) -> Array:
    return np.broadcast_to(np.expand_dims(v.g, v.options["axis"]), v.x.shape)


def across(v: Given) -> Array:
    return np.broadcast_to(np.expand_dims(v.g, 1 - v.options["axis"]), v.x.shape)


def largest(v: Given) -> Array:
    axis = v.options["axis"]
    out = np.zeros_like(v.x)
    np.put_along_axis(out, np.expand_dims(v.x.argmax(axis), axis), 1.0, axis)
    return out


def tied(v: Given) -> Array:
    return 1.0 * (v.x == v.x.max(v.options["axis"], keepdims=True))


SUM = {
    "dx": with_factors("dx", {
        "spread along the wrong axis": across,
        "upstream gradient dropped": lambda v: np.ones_like(v.x),
    }, along, SCALES),
}  # fmt: skip
MEAN_OF = {
    "dx": with_factors("dx", {
        "spread along the wrong axis": lambda v: across(v) / v.x.shape[v.options["axis"]],
        "mean not divided": along,
        "divided by all cells": lambda v: along(v) / v.x.size,
        "upstream gradient dropped": lambda v: np.ones_like(v.x) / v.x.shape[v.options["axis"]],
    }, lambda v: along(v) / v.x.shape[v.options["axis"]], SCALES),
}  # fmt: skip
AMAX = {
    "dx": with_factors("dx", {
        "handed to every tie": lambda v: along(v) * tied(v),
        "handed to all cells": along,
        "spread along the wrong axis": lambda v: across(v) * largest(v),
        "gradient divided by itself": lambda v: along(v) / np.abs(along(v)) * largest(v),
        "upstream gradient dropped": largest,
    }, lambda v: along(v) * largest(v), SCALES),
}  # fmt: skip


def power(v: Given) -> int:
    return int(v.options["p"])


def norm_right(v: Given, signed: bool = True, divided: bool = True) -> Array:
    p = power(v)
    slope = np.abs(v.x) ** (p - 1) * (np.sign(v.x) if signed else 1)
    return v.g * slope / ((np.abs(v.x) ** p).sum() ** ((p - 1) / p) if divided else 1)


NORM = {
    "dx": with_factors("dx", {
        "sign of x ignored": lambda v: norm_right(v, signed=False),
        "not divided by the norm": lambda v: norm_right(v, divided=False),
        "upstream gradient dropped": lambda v: norm_right(v) / v.g,
    }, norm_right, SCALES),
}  # fmt: skip


def assigned(v: Given) -> Array:
    out = np.zeros_like(v.x)
    out[v.index] = v.g
    return out


def added(v: Given) -> Array:
    out = np.zeros_like(v.x)
    np.add.at(out, v.index, v.g)
    return out


def in_order(v: Given) -> Array:
    out = np.zeros_like(v.x)
    out[: len(v.g)] = v.g
    return out


ROWS = {
    "dx": with_factors("dx", {
        "repeated indices lost": assigned,
        "rows not sent back": lambda v: v.g[v.index] if len(v.g) == len(v.x) else None,
        "index ignored": in_order,
    }, added, SHORT),
}  # fmt: skip


def own_rows(v: Given, name: str) -> Array:
    return v.g[: len(v.x)] if name == "x" else v.g[len(v.x) :]


def other_rows(v: Given, name: str) -> Array:
    return v.g[len(v.w) :] if name == "x" else v.g[: len(v.w)]


CAT = {
    gradient: with_factors(gradient, {
        "one row instead of a range": lambda v, n=name: own_rows(v, n)[:1] + 0 * v.arrays[n],
        "pieces of the join exchanged": lambda v, n=name: other_rows(v, n),
    }, lambda v, n=name: own_rows(v, n), SCALES)
    for gradient, name in (("dx", "x"), ("dw", "w"))
}  # fmt: skip

POOL_NAMES = (*SHORT, *tuple(POOL_FACTORS)[1:])
OTHERS: dict[str, dict[str, Entries]] = {
    "avg_pool2d": {
        "dx": with_factors(
            "dx", MEAN, lambda v: mean_dx(v), (*SHORT, "divided by the cells of the window"),
            POOL_FACTORS,
        )
    },
    "max_pool2d": {
        "dx": with_factors(
            "dx", MAX, lambda v: max_dx(v, winner), POOL_NAMES, POOL_FACTORS,
        )
    },
    "linear": LINEAR,
    "matmul": MATMUL,
    **{
        name: activation(f, slope, IN_THE_OUTPUT.get(name))
        for name, (f, slope) in FUNCTIONS.items()
    },
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy_with_logits": BINARY,
    "mse_loss": SQUARED,
    "softmax": SOFTMAX,
    "batch_norm": BATCH_NORM,
    "mul": MUL,
    "sum": SUM,
    "mean": MEAN_OF,
    "amax": AMAX,
    "norm": NORM,
    "embedding": ROWS,
    "cat": CAT,
}  # fmt: skip

assert set(POOL_FACTORS) <= set(FACTORS)
