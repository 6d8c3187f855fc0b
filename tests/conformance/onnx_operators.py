"""How each ONNX operator reads in our functions: names, order of arguments, a few conventions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_adapter import Node, operator

from rot180 import ops as F
from rot180.core import Tensor, tensor
from rot180.window import resolve_padding

if TYPE_CHECKING:
    from collections.abc import Callable

Pairs = tuple[tuple[int, int], ...]


def ends_to_pairs(ends: list[int]) -> Pairs:
    """ONNX lists all paddings before, then all after."""
    half = len(ends) // 2
    return tuple(zip(ends[:half], ends[half:], strict=True))


def flat_pad(pairs: Pairs) -> list[int]:
    """The order of F.pad: last axis first."""
    return [side for pair in reversed(pairs) for side in pair]


def axis_of(node: Node, default: int = -1) -> int:
    return int(node.get("axis", default))


# ------------------------------------------------------------------------------------ windows


def window_of(node: Node, kernel: tuple[int, ...], size: tuple[int, ...]) -> dict[str, Any]:
    """stride, dilation and padding; auto_pad is one of our padding words."""
    axes = len(kernel)
    stride = tuple(node.get("strides", [1] * axes))
    dilation = tuple(node.get("dilations", [1] * axes))
    word = node.get("auto_pad", "NOTSET")
    if word in {"NOTSET", "VALID"}:
        padding: Any = ends_to_pairs(node.get("pads", [0] * (2 * axes)))
    else:
        padding = resolve_padding(word.lower(), kernel, stride, dilation, size)
    return {"stride": stride, "dilation": dilation, "padding": padding}


@operator("Conv")
def conv(node: Node) -> Tensor:
    x, w, b = node.inputs[0], node.inputs[1], node.input(2)
    window = window_of(node, w.shape[2:], x.shape[2:])
    return F.conv(x, w, b, groups=node.get("group", 1), **window)


@operator("ConvTranspose")
def conv_transpose(node: Node) -> Tensor:
    x, w, b = node.inputs[0], node.inputs[1], node.input(2)
    axes = x.ndim - 2
    stride = node.get("strides", [1] * axes)
    dilation = node.get("dilations", [1] * axes)
    extra = list(node.get("output_padding", [0] * axes))
    pairs = list(ends_to_pairs(node.get("pads", [0] * (2 * axes))))
    same = node.get("auto_pad", "NOTSET")
    wanted = node.get("output_shape")
    if wanted is None and same != "NOTSET":
        wanted = [size * s for size, s in zip(x.shape[2:], stride, strict=True)]
    for i in range(axes if wanted is not None else 0):
        full = (x.shape[2 + i] - 1) * stride[i] + dilation[i] * (w.shape[2 + i] - 1) + 1
        crop = full - wanted[i]  # what is cropped from both ends; below 0: leftover rows
        small, large = max(crop, 0) // 2, max(crop, 0) - max(crop, 0) // 2
        pairs[i] = (small, large) if same == "SAME_UPPER" else (large, small)
        extra[i] = max(-crop, 0)
    function = getattr(F, f"conv_transpose{axes}d")
    return function(
        x,
        w,
        b,
        stride=tuple(stride),
        padding=tuple(pairs),
        output_padding=tuple(extra),
        groups=node.get("group", 1),
        dilation=tuple(dilation),
    )


def pool_window(node: Node) -> tuple[Tensor, tuple[int, ...], dict[str, Any], bool]:
    """x, kernel, window, ceil_mode."""
    x = tensor(node.inputs[0])
    kernel = tuple(node["kernel_shape"])
    window = window_of(node, kernel, x.shape[2:])
    return x, kernel, window, bool(node.get("ceil_mode", 0))


def beyond_half(kernel: tuple[int, ...], window: dict[str, Any]) -> bool:
    return any(
        max(pair) > (d * (k - 1) + 1) // 2
        for pair, k, d in zip(window["padding"], kernel, window["dilation"], strict=True)
    )


@operator("MaxPool")
def max_pool(node: Node) -> tuple[Tensor, ...]:
    if node.get("storage_order", 0):
        raise NotImplementedError("column-major indices")
    x, kernel, window, ceil_mode = pool_window(node)
    if beyond_half(kernel, window):
        assert node.outputs == 1
        x = F.pad(x, flat_pad(window["padding"]), value=-math.inf)
        window["padding"] = 0
    function = getattr(F, f"max_pool{len(kernel)}d")
    y, indices = function(x, kernel, ceil_mode=ceil_mode, return_indices=True, **window)
    if node.outputs == 1:
        return (y,)
    # ONNX counts through all of x, we through each plane.
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2] + (1,) * len(kernel))
    return y, indices + planes * math.prod(x.shape[2:])


@operator("AveragePool")
def average_pool(node: Node) -> Tensor:
    x, kernel, window, ceil_mode = pool_window(node)
    if set(window.pop("dilation")) != {1}:
        raise NotImplementedError("dilated mean pool")
    include = bool(node.get("count_include_pad", 0))
    function = getattr(F, f"avg_pool{len(kernel)}d")
    if not beyond_half(kernel, {**window, "dilation": (1,) * len(kernel)}):
        return function(x, kernel, ceil_mode=ceil_mode, count_include_pad=include, **window)
    padding, stride = flat_pad(window["padding"]), window["stride"]
    mean = function(F.pad(x, padding), kernel, stride)
    if include:
        return mean
    return mean / function(F.pad(np.ones_like(x.numpy()), padding), kernel, stride)


@operator("LpPool")
def lp_pool(node: Node) -> Tensor:
    x, kernel, window, ceil_mode = pool_window(node)
    if set(window.pop("dilation")) != {1}:
        raise NotImplementedError("dilated mean pool")
    p = node.get("p", 2)
    x = F.pad(abs(x) ** p, flat_pad(window["padding"]))
    function = getattr(F, f"avg_pool{len(kernel)}d")
    total = function(x, kernel, window["stride"], ceil_mode=ceil_mode, divisor_override=1)
    return total ** (1 / p)


@operator("MaxUnpool")
def max_unpool(node: Node) -> Tensor:
    x, indices = node.inputs[0], node.inputs[1]
    assert x.shape[:2] == (1, 1), "one plane: ONNX's indices and ours are the same"
    kernel = tuple(node["kernel_shape"])
    function = getattr(F, f"max_unpool{len(kernel)}d")
    size = node.ints(2)
    if size is None:
        return function(x, indices, kernel, tuple(node["strides"]))
    # ONNX keeps the indices of the inferred size and lets the output be larger.
    inferred = function(x, indices, kernel, tuple(node["strides"]))
    grown = [(0, have - want) for want, have in zip(inferred.shape, size, strict=True)]
    return F.pad(inferred, flat_pad(tuple(grown)))


@operator("GlobalAveragePool")
def global_average_pool(node: Node) -> Tensor:
    return F.global_avg_pool(node.inputs[0])


@operator("GlobalMaxPool")
def global_max_pool(node: Node) -> Tensor:
    return F.global_max_pool(node.inputs[0])


@operator("Col2Im")
def col2im(node: Node) -> Tensor:
    kernel = tuple(node.ints(2))
    axes = len(kernel)
    return F.fold(
        node.inputs[0],
        tuple(node.ints(1)),
        kernel,
        dilation=tuple(node.get("dilations", [1] * axes)),
        padding=ends_to_pairs(node.get("pads", [0] * (2 * axes))),
        stride=tuple(node.get("strides", [1] * axes)),
    )


# ------------------------------------------------------------------------------ normalisations


@operator("BatchNormalization")
def batch_norm(node: Node) -> tuple[Tensor, ...]:
    x, scale, bias, mean, var = node.inputs
    training = bool(node.get("training_mode", 0))
    momentum = 1 - node.get("momentum", 0.9)  # ONNX weighs the old value, we the new one
    mean_now, var_now = tensor(mean.copy()), tensor(var.copy())
    y = F.batch_norm(
        x, mean_now, var_now, scale, bias, training, momentum, node.get("epsilon", 1e-5)
    )
    if not training:
        return (y,)
    # ONNX averages the biased variance, we (as PyTorch) the unbiased one: n/(n-1) of it.
    n = x.size // x.shape[1]
    old = np.float32(1 - momentum) * var
    biased = old + (var_now.numpy() - old) * np.float32((n - 1) / n)
    return y, mean_now, tensor(biased)


@operator("LayerNormalization")
def layer_norm(node: Node) -> tuple[Tensor, ...]:
    x, scale, bias = node.inputs[0], node.inputs[1], node.input(2)
    axis, eps = axis_of(node) % x.ndim, node.get("epsilon", 1e-5)
    y = F.layer_norm(x, x.shape[axis:], scale, bias, eps)
    axes = tuple(range(axis, x.ndim))
    mean = F.mean(x, axis=axes, keepdims=True)
    spread = F.mean((tensor(x) - mean) ** 2, axis=axes, keepdims=True)
    return (y, mean, 1 / F.sqrt(spread + eps))[: node.outputs]


@operator("GroupNormalization")
def group_norm(node: Node) -> Tensor:
    x, scale, bias = node.inputs
    return F.group_norm(x, node["num_groups"], scale, bias, node.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def instance_norm(node: Node) -> Tensor:
    x, scale, bias = node.inputs
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


# ------------------------------------------------------------------------ activations and losses


def pointwise(name: str, function: Callable[..., Tensor], **attributes: tuple[str, Any]) -> None:
    """An operator of one input; `ours=("theirs", default)` names an attribute."""

    @operator(name)
    def apply(node: Node) -> Tensor:
        options = {ours: node.get(theirs, value) for ours, (theirs, value) in attributes.items()}
        return function(tensor(node.inputs[0]), **options)


pointwise("Relu", F.relu)
pointwise("LeakyRelu", F.leaky_relu, negative_slope=("alpha", 0.01))
pointwise("Elu", F.elu, alpha=("alpha", 1.0))
pointwise("Gelu", F.gelu, approximate=("approximate", "none"))
pointwise("Sigmoid", F.sigmoid)
pointwise("Tanh", F.tanh)
pointwise("Softplus", F.softplus)
pointwise("HardSwish", F.hardswish)
pointwise("Softmax", F.softmax, axis=("axis", -1))
pointwise("LogSoftmax", F.log_softmax, axis=("axis", -1))
pointwise("Abs", F.abs)
pointwise("Exp", F.exp)
pointwise("Log", F.log)
pointwise("Sqrt", F.sqrt)
pointwise("Sin", F.sin)
pointwise("Cos", F.cos)
pointwise("Erf", F.erf)
pointwise("Floor", F.floor)
pointwise("Sign", F.sign)
pointwise("Reciprocal", F.reciprocal)
pointwise("Softsign", F.softsign)
pointwise("Neg", lambda x: -x)
pointwise("Identity", lambda x: x)
pointwise("Mish", lambda x: x * F.tanh(F.softplus(x)))
pointwise("Swish", lambda x, alpha: x * F.sigmoid(alpha * x), alpha=("alpha", 1.0))
pointwise(
    "HardSigmoid",
    lambda x, a, b: F.clip(a * x + b, 0.0, 1.0),
    a=("alpha", 0.2),
    b=("beta", 0.5),
)
pointwise(
    "Selu",
    lambda x, alpha, gamma: gamma * F.elu(x, alpha),
    alpha=("alpha", 1.6732632),
    gamma=("gamma", 1.0507009),
)
pointwise("Celu", lambda x, a: a * F.elu(x / a), a=("alpha", 1.0))
pointwise("ThresholdedRelu", lambda x, a: F.where(x > a, x, F.relu(x) * 0), a=("alpha", 1.0))


@operator("PRelu")
def prelu(node: Node) -> Tensor:
    x, slope = tensor(node.inputs[0]), tensor(node.inputs[1])
    return F.where(x > 0, x, x * slope)


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(node: Node) -> tuple[Tensor, ...]:
    x, target, weight = node.inputs[0], node.inputs[1], node.input(2)
    loss = F.cross_entropy(
        x,
        target,
        weight,
        ignore_index=node.get("ignore_index", -100),
        reduction=node.get("reduction", "mean"),
    )
    return (loss, F.log_softmax(x, axis=1))[: node.outputs]


@operator("NegativeLogLikelihoodLoss")
def nll_loss(node: Node) -> Tensor:
    return F.nll_loss(
        node.inputs[0],
        node.inputs[1],
        node.input(2),
        ignore_index=node.get("ignore_index", -100),
        reduction=node.get("reduction", "mean"),
    )


@operator("Dropout")
def dropout(node: Node) -> tuple[Tensor, ...]:
    ratio, training = node.input(1), node.input(2)
    p = float(ratio) if ratio is not None else node.get("ratio", 0.5)
    training_now = bool(training) if training is not None else False
    if training_now and p > 0:
        raise NotImplementedError("another random generator")
    y = F.dropout(node.inputs[0], p, training=training_now)
    return (y, tensor(np.ones(y.shape, bool)))[: node.outputs]
