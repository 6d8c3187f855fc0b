"""The zoo: gradients that real people got wrong, each beside the right one, in plain NumPy.

Forward passes are right; only `wrong` differs from `right`. Arrays are (N, C, H, W), kernels
(K, C, R, S). Nothing here uses the library: this is what users write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray
Function = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """One wrong gradient.

    Attributes:
        name: what was done wrong.
        forward: the function, right.
        right: `right(g, *arrays)`, a gradient for each array.
        wrong: the same with the mistake.
        inputs: arrays on which it shows.
        linear: groups of operands in which the function is linear.
        ties: the inputs hold equal cells, so only the rule for ties can be checked.
    """

    name: str
    forward: Function
    right: Function
    wrong: Function
    inputs: Callable[[np.random.Generator], list[Array]]
    linear: tuple[tuple[int, ...], ...] = ()
    ties: bool = False


def arrays(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], list[Array]]:
    return lambda rng: [rng.standard_normal(shape) for shape in shapes]


# Convolution with stride S and padding (A, B) on both axes


@dataclass(frozen=True)
class Window:
    stride: int
    before: int
    after: int


def padded(x: Array, before: int, after: int) -> Array:
    """Zeros around the last two axes; a negative side crops."""
    wide = np.pad(
        x, [(0, 0), (0, 0), (max(before, 0), max(after, 0)), (max(before, 0), max(after, 0))]
    )
    inside = slice(max(-before, 0), wide.shape[2] - max(-after, 0))
    across = slice(max(-before, 0), wide.shape[3] - max(-after, 0))
    return wide[:, :, inside, across]


def correlated(x: Array, w: Array) -> Array:
    return np.einsum("nchwrs,kcrs->nkhw", sliding_window_view(x, w.shape[2:], (2, 3)), w)


def dilated(g: Array, stride: int) -> Array:
    n, k, p, q = g.shape
    out = np.zeros((n, k, (p - 1) * stride + 1, (q - 1) * stride + 1))
    out[:, :, ::stride, ::stride] = g
    return out


def conv(x: Array, w: Array, v: Window) -> Array:
    return correlated(padded(x, v.before, v.after), w)[:, :, :: v.stride, :: v.stride]


def turned(w: Array) -> Array:
    return w[:, :, ::-1, ::-1]


def swapped(w: Array) -> Array:
    return w.transpose(1, 0, 2, 3)


def leftover(x: Array, w: Array, v: Window) -> int:
    return int((x.shape[2] + v.before + v.after - w.shape[2]) % v.stride)


def sides(x: Array, w: Array, v: Window) -> tuple[int, int]:
    """How the dilated gradient is padded: e − 1 − A, and e − 1 − B plus the remainder."""
    reach = w.shape[2] - 1
    return reach - v.before, reach - v.after + leftover(x, w, v)


def input_gradient(
    g: Array, x: Array, w: Array, v: Window, *, turn: Function = turned, swap: Function = swapped,
    dilate: Function = dilated, sides: Function = sides,
) -> Array:  # fmt: skip
    """Dilate, pad, turn, correlate. A mistake replaces one of the steps."""
    wide = padded(dilate(g, v.stride), *sides(x, w, v))
    return sized(correlated(wide, swap(turn(w))), x.shape[2:])


def sized(a: Array, shape: tuple[int, ...]) -> Array:
    """Cut, or filled up with zeros, at the end: how a wrong size is made to fit."""
    out = np.zeros((*a.shape[:2], *shape))
    p, q = (min(s, t) for s, t in zip(a.shape[2:], shape, strict=True))
    out[:, :, :p, :q] = a[:, :, :p, :q]
    return out


def weight_gradient(
    g: Array, x: Array, w: Array, v: Window, *, dilate: Function = dilated,
    cut: Function = lambda dw, w: dw[:, :, : w.shape[2], : w.shape[3]],
) -> Array:  # fmt: skip
    """Correlate the padded input with the dilated gradient; keep the first R rows."""
    seen = sliding_window_view(padded(x, v.before, v.after), dilate(g, v.stride).shape[2:], (2, 3))
    dw = np.einsum("nchwrs,nkrs->kchw", seen, dilate(g, v.stride))
    return np.asarray(cut(dw, w))


def conv_mistake(
    name: str, v: Window, *shapes: tuple[int, ...], dx: Function = input_gradient,
    dw: Function = weight_gradient,
) -> Mistake:  # fmt: skip
    return Mistake(
        name,
        lambda x, w: conv(x, w, v),
        lambda g, x, w: (input_gradient(g, x, w, v), weight_gradient(g, x, w, v)),
        lambda g, x, w: (dx(g, x, w, v), dw(g, x, w, v)),
        arrays(*shapes),
        ((0,), (1,)),
    )


def without_stride(g: Array, stride: int) -> Array:
    """The gradient in the corner of an array of the right size."""
    return sized(g, dilated(g, stride).shape[2:])


def one_zero_too_many(g: Array, stride: int) -> Array:
    return dilated(g, stride + 1)


def scattered_by_assignment(g: Array, x: Array, w: Array, v: Window) -> Array:
    """Patches of g·w written into place, later ones over earlier ones."""
    wide = np.zeros_like(padded(x, v.before, v.after))
    r, s = w.shape[2:]
    for p in range(g.shape[2]):
        for q in range(g.shape[3]):
            patch = np.einsum("nk,kcrs->ncrs", g[:, :, p, q], w)
            wide[:, :, p * v.stride : p * v.stride + r, q * v.stride : q * v.stride + s] = patch
    return padded(wide, -v.before, -v.after)


def cropped_on_one_side(g: Array, x: Array, w: Array, v: Window) -> Array:
    full = input_gradient(g, padded(x, v.before, v.after), w, Window(v.stride, 0, 0))
    return padded(full, -v.before - v.after, 0)


def remainder_split(x: Array, w: Array, v: Window) -> tuple[int, int]:
    a, b = sides(x, w, v)
    rest = leftover(x, w, v)
    return a + rest // 2, b - rest // 2


# One shape tells nine mistakes apart: batch 2, 5×5, kernel 4, stride 3, padding 2 (remainder 2).
KEY = (Window(3, 2, 2), (2, 2, 5, 5), (3, 2, 4, 4))
SQUARE = (Window(3, 2, 2), (2, 2, 5, 5), (2, 2, 4, 4))
UNEVEN = (Window(2, 2, 0), (2, 2, 6, 7), (3, 2, 3, 3))


def with_step(**steps: Function) -> Function:
    return partial(input_gradient, **steps)


CONVOLUTION = [
    conv_mistake("kernel not turned", *KEY, dx=with_step(turn=lambda w: w)),
    conv_mistake(
        "kernel turned by 90 degrees", *KEY, dx=with_step(turn=lambda w: np.rot90(w, 1, (2, 3)))
    ),
    conv_mistake("kernel transposed", *KEY, dx=with_step(turn=lambda w: w.swapaxes(2, 3))),
    conv_mistake("only rows flipped", *KEY, dx=with_step(turn=lambda w: w[:, :, ::-1])),
    conv_mistake("only columns flipped", *KEY, dx=with_step(turn=lambda w: w[..., ::-1])),
    conv_mistake("channels not swapped", *SQUARE, dx=with_step(swap=lambda w: w)),
    conv_mistake("stride not undone", *KEY, dx=with_step(dilate=without_stride)),
    conv_mistake("one zero too many between", *KEY, dx=with_step(dilate=one_zero_too_many)),
    conv_mistake("remainder split to both sides", *KEY, dx=with_step(sides=remainder_split)),
    conv_mistake(
        "remainder ignored", *KEY,
        dx=with_step(sides=lambda x, w, v: (w.shape[2] - 1 - v.before, w.shape[2] - 1 - v.after)),
    ),
    conv_mistake(
        "padding p instead of e - 1 - p", *KEY,
        dx=with_step(sides=lambda x, w, v: (v.before, v.after + leftover(x, w, v))),
    ),
    conv_mistake(
        "sides of the padding swapped", *UNEVEN,
        dx=with_step(sides=lambda x, w, v: sides(x, w, Window(v.stride, v.after, v.before))),
    ),
    conv_mistake("padding cropped on one side", *KEY, dx=cropped_on_one_side),
    conv_mistake("= instead of +=", *KEY, dx=scattered_by_assignment),
    conv_mistake("weight gradient turned", *KEY, dw=lambda *a: turned(weight_gradient(*a))),
    conv_mistake(
        "gradient turned in the weight gradient", *KEY,
        dw=lambda g, x, w, v: weight_gradient(turned(g), x, w, v),
    ),
    conv_mistake(
        "weight gradient of the first image only", *KEY,
        dw=lambda g, x, w, v: weight_gradient(g[:1], x[:1], w, v),
    ),
    conv_mistake(
        "weight gradient averaged over the batch", *KEY,
        dw=lambda g, x, w, v: weight_gradient(g, x, w, v) / len(x),
    ),
    conv_mistake(
        "last rows of the weight gradient kept", *KEY,
        dw=partial(weight_gradient, cut=lambda dw, w: dw[:, :, -w.shape[2] :, -w.shape[3] :]),
    ),
    conv_mistake(
        "stride missing in the weight gradient", *KEY,
        dw=partial(weight_gradient, dilate=without_stride),
    ),
]  # fmt: skip


def bias_mistake(name: str, wrong: Function) -> Mistake:
    return Mistake(
        name,
        lambda x, b: x + b[:, None, None],
        lambda g, x, b: (g, g.sum((0, 2, 3))),
        lambda g, x, b: (g, wrong(g)),
        arrays((2, 3, 4, 5), (3,)),
        ((0, 1),),
    )


BIAS = [
    bias_mistake("bias not summed over positions", lambda g: g[:, :, 0, 0].sum(0)),
    bias_mistake("bias not summed over the batch", lambda g: g[0].sum((1, 2))),
    bias_mistake("bias averaged", lambda g: g.mean((0, 2, 3))),
]


def transposed(x: Array, w: Array) -> Array:
    """Stride 2, no padding: every input cell paints the kernel into the output."""
    n, _, p, q = x.shape
    r, s = w.shape[2:]
    out = np.zeros((n, w.shape[1], 2 * (p - 1) + r, 2 * (q - 1) + s))
    for i in range(p):
        for j in range(q):
            out[:, :, 2 * i : 2 * i + r, 2 * j : 2 * j + s] += np.einsum(
                "nk,kcrs->ncrs", x[:, :, i, j], w
            )
    return out


TRANSPOSED = [
    Mistake(
        "kernel turned in the gradient of a transposed convolution",
        lambda x, w: transposed(x, w),
        lambda g, x, w: (conv(g, w, Window(2, 0, 0)), weight_gradient(x, g, w, Window(2, 0, 0))),
        lambda g, x, w: (
            conv(g, turned(w), Window(2, 0, 0)),
            weight_gradient(x, g, w, Window(2, 0, 0)),
        ),
        arrays((2, 3, 3, 4), (3, 2, 3, 2)),
        ((0,), (1,)),
    ),
]


# Pools with kernel 3, stride 2, padding 1


def windows(x: Array, fill: float = 0.0) -> Array:
    wide = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=fill)
    return sliding_window_view(wide, (3, 3), (2, 3))[:, :, ::2, ::2]


def mean_pool(x: Array) -> Array:
    return windows(x).sum((-2, -1)) / 9


def spread(shares: Array, x: Array) -> Array:
    """Add every window's shares (N, C, P, Q, 3, 3) into its cells."""
    wide = np.zeros((*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2))
    for p in range(shares.shape[2]):
        for q in range(shares.shape[3]):
            wide[:, :, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3] += shares[:, :, p, q]
    return wide[:, :, 1:-1, 1:-1]


