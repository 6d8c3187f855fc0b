"""Bad input: each case has its own message, with the arithmetic and the rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import ops
from rot180.core import Tensor
from rot180.errors import ArgumentError, DTypeError, Rot180Error, ShapeError
from rot180.nn import functional as F


def z(*shape: int) -> Tensor:
    return Tensor(np.zeros(shape))


def ints(*shape: int) -> Tensor:
    return Tensor(np.zeros(shape, np.int64))


CASES: dict[str, tuple[Callable[[], Any], type[Rot180Error], str]] = {
    # Data types
    "complex numbers": (lambda: z(2) * 1j, DTypeError, "not supported.*complex128"),
    "the negative of a bool": (lambda: -Tensor(np.array([True])), DTypeError, "no negative"),
    "running statistics that are no tensor": (
        lambda: F.batch_norm(z(4, 2), np.zeros(2), np.ones(2), training=True),
        ArgumentError,
        "written in place.*got ndarray.*shares its memory",
    ),
    # Windows
    "kernel larger than the padded input": (
        lambda: F.conv2d(z(2, 3, 4, 6), z(2, 3, 7, 3), padding=1),
        ShapeError,
        r"conv2d: no output along axis 0: \(4 \+ 1 \+ 1 - 7\).*= 0;.*at least 5, got 4.*must fit",
    ),
    "dilated kernel larger than the input": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), dilation=2),
        ShapeError,
        r"conv1d: no output.*\(4 \+ 0 \+ 0 - 5\)",
    ),
    "pool larger than the input": (
        lambda: F.max_pool2d(z(2, 3, 2, 4), 3),
        ShapeError,
        r"max_pool2d: no output along axis 0.*must fit",
    ),
    "no cells along an axis": (
        lambda: F.conv1d(z(2, 3, 0), z(2, 3, 1)), ShapeError, "conv1d: no (in|out)put along axis 0",
    ),
    "stride 0": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), stride=0), ArgumentError, "stride.*>= 1.*got 0",
    ),
    "dilation 0": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), dilation=0), ArgumentError, "dilation.*>= 1",
    ),
    "stride of the wrong length": (
        lambda: F.conv2d(z(2, 3, 4, 4), z(2, 3, 3, 3), stride=(1, 2, 3)),
        ArgumentError, "stride has the wrong length.*2 for 2 spatial axes",
    ),
    "unknown padding": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), padding="sane"), ArgumentError, "'sane'",
    ),
    "same with stride": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), padding="same", stride=2),
        ArgumentError, "same.*stride",
    ),
    "mode": (
        lambda: F.conv1d(z(2, 3, 4), z(2, 3, 3), mode="conv"),
        ArgumentError, 'conv1d: mode; expected "correlation" or "convolution", got \'conv\'',
    ),
    "output_padding not below the stride": (
        lambda: F.conv_transpose2d(z(2, 3, 4, 4), z(3, 2, 3, 3), stride=2, output_padding=2),
        ArgumentError,
        r"conv_transpose2d: output_padding of axis 0.*max\(2, 1\) = 2.*got 2.*no zero pad",
    ),
    "padding more than half a pooling window": (
        lambda: F.avg_pool2d(z(2, 3, 6, 6), 3, padding=2),
        ArgumentError,
        r"avg_pool2d: padding.*3 // 2 = 1.*got 2.*at most half the effective kernel",
    ),
    "max pool likewise": (
        lambda: F.max_pool1d(z(2, 3, 6), 2, padding=2), ArgumentError, "max_pool1d: padding.*half",
    ),
    "divisor 0": (
        lambda: F.avg_pool1d(z(2, 3, 6), 2, divisor_override=0),
        ArgumentError, "avg_pool1d: divisor_override must not be 0",
    ),
    "ties": (
        lambda: F.max_pool1d(z(2, 3, 6), 2, ties="second"),
        ArgumentError, 'ties; expected "first", "all" or "split", got \'second\'',
    ),
    "indices of several winners": (
        lambda: F.max_pool1d(z(2, 3, 6), 2, return_indices=True, ties="all"),
        ArgumentError, "indices name one winner",
    ),
    # Channels and groups
    "zero input channels": (
        lambda: F.conv2d(z(2, 0, 4, 4), z(2, 0, 3, 3)), ShapeError, "conv2d: zero channels or taps",
    ),
    "zero output channels": (
        lambda: F.conv2d(z(2, 3, 4, 4), z(0, 3, 3, 3)), ShapeError, "conv2d: zero channels or taps",
    ),
    "groups do not divide the input": (
        lambda: F.conv2d(z(2, 3, 4, 4), z(4, 1, 3, 3), groups=2),
        ArgumentError, "groups must divide.*3 and 4 channels, 2 groups",
    ),
    "groups do not divide the output": (
        lambda: F.conv2d(z(2, 4, 4, 4), z(3, 2, 3, 3), groups=2),
        ArgumentError, "groups must divide.*4 and 3 channels, 2 groups",
    ),
    "no groups": (
        lambda: F.conv2d(z(2, 4, 4, 4), z(3, 2, 3, 3), groups=0), ArgumentError, "groups",
    ),
    "channels differ": (
        lambda: F.conv2d(z(2, 3, 4, 4), z(4, 2, 3, 3)),
        ShapeError, r"2 channels · 1 groups = 2; expected 2 input channels, got 3.*\(K, C / groups",
    ),
    "transposed channels differ": (
        lambda: F.conv_transpose2d(z(2, 3, 4, 4), z(4, 2, 3, 3)),
        ShapeError, r"conv_transpose2d: channels.*3 input channels.*\(C, K / groups",
    ),
    "bias": (
        lambda: F.conv2d(z(2, 3, 4, 4), z(4, 3, 3, 3), z(3)),
        ShapeError, r"conv2d: bias; expected \(4,\), got \(3,\)",
    ),
    "axes of the input": (
        lambda: F.conv2d(z(2, 3, 4), z(4, 3, 3)), ShapeError, "number of axes of the weight",
    ),
    "axes of the input without weight's": (
        lambda: F.max_pool2d(z(4, 4), 2), ShapeError, r"max_pool2d: number of axes.*\(4, 4\)",
    ),
    "shape of the upstream gradient": (
        lambda: F.conv_input_grad((2, 3, 4, 4), z(4, 3, 3, 3), z(2, 4, 3, 3)),
        ShapeError, r"conv_input_grad: shape of grad_output; expected \(2, 4, 2, 2\)",
    ),
    "columns of fold": (
        lambda: F.fold(z(2, 12, 5), (3, 4), (2, 2)),
        ShapeError, r"fold.*2 · 3 = 6 positions; expected a multiple of 4 rows and 6 columns",
    ),
    # Data types
    **{
        f"integers to {name}": (
            (lambda f=f: f()), DTypeError,
            rf"{name}.*only floating.*float64, got int64\. Rule: .*x\.astype\(np\.float32\)",
        )
        for name, f in {
            "conv2d": lambda: F.conv2d(ints(2, 3, 4, 4), z(2, 3, 2, 2)),
            "max_pool2d": lambda: F.max_pool2d(ints(2, 3, 4, 4), 2),
            "avg_pool2d": lambda: F.avg_pool2d(ints(2, 3, 4, 4), 2),
            "linear": lambda: F.linear(ints(2, 3), z(2, 3)),
            "relu": lambda: F.relu(ints(2, 3)),
            "exp": lambda: rt.exp(ints(2, 3)),
            "mean": lambda: rt.mean(ints(2, 3)),
            "softmax": lambda: F.softmax(ints(2, 3)),
            "cross_entropy": lambda: F.cross_entropy(ints(2, 3), ints(2)),
            "batch_norm": lambda: F.batch_norm(ints(2, 3), None, None, training=True),
            "dropout": lambda: F.dropout(ints(2, 3)),
            "unfold": lambda: F.unfold(ints(2, 3, 4, 4), 2),
        }.items()
    },
    "mixed types": (
        lambda: F.conv2d(z(2, 3, 4, 4), Tensor(np.zeros((2, 3, 2, 2), np.float32))),
        DTypeError, r"conv: mixed data types; expected float64 throughout.*nothing is converted",
    ),
    "indices of floats": (
        lambda: F.embedding(z(3), z(4, 2)), DTypeError, "embedding: indices are integers",
    ),
    # Shapes
    "broadcast": (
        lambda: z(2, 3) + z(4, 3), ShapeError,
        r"add: shapes do not broadcast together; got \(2, 3\) and \(4, 3\)\. Rule: aligned",
    ),
    "matmul": (
        lambda: rt.matmul(z(2, 3), z(4, 5)), ShapeError,
        r"matmul: inner sizes differ: 3 columns of \(2, 3\), 4 rows of \(4, 5\)",
    ),
    "matmul of numbers": (lambda: rt.matmul(z(), z(3)), ShapeError, r"no matrix; use \*"),
    "matmul batches": (
        lambda: rt.matmul(z(2, 3, 4), z(5, 4, 3)), ShapeError, "batch axes do not broadcast",
    ),
    "linear": (
        lambda: F.linear(z(2, 490), z(10, 784)), ShapeError,
        r"input \(2, 490\) has 490 features, weight \(10, 784\) reads 784.*flatten",
    ),
    "reshape": (
        lambda: z(2, 3).reshape(4, 2), ShapeError,
        r"number of cells must stay: 2 \* 3 = 6, 4 \* 2 = 8",
    ),
    "reshape with -1": (lambda: z(2, 3).reshape(4, -1), ShapeError, "no size fits for -1.*6 cells"),
    "reshape with two -1": (lambda: z(2, 3).reshape(-1, -1), ShapeError, "at most one size"),
    "axis": (lambda: z(2, 3).sum(2), ShapeError, r"sum: no axis 2; expected -2 to 1"),
    "axis twice": (lambda: z(2, 3).sum((0, -2)), ShapeError, "an axis is named twice"),
    "axis and dim": (lambda: rt.sum(z(2), 0, dim=0), ArgumentError, "axis= or dim=, not both"),
    "index": (lambda: z(2, 3)[2], ShapeError, r"index 2 out of range on axis 0; expected -2 to 1"),
    "too many indices": (lambda: z(2, 3)[0, 0, 0], ShapeError, "too many indices"),
    "array of indices": (lambda: z(2, 3)[[0, 5]], ShapeError, "out of bounds"),
    "cat": (lambda: rt.cat([z(2, 3), z(2, 4)]), ShapeError, r"differ along axis 0 only"),
    "cat of nothing": (lambda: rt.cat([]), ShapeError, "nothing to join"),
    "split": (lambda: z(5).split([2, 2]), ShapeError, r"2 \+ 2 = 4; expected 5"),
    "max of nothing": (lambda: z(2, 0).max(1), ShapeError, "no largest or smallest of no cells"),
    "permute": (lambda: z(2, 3).permute(0), ShapeError, "every axis once"),
    "broadcast_to": (lambda: z(2, 3).broadcast_to(2, 4), ShapeError, "broadcast_to: shapes"),
    "pixel_shuffle": (
        lambda: F.pixel_shuffle(z(1, 6, 2, 2), 2), ShapeError, r"6 mod \(2 · 2\) = 2",
    ),
    "reflect": (
        lambda: F.pad(z(2, 3), (3, 0), mode="reflect"), ShapeError, "at most 2.*got 3 and 0",
    ),
    "odd pad": (lambda: F.pad(z(2, 3), (1, 2, 3)), ArgumentError, "sides come in pairs"),
    # Losses and norms
    "labels out of range": (
        lambda: F.cross_entropy(z(2, 3), np.array([0, 3])), ShapeError,
        r"cross_entropy: target out of range; expected 0 to 2 \(or ignore_index -100\), got 3",
    ),
    "labels of another shape": (
        lambda: F.cross_entropy(z(2, 3), np.array([0, 1, 2])), ShapeError,
        r"target; expected shape \(2,\) for input \(2, 3\), got \(3,\)",
    ),
    "reduction": (
        lambda: F.mse_loss(z(2), z(2), reduction="avg"), ArgumentError,
        'mse_loss: reduction; expected "mean", "sum" or "none", got \'avg\'',
    ),
    "loss shapes": (
        lambda: F.mse_loss(z(2, 1), z(2)), ShapeError, "nothing is broadcast in a loss",
    ),
    "probabilities": (
        lambda: F.binary_cross_entropy(z(2) + 2.0, z(2)), ArgumentError,
        "probabilities; expected 0 to 1, got 2.0 to 2.0.*with_logits",
    ),
    "smoothing": (
        lambda: F.cross_entropy(z(2, 3), np.array([0, 1]), label_smoothing=1.5),
        ArgumentError, "label_smoothing; expected 0 to 1",
    ),
    "one cell a channel": (
        lambda: F.batch_norm(z(1, 3), None, None, training=True), ShapeError,
        r"one cell a channel.*1 · 3 cells / 3 channels = 1.*larger batch",
    ),
    "evaluation without statistics": (
        lambda: F.batch_norm(z(2, 3), None, None), ArgumentError, "needs running_mean",
    ),
    "group norm": (lambda: F.group_norm(z(2, 3, 4), 2), ShapeError, "groups must divide"),
    "layer norm": (lambda: F.layer_norm(z(2, 3), 4), ShapeError, r"last axes.*\(4,\)"),
    "dropout": (lambda: F.dropout(z(2), 1.5), ArgumentError, "expected 0 to 1, got 1.5"),
    "embedding": (
        lambda: F.embedding(np.array([0, 4]), z(4, 2)), ShapeError,
        "embedding: index out of range; expected 0 to 3, got 4",
    ),
    "one_hot": (lambda: F.one_hot(np.array([3]), 3), ArgumentError, "one_hot: index out of range"),
    "unpool": (
        lambda: F.max_unpool1d(z(1, 1, 2), np.array([[[0, 9]]]), 2), ShapeError,
        "index outside the output: 4 = 4 cells; got 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_has_its_own_message(name: str) -> None:
    call, kind, text = CASES[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)
    builtin = TypeError if kind is DTypeError else ValueError
    assert isinstance(caught.value, builtin)


@pytest.mark.parametrize("shape", [(0, 3, 6, 7), (2, 3, 6, 7)])
def test_a_network_takes_an_empty_batch(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal(shape), requires_grad=True)
    w = Tensor(rng.standard_normal((4, 3, 3, 3)), requires_grad=True)
    v = Tensor(rng.standard_normal((5, 4 * 3 * 3)), requires_grad=True)
    scale = Tensor(np.ones(4), requires_grad=True)
    h = F.batch_norm(F.conv2d(x, w, padding=1), None, None, scale, training=True)
    h = F.dropout(F.max_pool2d(F.relu(h), 2))
    y = F.log_softmax(F.linear(h.flatten(1), v))
    assert y.shape == (shape[0], 5)
    loss = F.nll_loss(y, np.zeros(shape[0], np.int64), reduction="sum")
    loss.backward()
    assert x.grad.shape == shape
    for t in (w, v, scale):
        assert t.grad.shape == t.shape
        assert np.isfinite(t.grad.data).all()
        assert bool(t.grad.data.any()) == bool(shape[0])


def test_operations_take_arrays_lists_and_numbers() -> None:
    for x in (np.array([1.0, -2.0], np.float32), [1.0, -2.0], rt.tensor([1.0, -2.0])):
        assert ops.relu(x).tolist() == [1.0, 0.0]
        assert ops.add(x, 1).tolist() == [2.0, -1.0]
    assert ops.exp(0.0).item() == 1.0
