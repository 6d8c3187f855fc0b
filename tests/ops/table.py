"""One table over all registered operations: sample calls that every test of `test_table` runs.

A sample names its inputs (drawn anew for every test), the operands in which it is linear, and
whether it is smooth. Shapes have batch ≥ 2, channels ≥ 2 and sides that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180.core import Tensor

Array = np.ndarray
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_normal(shape))


def wide(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Far enough to reach every branch of an activation."""
    return np.asarray(4.0 * rng.standard_normal(shape))


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.uniform(0.5, 2.0, shape))


def unit(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.uniform(0.1, 0.9, shape))


@dataclass(frozen=True)
class Input:
    """One argument: how to draw it, and which axis is its batch (None: it has none)."""

    make: Callable[[np.random.Generator], Array]
    batch: int | None = None


def data(*shape: int, draw: Draw = normal, batch: int | None = 0) -> Input:
    return Input(lambda rng: draw(rng, shape), batch)


def weights(*shape: int, draw: Draw = normal) -> Input:
    return data(*shape, draw=draw, batch=None)


def index(high: int, *shape: int, low: int = 0, batch: int | None = 0) -> Input:
    return Input(lambda rng: np.asarray(rng.integers(low, high, shape)), batch)


def mask(*shape: int) -> Input:
    return Input(lambda rng: np.asarray(rng.random(shape) < 0.5), 0)