def mean_pool_gradient(g: Array, x: Array, divisor: Any = 9) -> Array:
    return spread(np.broadcast_to((g / divisor)[..., None, None], (*g.shape, 3, 3)), x)


def cells_inside(x: Array) -> Array:
    return windows(np.ones_like(x)).sum((-2, -1))


def pool_mistake(name: str, divisor: Function) -> Mistake:
    return Mistake(
        name, mean_pool, mean_pool_gradient,
        lambda g, x: mean_pool_gradient(g, x, divisor(x)), arrays((2, 2, 5, 7)), ((0,),),
    )  # fmt: skip


def max_pool(x: Array) -> Array:
    return windows(x, -np.inf).max((-2, -1))


def max_pool_gradient(g: Array, x: Array, winners: Function) -> Array:
    seen = windows(x, -np.inf)
    return spread(
        g[..., None, None] * winners(seen.reshape(*seen.shape[:4], 9)).reshape(seen.shape), x
    )


def first(seen: Array) -> Array:
    return np.asarray(np.arange(9) == seen.argmax(-1)[..., None])


def last(seen: Array) -> Array:
    return first(seen[..., ::-1])[..., ::-1]


def all_of_them(seen: Array) -> Array:
    return np.asarray(seen == seen.max(-1, keepdims=True))


