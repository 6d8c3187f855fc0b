"""What is compared with PyTorch: one line is one call, with the shapes of its inputs.

`Call(name, *inputs, **options)` calls the function of that name on both sides. An input is a shape
(float64 from a normal distribution, differentiated) or one of the makers below.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CALLS", "Call", "Plain", "make"]

Generator = np.random.Generator


@dataclass(frozen=True)
class Input:
    """How an array that is not simply normal is made."""

    shape: tuple[int, ...]
    kind: str
    high: int = 0


def ints(high: int, *shape: int) -> Input:
    """Integers below `high`."""
    return Input(shape, "ints", high)


def bools(*shape: int) -> Input:
    return Input(shape, "bools")


def positive(*shape: int) -> Input:
    return Input(shape, "positive")


def unit(*shape: int) -> Input:
    """Between 0 and 1, away from both."""
    return Input(shape, "unit")


def shares(*shape: int) -> Input:
    """Positive, with sum 1 along axis 1 (or the only axis)."""
    return Input(shape, "shares")


def logs(*shape: int) -> Input:
    """Logarithms of shares."""
    return Input(shape, "logs")


def state(*shape: int) -> Input:
    """Positive, not differentiated, perhaps updated in place: running statistics."""
    return Input(shape, "state")


def constant(*shape: int) -> Input:
    """Positive, not differentiated: weights of classes."""
    return Input(shape, "constant")


@dataclass(frozen=True)
class Plain:
    """A positional argument that is no array."""

    value: Any


def make(spec: Any, rng: Generator) -> Any:
    """The array for one input of a call."""
    if spec is None or isinstance(spec, Plain):
        return spec
    if isinstance(spec, list):
        return [make(part, rng) for part in spec]
    if not isinstance(spec, Input):
        return rng.standard_normal(spec)
    raw = rng.standard_normal(spec.shape)
    if spec.kind == "ints":
        return rng.integers(0, spec.high, spec.shape)
    if spec.kind == "bools":
        return raw > 0
    if spec.kind in {"positive", "state", "constant"}:
        return np.abs(raw) + 0.3
    if spec.kind == "unit":
        return rng.uniform(0.05, 0.95, spec.shape)
    axis = 1 if len(spec.shape) > 1 else 0
    logarithms = raw - np.log(np.exp(raw).sum(axis, keepdims=True))
    return logarithms if spec.kind == "logs" else np.exp(logarithms)


@dataclass(frozen=True, eq=False)
class Call:
    """One comparison: a function that both sides have under this name."""

    name: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        shapes = [getattr(spec, "shape", getattr(spec, "value", spec)) for spec in self.inputs]
        return f"{self.name}{tuple(shapes)} {self.options}"


CALLS: list[Call] = []


def call(name: str, *inputs: Any, **options: Any) -> None:
    CALLS.append(Call(name, inputs, options))


def grid(**choices: list[Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the choices."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


# ------------------------------------------------------------------------------- convolutions

# Shapes with batch, channels and filters ≥ 2, not square, an even and an odd kernel.
for o in grid(stride=[1, 2, 3], padding=[0, 1, 2], dilation=[1, 2]):
    call("conv1d", (2, 3, 9), (4, 3, 3), (4,), **o)
for o in grid(stride=[1, (2, 3)], padding=[0, (2, 1)], dilation=[1, (1, 2)], groups=[1, 2]):
    call("conv2d", (2, 4, 8, 9), (6, 4 // o["groups"], 3, 2), (6,), **o)
call("conv2d", (2, 2, 5, 5), (3, 2, 4, 4), None, stride=3, padding=2)  # tells nine mistakes apart
call("conv2d", (2, 3, 6, 5), (4, 3, 6, 5), (4,))  # kernel = input
call("conv2d", (2, 3, 6, 5), (4, 3, 1, 1), (4,))
call("conv2d", (2, 3, 6, 5), (4, 3, 1, 1), (4,), stride=2)
call("conv2d", (2, 4, 6, 5), (4, 1, 3, 3), None, padding=1, groups=4)  # depthwise
call("conv2d", (2, 4, 6, 5), (8, 1, 3, 3), (8,), stride=2, groups=4)  # with a multiplier
call("conv2d", (2, 3, 6, 7), (4, 3, 4, 3), (4,), padding="same", dilation=(1, 2))
call("conv2d", (2, 3, 6, 7), (4, 3, 4, 3), (4,), padding="valid", stride=2)
call("conv2d", (0, 3, 6, 7), (4, 3, 4, 3), (4,))
call("conv2d", (3, 6, 7), (4, 3, 4, 3), (4,))
call("conv2d", (2, 3, 2, 2), (4, 3, 3, 3), (4,), padding=4, stride=5)
for o in grid(stride=[1, 2], padding=[0, 1], dilation=[1, 2]):
    call("conv3d", (2, 2, 5, 6, 5), (3, 2, 2, 3, 2), (3,), **o)
call("conv3d", (2, 4, 4, 5, 4), (4, 2, 3, 2, 1), None, stride=(2, 1, 2), groups=2)

for o in grid(stride=[1, 2, 3], padding=[0, 1], dilation=[1, 2]):
    call("conv_transpose1d", (2, 3, 5), (3, 4, 3), (4,), **o)
call("conv_transpose1d", (2, 3, 5), (3, 4, 3), (4,), stride=3, output_padding=2)
for o in grid(stride=[1, (2, 3)], padding=[0, (1, 2)], groups=[1, 2], dilation=[1, (2, 1)]):
    call("conv_transpose2d", (2, 4, 3, 4), (4, 3, 3, 2), (3 * o["groups"],), **o)
call("conv_transpose2d", (2, 4, 3, 4), (4, 2, 3, 3), None, stride=(3, 2), output_padding=(2, 1))
call("conv_transpose2d", (4, 3, 4), (4, 2, 3, 3), (2,), stride=2, padding=1, output_padding=1)
call(
    "conv_transpose3d", (2, 2, 3, 2, 3), (2, 3, 2, 3, 2), (3,), stride=(2, 1, 2), padding=(0, 1, 0)
)
call(
    "conv_transpose3d", (2, 4, 2, 2, 3), (4, 2, 2, 2, 2), None, stride=2, groups=2, output_padding=1
)

for o in grid(kernel_size=[2, (3, 2)], dilation=[1, (1, 2)], padding=[0, 1], stride=[1, (2, 1)]):
    call("unfold", (2, 3, 6, 7), **o)
call("fold", (2, 12, 30), output_size=(6, 7), kernel_size=2)
call("fold", (2, 12, 16), output_size=(7, 7), kernel_size=2, stride=2, padding=1, dilation=1)
call("fold", (2, 18, 6), output_size=(6, 7), kernel_size=(3, 2), stride=(2, 2), dilation=(1, 2))

# ------------------------------------------------------------------------------- pools

for o in grid(stride=[None, 1, 3], padding=[0, 1], dilation=[1, 2], ceil_mode=[False, True]):
    call("max_pool1d", (2, 3, 11), kernel_size=3, **o)
    call("max_pool2d", (2, 3, 9, 10), kernel_size=(3, 2), **o)
call(
    "max_pool2d",
    (2, 3, 9, 10),
    kernel_size=(2, 3),
    stride=(1, 2),
    padding=(1, 0),
    return_indices=True,
)
call("max_pool2d", (2, 3, 7, 7), kernel_size=3, stride=2, ceil_mode=True, return_indices=True)
call("max_pool2d", (3, 8, 8), kernel_size=2)
call("max_pool2d", (0, 3, 8, 8), kernel_size=2)
for o in grid(stride=[None, (2, 1, 2)], ceil_mode=[False, True], return_indices=[False, True]):
    call("max_pool3d", (2, 2, 5, 4, 7), kernel_size=(2, 2, 3), padding=(1, 0, 1), **o)
for o in grid(
    stride=[None, 2], padding=[0, 1], ceil_mode=[False, True], count_include_pad=[False, True]
):
    call("avg_pool1d", (2, 3, 10), kernel_size=3, **o)
    call("avg_pool2d", (2, 3, 9, 10), kernel_size=(3, 2), **o)
    call("avg_pool3d", (2, 2, 5, 4, 6), kernel_size=(2, 3, 2), **o)
call("avg_pool2d", (2, 3, 9, 10), kernel_size=3, stride=2, padding=1, divisor_override=5)
call("avg_pool2d", (2, 3, 9, 10), kernel_size=3, stride=2, ceil_mode=True, divisor_override=-2)
call("avg_pool2d", (3, 8, 8), kernel_size=2)
for size in (1, 3, 5, 7, 10):
    call("adaptive_avg_pool1d", (2, 3, 7), output_size=size)
    call("adaptive_max_pool1d", (2, 3, 7), output_size=size)
for size in (1, (3, 2), (None, 4), (7, 8), (5, 11)):
    call("adaptive_avg_pool2d", (2, 3, 7, 8), output_size=size)
    call("adaptive_max_pool2d", (2, 3, 7, 8), output_size=size, return_indices=True)
call("adaptive_avg_pool3d", (2, 2, 5, 6, 4), output_size=(2, None, 3))
call("adaptive_max_pool3d", (2, 2, 5, 6, 4), output_size=(2, None, 3))

# ------------------------------------------------------------------------------- pads, sizes

for mode in ("constant", "reflect", "replicate", "circular"):
    call("pad", (2, 3, 5), pad=(2, 1), mode=mode)
    call("pad", (2, 3, 5, 6), pad=(2, 1, 0, 3), mode=mode)
    call("pad", (2, 3, 5, 6), pad=(-1, 2, 1, -2), mode=mode)
    call("pad", (2, 3, 5), pad=(-2, 3), mode=mode)
    call("pad", (2, 3, 5), pad=(2, -3), mode=mode)
    call("pad", (2, 2, 4, 4, 5), pad=(1, 2, 3, 0, 1, 1), mode=mode)
call("pad", (2, 3, 5), pad=(2, -1, 1, 1), mode="constant", value=2.5)
for size in (3, 7, 14, 20):
    call("interpolate", (2, 3, 7), size=size, mode="nearest")
    for corners in (False, True):
        call("interpolate", (2, 3, 7), size=size, mode="linear", align_corners=corners)
        call("interpolate", (2, 3, 7, 5), size=(size, 9), mode="bilinear", align_corners=corners)
for factor in (2, 3, 1.5, 0.6, (2, 0.5)):
    call("interpolate", (2, 3, 7, 5), scale_factor=factor, mode="nearest")
    call("interpolate", (2, 3, 7, 5), scale_factor=factor, mode="nearest-exact")
    for corners in (False, True):
        call(
            "interpolate", (2, 3, 7, 5), scale_factor=factor, mode="bilinear", align_corners=corners
        )
call("interpolate", (2, 2, 3, 4, 3), scale_factor=2, mode="trilinear", align_corners=False)
call("interpolate", (2, 2, 3, 4, 3), size=(5, 4, 7), mode="trilinear", align_corners=True)
call("interpolate", (2, 2, 3, 4, 3), size=(5, 4, 7), mode="nearest")
call("pixel_shuffle", (2, 12, 3, 4), upscale_factor=2)
call("pixel_unshuffle", (2, 3, 4, 6), downscale_factor=2)

# ------------------------------------------------------------------------------- activations

for name in ("softsign", "hardtanh", "relu6"):  # torch's hardsigmoid′ is a float32 1/6
    call(name, (3, 4, 50))
for name in (
    "relu",
    "silu",
    "sigmoid",
    "tanh",
    "hardswish",
    "softplus",
    "elu",
    "gelu",
    "leaky_relu",
):
    call(name, (3, 4, 50))
call("leaky_relu", (4, 5), negative_slope=0.3)
call("elu", (4, 5), alpha=1.7)
call("gelu", (4, 50), approximate="tanh")
call("softplus", (4, 50), beta=2.0)
for dim in (0, 1, -1):
    call("softmax", (3, 4, 5), dim=dim)
    call("log_softmax", (3, 4, 5), dim=dim)
call("logsumexp", (3, 4, 5), dim=1)
call("logsumexp", (3, 4, 5), dim=(0, 2), keepdim=True)

# ------------------------------------------------------------------------------- losses

for o in grid(reduction=["mean", "sum", "none"], label_smoothing=[0.0, 0.15]):
    for weight in (None, constant(5)):
        call("cross_entropy", (6, 5), ints(5, 6), weight, **o)
        call("cross_entropy", (6, 5), ints(5, 6), weight, ignore_index=2, **o)
        call("cross_entropy", (3, 5, 4, 2), ints(5, 3, 4, 2), weight, ignore_index=1, **o)
        call("cross_entropy", (6, 5), shares(6, 5), weight, **o)
        call("cross_entropy", (3, 5, 4), shares(3, 5, 4), weight, **o)
        call("cross_entropy", (5,), ints(5), weight, **o)
        call("cross_entropy", (5,), shares(5), weight, **o)
for o in grid(reduction=["mean", "sum", "none"], ignore_index=[-100, 1]):
    for weight in (None, constant(5)):
        call("nll_loss", logs(6, 5), ints(5, 6), weight, **o)
        call("nll_loss", logs(3, 5, 2, 4), ints(5, 3, 2, 4), weight, **o)
for reduction in ("mean", "sum", "none"):
    call("mse_loss", (3, 4), (3, 4), reduction=reduction)
    call("l1_loss", (3, 4), (3, 4), reduction=reduction)
    call("huber_loss", (3, 40), (3, 40), reduction=reduction, delta=0.7)
    call("smooth_l1_loss", (3, 40), (3, 40), reduction=reduction, beta=0.7)
    call("smooth_l1_loss", (3, 4), (3, 4), reduction=reduction, beta=0.0)
    call("binary_cross_entropy", unit(3, 4), unit(3, 4), reduction=reduction)
    call("binary_cross_entropy", unit(3, 4), unit(3, 4), constant(3, 4), reduction=reduction)
    call("binary_cross_entropy_with_logits", (3, 4), unit(3, 4), reduction=reduction)
    call(
        "binary_cross_entropy_with_logits", (3, 4), unit(3, 4), constant(3, 4), reduction=reduction
    )
    call("kl_div", logs(3, 4), shares(3, 4), reduction=reduction)
call(
    "binary_cross_entropy_with_logits",
    (3, 4),
    unit(3, 4),
    None,
    pos_weight=np.array([1.0, 2, 3, 4]),
)
call("kl_div", logs(3, 4), shares(3, 4), reduction="batchmean")
call("kl_div", logs(3, 4), logs(3, 4), reduction="sum", log_target=True)

# ------------------------------------------------------------------------------- norms

for o in grid(training=[True, False], momentum=[0.1, 0.7], eps=[1e-5, 0.1]):
    call("batch_norm", (4, 3, 5, 2), state(3), state(3), (3,), (3,), **o)
    call("batch_norm", (6, 3), state(3), state(3), None, None, **o)
call("batch_norm", (4, 3, 5), None, None, (3,), (3,), training=True)
call("batch_norm", (2, 3, 4, 2, 3), state(3), state(3), (3,), None, training=True)
for shape, normal in (((3, 4, 5), (5,)), ((3, 4, 5), (4, 5)), ((2, 3, 4, 5), (3, 4, 5))):
    call("layer_norm", shape, Plain(normal), normal, normal)
call("layer_norm", (3, 4, 5), Plain((5,)), None, None, eps=0.1)
for groups in (1, 2, 3, 6):
    call("group_norm", (2, 6, 4, 3), Plain(groups), (6,), (6,))
call("group_norm", (3, 6), Plain(2), None, None, eps=0.1)
call("instance_norm", (2, 3, 4, 5), None, None, (3,), (3,))
call("instance_norm", (2, 3, 7), None, None, None, None, eps=0.1)
call("instance_norm", (2, 3, 4, 5), state(3), state(3), (3,), (3,), momentum=0.3)
call("instance_norm", (2, 3, 4, 5), state(3), state(3), (3,), (3,), use_input_stats=False)

# ------------------------------------------------------------------------------- linear algebra

call("linear", (4, 5), (3, 5), (3,))
call("linear", (2, 4, 5), (3, 5), None)
call("linear", (5,), (3, 5), (3,))
call("bilinear", (4, 5), (4, 3), (2, 5, 3), (2,))
call("bilinear", (2, 4, 5), (2, 4, 3), (2, 5, 3), None)
call("embedding", ints(7, 3, 4), (7, 5))
call("embedding", ints(7, 30), (7, 5), padding_idx=2)
for left, right in (
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
):
    call("matmul", left, right)

# ------------------------------------------------------------------------------- reductions

for name in ("sum", "mean", "amax", "amin"):
    for o in ({}, {"dim": 1}, {"dim": (0, 2), "keepdim": True}, {"dim": -1, "keepdim": True}):
        call(name, (3, 4, 5), **o)
for name in ("var", "std"):
    for o in ({}, {"dim": 1}, {"dim": (0, 2), "keepdim": True}, {"dim": 1, "correction": 0}):
        call(name, (3, 4, 5), **o)
for name in ("argmax", "argmin"):
    for o in ({}, {"dim": 1}, {"dim": -1, "keepdim": True}):
        call(name, (3, 4, 5), **o)
for name in ("max", "min"):
    call(name, (3, 4, 5))

# ------------------------------------------------------------------------------- elementwise

for name in ("exp", "expm1", "sin", "cos", "abs", "erf", "square", "neg", "sign", "floor"):
    call(name, (3, 4))
for name in ("log", "log1p", "sqrt", "rsqrt", "reciprocal"):
    call(name, positive(3, 4))
for left, right in (((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (3, 4))):
    for name in ("maximum", "minimum", "add", "sub", "mul", "div"):
        call(name, left, right)
    call("pow", positive(*left), right)
for exponent in (2, 3, 0.5, -1, 1, 0):
    call("pow", positive(3, 4), Plain(exponent))
call("pow", Plain(2.0), (3, 4))
call("pow", (3, 4), Plain(3))
call("where", bools(3, 4), (3, 4), (4,))
call("clip", (4, 50), min=-0.5, max=0.7)
call("clip", (4, 50), min=-0.5)
call("clip", (4, 50), max=0.5)

# ------------------------------------------------------------------------------- shapes

call("reshape", (3, 4, 5), Plain((4, -1)))
call("permute", (3, 4, 5), Plain((2, 0, 1)))
call("transpose", (3, 4, 5), Plain(0), Plain(-1))
call("flatten", (3, 4, 5, 2), start_dim=1, end_dim=2)
call("flatten", (3, 4, 5))
call("squeeze", (3, 1, 5, 1))
call("squeeze", (3, 1, 5, 1), dim=1)
call("squeeze", (3, 1, 5, 1), dim=0)
call("unsqueeze", (3, 4), dim=-1)
call("broadcast_to", (3, 1), Plain((2, 3, 4)))
call("cat", [(2, 3), (2, 4), (2, 1)], dim=1)
call("stack", [(2, 3), (2, 3)], dim=1)
call("split", (7, 4), Plain(3))
call("split", (4, 7), Plain([2, 4, 1]), dim=1)
call("chunk", (7, 4), chunks=3)
call("chunk", (4, 7), chunks=4, dim=1)
call("flip", (3, 4, 5), Plain((0, 2)))
call("roll", (3, 4, 5), Plain(2), Plain(1))
call("one_hot", ints(5, 3, 4), num_classes=6)