@dataclass(frozen=True)
class Sample:
    """One call of an operation.

    Attributes:
        inputs: what is drawn.
        call: `call(operation, *tensors)`; by default the tensors and `options` are handed over.
        options: the other arguments.
        linear: groups of operands in which the operation is linear (jointly).
        smooth: whether second derivatives exist where they are looked for.
        discrete: the result is an index or a truth, which has no gradient.
        empty: whether a batch of no images means anything.
    """

    inputs: tuple[Input, ...]
    call: Callable[..., Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    linear: tuple[tuple[int, ...], ...] = ()
    smooth: bool = True
    discrete: bool = False
    empty: bool = True

    def function(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        if self.call is not None:
            return lambda *xs: self.call(operation, *xs)  # type: ignore[misc]
        return lambda *xs: operation(*xs, **self.options)

    def arrays(self, rng: np.random.Generator) -> list[Array]:
        return [given.make(rng) for given in self.inputs]

    def emptied(self, rng: np.random.Generator) -> list[Array]:
        return [
            a if i.batch is None else a[(slice(None),) * i.batch + (slice(0),)]
            for i, a in zip(self.inputs, self.arrays(rng), strict=True)
        ]


def S(
    *inputs: Input, call: Callable[..., Any] | None = None, linear: str = "", smooth: bool = True,
    discrete: bool = False, empty: bool = True, **options: Any,
) -> Sample:  # fmt: skip
    """A sample; `linear="0 12"`: linear in operand 0, and in 1 and 2 together."""
    groups = tuple(tuple(map(int, word)) for word in linear.split())
    return Sample(inputs, call, options, groups, smooth, discrete, empty)


def fresh() -> np.random.Generator:
    """The same mask at every call: a random operation is a function only then."""
    return np.random.default_rng(7)


def vector(value: float, size: int, like: Tensor) -> Tensor:
    """Running statistics of a norm, new for every call because training writes into them."""
    return Tensor(np.full(size, value, like.dtype))


UNARY = {
    "cos": normal, "erf": normal, "exp": normal, "expm1": normal, "log": positive,
    "log1p": positive, "reciprocal": positive, "rsqrt": positive, "sigmoid": wide, "silu": wide,
    "sin": wide, "softplus": wide, "softsign": wide, "sqrt": positive, "square": normal,
    "tanh": normal, "gelu": normal,
}  # fmt: skip
KINKED = ("abs", "floor", "hardsigmoid", "hardswish", "hardtanh", "relu", "relu6", "sign", "elu",
          "leaky_relu")  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


def operands(x: Draw = normal, y: Draw = normal, **options: Any) -> list[Sample]:
    """Equal shapes, a broadcast second operand, a broadcast first one, and a number."""
    shapes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (
        ((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((4,), (2, 1, 4)), ((2, 3), ()),
    )  # fmt: skip
    return [
        S(
            data(*a, draw=x, batch=None if len(a) < 2 else 0),
            data(*b, draw=y, batch=0 if len(b) == 3 else None),
            **options,
        )
        for a, b in shapes
    ]


def norm_samples(axes_call: Callable[..., Any], **options: Any) -> Sample:
    return S(data(3, 4, 2, 5), weights(4), weights(4), call=axes_call, linear="12", **options)


def reductions(**options: Any) -> list[Sample]:
    return [
        S(data(2, 3, 4), **options),
        S(data(2, 3, 4), axis=1, **options),
        S(data(2, 3, 4), axis=(-1, 1), keepdims=True, **options),
        S(data(2, 3, 4), dim=2, keepdim=True, **options),
    ]


def extremes() -> list[Sample]:
    return [
        S(data(2, 3, 4), smooth=False, empty=False),
        S(data(2, 3, 4), axis=1, smooth=False),
        S(data(2, 3, 4, 2), axis=(-1, 1), keepdims=True, smooth=False),
        S(data(2, 3, 4), axis=-1, ties="split", smooth=False),
        S(data(2, 3, 4), axis=(1, 2), ties="all", smooth=False),
        S(weights(), smooth=False),
    ]


# Windows: remainder 2 (style.md's shape that separates nine mistakes), even and dilated kernels,
# asymmetric and negative padding, groups, a kernel as large as the input.
CONV2D: list[dict[str, Any]] = [
    {"x": (2, 2, 5, 5), "w": (3, 2, 4, 4), "stride": 3, "padding": 2},
    {"x": (2, 4, 5, 6), "w": (6, 2, 3, 2), "stride": (2, 1), "padding": 1, "groups": 2},
    {"x": (2, 3, 7, 6), "w": (2, 3, 2, 3), "dilation": (3, 2), "padding": ((1, 2), (0, -1))},
    {"x": (2, 3, 4, 3), "w": (2, 3, 4, 3), "mode": "convolution"},
    {"x": (2, 3, 6, 4), "w": (6, 1, 3, 3), "groups": 3, "padding": "same"},
]


def conv_sample(case: dict[str, Any], bias: bool = True) -> Sample:
    options = {k: v for k, v in case.items() if k not in "xw"}
    filters = case["w"][0]
    inputs = (data(*case["x"]), weights(*case["w"]))
    if bias:
        return S(
            *inputs, weights(filters), call=lambda op, x, w, b: op(x, w, b, **options), linear="12"
        )
    return S(*inputs, linear="0 1", **options)


def transposed_sample(case: dict[str, Any]) -> Sample:
    options = {k: v for k, v in case.items() if k not in "xw"}
    return S(data(*case["x"]), weights(*case["w"]), linear="0 1", **options)


def input_grad_sample(case: dict[str, Any]) -> Sample:
    options = {k: v for k, v in case.items() if k not in "xwg"}
    sizes = case["x"][1:]
    return S(
        weights(*case["w"]),
        data(*case["g"]),
        call=lambda op, w, g: op((g.shape[0], *sizes), w, g, **options),
        linear="0 1",
    )


def weight_grad_sample(case: dict[str, Any]) -> Sample:
    options = {k: v for k, v in case.items() if k not in "xwg"}
    return S(
        data(*case["x"]),
        data(*case["g"]),
        call=lambda op, x, g: op(x, case["w"], g, **options),
        linear="0 1",
    )


CONV1D = [
    {"x": (2, 2, 8), "w": (3, 2, 3), "stride": 3, "padding": 1},
    {"x": (2, 4, 7), "w": (4, 2, 2), "groups": 2, "dilation": 3, "mode": "convolution"},
]
CONV3D = [
    {"x": (2, 2, 3, 4, 5), "w": (2, 2, 2, 3, 2), "stride": (1, 2, 2), "padding": (0, 1, 1)},
]
GRADS = [
    {**CONV2D[0], "g": (2, 3, 2, 2)},
    {**CONV2D[1], "g": (2, 6, 3, 7)},
    {**CONV1D[0], "g": (2, 3, 3)},
]
TRANSPOSED2D: list[dict[str, Any]] = [
    {
        "x": (2, 3, 3, 4),
        "w": (3, 2, 3, 2),
        "stride": (3, 2),
        "padding": 1,
        "output_padding": (2, 1),
    },
    {"x": (2, 4, 3, 2), "w": (4, 3, 2, 3), "groups": 2, "dilation": 2, "stride": 2},
    {"x": (2, 2, 3, 3), "w": (2, 2, 4, 3), "mode": "convolution"},
]
TRANSPOSED1D: list[dict[str, Any]] = [
    {"x": (2, 3, 4), "w": (3, 2, 3), "stride": 2, "output_padding": 1}
]
TRANSPOSED3D: list[dict[str, Any]] = [
    {"x": (2, 2, 2, 3, 2), "w": (2, 3, 2, 1, 2), "stride": (2, 1, 1), "padding": (1, 0, 0)}
]


def pools(shape: tuple[int, ...], mean: bool) -> list[Sample]:
    """Overlapping, ceil_mode with a cut window, padding; dilation or the divisors."""
    linear, smooth = ("0", True) if mean else ("", False)
    own = (
        [{"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
         {"kernel_size": 2, "divisor_override": 5}]
        if mean
        else [{"kernel_size": 2, "stride": 1, "dilation": 2, "padding": 1},
              {"kernel_size": 2, "stride": 1, "ties": "split"}]
    )  # fmt: skip
    shared: list[dict[str, Any]] = [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    ]
    return [S(data(*shape), linear=linear, smooth=smooth, **case) for case in shared + own]


def adaptive(shape: tuple[int, ...], sizes: Sequence[Any], mean: bool) -> list[Sample]:
    linear, smooth = ("0", True) if mean else ("", False)
    return [S(data(*shape), output_size=size, linear=linear, smooth=smooth) for size in sizes]


def unpools(shape: tuple[int, ...]) -> list[Sample]:
    """Indices of a pool with kernel 2: one cell of every window, none twice."""
    axes = len(shape) - 2

    def indices(rng: np.random.Generator) -> Array:
        sizes = tuple(2 * size for size in shape[2:])
        corner = np.meshgrid(*(2 * np.arange(size) for size in shape[2:]), indexing="ij")
        places = [c + rng.integers(0, 2, shape) for c in corner]
        return np.asarray(np.ravel_multi_index(places, sizes))

    larger = tuple(2 * size + 1 for size in shape[2:])
    return [
        S(data(*shape), Input(indices, 0), linear="0", kernel_size=2),
        S(data(*shape), Input(indices, 0), linear="0", kernel_size=(2,) * axes, output_size=larger),
    ]


def losses(x: Draw, t: Draw, **options: Any) -> list[Sample]:
    return [
        S(data(3, 4, draw=x), data(3, 4, draw=t), **options, reduction=reduction)
        for reduction in ("mean", "sum", "none")
    ]


CLASSES: list[Sample] = [
    S(data(4, 5), index(5, 4)),
    S(data(4, 5), index(5, 4), weights(5, draw=positive),
      call=lambda op, x, y, w: op(x, y, w, ignore_index=2)),
    S(data(2, 5, 3, 2), index(5, 2, 3, 2), reduction="none"),
    S(data(2, 5, 3), index(5, 2, 3), reduction="sum", ignore_index=1),
    S(weights(5), index(5, batch=None)),
]  # fmt: skip


TABLE: dict[str, list[Sample]] = {
    # Arithmetic and pointwise functions
    **{name: [S(data(2, 3, 5, draw=draw)), S(weights(draw=draw))] for name, draw in UNARY.items()},
    **{name: [S(data(2, 3, 5, draw=wide), smooth=False)] for name in KINKED},
    **{name: operands(discrete=True) for name in COMPARISONS},
    "add": operands(linear="01"),
    "sub": operands(linear="01"),
    "mul": operands(linear="0 1"),
    "div": operands(normal, positive, linear="0"),
    "pow": [
        *operands(positive, normal),
        S(data(2, 3), exponent=3),
        S(data(2, 3), exponent=2),
        S(data(2, 3), exponent=1, linear="0"),
        S(data(2, 3, draw=positive), exponent=-1.5),
        S(data(2, 3), call=lambda op, x: op(2.0, x)),
    ],
    "neg": [S(data(2, 3, 4), linear="0")],
    "clone": [S(data(2, 3, 4), linear="0")],
    "maximum": operands(smooth=False),
    "minimum": operands(smooth=False),
    "clip": [
        S(data(2, 3, 4), min=-0.5, max=0.75, smooth=False),
        S(data(2, 3, 4), min=0.25, smooth=False),
        S(data(2, 3, 4), max=0.25, smooth=False),
    ],
    "where": [
        S(mask(2, 3, 4), data(2, 3, 4), data(2, 3, 4), linear="12"),
        S(mask(2, 3, 4), weights(3, 1), data(2, 1, 4), linear="12"),
        S(mask(2, 3, 4), data(2, 3, 4), call=lambda op, c, x: op(c, 0.0, x), linear="1"),
    ],
    "astype": [
        S(data(2, 3, 4), call=lambda op, x: op(x, x.dtype), linear="0"),
        S(data(2, 3, 4), dtype="int64", discrete=True),
        S(data(2, 3, 4), dtype="bool", discrete=True),
    ],
    # Reductions
    "sum": [*reductions(linear="0"), S(weights(), linear="0")],
    "mean": reductions(linear="0"),
    "var": [*reductions(), S(data(2, 3, 4), axis=1, correction=0)],
    "std": reductions(),
    "prod": [*reductions(), S(data(2, 3, 5), axis=(0, 2))],
    "logsumexp": reductions(),
    "norm": [
        *reductions(),
        S(data(2, 3, 4), p=1, axis=1, smooth=False),
        S(data(2, 3, 4), p=3, axis=(1, 2)),
        S(data(2, 3, 4), p=float("inf"), axis=-1, smooth=False),
    ],
    "max": extremes(),
    "min": extremes(),
    "amax": extremes(),
    "amin": extremes(),
    **{
        name: [
            S(data(2, 3, 4), discrete=True, empty=False),
            S(data(2, 3, 4), axis=1, discrete=True),
            S(data(2, 3, 4), axis=-1, keepdims=True, discrete=True),
        ]
        for name in ("argmax", "argmin")
    },
    # Shapes
    "reshape": [
        S(data(2, 3, 4), call=lambda op, x: op(x, -1, 6), linear="0"),
        S(data(2, 3, 4), call=lambda op, x: op(x, (4, -1)), linear="0"),
        S(data(2, 6, 5), call=lambda op, x: op(x, (x.shape[0], 5, 3, 2)), linear="0"),
    ],
    "flatten": [S(data(2, 3, 4), linear="0"), S(data(2, 3, 4, 5), start_dim=1, linear="0")],
    "unflatten": [S(data(2, 6, 3), axis=1, sizes=(2, 3), linear="0")],
    "squeeze": [S(data(2, 1, 3, 1), linear="0"), S(data(2, 1, 3, 1), axis=1, linear="0")],
    "unsqueeze": [S(data(2, 3), axis=1, linear="0"), S(data(2, 3), dim=-1, linear="0")],
    "permute": [S(data(2, 3, 4), call=lambda op, x: op(x, 2, 0, 1), linear="0")],
    "transpose": [S(data(2, 3, 4), linear="0"), S(data(2, 3, 4), axis0=0, axis1=2, linear="0")],
    "movedim": [S(data(2, 3, 4), source=0, destination=-1, linear="0")],
    "broadcast_to": [
        S(data(2, 1, 3), call=lambda op, x: op(x, 4, -1, 5, 3), linear="0"),
        S(weights(3), shape=None, call=lambda op, x: op(x, (2, 3)), linear="0"),
        S(weights(), call=lambda op, x: op(x, 2, 3), linear="0"),
    ],
    "repeat": [
        S(data(2, 3), call=lambda op, x: op(x, 2, 3), linear="0"),
        S(data(2, 3), call=lambda op, x: op(x, (4, 1, 2)), linear="0"),
    ],
    "flip": [S(data(2, 3, 4), linear="0"), S(data(2, 3, 4), axis=(0, 2), linear="0")],
    "roll": [S(data(2, 3, 5), shifts=2, axis=2, linear="0"),
             S(data(2, 3, 5), shifts=-4, axis=0, linear="0")],
    "cat": [
        S(data(2, 3, 4), data(2, 1, 4), data(2, 2, 4),
          call=lambda op, a, b, c: op([a, b, c], 1), linear="012"),
        S(data(2, 3), call=lambda op, a: op([a, a], axis=-1), linear="0"),
    ],
    "concatenate": [
        S(data(2, 3), data(3, 3), call=lambda op, a, b: op([a, b], 0), linear="01")
    ],
    "stack": [S(data(2, 3), data(2, 3), call=lambda op, a, b: op([a, b], -1), linear="01")],
    "split": [
        S(data(2, 5, 3), sizes=2, axis=1, linear="0"),
        S(data(2, 5, 3), sizes=(1, 4), dim=1, linear="0"),
    ],
    "chunk": [S(data(2, 5, 3), chunks=2, axis=1, linear="0")],
    # Indices
    "getitem": [
        S(
            data(3, 4, 5),
            call=lambda op, x: op(x, (slice(None), 1, slice(None, None, -2))),
            linear="0",
        ),
        S(data(3, 4, 5), call=lambda op, x: op(x, (..., None, slice(3, 0, -1))), linear="0"),
        S(data(3, 4), call=lambda op, x: op(x, (slice(None), [0, 2, 0, 0])), linear="0"),
        S(data(4, 3), call=lambda op, x: op(x, np.array([0, 0, 3])), linear="0", empty=False),
        S(data(3, 4), index(4, 2, 2, batch=None), call=lambda op, x, i: op(x, (slice(None), i)),
          linear="0"),
        S(data(4, 3), call=lambda op, x: op(x, x.data > 0), linear="", empty=True),
        S(data(4, 3, 2), call=lambda op, x: op(x, (-1, slice(0, 2))), linear="0", empty=False),
    ],
    "index_select": [S(data(2, 4, 3), index(4, 6, batch=None),
                       call=lambda op, x, i: op(x, 1, i), linear="0")],
    "take_along_axis": [S(data(2, 4, 3), index(4, 2, 5, 3), axis=1, linear="0")],
    "embedding": [
        S(index(5, 2, 3), weights(5, 4), linear="1"),
        S(index(2, 2, 3), weights(5, 4), padding_idx=4, linear="1"),
    ],
    "one_hot": [S(index(5, 2, 3), num_classes=5, discrete=True), S(index(5, 4), discrete=True)],
    # Matrix products
    "matmul": [
        S(data(2, 3, 4), weights(4, 5), linear="0 1"),
        S(data(2, 1, 3, 4), weights(5, 4, 2), linear="0 1"),
        S(data(2, 3), weights(3), linear="0 1"),
        S(weights(3), data(2, 3, 4), linear="0 1"),
        S(weights(3), weights(3), linear="0 1"),
    ],
    "linear": [
        S(data(3, 4), weights(2, 4), linear="0 1"),
        S(data(2, 3, 4), weights(5, 4), weights(5), linear="12"),
        S(weights(4), weights(2, 4), linear="0 1"),
    ],
    "bilinear": [
        S(data(3, 4), data(3, 2), weights(5, 4, 2), linear="0 1 2"),
        S(data(2, 3, 4), data(2, 3, 2), weights(5, 4, 2), weights(5), linear="23"),
    ],
    # Convolutions
    "conv": [
        *(conv_sample(case, bias=False) for case in CONV2D + CONV1D + CONV3D),
        conv_sample({"x": (2, 2, 2, 3, 2, 3), "w": (2, 2, 2, 2, 1, 2), "padding": "full"}, False),
    ],
    "conv1d": [conv_sample(case) for case in CONV1D],
    "conv2d": [
        *(conv_sample(case) for case in CONV2D),
        S(weights(3, 5, 4), weights(2, 3, 2, 2), linear="0 1"),
    ],
    "conv3d": [conv_sample(case) for case in CONV3D],
    "conv_input_grad": [input_grad_sample(case) for case in GRADS],
    "conv_weight_grad": [weight_grad_sample(case) for case in GRADS],
    "conv_transpose": [transposed_sample(c) for c in TRANSPOSED2D + TRANSPOSED1D + TRANSPOSED3D],
    "conv_transpose1d": [transposed_sample(case) for case in TRANSPOSED1D],
    "conv_transpose2d": [
        *(transposed_sample(case) for case in TRANSPOSED2D),
        S(data(2, 3, 3, 3), weights(3, 2, 2, 2), weights(2), linear="12"),
    ],
    "conv_transpose3d": [transposed_sample(case) for case in TRANSPOSED3D],
    "unfold": [
        S(data(2, 3, 5, 6), kernel_size=(2, 3), stride=2, padding=1, linear="0"),
        S(data(2, 2, 5), kernel_size=(2,), dilation=2, linear="0"),
    ],
    "fold": [
        S(data(2, 18, 9), output_size=(5, 6), kernel_size=(2, 3), stride=2, padding=1, linear="0"),
    ],
    # Pools
    **{
        f"{name}_pool{n}": pools(shape, mean=name == "avg")
        for name in ("avg", "max")
        for n, shape in (("1d", (2, 2, 7)), ("2d", (2, 2, 6, 7)), ("3d", (2, 2, 3, 4, 5)),
                         ("", (2, 2, 5, 6)))
    },
    **{
        f"adaptive_{name}_pool{n}d": adaptive(shape, sizes, mean=name == "avg")
        for name in ("avg", "max")
        for n, shape, sizes in (
            (1, (2, 2, 7), (3, 7)),
            (2, (2, 2, 5, 6), ((3, 2), (None, 4), 1)),
            (3, (2, 2, 2, 3, 5), ((1, 2, 3),)),
        )
    },
    "global_avg_pool": [S(data(2, 3, 4, 5), linear="0")],
    "global_max_pool": [S(data(2, 3, 4, 5), smooth=False)],
    "max_unpool1d": unpools((2, 3, 4)),
    "max_unpool2d": unpools((2, 3, 2, 3)),
    "max_unpool3d": unpools((2, 2, 2, 1, 2)),
    # Borders and resampling
    "pad": [
        S(data(2, 3, 4), pad=(1, 2), linear="0"),
        S(data(2, 3, 4), pad=(-1, 2, 0, -1), linear="0"),
        S(data(2, 3, 4), pad=((2, 1), (0, 3)), value=1.5),
        S(data(2, 3, 4), pad=(3, 2, 1, 2), mode="reflect", linear="0"),
        S(data(2, 3, 4), pad=(5, 1, 0, 2), mode="replicate", linear="0"),
        S(data(2, 3, 4), pad=(4, 1, 2, 0), mode="circular", linear="0"),
    ],
    **{
        name: [
            S(data(2, 2, 3, 4), scale_factor=2, linear="0"),
            S(data(2, 2, 3, 4), size=(5, 2), linear="0"),
            S(data(2, 2, 3, 4), size=(4, 7), mode="bilinear", linear="0"),
            S(data(2, 2, 3, 4), scale_factor=1.7, mode="bilinear", align_corners=True, linear="0"),
            S(data(2, 2, 5), size=8, mode="linear", linear="0"),
            S(data(2, 2, 2, 3, 2), scale_factor=2, mode="trilinear", linear="0"),
        ]
        for name in ("interpolate", "upsample")
    },
    "pixel_shuffle": [S(data(2, 8, 3, 2), upscale_factor=2, linear="0")],
    "pixel_unshuffle": [S(data(2, 2, 6, 3), downscale_factor=3, linear="0")],
    # Softmax and losses
    "softmax": [S(data(2, 3, 4)), S(data(2, 3, 4), axis=1), S(data(2, 3, 4), dim=2)],
    "log_softmax": [S(data(2, 3, 4)), S(data(2, 3, 4), axis=1)],
    "nll_loss": CLASSES,
    "cross_entropy": [
        *CLASSES,
        S(data(4, 5), index(5, 4), label_smoothing=0.1),
        S(data(4, 5), index(5, 4), weights(5, draw=positive),
          call=lambda op, x, y, w: op(x, y, w, 3, label_smoothing=0.2)),
        S(data(3, 4), data(3, 4, draw=unit)),
        S(data(2, 4, 3), data(2, 4, 3, draw=unit), label_smoothing=0.1, reduction="sum"),
    ],
    "mse_loss": losses(normal, normal),
    "l1_loss": losses(normal, normal, smooth=False),
    "huber_loss": losses(wide, normal, delta=1.5, smooth=False),
    "smooth_l1_loss": [*losses(normal, wide, beta=0.7, smooth=False),
                       S(data(3, 4), data(3, 4), beta=0.0, smooth=False)],
    "binary_cross_entropy": [
        *losses(unit, unit),
        S(data(3, 4, draw=unit), data(3, 4, draw=unit), weights(4)),
    ],
    "binary_cross_entropy_with_logits": [
        *losses(wide, unit),
        S(data(3, 4), data(3, 4, draw=unit), weights(3, 1), weights(4, draw=positive),
          call=lambda op, x, t, w, p: op(x, t, w, pos_weight=p), empty=False),
    ],
    "kl_div": [
        *losses(normal, unit),
        S(data(3, 4), data(3, 4, draw=unit), reduction="batchmean", empty=False),
        S(data(3, 4), data(3, 4), log_target=True),
    ],
    "l2_penalty": [
        S(weights(2, 3), weights(4), call=lambda op, a, b: op([a, b], 0.3)),
        S(weights(2, 3), strength=0.3),
    ],
    # Norms
    "batch_norm": [
        norm_samples(lambda op, x, w, b: op(x, None, None, w, b, training=True)),
        norm_samples(
            lambda op, x, w, b: op(
                x, vector(0.5, 4, x), vector(2.0, 4, x), w, b, training=True, momentum=0.3
            )
        ),
        norm_samples(lambda op, x, w, b: op(x, vector(0.5, 4, x), vector(2.0, 4, x), w, b)),
        S(data(3, 4, 5), call=lambda op, x: op(x, None, None, training=True)),
        S(data(5, 3), call=lambda op, x: op(x, None, None, training=True)),
    ],
    "layer_norm": [
        S(data(2, 3, 4), weights(4), weights(4),
          call=lambda op, x, w, b: op(x, 4, w, b), linear="12"),
        S(data(2, 3, 4), normalized_shape=(3, 4)),
    ],
    "group_norm": [
        norm_samples(lambda op, x, w, b: op(x, 2, w, b)),
        S(data(2, 6, 3), num_groups=3),
    ],
    "instance_norm": [
        norm_samples(lambda op, x, w, b: op(x, None, None, w, b)),
        norm_samples(lambda op, x, w, b: op(x, vector(0.5, 4, x), vector(2.0, 4, x), w, b)),
        norm_samples(lambda op, x, w, b: op(x, vector(0.5, 4, x), vector(2.0, 4, x), w, b, False)),
    ],
    "normalize": [S(data(2, 4, 3)), S(data(2, 4, 3), axis=-1, p=1.0, smooth=False)],
    # Random masks
    **{
        name: [
            S(data(*shape), call=lambda op, x: op(x, 0.4, generator=fresh()), linear="0"),
            S(data(*shape), call=lambda op, x: op(x, 0.4, training=False), linear="0"),
            S(data(*shape), call=lambda op, x: op(x, 1.0), linear="0"),
        ]
        for name, shape in (("dropout", (3, 4)), ("dropout1d", (2, 5, 3)),
                            ("dropout2d", (2, 5, 2, 3)), ("dropout3d", (2, 5, 2, 1, 3)))
    },
}  # fmt: skip

TABLE["gelu"].append(S(data(2, 3, 5), approximate="tanh"))
TABLE["elu"].append(S(data(2, 3, 5, draw=wide), alpha=0.3, smooth=False))
TABLE["leaky_relu"].append(S(data(2, 3, 5, draw=wide), negative_slope=0.3, smooth=False))
TABLE["softplus"].append(S(data(2, 3, 5), beta=2.5))
TABLE["hardtanh"].append(S(data(2, 3, 5), min_val=-0.2, max_val=0.7, smooth=False))