def nearly(seen: Array) -> Array:
    return np.asarray(seen >= seen.max(-1, keepdims=True) - 0.5)


def max_mistake(name: str, winners: Function, ties: bool) -> Mistake:
    def few_values(rng: np.random.Generator) -> list[Array]:
        return [rng.integers(0, 3, (2, 2, 5, 7)).astype(float)]

    return Mistake(
        name, max_pool, lambda g, x: max_pool_gradient(g, x, first),
        lambda g, x: max_pool_gradient(g, x, winners),
        few_values if ties else arrays((2, 2, 5, 7)), ties=ties,
    )  # fmt: skip


POOLS = [
    pool_mistake("mean pool not divided", lambda x: 1),
    pool_mistake("mean pool divided by k", lambda x: 3),
    pool_mistake("mean pool divides by the cells inside only backwards", cells_inside),
    max_mistake("max pool to all ties", all_of_them, ties=True),
    max_mistake("max pool to the last tie", last, ties=True),
    max_mistake(
        "max pool to the second cell of the window", lambda s: np.roll(first(s), 1, -1), False
    ),
    max_mistake("max pool by a tolerance", nearly, ties=False),
]


# Activations


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def pointwise_mistake(name: str, f: Function, slope: Function, wrong: Function) -> Mistake:
    return Mistake(name, f, lambda g, x: g * slope(x), wrong, arrays((2, 3, 4)))


def sigmoid_slope(x: Array) -> Array:
    return sigmoid(x) * (1 - sigmoid(x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_gradient(g: Array, x: Array) -> Array:
    y = softmax(x)
    return y * (g - (g * y).sum(-1, keepdims=True))


ACTIVATIONS = [
    pointwise_mistake("activation derivative missing", relu, lambda x: x > 0, lambda g, x: g),
    pointwise_mistake(
        "sigmoid's derivative taken at its value",
        sigmoid, sigmoid_slope, lambda g, x: g * sigmoid_slope(sigmoid(x)),
    ),
    pointwise_mistake(
        "tanh's derivative taken at its argument",
        np.tanh, lambda x: 1 - np.tanh(x) ** 2, lambda g, x: g * (1 - x**2),
    ),
    pointwise_mistake(
        "negative gradients dropped by relu",
        relu, lambda x: x > 0, lambda g, x: g * (x > 0) * (g > 0),
    ),
    pointwise_mistake(
        "upstream gradient dropped", sigmoid, sigmoid_slope, lambda g, x: sigmoid_slope(x)
    ),
    Mistake(
        "softmax cell by cell", softmax, softmax_gradient,
        lambda g, x: g * softmax(x) * (1 - softmax(x)), arrays((3, 4)),
    ),
]  # fmt: skip


# Losses: batch 4, 5 classes; the target is fixed


LABELS = np.array([0, 3, 3, 1])
TARGET = np.eye(5)[LABELS]


def cross_entropy(x: Array) -> Array:
    return -np.log(softmax(x))[np.arange(4), LABELS].mean()


def bce_with_logits(x: Array) -> Array:
    return np.mean(np.logaddexp(0, x) - TARGET * x)


def loss_mistake(name: str, wrong: Function, forward: Function = cross_entropy) -> Mistake:
    def right(g: Array, x: Array) -> Array:
        if forward is cross_entropy:
            return g * (softmax(x) - TARGET) / 4
        return g * (sigmoid(x) - TARGET) / 20

    return Mistake(name, forward, right, lambda g, x: g * wrong(x), arrays((4, 5)))


LOSSES = [
    loss_mistake("cross-entropy's sign", lambda x: (TARGET - softmax(x)) / 4),
    loss_mistake("divided by the batch twice", lambda x: (softmax(x) - TARGET) / 16),
    loss_mistake("not divided by the batch", lambda x: softmax(x) - TARGET),
    loss_mistake("softmax twice", lambda x: (softmax(softmax(x)) - TARGET) / 4),
    loss_mistake("one class only", lambda x: TARGET * (softmax(x) - TARGET) / 4),
    loss_mistake(
        "sigmoid's derivative kept with cross-entropy",
        lambda x: (sigmoid(x) - TARGET) * sigmoid_slope(x) / 20, bce_with_logits,
    ),
    Mistake(
        "upstream gradient of the loss dropped", cross_entropy,
        lambda g, x: g * (softmax(x) - TARGET) / 4, lambda g, x: (softmax(x) - TARGET) / 4,
        arrays((4, 5)),
    ),
    Mistake(
        "penalty without the 2", lambda w: 0.1 * np.sum(w * w), lambda g, w: g * 0.2 * w,
        lambda g, w: g * 0.1 * w, arrays((3, 4)),
    ),
]  # fmt: skip


# Batch norm over (N, features) with a scale


EPS = 1e-3
RUNNING_MEAN, RUNNING_VAR = np.linspace(-1, 1, 3), np.linspace(0.5, 2, 3)


def standardised(x: Array) -> tuple[Array, Array]:
    scale = 1 / np.sqrt(x.var(0) + EPS)
    return (x - x.mean(0)) * scale, scale


def batch_norm(x: Array, w: Array) -> Array:
    return standardised(x)[0] * w


def batch_norm_gradient(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    z, scale = standardised(x)
    d = g * w
    return scale * (d - d.mean(0) - z * (d * z).mean(0)), (g * z).sum(0)


def evaluated(x: Array, w: Array) -> Array:
    return (x - RUNNING_MEAN) / np.sqrt(RUNNING_VAR + EPS) * w


def evaluated_gradient(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    scale = 1 / np.sqrt(RUNNING_VAR + EPS)
    return g * w * scale, (g * (x - RUNNING_MEAN) * scale).sum(0)


def norm_mistake(name: str, dx: Function) -> Mistake:
    return Mistake(
        name, batch_norm, batch_norm_gradient,
        lambda g, x, w: (dx(g, x, w), batch_norm_gradient(g, x, w)[1]),
        arrays((5, 3), (3,)), ((1,),),
    )  # fmt: skip


NORMS = [
    norm_mistake("mean and variance as constants", lambda g, x, w: g * w * standardised(x)[1]),
    norm_mistake(
        "variance as a constant",
        lambda g, x, w: w * standardised(x)[1] * (g - g.mean(0)),
    ),
    norm_mistake(
        "scale missing in part",
        lambda g, x, w: standardised(x)[1]
        * (g * w - g.mean(0) - standardised(x)[0] * (g * standardised(x)[0]).mean(0)),
    ),
    Mistake(
        "training formula in evaluation", evaluated, evaluated_gradient,
        lambda g, x, w: (batch_norm_gradient(g, x, w)[0], evaluated_gradient(g, x, w)[1]),
        arrays((5, 3), (3,)), ((1,),),
    ),
]  # fmt: skip


# Broadcasting, products, reductions, indices, graphs


ROWS = np.array([2, 0, 2, 1])


def assigned_rows(g: Array, table: Array) -> Array:
    out = np.zeros_like(table)
    out[ROWS] = g
    return out


def added_rows(g: Array, table: Array) -> Array:
    out = np.zeros_like(table)
    np.add.at(out, ROWS, g)
    return out


OTHERS = [
    Mistake(
        "broadcast not summed back", lambda x, y: x * y,
        lambda g, x, y: (g * y, (g * x).sum(0)), lambda g, x, y: (g * y, (g * x)[0]),
        arrays((3, 4), (4,)), ((0,), (1,)),
    ),
    Mistake(
        "broadcast averaged back", lambda x, y: x * y,
        lambda g, x, y: (g * y, (g * x).sum(0)), lambda g, x, y: (g * y, (g * x).mean(0)),
        arrays((3, 4), (4,)), ((0,), (1,)),
    ),
    Mistake(
        "matrix not transposed", lambda a, b: a @ b,
        lambda g, a, b: (g @ b.T, a.T @ g), lambda g, a, b: (g @ b, a.T @ g),
        arrays((3, 3), (3, 3)), ((0,), (1,)),
    ),
    Mistake(
        "sum spread along the wrong axis", lambda x: x.sum(1),
        lambda g, x: np.broadcast_to(g[:, None], x.shape),
        lambda g, x: np.broadcast_to(g[None, :], x.shape), arrays((4, 4)), ((0,),),
    ),
    Mistake(
        "mean not divided", lambda x: x.mean(1),
        lambda g, x: np.broadcast_to(g[:, None] / 4, x.shape),
        lambda g, x: np.broadcast_to(g[:, None], x.shape), arrays((3, 4)), ((0,),),
    ),
    Mistake(
        "repeated indices lost", lambda t: t[ROWS], added_rows, assigned_rows,
        arrays((3, 4)), ((0,),),
    ),
    Mistake(
        "pieces of a join exchanged", lambda a, b: np.concatenate([a, b]),
        lambda g, a, b: (g[:3], g[3:]), lambda g, a, b: (g[3:], g[:3]),
        arrays((3, 4), (3, 4)), ((0, 1),),
    ),
    Mistake(
        "largest value's gradient divided by itself", lambda x: x.max(1),
        lambda g, x: g[:, None] * (x == x.max(1, keepdims=True)),
        lambda g, x: np.sign(g)[:, None] * (x == x.max(1, keepdims=True)), arrays((3, 4)),
    ),
    Mistake(
        "shared node overwritten", lambda x: x * np.sin(x),
        lambda g, x: g * (np.sin(x) + x * np.cos(x)), lambda g, x: g * x * np.cos(x),
        arrays((3, 4)),
    ),
    Mistake(
        "rows of a permutation not sent back", lambda x: x[[2, 0, 1]],
        lambda g, x: g[[1, 2, 0]], lambda g, x: g[[2, 0, 1]], arrays((3, 4)), ((0,),),
    ),
    Mistake(
        "dropout's scale missing backwards", lambda x: x * (np.arange(4) % 2) * 2,
        lambda g, x: g * (np.arange(4) % 2) * 2, lambda g, x: g * (np.arange(4) % 2),
        arrays((3, 4)), ((0,),),
    ),
]  # fmt: skip

ZOO = [
    *CONVOLUTION, *BIAS, *TRANSPOSED, *POOLS, *ACTIVATIONS, *LOSSES, *NORMS, *OTHERS,
]  # fmt: skip
